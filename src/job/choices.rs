//! The keys at the top of the job file that are not sections.

use super::examples::{self, Example};
use crate::error::{Error, Faults};
use crate::settings::Settings;
use std::time::Duration;

/// The values of these keys.
pub(super) struct Choices {
    pub(super) wait: Duration,
    pub(super) allow_empty: bool,
    pub(super) skips_unchanged: bool,
    pub(super) examples: Vec<Example>,
}

impl Choices {
    /// Reads the keys; a default takes the place of an invalid value.
    pub(super) fn read(top: &Settings<'_>, faults: &mut Faults) -> Choices {
        let wait = faults.or_none(top.opt_duration("wait").map_err(|_| bad_duration("wait"))).flatten();
        let if_unchanged = faults.or_none(top.one_of("if_unchanged", &["send", "skip"])).flatten();
        Choices {
            wait: wait.unwrap_or(Duration::from_secs(30 * 60)),
            allow_empty: faults.or_none(top.bool_or("allow_empty", false)).unwrap_or_default(),
            skips_unchanged: if_unchanged == Some("skip"),
            examples: faults.or_none(examples::read(top.get(examples::TESTS))).unwrap_or_default(),
        }
    }
}

fn bad_duration(at: &str) -> Error {
    Error::usage(format!("{at} must be a duration like 90s, 15m or 2h"))
        .with_hint("a number and its unit: ms, s, m, h, d")
}
