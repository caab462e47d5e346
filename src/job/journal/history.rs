//! Selects past runs, and deletes old ones.

use super::record::{CALLED, UNSETTLED};
use super::{State, millis, unwritable};
use crate::error::Result;
use crate::job::journal::RunRecord;
use rusqlite::params;
use std::time::SystemTime;

/// Which runs to list; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunFilter {
    /// Only runs of jobs with this name.
    pub job: Option<String>,
    /// Only runs with this status.
    pub status: Option<String>,
    /// Only runs that started at this time or later.
    pub since: Option<SystemTime>,
    /// At most this many, the newest.
    pub limit: Option<u64>,
}

impl State {
    /// Calls `each` with the runs that match, oldest first.
    ///
    /// # Errors
    /// `Busy`, or the error of `each`.
    pub fn runs_matching(&self, filter: &RunFilter, each: &mut dyn FnMut(RunRecord) -> Result<()>) -> Result<()> {
        // numbers only, so that a long history is not in memory
        let mut found = Vec::new();
        let (since, limit) = (filter.since.map_or(0, millis), filter.limit.unwrap_or(u64::MAX));
        let mut before = i64::MAX;
        while (found.len() as u64) < limit {
            let next = self.one(
                "seq < ?1 AND started_ms >= ?2 AND (?3 IS NULL OR name = ?3) ORDER BY seq DESC LIMIT 1",
                params![before, since, filter.job],
            )?;
            let Some(record) = next else { break };
            before = record.seq;
            if filter.status.as_ref().is_none_or(|status| record.status() == *status) {
                found.push(record.seq);
            }
        }
        for seq in found.into_iter().rev() {
            // a run may be deleted meanwhile
            if let Some(record) = self.one("seq = ?1", [seq])? {
                each(record)?;
            }
        }
        Ok(())
    }

    /// Returns the first run after `after` that may be deleted: it ended before `cutoff` or never called anybody, its
    /// verdict is known, and it is not the last done run of its job.
    pub(in crate::job) fn next_deletable(&self, after: i64, cutoff: SystemTime) -> Result<Option<RunRecord>> {
        self.one(
            &format!(
                "seq > ?1 AND (closed = 1 OR NOT {CALLED}) AND NOT ({UNSETTLED}) AND coalesce(ended_ms, started_ms) < ?2 \
                 AND NOT (exit_code = 0 AND closed_as IS NULL AND NOT EXISTS (SELECT 1 FROM runs later \
                 WHERE later.job = runs.job AND later.seq > runs.seq AND later.exit_code = 0 AND later.closed_as IS NULL)) \
                 ORDER BY seq LIMIT 1"
            ),
            params![after, millis(cutoff)],
        )
    }

    /// Deletes the record of a run with everything that belongs to it in the state.
    pub(in crate::job) fn delete(&self, record: &RunRecord) -> Result<()> {
        self.db().execute("DELETE FROM runs WHERE seq = ?1", [record.seq]).map(drop).map_err(unwritable)
    }
}
