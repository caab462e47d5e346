//! The names and calls of a run, known before it begins.

use crate::calls::Quota;

/// The names and calls of a run, if no call has to be repeated.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Outline {
    /// Keys of `destination` and the names that they give to what the run makes, one for each part if they differ.
    pub names: Vec<(String, Vec<String>)>,
    /// The calls, in order.
    pub calls: Vec<PlannedCall>,
}

/// A kind of call that a run makes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedCall {
    /// Method and path, or a description of another protocol's command.
    pub call: String,
    /// The purpose, in words.
    pub purpose: String,
    /// Number of calls; `None`: as often as needed.
    pub count: Option<u64>,
    /// The quota that each of them counts against.
    pub quota: Option<Quota>,
    /// Maximum number of such calls at a time.
    pub at_once: Option<u32>,
    /// True if the call asks for a verdict, so that it is repeated within `wait`.
    pub awaits: bool,
    /// True if each part waits for the verdict on the one before.
    pub in_turn: bool,
}

impl Outline {
    /// Adds a name.
    #[must_use]
    pub fn name(mut self, key: &str, names: impl IntoIterator<Item = String>) -> Outline {
        self.names.push((key.to_owned(), names.into_iter().collect()));
        self
    }

    /// Adds a call.
    #[must_use]
    pub fn call(mut self, call: PlannedCall) -> Outline {
        self.calls.push(call);
        self
    }
}

impl PlannedCall {
    /// Creates a call that is made `count` times.
    #[must_use]
    pub fn new(call: impl Into<String>, purpose: impl Into<String>, count: usize) -> PlannedCall {
        PlannedCall {
            call: call.into(),
            purpose: purpose.into(),
            count: Some(count as u64),
            quota: None,
            at_once: None,
            awaits: false,
            in_turn: false,
        }
    }

    /// Creates a call that asks for a verdict, as often as needed. `in_turn`: each part waits for the verdict on the
    /// one before.
    #[must_use]
    pub fn verdict(call: impl Into<String>, in_turn: bool) -> PlannedCall {
        let call = PlannedCall::new(call, "ask for the verdict", 0);
        PlannedCall { count: None, awaits: true, in_turn, ..call }
    }

    /// Sets the quota.
    #[must_use]
    pub fn with_quota(mut self, quota: Quota) -> PlannedCall {
        self.quota = Some(quota);
        self
    }

    /// Sets the maximum number at a time.
    #[must_use]
    pub fn at_once(mut self, limit: u32) -> PlannedCall {
        self.at_once = Some(limit);
        self
    }
}
