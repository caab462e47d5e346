//! The run whose list is still the newest one at the platform.

use super::record::CALLED;
use super::{State, millis};
use crate::error::Result;
use crate::job::identity::Intent;
use crate::job::journal::RunRecord;
use rusqlite::params;

impl State {
    /// Returns the last done run of the job if a run on `date` would be the same one, and no run with the same target or
    /// of the same job has had an effect since. `own`: the id of the run that asks.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn newest_alike(&self, intent: &Intent, date: &str, own: &str) -> Result<Option<RunRecord>> {
        let [key, old] = super::record::keys(intent);
        let last = self.one(
            "job IN (?1, ?2) AND exit_code = 0 AND closed = 1 AND closed_as IS NULL ORDER BY seq DESC LIMIT 1",
            [key, old],
        )?;
        let target = intent.target_on(date);
        let Some(last) = last.filter(|last| {
            last.fingerprint == intent.fingerprint
                && last.target.as_ref() == Some(&target)
                && (!intent.dated || last.date == date)
        }) else {
            return Ok(None);
        };
        // a run that did not send its list again had no effect, nor had one that ended without an accepted part
        let later = self.one(
            &format!(
                "(seq > ?3 OR ended_ms > ?4 OR ended_ms IS NULL AND NOT closed) AND seq <> ?3 AND id <> ?6 AND (job IN (?1, ?2) OR target = ?5) \
                 AND (exit_code = 11 OR exit_code = 0 AND NOT coalesce(report ->> 'unchanged', 0) \
                      OR closed_as IS NOT NULL OR {CALLED}) LIMIT 1"
            ),
            params![key, old, last.seq, last.ended.map_or(i64::MAX, millis), target, own],
        )?;
        Ok(if later.is_none() { Some(last) } else { None })
    }
}
