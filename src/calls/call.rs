//! Describes a call to a platform: its name in the journal, the effect of repeating it, and its quota.

use super::part::{Accepts, PartState};
use super::seat::AtOnce;
use crate::error::Error;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// The effect of repeating a call; see the repeat matrix in each platform's README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetrySafety {
    /// Repeating it leaves the same final state.
    Always,
    /// Repeating it may leave an orphan without data: repeated once after a lost answer.
    Once,
    /// Repeating it could change the result: a lost answer leaves the run in doubt.
    Never,
    /// The platform can be asked whether it was carried out: looked up after a lost answer, and repeated if it was not.
    /// Without a lookup (see [`super::Remote::send_or_find`]) treated as `Never`.
    LookUp,
}

/// A kind of call: its name in the journal, and how to handle faults.
#[derive(Clone, Debug)]
pub struct Call {
    /// Name in the journal, with the part's index if there are several: `get-url`, `put/0`.
    pub name: String,
    /// Effect of repeating the call.
    pub repeat: RetrySafety,
    /// The quota that each attempt counts against.
    pub quota: Option<Quota>,
    /// The limit on simultaneous calls of this kind.
    pub at_once: Option<AtOnce>,
    /// A description for the user, who has to look for it at the platform if it is unknown whether the call was carried
    /// out.
    pub about: Option<String>,
    /// Part that the platform has accepted once this is done.
    pub accepts: Option<Accepts>,
}

impl Call {
    /// Creates a call without a quota.
    #[must_use]
    pub fn new(name: impl Into<String>, repeat: RetrySafety) -> Call {
        Call { name: name.into(), repeat, quota: None, at_once: None, about: None, accepts: None }
    }

    /// Sets what the user should look for: `the list "vip"`.
    #[must_use]
    pub fn about(mut self, what: impl Into<String>) -> Call {
        self.about = Some(what.into());
        self
    }

    /// Records, in the same write as the result, that the platform has accepted a part. `id`: the key of the result under which
    /// it calls the part something.
    #[must_use]
    pub fn accepting(mut self, part: PartState, id: &'static str) -> Call {
        self.accepts = Some(Accepts { part, id });
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
    /// Key of the quota, with secrets hashed: `localytics-profiles/<hash of the key>`.
    pub key: String,
    /// Maximum number of calls per window.
    pub limit: u32,
    /// Length of the window.
    pub window: Duration,
}

/// The result of a journaled call.
#[derive(Debug)]
pub enum Step {
    /// The call succeeded, now or in an earlier process of the run (replayed). The value comes from the classifier of
    /// the answer. If the user resumed with `--assume done`, it is `{"assumed":"done"}`: see [`assumed`].
    Done(Value),
    /// The call must not be repeated and got no answer: the run ends with 21.
    InDoubt(Error),
}

impl Step {
    /// Returns the value of a call that succeeded; doubt becomes the error that ends the run with 21.
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

/// Returns true if a value stands for an answer that never came, and that the user assumed.
#[must_use]
pub fn assumed(value: &Value) -> bool {
    value.get("assumed").is_some()
}

/// Returns true if no verdict came within 24 hours of acceptance, after which polling ends.
#[must_use]
pub fn expired(value: &Value) -> bool {
    value.get("verdict").and_then(Value::as_str) == Some("expired")
}

/// The wait that a poll counts against.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Waiting {
    /// The time at which the platform accepted the list that is polled. From then on no answer of a status call counts
    /// as a refusal, and after 24 hours the verdict has expired. `None` if nothing was accepted: refusals are then
    /// final.
    pub accepted: Option<SystemTime>,
    /// True if the next part may be sent only after the verdict: counted against `upload.part_wait` instead of `wait`.
    pub before_next: bool,
}

impl Waiting {
    /// Waits for the verdict on a list accepted at `accepted`.
    #[must_use]
    pub fn since(accepted: SystemTime) -> Waiting {
        Waiting { accepted: Some(accepted), before_next: false }
    }

    /// Sets whether another part follows that may be sent only after the verdict.
    #[must_use]
    pub fn before_next(mut self, follows: bool) -> Waiting {
        self.before_next = follows;
        self
    }
}

/// The user's decision about a call in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assume {
    /// The platform carried it out: continue after it.
    Done,
    /// The platform did not carry it out: repeat it.
    Repeat,
}
