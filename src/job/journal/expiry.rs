//! The time until which the files of a run are kept, as facts that outlive its end.

use super::cached::Cached as _;
use super::{Run, RunRecord, State, lock, millis, unwritable};
use crate::calls::Journal as _;
use crate::error::Result;
use rusqlite::params;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The fact with the time until which the rejected rows are kept, in milliseconds.
pub(in crate::job) const REJECTS_UNTIL: &str = "rejects-until";

/// The fact with the time until which the copy of the source is kept, in milliseconds.
pub(in crate::job) const SPOOL_UNTIL: &str = "spool-until";

/// The fact that the copy of the source was deleted because its time had passed.
pub(in crate::job) const SPOOL_EXPIRED: &str = "spool-expired";

/// The fact with the course of a run.
pub(super) const COURSE: &str = "course";

impl Run {
    /// Records that a file of the run is kept for some time from `now` on.
    ///
    /// # Errors
    /// `Local`.
    pub(in crate::job) fn keep_for(&self, fact: &str, now: SystemTime, time: Duration) -> Result<()> {
        // beyond the calendar is forever
        now.checked_add(time).map_or(Ok(()), |until| self.store(fact, &Value::from(millis(until))))
    }
}

impl State {
    /// Returns the first run after `after` whose fact is a time before `now`.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn next_due(&self, fact: &str, after: i64, now: SystemTime) -> Result<Option<RunRecord>> {
        self.one(
            "seq > ?1 AND seq IN (SELECT run FROM facts WHERE key = ?2 AND CAST(value AS INTEGER) < ?3) \
             ORDER BY seq LIMIT 1",
            params![after, fact, millis(now)],
        )
    }

    /// Records that the rejected rows of a run were deleted.
    ///
    /// # Errors
    /// `Local`.
    pub(in crate::job) fn rejects_expired(&self, record: &RunRecord) -> Result<()> {
        self.write(|db| {
            db.execute_cached("DELETE FROM facts WHERE run = ?1 AND key = ?2", params![record.seq(), REJECTS_UNTIL])
        })
        .map(drop)
    }

    /// Records that the copy of a run's source was deleted.
    ///
    /// # Errors
    /// `Local`.
    pub(in crate::job) fn spool_expired(&self, record: &RunRecord) -> Result<()> {
        self.write(|db| {
            let run = record.seq();
            db.execute_cached("DELETE FROM facts WHERE run = ?1 AND key IN ('spool', ?2)", params![run, SPOOL_UNTIL])?;
            db.execute_cached(
                "INSERT OR REPLACE INTO facts (run, key, value) VALUES (?1, ?2, 'true')",
                params![run, SPOOL_EXPIRED],
            )
        })
        .map(drop)
    }

    /// Returns the number of recorded runs.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn count_runs(&self) -> Result<u64> {
        let count = self.db().query_row_cached("SELECT count(*) FROM runs", [], |row| row.get::<_, i64>(0));
        count.map(|count| u64::try_from(count).unwrap_or(0)).map_err(unwritable)
    }

    /// Removes the locks of jobs of which no run is recorded, and the free places of simultaneous calls. Returns their
    /// number.
    pub(in crate::job) fn remove_free_locks(&self) -> u64 {
        let Ok(entries) = std::fs::read_dir(self.dir()) else { return 0 };
        let of_no_run = |path: &Path| match (path.extension()?.to_str()?, path.file_stem()?.to_str()?) {
            ("seat", _) => Some(true),
            ("lock", job) => Some(self.one("job = ?1 LIMIT 1", [job]).ok()?.is_none()),
            _ => None,
        };
        let paths = entries.flatten().map(|entry| entry.path());
        paths.filter(|path| of_no_run(path) == Some(true) && lock::remove_if_free(path)).count() as u64
    }
}
