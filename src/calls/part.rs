//! A part of a delivery, as a run keeps and the report shows it.

use serde_json::Value;
use std::time::SystemTime;

/// A part as shown in the report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartState {
    /// Index from 0.
    pub index: usize,
    /// Number of content bytes.
    pub bytes: u64,
    /// Number of records.
    pub records: u64,
    /// How often sending its body was started, over all processes of the run.
    pub attempts: u32,
    /// The platform's id of the part.
    pub remote_id: Option<String>,
    /// True if the platform has accepted the part.
    pub accepted: bool,
    /// Time of acceptance; set by the journal if it is `None`.
    pub accepted_at: Option<SystemTime>,
}

impl PartState {
    /// Returns the state of a part that the platform has accepted.
    #[must_use]
    pub fn accepted(index: usize, bytes: u64, records: u64) -> PartState {
        PartState { index, bytes, records, accepted: true, ..PartState::default() }
    }
}

/// A part that the platform has accepted once a call is done.
#[derive(Clone, Debug)]
pub struct Accepts {
    pub(super) part: PartState,
    /// Key of the result under which the platform names the part.
    pub(super) id: &'static str,
}

impl Accepts {
    /// The part as it is once the call has given `value`.
    pub(super) fn by(&self, value: &Value, now: SystemTime) -> PartState {
        let id = value.get(self.id).filter(|id| !id.is_null());
        let remote_id = id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        PartState { accepted_at: Some(now), remote_id, ..self.part.clone() }
    }
}
