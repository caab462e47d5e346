//! A run that this process is working on: its lock, its seed, and its record ([`Journal`]).

use super::cached::Cached as _;
use super::expiry::COURSE;
use super::faults::FaultFile;
use super::lock::{JobLocks, SeatLock};
use super::record::{ClosedAs, RunRecord};
use super::write::erase;
use super::{State, millis, moment, unreadable};
use crate::calls::{AtOnce, JobSeed, Journal, MadeCall, PartState, Quota, Reserved, RowFault, Seat, Slot, StepState};
use crate::error::{Error, Kind, Result};
use crate::job::course::Course;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The effects of a run's calls so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::job) struct Standing {
    /// True if a call may have had an effect.
    pub(in crate::job) called: bool,
    /// True if a call that must not be repeated got no answer.
    pub(in crate::job) in_doubt: bool,
    /// Number of accepted parts.
    pub(in crate::job) accepted: usize,
}

impl Standing {
    /// Returns true if a later run has to take account of this one.
    pub(in crate::job) fn is_open(self) -> bool {
        self.called || self.accepted > 0
    }
}

/// The part of a run that the state keeps when a process stops working on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::job) enum Keep {
    /// Everything: a later run continues it.
    Open,
    /// The data needed to poll its verdict, because it has ended.
    Verdict,
    /// Only its report.
    Nothing,
}

/// A run that this process is working on. While it lives no other process can run the job.
pub struct Run {
    state: State,
    seq: i64,
    seed: JobSeed,
    fresh: bool,
    /// Exit code and end of an earlier process of the run.
    before: (Option<u8>, Option<SystemTime>),
    refused: FaultFile,
    /// Stages, calls and throughput so far.
    course: Mutex<Course>,
    _locks: JobLocks,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("id", &self.seed.run_id).finish_non_exhaustive()
    }
}

impl Run {
    pub(in crate::job) fn new(state: &State, record: &RunRecord, fresh: bool, locks: JobLocks) -> Run {
        let seed = JobSeed { run_id: record.id.clone(), random: record.random.clone(), date: record.date.clone() };
        Run {
            state: state.clone(),
            seq: record.seq,
            seed,
            fresh,
            before: (record.exit_code, record.ended),
            refused: FaultFile::of(state.dir(), &record.id),
            // it is for the report only, which does without
            course: Mutex::new(if fresh { Course::default() } else { state.course(record).unwrap_or_default() }),
            _locks: locks,
        }
    }

    /// Returns the values drawn for the run.
    #[must_use]
    pub fn seed(&self) -> &JobSeed {
        &self.seed
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.seed.run_id
    }

    /// Returns false if it continues a run of an earlier process.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Returns the course of the run, which is stored after pass one and at the end.
    pub(in crate::job) fn course(&self) -> MutexGuard<'_, Course> {
        // a panic elsewhere leaves it whole
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_course(&self, to: &Connection) -> rusqlite::Result<()> {
        let course = serde_json::to_string(&*self.course()).unwrap_or_default();
        to.execute_cached(
            "INSERT OR REPLACE INTO facts (run, key, value) VALUES (?1, ?2, ?3)",
            params![self.seq, COURSE, course],
        )
        .map(drop)
    }

    /// Records the result of pass one, before anything is sent.
    ///
    /// # Errors
    /// `Local`.
    pub(in crate::job) fn measured(&self, manifest: &Value) -> Result<()> {
        self.write(|transaction| {
            self.put_course(transaction)?;
            transaction
                .execute_cached("UPDATE runs SET measured = ?2 WHERE seq = ?1", params![self.seq, manifest.to_string()])
        })
        .map(drop)
    }

    /// Records path, size and times of the source's files as a hash; none for a stream.
    ///
    /// # Errors
    /// `Local`.
    pub(in crate::job) fn set_source(&self, source: Option<&str>) -> Result<()> {
        self.write(|transaction| {
            transaction.execute_cached("UPDATE runs SET source = ?2 WHERE seq = ?1", params![self.seq, source])
        })
        .map(drop)
    }

    /// Returns the effects of the run's calls so far.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn standing(&self) -> Result<Standing> {
        self.state.standing(self.seq)
    }

    /// Records the path of the rejected rows.
    ///
    /// # Errors
    /// `Local`.
    pub fn set_rejects_file(&self, path: &Path) -> Result<()> {
        self.write(|transaction| {
            transaction.execute_cached(
                "UPDATE runs SET rejects_file = ?2 WHERE seq = ?1",
                params![self.seq, super::path::to_text(path)],
            )
        })
        .map(drop)
    }

    /// Ends this process's work on the run with its report. What is not kept is erased, including presigned URLs.
    ///
    /// # Errors
    /// `Local`.
    pub(in crate::job) fn finish(self, exit_code: u8, keep: Keep, report: &Value) -> Result<()> {
        self.end(exit_code, keep, report, None, false)
    }

    /// Ends a run that a later one has settled: its outcome is a warning in that one's report. `superseded`: it was not
    /// sent as a whole. One write, since a run that ended without being superseded was sent as a whole.
    ///
    /// # Errors
    /// `Local`.
    pub(in crate::job) fn settle(self, exit_code: u8, superseded: bool, report: &Value) -> Result<()> {
        self.end(exit_code, Keep::Nothing, report, superseded.then_some(ClosedAs::Superseded), true)
    }

    fn end(self, exit_code: u8, keep: Keep, report: &Value, closed_as: Option<ClosedAs>, reported: bool) -> Result<()> {
        self.refused.flush()?;
        self.write(|transaction| {
            let (ended, closed) = (millis(self.state.clock.wall()), keep != Keep::Open);
            transaction.execute_cached(
                "UPDATE runs SET exit_code = ?2, report = ?3, ended_ms = ?4, closed = ?5, reported = ?6, \
                 closed_as = coalesce(?7, closed_as) WHERE seq = ?1",
                params![
                    self.seq,
                    exit_code,
                    report.to_string(),
                    ended,
                    closed,
                    reported,
                    closed_as.map(ClosedAs::name)
                ],
            )?;
            transaction.execute_cached("DELETE FROM slots WHERE reserved_by = ?1", [self.seq])?;
            self.put_course(transaction)?;
            if keep == Keep::Nothing { erase(transaction, self.seq) } else { Ok(()) }
        })?;
        if keep == Keep::Nothing {
            self.refused.remove();
        }
        Ok(())
    }

    /// Ends the run as if it had not been tried: a fresh run is deleted, a continued one is as it was before.
    ///
    /// # Errors
    /// `Local`.
    pub fn leave(&self) -> Result<()> {
        let (exit_code, ended) = self.before;
        self.write(|transaction| match self.fresh {
            true => transaction.execute_cached("DELETE FROM runs WHERE seq = ?1", [self.seq]),
            false => transaction.execute_cached(
                "UPDATE runs SET exit_code = ?2, ended_ms = ?3 WHERE seq = ?1",
                params![self.seq, exit_code, ended.map(millis)],
            ),
        })
        .map(drop)
    }

    fn write<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.state.write(work)
    }
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(Kind::Busy, format!("the state is damaged: a value is not valid JSON: {error}"))
            .with_hint("restore state.db of the state directory from a backup")
    })
}

impl Journal for Run {
    fn step(&self, name: &str) -> Result<StepState> {
        let found: Option<(i64, String)> = self
            .state
            .db()
            .prepare_cached("SELECT state, value FROM steps WHERE run = ?1 AND name = ?2")
            .and_then(|mut select| {
                select.query_row(params![self.seq, name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(unreadable)?;
        Ok(match found {
            None => StepState::New,
            Some((2, value)) => StepState::Done(json(&value)?),
            Some((_, facts)) => StepState::Intent(json(&facts)?),
        })
    }

    fn intent(&self, name: &str, facts: &Value) -> Result<()> {
        self.write(|transaction| self.put_step(transaction, name, 1, facts))
    }

    fn result(&self, name: &str, value: &Value) -> Result<()> {
        self.refused.settle()?;
        self.write(|transaction| self.put_step(transaction, name, 2, value))
    }

    fn forget(&self, name: &str) -> Result<()> {
        self.write(|transaction| {
            transaction.execute_cached("DELETE FROM steps WHERE run = ?1 AND name = ?2", params![self.seq, name])
        })
        .map(drop)
    }

    fn store(&self, key: &str, value: &Value) -> Result<()> {
        self.refused.settle()?;
        self.write(|transaction| {
            transaction.execute_cached(
                "INSERT OR REPLACE INTO facts (run, key, value) VALUES (?1, ?2, ?3)",
                params![self.seq, key, value.to_string()],
            )
        })
        .map(drop)
    }

    fn load(&self, key: &str) -> Result<Option<Value>> {
        let select = "SELECT value FROM facts WHERE run = ?1 AND key = ?2";
        let found: Option<String> = self
            .state
            .db()
            .query_row_cached(select, params![self.seq, key], |row| row.get(0))
            .optional()
            .map_err(unreadable)?;
        found.as_deref().map(json).transpose()
    }

    fn quota_take(&self, quota: &Quota, now: SystemTime) -> Result<Slot> {
        self.state.take_slot(quota, now, Some(self.seq))
    }

    fn quota_reserve(&self, quota: &Quota, calls: u32, now: SystemTime, max_wait: Duration) -> Result<Reserved> {
        self.state.reserve_slots(quota, calls, now, max_wait, self.seq)
    }

    fn seat(&self, limit: &AtOnce) -> Result<Option<Seat>> {
        let name = limit.key.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        Ok(SeatLock::take(self.state.dir(), &name, limit.limit)?.map(Seat::new))
    }

    fn made(&self, call: &MadeCall) {
        self.course().call(call);
    }

    fn clear_faults(&self, group: &str) -> Result<()> {
        self.refused.clear(group)
    }

    fn fault(&self, group: &str, fault: &RowFault) -> Result<()> {
        self.refused.add(group, fault)
    }

    fn fault_count(&self) -> Result<u64> {
        self.refused.count()
    }

    fn faults(&self, each: &mut dyn FnMut(&RowFault) -> Result<bool>) -> Result<()> {
        self.refused.each(each)
    }

    fn part_attempt(&self, index: usize) -> Result<()> {
        self.write(|transaction| {
            transaction.execute_cached(
                "INSERT INTO parts (run, part, attempts) VALUES (?1, ?2, 1) \
                 ON CONFLICT (run, part) DO UPDATE SET attempts = attempts + 1",
                params![self.seq, integer(index as u64)],
            )
        })
        .map(drop)
    }

    fn part_done(&self, part: &PartState) -> Result<()> {
        self.write(|transaction| self.put_part(transaction, part))
    }

    fn result_accepting(&self, name: &str, value: &Value, part: &PartState) -> Result<()> {
        self.refused.settle()?;
        self.write(|transaction| {
            self.put_part(transaction, part)?;
            self.put_step(transaction, name, 2, value)
        })
    }

    fn parts(&self) -> Result<Vec<PartState>> {
        self.state.parts_of(self.seq)
    }

    fn note(&self, text: &str) -> Result<()> {
        self.write(|transaction| {
            transaction
                .execute_cached("INSERT OR IGNORE INTO notes (run, note) VALUES (?1, ?2)", params![self.seq, text])
        })
        .map(drop)
    }

    fn notes(&self) -> Result<Vec<String>> {
        let db = self.state.db();
        let mut select =
            db.prepare_cached("SELECT note FROM notes WHERE run = ?1 ORDER BY rowid").map_err(unreadable)?;
        let rows = select.query_map([self.seq], |row| row.get(0)).map_err(unreadable)?;
        rows.collect::<rusqlite::Result<_>>().map_err(unreadable)
    }
}

/// Converts to the signed integers of SQLite.
fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Run {
    fn put_step(&self, to: &Connection, name: &str, state: i64, value: &Value) -> rusqlite::Result<()> {
        to.execute_cached(
            "INSERT OR REPLACE INTO steps (run, name, state, value) VALUES (?1, ?2, ?3, ?4)",
            params![self.seq, name, state, value.to_string()],
        )
        .map(drop)
    }

    fn put_part(&self, to: &Connection, part: &PartState) -> rusqlite::Result<()> {
        let accepted_at = part.accepted_at.unwrap_or_else(|| self.state.clock.wall());
        to.execute_cached(
            "INSERT INTO parts (run, part, bytes, records, remote_id, accepted, accepted_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (run, part) DO UPDATE SET bytes = ?3, records = ?4, \
             remote_id = ?5, accepted = ?6, accepted_ms = coalesce(accepted_ms, ?7)",
            params![
                self.seq,
                integer(part.index as u64),
                integer(part.bytes),
                integer(part.records),
                part.remote_id,
                part.accepted,
                part.accepted.then(|| millis(accepted_at)),
            ],
        )
        .map(drop)
    }
}

impl State {
    /// Returns the course of a recorded run; an empty one if none was recorded.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn course(&self, record: &RunRecord) -> Result<Course> {
        let fact = self.fact(record, COURSE)?;
        Ok(fact.and_then(|fact| serde_json::from_value(fact).ok()).unwrap_or_default())
    }

    /// Returns the parts of a run, by index.
    fn parts_of(&self, seq: i64) -> Result<Vec<PartState>> {
        let db = self.db();
        let natural = |n: i64| u64::try_from(n).unwrap_or(0);
        let mut select = db
            .prepare_cached(
                "SELECT part, bytes, records, attempts, remote_id, accepted, accepted_ms FROM parts WHERE run = ?1 ORDER BY part",
            )
            .map_err(unreadable)?;
        let rows = select
            .query_map([seq], |row| {
                Ok(PartState {
                    index: usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
                    bytes: natural(row.get(1)?),
                    records: natural(row.get(2)?),
                    attempts: row.get(3)?,
                    remote_id: row.get(4)?,
                    accepted: row.get(5)?,
                    accepted_at: row.get::<_, Option<i64>>(6)?.map(moment),
                })
            })
            .map_err(unreadable)?;
        rows.collect::<rusqlite::Result<_>>().map_err(unreadable)
    }

    /// Returns the parts of a recorded run, by index.
    ///
    /// # Errors
    /// `Busy`.
    pub fn parts(&self, record: &RunRecord) -> Result<Vec<PartState>> {
        self.parts_of(record.seq)
    }

    /// Returns the effects of a recorded run's calls so far.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn standing_of(&self, record: &RunRecord) -> Result<Standing> {
        self.standing(record.seq)
    }

    /// Returns the names of the calls of a run that must not be repeated and got no answer.
    ///
    /// # Errors
    /// `Busy`: the state cannot be read.
    pub(in crate::job) fn doubts(&self, record: &RunRecord) -> Result<Vec<String>> {
        let select = "SELECT name FROM steps WHERE run = ?1 AND state = 1 AND value ->> 'doubtful' ORDER BY name";
        let db = self.db();
        let mut statement = db.prepare_cached(select).map_err(unreadable)?;
        let names = statement.query_map([record.seq], |row| row.get(0)).map_err(unreadable)?;
        names.collect::<std::result::Result<_, _>>().map_err(unreadable)
    }

    fn standing(&self, seq: i64) -> Result<Standing> {
        let select = "SELECT EXISTS (SELECT 1 FROM steps WHERE run = ?1) OR EXISTS \
                      (SELECT 1 FROM facts WHERE run = ?1 AND value ->> 'requested_s' IS NOT NULL), EXISTS (SELECT 1 FROM steps WHERE run = ?1 AND state = 1 AND value ->> 'doubtful'), \
                      (SELECT count(*) FROM parts WHERE run = ?1 AND accepted)";
        self.db()
            .query_row_cached(select, [seq], |row| {
                let accepted: i64 = row.get(2)?;
                Ok(Standing {
                    called: row.get(0)?,
                    in_doubt: row.get(1)?,
                    accepted: usize::try_from(accepted).unwrap_or(0),
                })
            })
            .map_err(unreadable)
    }
}
