//! Past and present runs: how they are listed and found.

use super::cached::Cached as _;
use super::lock;
use super::path as stored_path;
use super::{State, moment, unreadable};
use crate::calls::PartState;
use crate::error::Result;
use crate::job::identity::Intent;
use crate::platform::Effect;
use rusqlite::{OptionalExtension as _, Row, params};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A run in the state.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunRecord {
    pub(super) seq: i64,
    /// Id of the run.
    pub id: String,
    pub(super) job: String,
    /// Name of the job.
    pub name: String,
    /// The destination's platform.
    pub platform: String,
    /// The job file, absolute; `None` if the job was not read from a file.
    pub job_file: Option<PathBuf>,
    /// The overrides (`--set`) that the run was started with.
    pub overrides: Vec<String>,
    pub(super) fingerprint: String,
    pub(super) random: String,
    /// The day on which it started, `YYYY-MM-DD`.
    pub date: String,
    /// Time of its start.
    pub started: SystemTime,
    /// Time of its end, if it was not killed.
    pub ended: Option<SystemTime>,
    /// True if it is never resumed.
    pub closed: bool,
    /// Exit code; `None` if it is running or was killed.
    pub exit_code: Option<u8>,
    /// True if a process is working on it now.
    pub running: bool,
    /// The result of pass one, if it came so far.
    pub measured: Option<Value>,
    /// Its report, if it was not killed.
    pub report: Option<Value>,
    /// Path of the rejected rows.
    pub rejects_file: Option<PathBuf>,
    /// Why it was closed before its end, if it was.
    pub closed_as: Option<ClosedAs>,
    /// True if one of its calls may have had an effect.
    pub(in crate::job) effects: bool,
    /// True if it is open but does not block later runs.
    pub(in crate::job) listed: bool,
    /// True if its report was written to where it was asked for.
    pub(in crate::job) reported: bool,
    pub(in crate::job) target: Option<String>,
    pub(in crate::job) source: Option<String>,
    pub(in crate::job) effect: Option<Effect>,
    /// Version of the listferry that started it.
    pub version: Option<String>,
    /// Its report after pass one, if it was killed.
    pub(in crate::job) pass_one: Option<Value>,
    /// The state of its parts, if it was killed.
    pub(in crate::job) parts: Vec<PartState>,
}

/// Why a run was closed before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosedAs {
    /// A later run took its place.
    Superseded,
    /// The user abandoned it.
    Abandoned,
}

impl ClosedAs {
    /// Returns the name used in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ClosedAs::Superseded => "superseded",
            ClosedAs::Abandoned => "abandoned",
        }
    }

    fn of(name: &str) -> Option<ClosedAs> {
        [ClosedAs::Superseded, ClosedAs::Abandoned].into_iter().find(|how| how.name() == name)
    }
}

/// The fact with the result of pass one: `report`, and `parts` as bytes, records and CRC of each.
pub(in crate::job) const PASS_ONE: &str = "pass-one";

const COLUMNS: &str = "seq, id, job, name, platform, job_file, overrides, fingerprint, random, date, started_ms, \
                       ended_ms, closed, exit_code, measured, report, rejects_file, closed_as, listed, reported, target, \
                       source, effect, version";

/// Condition: a call of the run may have had an effect. A requested export that was not read counts.
pub(super) const CALLED: &str = "(EXISTS (SELECT 1 FROM steps WHERE run = seq) \
                                 OR EXISTS (SELECT 1 FROM parts WHERE run = seq AND accepted) \
                                 OR EXISTS (SELECT 1 FROM facts WHERE run = seq AND value ->> 'requested_s' IS NOT NULL))";

/// Condition: the run has ended, and its verdict can still be polled.
pub(super) const UNSETTLED: &str =
    "closed AND closed_as IS NOT 'abandoned' AND EXISTS (SELECT 1 FROM steps WHERE run = seq)";

impl RunRecord {
    /// Returns the position among all runs, in the order of their starts.
    pub(in crate::job) fn seq(&self) -> i64 {
        self.seq
    }

    /// Returns the values of [`RunRecord::status`].
    pub fn statuses() -> impl Iterator<Item = &'static str> {
        let closed = [ClosedAs::Superseded, ClosedAs::Abandoned].map(ClosedAs::name);
        crate::job::Status::ALL.into_iter().map(crate::job::Status::name).chain(["running"]).chain(closed)
    }

    /// Returns `running`, `interrupted` (its process is gone), `superseded`, `abandoned`, or the status in its report.
    #[must_use]
    pub fn status(&self) -> String {
        if let Some(how) = self.closed_as {
            return how.name().to_owned();
        }
        if self.exit_code.is_none() {
            return if self.running { "running" } else { "interrupted" }.to_owned();
        }
        let said = self.report.as_ref().and_then(|report| report.get("status")).and_then(Value::as_str);
        said.unwrap_or("interrupted").to_owned()
    }

    /// Returns true if a later run has to take account of it: it has not ended, and a call may have had an effect.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.closed && self.effects
    }

    /// Returns true if it ended, or was closed, with every part accepted.
    pub(in crate::job) fn ended_delivered(&self) -> bool {
        self.closed && self.closed_as.is_none() && matches!(self.exit_code, Some(0 | 11))
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
        let path = |at| row.get::<_, Option<String>>(at).map(|path| path.map(stored_path::from_text));
        let json = |at: usize| {
            row.get::<_, Option<String>>(at)?.map(|text| serde_json::from_str::<Value>(&text)).transpose().map_err(
                |error| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error)),
            )
        };
        let overrides = row.get::<_, String>(6)?;
        Ok(RunRecord {
            seq: row.get(0)?,
            id: row.get(1)?,
            job: row.get(2)?,
            name: row.get(3)?,
            platform: row.get(4)?,
            job_file: path(5)?,
            overrides: serde_json::from_str(&overrides).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, Box::new(error))
            })?,
            fingerprint: row.get(7)?,
            random: row.get(8)?,
            date: row.get(9)?,
            started: moment(row.get(10)?),
            ended: row.get::<_, Option<i64>>(11)?.map(moment),
            closed: row.get(12)?,
            exit_code: row.get(13)?,
            running: false,
            measured: json(14)?,
            report: json(15)?,
            rejects_file: path(16)?,
            closed_as: row.get::<_, Option<String>>(17)?.as_deref().and_then(ClosedAs::of),
            listed: row.get(18)?,
            reported: row.get(19)?,
            target: row.get(20)?,
            source: row.get(21)?,
            effect: json(22)?.as_ref().map(Effect::from_json),
            version: row.get(23)?,
            effects: row.get(24)?,
            pass_one: None,
            parts: Vec::new(),
        })
    }
}

impl State {
    /// Calls `each` with all runs, oldest first.
    ///
    /// # Errors
    /// `Busy`, or the error of `each`.
    pub fn runs(&self, each: &mut dyn FnMut(RunRecord) -> Result<()>) -> Result<()> {
        let mut after = 0;
        loop {
            // one at a time, so that the lock of the connection is not held while `each` runs
            let Some(record) = self.one("seq > ?1 ORDER BY seq LIMIT 1", [after])? else { return Ok(()) };
            after = record.seq;
            each(record)?;
        }
    }

    /// Returns the run with this id.
    ///
    /// # Errors
    /// `Busy`.
    pub fn run_of_id(&self, id: &str) -> Result<Option<RunRecord>> {
        self.one("id = ?1", [id])
    }

    /// Returns the last run of all jobs.
    ///
    /// # Errors
    /// `Busy`.
    pub fn last_run(&self) -> Result<Option<RunRecord>> {
        self.one("?1 ORDER BY seq DESC LIMIT 1", [1])
    }

    /// Returns the run of a job file, which has one of these paths: an open one, otherwise the last.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn run_of_files(&self, paths: &[&Path; 2]) -> Result<Option<RunRecord>> {
        let paths = paths.map(|path| stored_path::to_text(path).into_owned());
        let condition =
            format!("job_file IN (?1, ?2) AND closed = 0 AND listed = 0 AND {CALLED} ORDER BY seq DESC LIMIT 1");
        match self.one(&condition, params![paths[0], paths[1]])? {
            Some(record) => Ok(Some(record)),
            None => self.one("job_file IN (?1, ?2) ORDER BY seq DESC LIMIT 1", params![paths[0], paths[1]]),
        }
    }

    /// Returns the run of a job, by the present rule or by that of 0.1.0, that was the last to end with every part
    /// accepted. It need not be the last one that started: `--new` may have failed to replace it.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn last_delivered_run_of(&self, intent: &Intent) -> Result<Option<RunRecord>> {
        self.one(
            "job IN (?1, ?2) AND closed = 1 AND closed_as IS NULL AND exit_code IN (0, 11) \
             ORDER BY ended_ms DESC, seq DESC LIMIT 1",
            keys(intent),
        )
    }

    /// Returns the run of a job that the next one has to take account of: the newest open one that is not only listed,
    /// or that has the target of `date`.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn open_run_of(&self, intent: &Intent, date: &str) -> Result<Option<RunRecord>> {
        let mut after = i64::MAX;
        loop {
            let [key, old] = keys(intent);
            let next = self.one(
                "job IN (?1, ?2) AND closed = 0 AND seq < ?3 ORDER BY seq DESC LIMIT 1",
                rusqlite::params![key, old, after],
            )?;
            let Some(record) = next else { return Ok(None) };
            after = record.seq;
            let same_target = record.target.as_deref() == Some(&*intent.target_on(date));
            if record.is_open() && (!record.listed || same_target) {
                return Ok(Some(record));
            }
        }
    }

    /// Returns a run of a job that is recorded as unfinished and had no effect; it is not running, because the job is
    /// locked.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn unstarted_run_of(&self, intent: &Intent) -> Result<Option<RunRecord>> {
        self.one(&format!("job IN (?1, ?2) AND closed = 0 AND NOT {CALLED} ORDER BY seq LIMIT 1"), keys(intent))
    }

    /// Returns the runs of a job that have ended without a verdict and can be polled for it, oldest first.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn unsettled_runs_of(&self, intent: &Intent) -> Result<Vec<RunRecord>> {
        let (mut found, mut after) = (Vec::new(), 0);
        let [key, old] = keys(intent);
        loop {
            let next = self.one(
                &format!("job IN (?1, ?2) AND seq > ?3 AND {UNSETTLED} ORDER BY seq LIMIT 1"),
                rusqlite::params![key, old, after],
            )?;
            let Some(record) = next else { return Ok(found) };
            after = record.seq;
            found.push(record);
        }
    }

    /// Returns true if a run has ended without a verdict and can be polled for it.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn is_unsettled(&self, record: &RunRecord) -> Result<bool> {
        Ok(self.one(&format!("seq = ?1 AND {UNSETTLED}"), [record.seq])?.is_some())
    }

    /// Returns the newest run of a job that has a `--once` key.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn run_of_once(&self, intent: &Intent, once: &str) -> Result<Option<RunRecord>> {
        let [key, old] = keys(intent);
        self.one(
            "job IN (?1, ?2) AND once_key = ?3 AND (exit_code IS NULL OR exit_code IN (0, 11, 22) OR closed = 0) \
             ORDER BY seq DESC LIMIT 1",
            rusqlite::params![key, old, once],
        )
    }

    /// Returns the report of the job's last run that ended with 0, for `expect.max_change_percent`.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn last_done_report(&self, intent: &Intent) -> Result<Option<Value>> {
        let last = self
            .one("job IN (?1, ?2) AND exit_code = 0 AND closed_as IS NULL ORDER BY seq DESC LIMIT 1", keys(intent))?;
        Ok(last.and_then(|record| record.report))
    }

    /// Returns a fact that a recorded run stored; none once the run has ended.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn fact(&self, record: &RunRecord, key: &str) -> Result<Option<Value>> {
        let text: Option<String> = self
            .db()
            .query_row_cached("SELECT value FROM facts WHERE run = ?1 AND key = ?2", params![record.seq, key], |row| {
                row.get(0)
            })
            .optional()
            .map_err(unreadable)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Returns a fact of the last run of a job before `than`, and that run, if the fact is not null.
    pub(super) fn unread_fact(&self, intent: &Intent, key: &str, than: &RunRecord) -> Result<Option<(i64, Value)>> {
        let [own, old] = keys(intent);
        let found: Option<(i64, String)> = self
            .db()
            .query_row_cached(
                "SELECT run, value FROM facts JOIN runs ON seq = run WHERE job IN (?1, ?2) AND key = ?3 AND seq < ?4 \
                 AND (closed_as IS NULL OR closed_as <> 'abandoned') ORDER BY seq DESC LIMIT 1",
                params![own, old, key, than.seq],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(unreadable)?;
        let found = found.and_then(|(run, text)| Some((run, serde_json::from_str::<Value>(&text).ok()?)));
        Ok(found.filter(|(_, value)| !value.is_null()))
    }

    /// Returns the result of a step of a recorded run; none once it was erased.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn step_result(&self, record: &RunRecord, name: &str) -> Result<Option<Value>> {
        let select = "SELECT value FROM steps WHERE run = ?1 AND name = ?2 AND state = 2";
        let text: Option<String> = self
            .db()
            .query_row_cached(select, params![record.seq, name], |row| row.get(0))
            .optional()
            .map_err(unreadable)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Returns the values of a fact in all recorded runs.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn facts(&self, key: &str) -> Result<Vec<Value>> {
        let db = self.db();
        let mut select = db.prepare_cached("SELECT value FROM facts WHERE key = ?1").map_err(unreadable)?;
        let rows = select.query_map([key], |row| row.get::<_, String>(0)).map_err(unreadable)?;
        let texts = rows.collect::<rusqlite::Result<Vec<_>>>().map_err(unreadable)?;
        Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    pub(super) fn one(&self, condition: &str, with: impl rusqlite::Params) -> Result<Option<RunRecord>> {
        let found = self
            .db()
            .query_row_cached(&format!("SELECT {COLUMNS}, {CALLED} FROM runs WHERE {condition}"), with, RunRecord::read)
            .optional()
            .map_err(unreadable)?;
        let Some(mut record) = found else { return Ok(None) };
        if record.exit_code.is_none() {
            record.running = lock::is_taken(&self.dir, &record.job);
            record.pass_one = self.fact(&record, PASS_ONE)?.and_then(|mut fact| Some(fact.get_mut("report")?.take()));
            record.parts = self.parts(&record)?;
        }
        Ok(Some(record))
    }
}

/// Returns the keys that a job is recorded under.
pub(super) fn keys(intent: &Intent) -> [&str; 2] {
    let key = intent.key.as_str();
    [key, intent.old_key.as_ref().map_or(key, |old| old.as_str())]
}

impl RunRecord {
    /// Whether the job file still has the same content that shaped the run's bytes and calls.
    pub(in crate::job) fn fits(&self, intent: &Intent) -> bool {
        // a run of 0.1.0 has the hash of its own rule
        self.fingerprint == intent.fingerprint || self.target.is_none() && self.fingerprint == intent.old_fingerprint
    }

    /// Describes how the job file has changed since the run was started.
    pub(in crate::job) fn differences(&self, intent: &Intent) -> Vec<String> {
        if self.fits(intent) {
            return Vec::new();
        }
        let (before, now) = (self.fingerprint.split('.'), intent.fingerprint.split('.'));
        let named = before.zip(now).zip(crate::job::identity::SECTIONS);
        let mut what: Vec<String> = named
            .filter(|((before, now), _)| before != now)
            .map(|(_, section)| format!("`{section}` in the job file has changed"))
            .collect();
        if what.is_empty() || self.target.is_none() {
            what = vec!["source, where or map in the job file has changed".to_owned()];
        }
        what
    }

    /// Whether it is a run of this job.
    pub(in crate::job) fn is_of(&self, intent: &Intent) -> bool {
        keys(intent).contains(&self.job.as_str())
    }

    /// Returns the key that it is recorded under, which is also the name of its lock.
    pub(in crate::job) fn job_key(&self) -> &str {
        &self.job
    }
}
