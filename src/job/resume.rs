//! Running the same job again: begin anew, continue, or say that nobody knows.

use super::journal::{JobLock, Run, RunRecord, State};
use crate::calls::Assume;
use crate::error::{Error, Kind, Result};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What makes a job the same job: its name with platform, base_url, account and target, hashed. Secrets may go in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobKey(String);

impl JobKey {
    /// The key of what a job file says; `identity` holds what tells accounts and targets of the platform apart.
    #[must_use]
    pub fn new(name: &str, platform: &str, base_url: Option<&str>, identity: &[&str]) -> JobKey {
        let mut parts = vec![name, platform, base_url.unwrap_or_default()];
        parts.extend(identity);
        JobKey(hash(&parts))
    }

    /// The hash, 32 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The hash of the keys that a continued run must not change: `source`, `where` and `map`, after overrides.
#[must_use]
pub fn fingerprint(source: &Value, conditions: &Value, map: &Value) -> String {
    hash(&[&canonical(source), &canonical(conditions), &canonical(map)])
}

/// JSON with the keys in the order written (that of `map` is the order of columns); `null` is the same as absent.
fn canonical(value: &Value) -> String {
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let kept = map.iter().filter(|(_, value)| !value.is_null());
                Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
            other => other.clone(),
        }
    }
    without_nulls(value).to_string()
}

/// Lengths are hashed too: no two lists run together.
fn hash(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part.as_bytes());
    }
    sha.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What a run is about.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The job.
    pub key: JobKey,
    /// Its name.
    pub name: String,
    /// The destination's platform.
    pub platform: String,
    /// The job file, absolute.
    pub job_file: Option<PathBuf>,
    /// Overrides, kept for `resume`; no secrets.
    pub overrides: Vec<String>,
    /// See [`fingerprint`].
    pub fingerprint: String,
    /// The day that `{date}` means if a run begins now, `YYYY-MM-DD`.
    pub date: String,
}

/// How a run begins.
#[derive(Debug)]
pub enum Begin {
    /// Anew.
    Fresh(Run),
    /// Where an earlier process stopped.
    Continue(Run),
    /// An earlier run is in doubt and the user has not said what to assume: send nothing, end with 21.
    InDoubt(Box<RunRecord>),
    /// `resume` of a run that has ended for good: nothing to do, its report stands.
    Ended(Box<RunRecord>),
}

impl State {
    /// Begins a run of a job: anew where its last run ended, else going on with that. `abandon` (`--new`): anew in any
    /// case; the old run is closed.
    ///
    /// # Errors
    /// `Busy` (3): the job is running already, its last run is unfinished and the job file says something else now, or
    /// the state cannot be read.
    pub fn begin(&self, intent: &Intent, abandon: bool) -> Result<Begin> {
        let lock = JobLock::take(self.dir(), intent.key.as_str())?;
        let Some(last) = self.last_run_of_job(intent.key.as_str())?.filter(|last| !last.closed) else {
            return self.fresh(intent, lock);
        };
        if abandon {
            self.abandon(&last)?;
            return self.fresh(intent, lock);
        }
        if !last.fits(intent) {
            return Err(changed(&last));
        }
        if last.in_doubt() {
            return Ok(Begin::InDoubt(Box::new(last)));
        }
        self.take_up(&last, lock)
    }

    /// Takes up a recorded run.
    ///
    /// # Errors
    /// As [`State::begin`].
    pub fn resume(&self, record: &RunRecord, intent: &Intent, assume: Option<Assume>) -> Result<Begin> {
        if record.closed {
            return Ok(Begin::Ended(Box::new(record.clone())));
        }
        if !record.is_of(&intent.key) {
            return Err(Error::new(
                Kind::Busy,
                format!("run {} belongs to another job than the job file now says", record.id),
            )
            .with_hint(
                "name, platform, base_url, account and target must be those of the run; what --set gave as a secret is not \
                 kept and has to be given again",
            ));
        }
        let lock = JobLock::take(self.dir(), intent.key.as_str())?;
        // the process that held the lock may have brought it to its end meanwhile
        let Some(record) = self.run_of_id(&record.id)? else {
            return Err(Error::new(Kind::Busy, format!("run {} is gone", record.id)));
        };
        if record.closed {
            return Ok(Begin::Ended(Box::new(record)));
        }
        if !record.fits(intent) {
            return Err(changed(&record));
        }
        if record.in_doubt() && assume.is_none() {
            return Ok(Begin::InDoubt(Box::new(record)));
        }
        self.take_up(&record, lock)
    }

    /// The run that RUN names: `last`, a run's id, or a job file (its last run).
    ///
    /// # Errors
    /// `Usage`: there is none.
    pub fn find(&self, run: &str) -> Result<RunRecord> {
        if run == "last" {
            return self.last_run()?.ok_or_else(|| {
                Error::usage("there is no run yet")
                    .with_hint("`listferry run JOB` makes one; --state-dir names another state directory")
            });
        }
        if let Some(record) = self.run_of_id(run)? {
            return Ok(record);
        }
        let path = Path::new(run);
        if path.exists() {
            return self
                .last_run_of_file(&absolute(path))?
                .ok_or_else(|| Error::usage(format!("{run} has not been run from this state directory")));
        }
        Err(Error::usage(format!("{run} is neither a run nor a job file")).with_hint("`listferry runs` lists the runs"))
    }

    fn take_up(&self, record: &RunRecord, lock: JobLock) -> Result<Begin> {
        self.reopen(record)?;
        Ok(Begin::Continue(Run::new(self, record, false, lock)))
    }

    fn fresh(&self, intent: &Intent, lock: JobLock) -> Result<Begin> {
        let now = SystemTime::now();
        let random = random()?;
        let at = chrono::DateTime::from_timestamp(
            now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0)),
            0,
        )
        .unwrap_or_default();
        let id = format!("{}-{}", at.format("%Y%m%d-%H%M%S"), &random[..6]);
        let record = self.insert(intent, &id, &random, &intent.date, now)?;
        Ok(Begin::Fresh(Run::new(self, &record, true, lock)))
    }
}

/// The path that a job file is remembered by.
#[must_use]
pub fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// 128 random bits as 32 hex digits.
fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::Local, format!("no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn changed(last: &RunRecord) -> Error {
    Error::new(
        Kind::Busy,
        format!("run {} of this job is unfinished, and source, where or map have changed since", last.id),
    )
    .with_hint("take the change back and resume it, or abandon it with --new")
}
