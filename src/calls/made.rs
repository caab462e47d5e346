//! A call that was made, for the log and the history of a run.

use crate::settings::size_in_words;
use std::time::{Duration, SystemTime};

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MadeCall {
    /// Name of the step.
    pub step: String,
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// Index of the part that was sent, and its bytes with framing.
    pub part: Option<(usize, u64)>,
    /// Number of parts of the delivery; 0 if unknown.
    pub parts: usize,
    /// Status of the response; `None` if there was none.
    pub status: Option<u16>,
    /// Time of its start.
    pub at: SystemTime,
    /// Time until its response.
    pub took: Duration,
}

#[cfg(all(test, feature = "jobs"))]
impl MadeCall {
    pub(crate) fn for_test(step: &str, at: SystemTime) -> MadeCall {
        let took = Duration::from_millis(12_345);
        MadeCall {
            step: step.to_owned(),
            method: "POST",
            part: Some((7, 95_000_000)),
            parts: 9,
            status: Some(200),
            at,
            took,
        }
    }
}

impl std::fmt::Display for MadeCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.method)?;
        match (self.part, self.parts) {
            (None, _) => write!(f, "{}", self.step)?,
            (Some((index, bytes)), 0) => write!(f, "part {}, {}", index + 1, size_in_words(bytes))?,
            (Some((index, bytes)), parts) => write!(f, "part {}/{parts}, {}", index + 1, size_in_words(bytes))?,
        }
        let seconds = self.took.as_secs_f64();
        match self.status {
            Some(status) => write!(f, ": {status} in {seconds:.1} s"),
            None => write!(f, ": no answer after {seconds:.1} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_line() {
        let mut call = MadeCall {
            step: "upload/0".to_owned(),
            method: "PUT",
            part: Some((0, 94_900_000)),
            parts: 3,
            status: Some(200),
            at: SystemTime::UNIX_EPOCH,
            took: Duration::from_millis(12_340),
        };
        assert_eq!(call.to_string(), "PUT part 1/3, 94.9 MB: 200 in 12.3 s");
        (call.method, call.part, call.status) = ("GET", None, None);
        assert_eq!(call.to_string(), "GET upload/0: no answer after 12.3 s");
    }
}
