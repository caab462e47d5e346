//! Adds up the results of the parts of a delivery.

use super::{Counts, Outcome, Verdict};
use serde_json::Value;

/// The result of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartEnd {
    /// No verdict was asked for (`wait: 0`), or none can be (the user assumed that the part was done).
    NotAsked,
    /// Imported, perhaps with failed rows.
    Imported,
    /// The import failed as a whole.
    Failed,
    /// No verdict came while it was polled.
    Expired,
}

/// Adds up the parts of a delivery.
#[derive(Debug, Default)]
pub(crate) struct PartsOutcome {
    parts: usize,
    records: u64,
    failed: usize,
    expired: usize,
    counts: Option<Counts>,
    /// Failed rows of the parts that count them.
    known_failed: u64,
    reasons: Vec<String>,
}

impl PartsOutcome {
    /// Adds a part of `records` records with the platform's counts; `reason`: why it failed.
    pub(crate) fn add(&mut self, end: PartEnd, records: u64, counts: Counts, reason: Option<String>) {
        self.parts += 1;
        self.records += records;
        self.failed += usize::from(end == PartEnd::Failed);
        self.expired += usize::from(end == PartEnd::Expired);
        // a sum is unknown if one part has no count
        self.counts = Some(self.counts.map_or(counts, |sum| sum.plus(counts)));
        self.known_failed = self.known_failed.saturating_add(counts.failed.unwrap_or(0));
        self.reasons.extend(reason);
    }

    /// Returns the number of parts that failed as a whole.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// Returns the sums.
    pub(crate) fn counts(&self) -> Counts {
        self.counts.unwrap_or_default()
    }

    /// Returns the verdict over all parts.
    pub(crate) fn verdict(self, mut result: Value) -> Verdict {
        let counts = self.counts();
        let bad = self.known_failed;
        let outcome = match (self.failed, self.expired, bad) {
            (0, 0, 0) => Outcome::Done,
            (failed, ..) if failed == self.parts => Outcome::Failed,
            (0, 0, _) => Outcome::Partial,
            (0, ..) => Outcome::Expired,
            _ => Outcome::Partial,
        };
        if self.expired > 0 && result.is_object() {
            result["verdict"] = Value::from("expired");
        }
        let verdict = Verdict::new(outcome, result).with_reasons(self.reasons).with_counts(counts, self.records);
        let rows_only = self.failed == 0 && self.expired == 0 && verdict.outcome != Outcome::Failed;
        if rows_only { verdict.with_failed_rows(bad) } else { verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn counts(imported: u64, failed: u64) -> Counts {
        Counts { imported: Some(imported), failed: Some(failed), ignored: None }
    }

    fn verdict(parts: &[(PartEnd, u64, Counts)]) -> Verdict {
        let mut outcome = PartsOutcome::default();
        for (end, records, counts) in parts {
            outcome.add(*end, *records, *counts, None);
        }
        outcome.verdict(json!({}))
    }

    #[test]
    fn the_outcome_is_that_of_the_worst_part() {
        use PartEnd::{Expired, Failed, Imported, NotAsked};
        let (all, some, silent) = (counts(5, 0), counts(4, 1), Counts::default());
        for (parts, outcome, failed_rows) in [
            (vec![(Imported, 5, all), (Imported, 5, all)], Outcome::Done, Some(0)),
            (vec![(Imported, 5, all), (Imported, 5, some)], Outcome::Partial, Some(1)),
            (vec![(Imported, 5, all), (Failed, 5, silent)], Outcome::Partial, None),
            (vec![(Failed, 5, silent), (Failed, 5, silent)], Outcome::Failed, None),
            (vec![(Expired, 5, silent), (Imported, 5, some)], Outcome::Expired, None),
            (vec![(Expired, 5, silent), (Failed, 5, silent)], Outcome::Partial, None),
            (vec![(Expired, 5, silent)], Outcome::Expired, None),
            (vec![(NotAsked, 5, silent)], Outcome::Done, Some(0)),
        ] {
            let came = verdict(&parts);
            assert_eq!((came.outcome, came.failed_rows), (outcome, failed_rows), "{parts:?}");
            let expired = parts.iter().any(|(end, ..)| *end == Expired);
            assert_eq!(came.result["verdict"] == "expired", expired, "{parts:?}");
        }
    }

    #[test]
    fn counts_are_sums_and_silence_of_one_part_is_silence() {
        use PartEnd::Imported;
        let came = verdict(&[(Imported, 5, counts(3, 1)), (Imported, 10, counts(10, 0))]);
        assert_eq!((came.counts, came.unaccounted), (counts(13, 1), Some(1)));
        let came = verdict(&[(Imported, 5, counts(3, 1)), (Imported, 10, Counts::default())]);
        assert_eq!((came.counts, came.unaccounted), (Counts::default(), None));
        assert_eq!((came.outcome, came.failed_rows), (Outcome::Partial, Some(1)), "a failed row is not forgotten");
    }

    #[test]
    fn nothing_imported_of_a_list_that_is_not_empty_is_a_failed_import() {
        for counts in [counts(0, 0), counts(0, 500), Counts { ignored: Some(500), ..counts(0, 0) }] {
            let came = verdict(&[(PartEnd::Imported, 500, counts)]);
            assert_eq!((came.outcome, came.failed_rows), (Outcome::Failed, None), "{counts:?}");
            assert!(came.reason.expect("a reason").contains("0 of 500"), "{counts:?}");
        }
        assert_eq!(verdict(&[(PartEnd::Imported, 0, counts(0, 0))]).outcome, Outcome::Done);
        let some = verdict(&[(PartEnd::Imported, 1, counts(0, 1)), (PartEnd::Imported, 1, counts(1, 0))]);
        assert_eq!(some.outcome, Outcome::Partial, "the parts are one list");
    }
}
