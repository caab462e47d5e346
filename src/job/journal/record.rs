//! Past and present runs, as they are listed and found.

use super::lock::JobLock;
use super::path as stored_path;
use super::run::erase;
use super::{State, millis, moment, unreadable};
use crate::calls::PartState;
use crate::error::{Error, Kind, Result};
use crate::job::resume::{Intent, JobKey};
use rusqlite::{OptionalExtension as _, Row, params};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A run as the state knows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunRecord {
    pub(super) seq: i64,
    /// The run's id.
    pub id: String,
    pub(super) job: String,
    /// The job's name.
    pub name: String,
    /// The destination's platform.
    pub platform: String,
    /// The job file, absolute; `None`: the job was not read from a file.
    pub job_file: Option<PathBuf>,
    /// The overrides (`--set`) that the run was started with.
    pub overrides: Vec<String>,
    pub(super) fingerprint: String,
    pub(super) random: String,
    /// The day it started, `YYYY-MM-DD`.
    pub date: String,
    /// When it started.
    pub started: SystemTime,
    /// When it ended, where it ended by itself.
    pub ended: Option<SystemTime>,
    /// True: nothing of it is taken up again.
    pub closed: bool,
    /// As it ended; `None`: it is running or was killed.
    pub exit_code: Option<u8>,
    /// A process has it in hand now.
    pub running: bool,
    /// What pass one found, where it came so far.
    pub measured: Option<Value>,
    /// Its report, where it ended by itself.
    pub report: Option<Value>,
    /// Where the rejected rows are.
    pub rejects_file: Option<PathBuf>,
    /// Of one that has not ended by itself: its report as it was after pass one.
    pub(in crate::job) pass_one: Option<Value>,
    /// Of the same: what has become of its parts.
    pub(in crate::job) parts: Vec<PartState>,
}

/// The fact that holds what pass one found: `report`, and `parts` as bytes, records and CRC of each.
pub(in crate::job) const PASS_ONE: &str = "pass-one";

const COLUMNS: &str = "seq, id, job, name, platform, job_file, overrides, fingerprint, random, date, started_ms, \
                       ended_ms, closed, exit_code, measured, report, rejects_file";

impl RunRecord {
    /// `running`, `interrupted` (its process is gone), or as its report says.
    #[must_use]
    pub fn status(&self) -> String {
        if self.exit_code.is_none() {
            return if self.running { "running" } else { "interrupted" }.to_owned();
        }
        let said = self.report.as_ref().and_then(|report| report.get("status")).and_then(Value::as_str);
        said.unwrap_or("interrupted").to_owned()
    }

    /// True where `--new` closed it before its end.
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.closed && !matches!(self.exit_code, Some(0 | 10 | 11 | 12 | 30))
    }

    /// True where it ended with a call in doubt.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        !self.closed && self.exit_code == Some(21)
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
            pass_one: None,
            parts: Vec::new(),
        })
    }
}

impl State {
    /// All runs, oldest first, shown one by one.
    ///
    /// # Errors
    /// `Busy`, or what `each` says.
    pub fn runs(&self, each: &mut dyn FnMut(RunRecord) -> Result<()>) -> Result<()> {
        let mut after = 0;
        loop {
            // one at a time: the lock of the connection is not held while `each` works
            let Some(record) = self.one("seq > ?1 ORDER BY seq LIMIT 1", [after])? else { return Ok(()) };
            after = record.seq;
            each(record)?;
        }
    }

    /// The run of that id.
    ///
    /// # Errors
    /// `Busy`.
    pub fn run_of_id(&self, id: &str) -> Result<Option<RunRecord>> {
        self.one("id = ?1", [id])
    }

    /// The last run of all jobs.
    ///
    /// # Errors
    /// `Busy`.
    pub fn last_run(&self) -> Result<Option<RunRecord>> {
        self.one("?1 ORDER BY seq DESC LIMIT 1", [1])
    }

    /// The last run of a job file (an absolute path).
    ///
    /// # Errors
    /// `Busy`.
    pub fn last_run_of_file(&self, path: &Path) -> Result<Option<RunRecord>> {
        self.one("job_file = ?1 ORDER BY seq DESC LIMIT 1", [stored_path::to_text(path)])
    }

    /// The last run of a job.
    ///
    /// # Errors
    /// `Busy`.
    pub fn last_run_of_job(&self, job: &str) -> Result<Option<RunRecord>> {
        self.one("job = ?1 ORDER BY seq DESC LIMIT 1", [job])
    }

    /// The report of the job's last run that ended with 0: what `expect.max_change_percent` compares with.
    ///
    /// # Errors
    /// `Busy`.
    pub fn last_done_report(&self, job: &str) -> Result<Option<Value>> {
        let last = self.one("job = ?1 AND exit_code = 0 ORDER BY seq DESC LIMIT 1", [job])?;
        Ok(last.and_then(|record| record.report))
    }

    /// A fact that a recorded run froze; none once it has ended.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn fact(&self, record: &RunRecord, key: &str) -> Result<Option<Value>> {
        let text: Option<String> = self
            .db()
            .query_row("SELECT value FROM facts WHERE run = ?1 AND key = ?2", params![record.seq, key], |row| {
                row.get(0)
            })
            .optional()
            .map_err(unreadable)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// The values of a fact in all recorded runs.
    ///
    /// # Errors
    /// `Busy`.
    pub(in crate::job) fn facts(&self, key: &str) -> Result<Vec<Value>> {
        let db = self.db();
        let mut select = db.prepare("SELECT value FROM facts WHERE key = ?1").map_err(unreadable)?;
        let rows = select.query_map([key], |row| row.get::<_, String>(0)).map_err(unreadable)?;
        let texts = rows.collect::<rusqlite::Result<Vec<_>>>().map_err(unreadable)?;
        Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    fn one(&self, condition: &str, with: impl rusqlite::Params) -> Result<Option<RunRecord>> {
        let found = self
            .db()
            .query_row(&format!("SELECT {COLUMNS} FROM runs WHERE {condition}"), with, RunRecord::read)
            .optional()
            .map_err(unreadable)?;
        let Some(mut record) = found else { return Ok(None) };
        if record.exit_code.is_none() {
            record.running = JobLock::is_taken(&self.dir, &record.job);
            record.pass_one = self.fact(&record, PASS_ONE)?.and_then(|mut fact| Some(fact.get_mut("report")?.take()));
            record.parts = self.parts(&record)?;
        }
        Ok(Some(record))
    }
}

impl RunRecord {
    /// Whether source, where and map are those that the run began with.
    pub(in crate::job) fn fits(&self, intent: &Intent) -> bool {
        self.fingerprint == intent.fingerprint
    }

    /// Whether it is a run of that job.
    pub(in crate::job) fn is_of(&self, key: &JobKey) -> bool {
        self.job == key.as_str()
    }
}

impl State {
    /// A process has it in hand again.
    pub(in crate::job) fn reopen(&self, record: &RunRecord) -> Result<()> {
        let update = "UPDATE runs SET exit_code = NULL, ended_ms = NULL WHERE seq = ?1";
        self.write(|transaction| transaction.execute(update, [record.seq])).map(drop)
    }

    /// Closes an unfinished run for good; what only a resumption needs is erased.
    pub(in crate::job) fn abandon(&self, record: &RunRecord) -> Result<()> {
        self.write(|transaction| {
            transaction.execute(
                // codes that end a run for good do not say that it was abandoned; its report keeps them
                "UPDATE runs SET closed = 1, exit_code = CASE WHEN exit_code IN (1, 20, 21, 22, 143) THEN exit_code ELSE 130 END \
                 WHERE seq = ?1",
                [record.seq],
            )?;
            erase(transaction, record.seq)
        })?;
        self.checkpoint();
        Ok(())
    }

    pub(in crate::job) fn insert(
        &self,
        intent: &Intent,
        id: &str,
        random: &str,
        date: &str,
        now: SystemTime,
    ) -> Result<RunRecord> {
        let file = intent.job_file.as_deref().map(stored_path::to_text);
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO runs (id, job, name, platform, job_file, overrides, fingerprint, random, date, started_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    id,
                    intent.key.as_str(),
                    intent.name,
                    intent.platform,
                    file,
                    json!(intent.overrides).to_string(),
                    intent.fingerprint,
                    random,
                    date,
                    millis(now)
                ],
            )
        })?;
        self.run_of_id(id)?.ok_or_else(|| Error::new(Kind::Busy, "the run that was just begun is gone"))
    }
}
