//! The two URLs of an export's file, and which of them to poll.

use super::requested::Requested;

/// Polls the second version of the URL if there is one, because its responses distinguish "not yet" from "unknown".
/// Polls the first version if the second gives an undocumented response or does not know the export.
pub(super) struct Urls {
    places: Vec<Place>,
    now: usize,
}

struct Place {
    url: String,
    second_version: bool,
    /// True if its last response was a 404.
    unknown: bool,
    /// True if its response was undocumented: it is not polled again.
    out: bool,
}

impl Urls {
    pub(super) fn of(requested: &Requested) -> Urls {
        let place = |url: &crate::secret::Secret, second_version| Place {
            url: url.expose().to_owned(),
            second_version,
            unknown: false,
            out: false,
        };
        let second = requested.second.iter().map(|url| place(url, true));
        let first = requested.first.iter().map(|url| place(url, false));
        Urls { places: second.chain(first).collect(), now: 0 }
    }

    pub(super) fn current(&self) -> &str {
        &self.places[self.now].url
    }

    /// Records "in progress": keep polling this URL.
    pub(super) fn in_progress(&mut self) {
        self.places[self.now].unknown = false;
    }

    /// Records a 404, which means "not yet" or an unknown id; the other URL may know the export.
    pub(super) fn unknown(&mut self) {
        self.places[self.now].unknown = true;
        self.turn();
    }

    /// Records a temporary fault, the `in_a_row`-th in a row; from the second on, the other URL is polled.
    pub(super) fn passing(&mut self, in_a_row: u32) {
        if in_a_row > 1 {
            self.turn();
        }
    }

    /// Records a 410 and returns whether the export is gone. The first version also returns 410 for an unknown id, so
    /// it counts only if the second version does not know the export either.
    pub(super) fn gone(&mut self) -> bool {
        let asked = self.now;
        let believed = self.places[asked].second_version
            || self.places.iter().enumerate().all(|(at, place)| at == asked || place.out || place.unknown);
        if !believed {
            self.leave();
        }
        believed
    }

    /// Records an undocumented response: the URL is not polled again. Returns false if there is no other URL.
    pub(super) fn leave(&mut self) -> bool {
        self.places[self.now].out = true;
        self.turn();
        !self.places[self.now].out
    }

    /// Switches to the next URL that may be polled.
    fn turn(&mut self) {
        let count = self.places.len();
        let next = (1..count).map(|step| (self.now + step) % count).find(|at| !self.places[*at].out);
        self.now = next.unwrap_or(self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use std::time::UNIX_EPOCH;

    fn urls(second: Option<&str>, first: Option<&str>) -> Urls {
        Urls::of(&Requested { second: second.map(Secret::new), first: first.map(Secret::new), at: UNIX_EPOCH })
    }

    #[test]
    fn only_the_second_version_is_polled_while_its_answers_are_documented() {
        let mut urls = urls(Some("v2"), Some("v1"));
        urls.in_progress();
        urls.passing(1);
        assert_eq!(urls.current(), "v2");
        urls.unknown();
        assert_eq!(urls.current(), "v1");
        urls.unknown();
        assert_eq!(urls.current(), "v2");
        urls.passing(2);
        assert_eq!(urls.current(), "v1");
    }

    #[test]
    fn a_410_of_the_first_version_alone_is_not_believed() {
        let mut both = urls(Some("v2"), Some("v1"));
        both.passing(2);
        assert!(!both.gone());
        assert_eq!(both.current(), "v2");
        both.passing(2);
        assert_eq!(both.current(), "v2", "the first version is not asked again");
        assert!(both.gone());
        let mut unknown = urls(Some("v2"), Some("v1"));
        unknown.unknown();
        assert!(unknown.gone());
        assert!(urls(None, Some("v1")).gone());
        let mut left = urls(Some("v2"), Some("v1"));
        assert!(left.leave());
        assert!(left.current() == "v1" && left.gone());
        assert!(!left.leave());
    }
}
