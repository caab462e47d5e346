//! One run in hand: its lock, its seed, and its memory ([`Journal`]).

use super::lock::JobLock;
use super::record::RunRecord;
use super::{State, millis, unreadable, unwritable};
use crate::calls::{
    FaultAt, JobSeed, Journal, MAX_STORED_FAULTS, PartState, Quota, Reserved, RowFault, Slot, StepState,
};
use crate::error::{Error, Kind, Result};
use rusqlite::{OptionalExtension as _, Transaction, TransactionBehavior, params};
use serde_json::Value;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Faults are written that many at a time: a sync each would take hours for a million.
const FAULTS_A_WRITE: usize = 512;

/// A run in hand. While it lives no other process can run the job.
pub struct Run {
    state: State,
    seq: i64,
    seed: JobSeed,
    fresh: bool,
    /// How and when it ended before it was taken up.
    before: (Option<u8>, Option<SystemTime>),
    waiting: Mutex<Vec<(String, RowFault)>>,
    _lock: JobLock,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("id", &self.seed.run_id).finish_non_exhaustive()
    }
}

impl Run {
    pub(in crate::job) fn new(state: &State, record: &RunRecord, fresh: bool, lock: JobLock) -> Run {
        let seed = JobSeed { run_id: record.id.clone(), random: record.random.clone(), date: record.date.clone() };
        Run {
            state: state.clone(),
            seq: record.seq,
            seed,
            fresh,
            before: (record.exit_code, record.ended),
            waiting: Mutex::default(),
            _lock: lock,
        }
    }

    /// What was drawn for the run.
    #[must_use]
    pub fn seed(&self) -> &JobSeed {
        &self.seed
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.seed.run_id
    }

    /// False: it continues what an earlier process began.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// What pass one found (digest, bytes, counts, parts), written before anything is sent. On a continued run it must
    /// be what was found before; where nothing had been tried yet, the new finding counts.
    ///
    /// # Errors
    /// `SourceChanged`: pass one found something else than the run had begun to send.
    pub fn measured(&self, facts: &Value) -> Result<()> {
        self.write(|transaction| {
            let known: Option<String> =
                transaction.query_row("SELECT measured FROM runs WHERE seq = ?1", [self.seq], |row| row.get(0))?;
            let same = known.as_deref().map(|known| serde_json::from_str::<Value>(known).ok().as_ref() == Some(facts));
            let tried: bool = transaction.query_row(
                "SELECT EXISTS (SELECT 1 FROM steps WHERE run = ?1) OR EXISTS (SELECT 1 FROM parts WHERE run = ?1)",
                [self.seq],
                |row| row.get(0),
            )?;
            if same == Some(false) && tried {
                return Ok(false);
            }
            transaction
                .execute("UPDATE runs SET measured = ?2 WHERE seq = ?1", params![self.seq, facts.to_string()])
                .map(|_| true)
        })?
        .then_some(())
        .ok_or_else(|| Error::new(Kind::SourceChanged, "the source is no longer what this run began to send"))
    }

    /// Whether a platform has taken a part of it, or may have done what must not be done twice.
    ///
    /// # Errors
    /// `Busy`.
    pub fn has_effects(&self) -> Result<bool> {
        let select = "SELECT EXISTS (SELECT 1 FROM parts WHERE run = ?1 AND accepted) \
                      OR EXISTS (SELECT 1 FROM steps WHERE run = ?1 AND state = 1 AND value ->> 'doubtful')";
        self.state.db().query_row(select, [self.seq], |row| row.get(0)).map_err(unreadable)
    }

    /// Where the rejected rows are.
    ///
    /// # Errors
    /// `Local`.
    pub fn set_rejects_file(&self, path: &Path) -> Result<()> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE runs SET rejects_file = ?2 WHERE seq = ?1",
                params![self.seq, super::path::to_text(path)],
            )
        })
        .map(drop)
    }

    /// Ends the run with its report. Where the exit code ends it for good (0, 10, 11, 12, 30), what only a resumption
    /// needs is erased, presigned URLs with it; `open`: not even then. 2 and 3 leave a run as it was, or none.
    ///
    /// # Errors
    /// `Local`.
    pub fn finish(self, exit_code: u8, open: bool, report: &Value) -> Result<()> {
        self.flush()?;
        if matches!(exit_code, 2 | 3) {
            return self.leave();
        }
        let closed = !open && matches!(exit_code, 0 | 10 | 11 | 12 | 30);
        self.write(|transaction| {
            transaction.execute(
                "UPDATE runs SET exit_code = ?2, report = ?3, ended_ms = ?4, closed = ?5 WHERE seq = ?1",
                params![self.seq, exit_code, report.to_string(), millis(SystemTime::now()), closed],
            )?;
            transaction.execute("DELETE FROM slots WHERE reserved_by = ?1", [self.seq])?;
            if closed { erase(transaction, self.seq) } else { Ok(()) }
        })?;
        self.state.checkpoint();
        Ok(())
    }

    /// Nothing was tried: a fresh run vanishes, a continued one is again as it ended before.
    ///
    /// # Errors
    /// `Local`.
    pub fn leave(&self) -> Result<()> {
        let (exit_code, ended) = self.before;
        self.write(|transaction| match self.fresh {
            true => transaction.execute("DELETE FROM runs WHERE seq = ?1", [self.seq]),
            false => transaction.execute(
                "UPDATE runs SET exit_code = ?2, ended_ms = ?3 WHERE seq = ?1",
                params![self.seq, exit_code, ended.map(millis)],
            ),
        })
        .map(drop)
    }

    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.state.write(work)
    }

    /// Writes the faults that wait.
    fn flush(&self) -> Result<()> {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if waiting.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let stored: i64 = transaction.query_row(
                "SELECT coalesce(sum(count), 0) FROM fault_counts WHERE run = ?1",
                [self.seq],
                |row| row.get(0),
            )?;
            let room = MAX_STORED_FAULTS.saturating_sub(u64::try_from(stored).unwrap_or(0));
            let mut insert = transaction
                .prepare_cached("INSERT INTO faults (run, grp, place, key, message) VALUES (?1, ?2, ?3, ?4, ?5)")?;
            let mut count = transaction.prepare_cached(
                "INSERT INTO fault_counts (run, grp, count) VALUES (?1, ?2, 1) \
                 ON CONFLICT (run, grp) DO UPDATE SET count = count + 1",
            )?;
            for (at, (group, fault)) in waiting.iter().enumerate() {
                if (at as u64) < room {
                    let (place, key) = match &fault.at {
                        FaultAt::Index(index) => (integer(*index), None),
                        FaultAt::Key(key) => (i64::MAX, Some(key)),
                    };
                    insert.execute(params![self.seq, group, place, key, fault.message])?;
                }
                count.execute(params![self.seq, group])?;
            }
            Ok(())
        })
    }
}

/// Erases what only a resumption needs; `secure_delete` overwrites it in the file.
pub(super) fn erase(transaction: &Transaction<'_>, seq: i64) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM steps WHERE run = ?1", [seq])?;
    transaction.execute("DELETE FROM facts WHERE run = ?1", [seq])?;
    Ok(())
}

impl State {
    pub(super) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut db = self.db();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unwritable)?;
        let done = work(&transaction).map_err(unwritable)?;
        transaction.commit().map_err(unwritable)?;
        Ok(done)
    }

    /// Empties the write-ahead log, so that what was erased is in no file. Another process may be at work: then its end
    /// does it.
    pub(super) fn checkpoint(&self) {
        let _ = self.db().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(Kind::Busy, format!("the state is damaged: a value is no JSON: {error}"))
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
        self.put_step(name, 1, facts)
    }

    fn result(&self, name: &str, value: &Value) -> Result<()> {
        self.flush()?;
        self.put_step(name, 2, value)
    }

    fn forget(&self, name: &str) -> Result<()> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM steps WHERE run = ?1 AND name = ?2", params![self.seq, name])
        })
        .map(drop)
    }

    fn store(&self, key: &str, value: &Value) -> Result<()> {
        self.write(|transaction| {
            transaction.execute(
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
            .query_row(select, params![self.seq, key], |row| row.get(0))
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

    fn clear_faults(&self, group: &str) -> Result<()> {
        self.flush()?;
        self.write(|transaction| {
            transaction.execute("DELETE FROM faults WHERE run = ?1 AND grp = ?2", params![self.seq, group])?;
            transaction.execute("DELETE FROM fault_counts WHERE run = ?1 AND grp = ?2", params![self.seq, group])
        })
        .map(drop)
    }

    fn fault(&self, group: &str, fault: &RowFault) -> Result<()> {
        let full = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((group.to_owned(), fault.clone()));
            waiting.len() >= FAULTS_A_WRITE
        };
        if full { self.flush() } else { Ok(()) }
    }

    fn fault_count(&self) -> Result<u64> {
        self.flush()?;
        let select = "SELECT coalesce(sum(count), 0) FROM fault_counts WHERE run = ?1";
        let count: i64 = self.state.db().query_row(select, [self.seq], |row| row.get(0)).map_err(unreadable)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn faults(&self, each: &mut dyn FnMut(&RowFault) -> Result<bool>) -> Result<()> {
        self.flush()?;
        // by pages, so that the connection is free while `each` works; rows without an index come last
        let mut after: (i64, i64) = (-1, 0);
        loop {
            let page = self.fault_page(after).map_err(unreadable)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, fault) in &page {
                if !each(fault)? {
                    return Ok(());
                }
            }
        }
    }

    fn part_attempt(&self, index: usize) -> Result<()> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO parts (run, part, attempts) VALUES (?1, ?2, 1) \
                 ON CONFLICT (run, part) DO UPDATE SET attempts = attempts + 1",
                params![self.seq, integer(index as u64)],
            )
        })
        .map(drop)
    }

    fn part_done(&self, part: &PartState) -> Result<()> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO parts (run, part, bytes, records, remote_id, accepted) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (run, part) DO UPDATE SET bytes = ?3, records = ?4, remote_id = ?5, accepted = ?6",
                params![
                    self.seq,
                    integer(part.index as u64),
                    integer(part.bytes),
                    integer(part.records),
                    part.remote_id,
                    part.accepted
                ],
            )
        })
        .map(drop)
    }

    fn parts(&self) -> Result<Vec<PartState>> {
        self.state.parts_of(self.seq)
    }

    fn note(&self, text: &str) -> Result<()> {
        self.write(|transaction| {
            transaction.execute("INSERT OR IGNORE INTO notes (run, note) VALUES (?1, ?2)", params![self.seq, text])
        })
        .map(drop)
    }

    fn notes(&self) -> Result<Vec<String>> {
        let db = self.state.db();
        let mut select = db.prepare("SELECT note FROM notes WHERE run = ?1 ORDER BY rowid").map_err(unreadable)?;
        let rows = select.query_map([self.seq], |row| row.get(0)).map_err(unreadable)?;
        rows.collect::<rusqlite::Result<_>>().map_err(unreadable)
    }
}

/// SQLite's integers are signed.
fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Faults with their place in the order.
type FaultPage = Vec<((i64, i64), RowFault)>;

impl Run {
    fn put_step(&self, name: &str, state: i64, value: &Value) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO steps (run, name, state, value) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![self.seq, name, state, value.to_string()])
        })
        .map(drop)
    }

    fn fault_page(&self, after: (i64, i64)) -> rusqlite::Result<FaultPage> {
        let db = self.state.db();
        let mut select = db.prepare_cached(
            "SELECT place, rowid, key, message FROM faults \
             WHERE run = ?1 AND (place, rowid) > (?2, ?3) ORDER BY place, rowid LIMIT 1000",
        )?;
        let rows = select.query_map(params![self.seq, after.0, after.1], |row| {
            let place: i64 = row.get(0)?;
            let at = match row.get::<_, Option<String>>(2)? {
                Some(key) => FaultAt::Key(key),
                None => FaultAt::Index(u64::try_from(place).unwrap_or(0)),
            };
            Ok(((place, row.get(1)?), RowFault { at, message: row.get(3)? }))
        })?;
        rows.collect()
    }
}

impl State {
    /// The parts of a run, by index.
    fn parts_of(&self, seq: i64) -> Result<Vec<PartState>> {
        let db = self.db();
        let natural = |n: i64| u64::try_from(n).unwrap_or(0);
        let mut select = db
            .prepare(
                "SELECT part, bytes, records, attempts, remote_id, accepted FROM parts WHERE run = ?1 ORDER BY part",
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
                    accepted_at: None,
                })
            })
            .map_err(unreadable)?;
        rows.collect::<rusqlite::Result<_>>().map_err(unreadable)
    }

    /// The parts of a recorded run, by index.
    ///
    /// # Errors
    /// `Busy`.
    pub fn parts(&self, record: &RunRecord) -> Result<Vec<PartState>> {
        self.parts_of(record.seq)
    }
}
