//! What a platform made of a delivery.

use crate::body::Part;
use crate::calls::PartState;
use crate::error::{Error, Kind};
use serde_json::Value;

/// A fault of a later part: what was taken before cannot be taken back.
pub(crate) fn parts_accepted(error: Error, accepted: usize, parts: usize) -> Error {
    if accepted == 0 {
        return error;
    }
    // for good: the run has ended, and what comes next is a new one
    let ended = matches!(error.kind(), Kind::Refused | Kind::Data);
    let next = match (ended, error.hint()) {
        (false, None) => "resume the run: parts that arrived are not sent again".to_owned(),
        (false, Some(hint)) => hint.to_owned(),
        (true, hint) => {
            let then = "running the job again sends all parts anew, those that were accepted too";
            hint.map_or_else(|| then.to_owned(), |hint| format!("{hint}; {then}"))
        }
    };
    error.with_hint(format!("{accepted} of {parts} parts were accepted before; {next}"))
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Done, no failed row.
    Done,
    /// Taken, some rows or parts failed.
    Partial,
    /// Taken, the import failed.
    Failed,
}

/// What the platform made of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// What the platform answered: ids and counts, for `platform_result`.
    pub result: Value,
    /// Rows that failed, as the platform counts them, named or not; `None`: more than rows failed (a whole part), so that
    /// no limit of rows applies.
    pub failed_rows: Option<u64>,
    /// Why the import failed, in the platform's words: printable, short, without secrets.
    pub reason: Option<String>,
}

/// More reasons than that are one wall of text; the parts' own answers have them all.
const MOST_REASONS: usize = 3;

impl Verdict {
    /// A verdict.
    #[must_use]
    pub fn new(outcome: Outcome, result: Value) -> Verdict {
        Verdict { outcome, result, failed_rows: None, reason: None }
    }

    /// Nothing failed but that many rows: `rejects.max_remote` decides.
    #[must_use]
    pub fn with_failed_rows(mut self, rows: u64) -> Verdict {
        self.failed_rows = Some(rows);
        self
    }

    /// Why it failed, a reason a part: each kept once, the first few, empty ones left out.
    #[must_use]
    pub fn with_reasons(mut self, reasons: impl IntoIterator<Item = String>) -> Verdict {
        let mut kept: Vec<String> = Vec::new();
        for reason in reasons {
            if kept.len() < MOST_REASONS && !reason.is_empty() && !kept.contains(&reason) {
                kept.push(reason);
            }
        }
        self.reason = (!kept.is_empty()).then(|| kept.join("; "));
        self
    }
}

/// Returns the state of a part that the platform has accepted; its attempts were counted when it was sent.
pub(crate) fn accepted_part(part: &Part, remote_id: Option<String>) -> PartState {
    PartState {
        index: part.index,
        bytes: part.bytes,
        records: part.records,
        attempts: 0,
        remote_id,
        accepted: true,
        accepted_at: None,
    }
}
