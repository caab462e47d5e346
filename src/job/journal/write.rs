//! Changes of a run in the state: its start, its end, and changes by later runs.

use super::cached::Cached as _;
use super::faults;
use super::record::{ClosedAs, RunRecord};
use super::{State, millis, unwritable};
use crate::error::{Error, Kind, Result};
use crate::job::identity::Intent;
use crate::job::world::Write;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::time::SystemTime;

/// Values drawn for a new run.
pub(in crate::job) struct NewRun<'a> {
    pub(in crate::job) id: &'a str,
    pub(in crate::job) random: &'a str,
    pub(in crate::job) date: &'a str,
    pub(in crate::job) now: SystemTime,
}

/// Erases what only a continued run needs; `secure_delete` overwrites it in the file.
pub(super) fn erase(transaction: &Connection, seq: i64) -> rusqlite::Result<()> {
    transaction.execute_cached("DELETE FROM steps WHERE run = ?1", [seq])?;
    // a requested export that was not read belongs to the next run, and its report and rejected rows stay for a while
    transaction.execute_cached(
        "DELETE FROM facts WHERE run = ?1 AND value ->> 'requested_s' IS NULL AND key NOT IN (?2, ?3)",
        params![seq, super::REJECTS_UNTIL, super::expiry::COURSE],
    )?;
    transaction.execute_cached("DELETE FROM slots WHERE reserved_by = ?1", [seq])?;
    Ok(())
}

/// Does work in a transaction, whose statements are prepared once per connection.
fn within<T>(db: &Connection, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    db.execute_cached("BEGIN IMMEDIATE", [])?;
    let open = Open(db);
    let done = work(db)?;
    db.execute_cached("COMMIT", [])?;
    std::mem::forget(open);
    Ok(done)
}

/// A transaction that is rolled back when this is dropped, also by a panic.
struct Open<'c>(&'c Connection);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // SQLite has rolled back by itself after some errors
        let _ = self.0.execute_cached("ROLLBACK", []);
    }
}

impl State {
    /// Does work in a transaction, which is durable when this returns.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.tell(Write::Begins);
        let db = self.db();
        let done = within(&db, work).map_err(unwritable)?;
        drop(db);
        self.tell(Write::Done);
        Ok(done)
    }

    fn tell(&self, moment: Write) {
        if let Some(watch) = &self.watch {
            watch(moment);
        }
    }

    /// Records a new run.
    pub(in crate::job) fn insert(&self, intent: &Intent, new: &NewRun<'_>) -> Result<RunRecord> {
        let file = intent.job_file.as_deref().map(super::path::to_text);
        self.write(|transaction| {
            transaction.execute_cached(
                "INSERT INTO runs (id, job, name, platform, job_file, overrides, fingerprint, random, date, started_ms, \
                 target, effect, once_key, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                params![
                    new.id,
                    intent.key.as_str(),
                    intent.name,
                    intent.platform,
                    file,
                    json!(intent.overrides).to_string(),
                    intent.fingerprint,
                    new.random,
                    new.date,
                    millis(new.now),
                    intent.target_on(new.date),
                    intent.effect.to_json().to_string(),
                    intent.once,
                    env!("CARGO_PKG_VERSION"),
                ],
            )
        })?;
        self.run_of_id(new.id)?.ok_or_else(|| Error::new(Kind::Busy, "the run that was just begun is gone"))
    }

    /// Records that a process is working on the run again, with the present job file. A closed run stays as it ended.
    pub(in crate::job) fn reopen(&self, record: &RunRecord, intent: &Intent, once: Option<&str>) -> Result<()> {
        let file = intent.job_file.as_deref().map(super::path::to_text);
        self.write(|transaction| {
            transaction.execute_cached(
                "UPDATE runs SET exit_code = CASE WHEN closed THEN exit_code END, \
                 ended_ms = CASE WHEN closed THEN ended_ms END, reported = closed, listed = 0, job = ?2, \
                 job_file = coalesce(?3, job_file), once_key = coalesce(?4, once_key) WHERE seq = ?1",
                params![record.seq, intent.key.as_str(), file, once],
            )
        })
        .map(drop)
    }

    /// Closes an open run because of a later one. With `forget` its verdict can no longer be polled.
    pub(in crate::job) fn close(&self, record: &RunRecord, how: ClosedAs, forget: bool) -> Result<()> {
        self.write(|transaction| {
            transaction.execute_cached(
                "UPDATE runs SET closed = 1, closed_as = ?2, exit_code = coalesce(exit_code, 130), reported = 1 \
                 WHERE seq = ?1",
                params![record.seq, how.name()],
            )?;
            if forget { erase(transaction, record.seq) } else { Ok(()) }
        })?;
        if forget {
            faults::remove(self.dir(), &record.id);
        }
        Ok(())
    }

    /// Erases what is needed to poll the verdict of an ended run.
    pub(in crate::job) fn forget(&self, record: &RunRecord) -> Result<()> {
        self.write(|transaction| erase(transaction, record.seq))?;
        faults::remove(self.dir(), &record.id);
        Ok(())
    }

    /// Closes a run that was stopped before it had an effect.
    pub(in crate::job) fn close_unstarted(&self, record: &RunRecord) -> Result<()> {
        self.write(|transaction| {
            transaction.execute_cached(
                "UPDATE runs SET closed = 1, exit_code = coalesce(exit_code, 130), reported = 1 WHERE seq = ?1",
                [record.seq],
            )?;
            erase(transaction, record.seq)
        })?;
        faults::remove(self.dir(), &record.id);
        Ok(())
    }

    /// Leaves an open run unchanged while a later one starts: it no longer blocks, but stays listed.
    pub(in crate::job) fn leave_listed(&self, record: &RunRecord) -> Result<()> {
        self.write(|transaction| transaction.execute_cached("UPDATE runs SET listed = 1 WHERE seq = ?1", [record.seq]))
            .map(drop)
    }

    /// Moves a fact that the last run of a job did not use to a new run.
    pub(in crate::job) fn inherit(&self, intent: &Intent, key: &str, to: &RunRecord) -> Result<Option<Value>> {
        let found = self.unread_fact(intent, key, to)?;
        let Some((from, value)) = found else { return Ok(None) };
        self.write(|transaction| {
            transaction
                .execute_cached("UPDATE facts SET run = ?3 WHERE run = ?1 AND key = ?2", params![from, key, to.seq])
        })?;
        Ok(Some(value))
    }

    /// Records that the report of a run was written to where it was asked for, so that the run has ended.
    ///
    /// # Errors
    /// `Local`.
    pub fn reported(&self, run_id: &str) -> Result<()> {
        self.write(|transaction| transaction.execute_cached("UPDATE runs SET reported = 1 WHERE id = ?1", [run_id]))
            .map(drop)
    }
}
