//! What a platform made of a delivery.

use crate::body::Part;
use crate::calls::PartState;
use crate::error::Error;
use serde_json::Value;

/// A fault of a later part: what was taken before cannot be taken back.
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
    /// Done, no failed row.
    Done,
    /// Taken, some rows or parts failed.
    Partial,
    /// Taken, the import failed.
    Failed,
    /// Taken, and no verdict came within the 24 hours in which it is asked for: what became of it is not known.
    Expired,
}

/// What the platform counts of the rows it was sent; `None` if it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that it imported.
    pub imported: Option<u64>,
    /// Rows that it refused.
    pub failed: Option<u64>,
    /// Rows that it left as they are.
    pub ignored: Option<u64>,
}

impl Counts {
    /// The sums; what one of the two does not say is not known.
    #[must_use]
    pub fn plus(self, other: Counts) -> Counts {
        let sum = |a: Option<u64>, b: Option<u64>| a?.checked_add(b?);
        Counts {
            imported: sum(self.imported, other.imported),
            failed: sum(self.failed, other.failed),
            ignored: sum(self.ignored, other.ignored),
        }
    }

    /// Rows of `sent` that none of the counters has, never below 0; `None` if the platform does not say what it imported.
    #[must_use]
    pub fn unaccounted(self, sent: u64) -> Option<u64> {
        let counted = self.imported?.saturating_add(self.failed.unwrap_or(0)).saturating_add(self.ignored.unwrap_or(0));
        Some(sent.saturating_sub(counted))
    }
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
    /// What the platform counts, over all parts.
    pub counts: Counts,
    /// Rows that were sent and that no counter of the platform has; `None`: it does not say what it imported.
    pub unaccounted: Option<u64>,
}

/// More reasons than that are one wall of text; the parts' own answers have them all.
const MOST_REASONS: usize = 3;

impl Verdict {
    /// A verdict.
    #[must_use]
    pub fn new(outcome: Outcome, result: Value) -> Verdict {
        Verdict { outcome, result, failed_rows: None, reason: None, counts: Counts::default(), unaccounted: None }
    }

    /// What the platform counts of the `sent` rows. If it imported none of them the import has failed, whatever it calls
    /// that.
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
