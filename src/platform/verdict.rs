//! The platform's verdict on a delivery.

use crate::body::Part;
use crate::calls::PartState;
use crate::error::Error;
use serde_json::Value;

/// Adds to the error of a later part that earlier parts were accepted, which cannot be undone.
pub(crate) fn parts_accepted(error: Error, accepted: usize, parts: usize) -> Error {
    if accepted == 0 {
        return error;
    }
    let next = error.hint().unwrap_or("run the job again: parts that were accepted are not sent again").to_owned();
    let verb = if accepted == 1 { "was" } else { "were" };
    error.with_hint(format!("{accepted} of {parts} parts {verb} accepted before; {next}"))
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Done, without failed rows.
    Done,
    /// Accepted, but some rows or parts failed.
    Partial,
    /// Accepted, but the import failed.
    Failed,
    /// Accepted, but no verdict came within the 24 hours in which it is polled: the result is unknown.
    Expired,
}

/// The platform's counts of the rows it received; `None` if it does not report one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Imported rows.
    pub imported: Option<u64>,
    /// Refused rows.
    pub failed: Option<u64>,
    /// Rows that it left unchanged.
    pub ignored: Option<u64>,
}

impl Counts {
    /// Returns the sums; a sum is unknown if one of the two is.
    #[must_use]
    pub fn plus(self, other: Counts) -> Counts {
        let sum = |a: Option<u64>, b: Option<u64>| a?.checked_add(b?);
        Counts {
            imported: sum(self.imported, other.imported),
            failed: sum(self.failed, other.failed),
            ignored: sum(self.ignored, other.ignored),
        }
    }

    /// Returns the rows of `sent` that are in none of the counters, never below 0; `None` if the number of imported
    /// rows is unknown.
    #[must_use]
    pub fn unaccounted(self, sent: u64) -> Option<u64> {
        let counted = self.imported?.saturating_add(self.failed.unwrap_or(0)).saturating_add(self.ignored.unwrap_or(0));
        Some(sent.saturating_sub(counted))
    }
}

/// The platform's verdict on a delivery.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// The platform's answer: ids and counts, for `platform_result`.
    pub result: Value,
    /// Number of failed rows, as the platform counts them, identified or not. `None`: more than rows failed (a whole
    /// part), so no limit of rows applies.
    pub failed_rows: Option<u64>,
    /// Why the import failed, in the platform's words: printable, short, without secrets.
    pub reason: Option<String>,
    /// The platform's counts over all parts.
    pub counts: Counts,
    /// Number of rows that were sent and are in none of the platform's counts; `None` if the number of imported rows is
    /// unknown.
    pub unaccounted: Option<u64>,
}

/// Maximum number of reasons in a message; the parts' own answers have them all.
const MOST_REASONS: usize = 3;

impl Verdict {
    /// Creates a verdict.
    #[must_use]
    pub fn new(outcome: Outcome, result: Value) -> Verdict {
        Verdict { outcome, result, failed_rows: None, reason: None, counts: Counts::default(), unaccounted: None }
    }

    /// Sets the platform's counts of the `sent` rows. If none of them was imported, the import has failed, whatever the
    /// platform calls it.
    #[must_use]
    pub fn with_counts(mut self, counts: Counts, sent: u64) -> Verdict {
        self.counts = counts;
        self.unaccounted = counts.unaccounted(sent);
        if counts.imported == Some(0) && sent > 0 {
            self.outcome = Outcome::Failed;
            self.failed_rows = None;
            self.reason.get_or_insert_with(|| format!("0 of {sent} rows were imported"));
        }
        self
    }

    /// Sets the number of failed rows when nothing else failed: `rejects.max_remote` then decides.
    #[must_use]
    pub fn with_failed_rows(mut self, rows: u64) -> Verdict {
        self.failed_rows = Some(rows);
        self
    }

    /// Sets why it failed, one reason per part: duplicates and empty ones are left out, and the first few are kept.
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
