//! What a call to a platform is: its name in the journal, what repeating it does, what it is counted against.

use super::seat::AtOnce;
use crate::error::Error;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// What repeating an operation does; see the repeat matrix of each platform's README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetrySafety {
    /// The final state is the same.
    Always,
    /// An orphan without data may be left: repeated once after a lost answer.
    Once,
    /// The result could change: a lost answer is doubt.
    Never,
    /// The platform can be asked whether it was carried out: looked up after a lost answer, and repeated if it was not.
    /// Without a lookup (see [`super::Remote::send_or_find`]) as `Never`.
    LookUp,
}

/// A kind of call: its name in the journal and what may be done about faults.
#[derive(Clone, Debug)]
pub struct Call {
    /// In the journal, with the part's index where there are several: `get-url`, `put/0`.
    pub name: String,
    /// Whether it may be repeated.
    pub repeat: RetrySafety,
    /// Counted against a quota: each attempt takes one.
    pub quota: Option<Quota>,
    /// Made only while few of its kind are under way.
    pub at_once: Option<AtOnce>,
    /// What the user would look for at the platform, where nobody knows whether it was done.
    pub about: Option<String>,
}

impl Call {
    /// An operation without a quota.
    #[must_use]
    pub fn new(name: impl Into<String>, repeat: RetrySafety) -> Call {
        Call { name: name.into(), repeat, quota: None, at_once: None, about: None }
    }

    /// Says what the user would look for: `the list "vip"`.
    #[must_use]
    pub fn about(mut self, what: impl Into<String>) -> Call {
        self.about = Some(what.into());
        self
    }

    /// Makes each attempt only while fewer than the limit are under way.
    #[must_use]
    pub fn with_at_once(mut self, limit: AtOnce) -> Call {
        self.at_once = Some(limit);
        self
    }

    /// Counts each attempt against `quota`.
    #[must_use]
    pub fn with_quota(mut self, quota: Quota) -> Call {
        self.quota = Some(quota);
        self
    }
}

/// A quota that the platform counts in a rolling window, shared by all runs and processes on one state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What it counts by, secrets hashed: `localytics-profiles/<hash of the key>`.
    pub key: String,
    /// At most that many…
    pub limit: u32,
    /// … in so long.
    pub window: Duration,
}

/// What came of a step.
#[derive(Debug)]
pub enum Step {
    /// An answer that the platform's judge took for success, now or in an earlier run of this job (replayed): what the
    /// judge made of it. Where the user resumed with `--assume done`, it is `{"assumed":"done"}`: see [`assumed`].
    Done(Value),
    /// It must not be repeated and got no answer: the run ends with 21.
    InDoubt(Error),
}

impl Step {
    /// The value of a step that was done; doubt becomes the error that ends the run with 21.
    ///
    /// # Errors
    /// `InDoubt`.
    pub fn done(self) -> Result<Value, Error> {
        match self {
            Step::Done(value) => Ok(value),
            Step::InDoubt(error) => Err(error),
        }
    }
}

/// True where a step's value stands for an answer that never came and that the user took for given.
#[must_use]
pub fn assumed(value: &Value) -> bool {
    value.get("assumed").is_some()
}

/// True if a verdict did not come within the 24 hours after acceptance in which it is asked for.
#[must_use]
pub fn expired(value: &Value) -> bool {
    value.get("verdict").and_then(Value::as_str) == Some("expired")
}

/// Which wait a poll belongs to.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Waiting {
    /// When the platform accepted what is asked about. From then on no answer of a status call is a refusal, and after
    /// 24 hours the verdict has expired. `None`: nothing was accepted, refusals are final.
    pub accepted: Option<SystemTime>,
    /// The next part may be sent only after the verdict: counted against `upload.part_wait` instead of `wait`.
    pub before_next: bool,
}

impl Waiting {
    /// Waits for the verdict on what was accepted at `accepted`.
    #[must_use]
    pub fn since(accepted: SystemTime) -> Waiting {
        Waiting { accepted: Some(accepted), before_next: false }
    }

    /// Another part follows, and may be sent only after the verdict.
    #[must_use]
    pub fn before_next(mut self, follows: bool) -> Waiting {
        self.before_next = follows;
        self
    }
}

/// What the user says about a call in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assume {
    /// The platform did it: go on behind it.
    Done,
    /// The platform did not: do it again.
    Repeat,
}
