//! Lists past runs.

use super::env::Env;
use super::journal::{ClosedAs, Init, JobLocks, RunRecord, State};
use super::rejects::files_of;
use super::report::Report;
use super::sweep;
use crate::calls::utc;
use crate::error::{Error, Kind, Result};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Opens the state directory of the jobs' runs; only for reading if nothing can be written.
///
/// # Errors
/// `Usage`: no state directory is known. `Busy`: it cannot be read.
pub fn state(env: &Env) -> Result<State> {
    let dir = env.state_dir()?;
    State::of_world(&dir, &env.world).map_or_else(|| State::open_to_list(&dir), Ok)
}

/// Records that the report of a run was written to where it was asked for, if `env` says that the caller does so.
///
/// # Errors
/// `Busy`, `Local`: the state.
pub fn reported(env: &Env, run_id: &str) -> Result<()> {
    State::open(&env.state_dir()?)?.reported(run_id)
}

/// Creates the state in the state directory, or sets a damaged one aside.
///
/// # Errors
/// As [`State::init`].
pub fn init(env: &Env, force: bool) -> Result<Init> {
    State::init(&env.state_dir()?, force)
}

/// Abandons an open run without sending anything. The verdict of a run that has ended without one can then no longer be
/// polled.
///
/// # Errors
/// `Usage`: the run does not exist, or has ended. `Busy`: it is running.
pub fn close(env: &Env, run_id: &str) -> Result<RunRecord> {
    let state = state(env)?;
    let Some(record) = state.run_of_id(run_id)? else {
        return Err(Error::usage(format!("there is no run {run_id}"))
            .with_hint("`listferry runs` lists the runs; `runs close` takes the id of one"));
    };
    let _locks = JobLocks::take(state.dir(), &[record.job_key()])?;
    // the process that held the lock may have finished the run meanwhile
    let record = state.run_of_id(run_id)?.unwrap_or(record);
    if state.is_unsettled(&record)? {
        state.forget(&record)?;
        return Ok(record);
    }
    if record.closed || !record.is_open() && record.exit_code.is_some() {
        return Err(Error::usage(format!("run {run_id} is not open: it is {}", record.status()))
            .with_hint("only a run that a later one would continue can be closed"));
    }
    let spool = state.fact(&record, "spool")?;
    state.close(&record, ClosedAs::Abandoned, true)?;
    if let Some(path) = spool.as_ref().and_then(Value::as_str) {
        let _ = std::fs::remove_file(path);
    }
    Ok(state.run_of_id(run_id)?.unwrap_or(record))
}

/// The result of [`prune`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Number of runs.
    pub runs: u64,
    /// Number of files: rejected rows and copies of streams, of these runs and of others whose time had passed.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Number of locks of jobs that have no run any more.
    pub locks: u64,
}

/// Deletes the runs that ended longer than `older_than` ago, with their rejected rows in the state directory. Never
/// deletes a run that is open, running or in doubt, one whose verdict can still be polled, or the last done run of a
/// job. A deleted run's `--once` key is forgotten. Also deletes rejected rows and copies of streams of which the time has
/// passed, and locks that no job needs.
///
/// # Errors
/// `Busy`, `Local`: the state.
pub fn prune(env: &Env, older_than: Duration) -> Result<Pruned> {
    let state = State::open(&env.state_dir()?)?;
    let now = env.world.clock.wall();
    let cutoff = now.checked_sub(older_than).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut swept = sweep::sweep(&state, now, None);
    let (mut runs, mut after) = (0, 0);
    while let Some(record) = state.next_deletable(after, cutoff)? {
        after = record.seq();
        // a job that is running may be about to look at its earlier runs
        let Ok(_locks) = JobLocks::take(state.dir(), &[record.job_key()]) else { continue };
        let spool = state.fact(&record, "spool")?.and_then(|path| Some(PathBuf::from(path.as_str()?)));
        spool.iter().chain(&files_of(state.dir(), &record.id)).for_each(|path| swept.remove(path));
        state.delete(&record)?;
        runs += 1;
    }
    Ok(Pruned { runs, files: swept.files, bytes: swept.bytes, locks: state.remove_free_locks() })
}

impl RunRecord {
    /// The head of the lines of [`RunRecord::to_line`].
    pub const HEAD: &'static str = "RUN                     STARTED               PLATFORM              STATUS       EXIT       WRITTEN   REJECTED      TOOK  JOB";

    /// Returns the run as text for people, as after its command.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.running && self.report.is_none() {
            return format!("{}\n{}\n", RunRecord::HEAD, self.to_line());
        }
        let took = self.took().map(|took| format!(", took {took}")).unwrap_or_default();
        let closed = self.closed_as.map(|how| format!(", {}", how.name())).unwrap_or_default();
        let job = crate::secret::printable(&self.name);
        format!("job {job}, started {}{took}{closed}\n{}", utc(self.started), self.as_report().to_text())
    }

    /// Returns the report of the run, as far as it is known.
    pub(in crate::job) fn as_report(&self) -> Report {
        let mut report = Report::new("run");
        report.restore(self);
        (report.started_at, report.ended_at) = (Some(self.started), self.ended);
        (report.job, report.job_file) = (Some(self.name.clone()), self.job_file.clone());
        report.exit_code = self.exit_code.unwrap_or(report.exit_code);
        report.open = self.is_open() && !self.running;
        if self.running {
            report.status = None;
        } else if self.report.is_none() && self.closed_as.is_none() {
            let error = Error::new(Kind::Interrupted, "the process has ended without a report");
            report.fail(match self.is_open() {
                true => error,
                false => error.with_hint("nothing was sent: run the job again"),
            });
        }
        let Some(stored) = &self.report else { return report };
        let flag = |key: &str| stored.get(key).and_then(Value::as_bool).unwrap_or(false);
        (report.sandbox, report.unchanged) = (flag("sandbox"), flag("unchanged"));
        report.peak_rss_bytes = stored.get("peak_rss_bytes").and_then(Value::as_u64).unwrap_or(0);
        report
    }

    /// Returns the time from start to end in words; `None` if the run has not ended.
    fn took(&self) -> Option<String> {
        let seconds = self.ended?.duration_since(self.started).ok()?.as_secs();
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        Some(if hours > 0 { format!("{hours}h{minutes:02}m") } else { format!("{minutes:02}:{:02}", seconds % 60) })
    }

    /// Returns the report of the run; if it has none yet, or its process is gone, what is known of it.
    #[must_use]
    pub fn to_report(&self) -> Value {
        let mut report = Report::new("run");
        report.restore(self);
        let mut object = report.to_json();
        let status = self.status();
        if self.exit_code.is_none() || self.report.is_none() {
            let gone = status == "interrupted";
            object["exit_code"] = if gone { Kind::Interrupted.exit_code().into() } else { Value::Null };
            match self.measured.as_ref().and_then(|facts| facts.get("digest")) {
                Some(Value::String(digest)) => object["digest"] = digest.as_str().into(),
                Some(digest) => object["digest"] = digest.as_u64().map(super::report::digest).into(),
                None => {}
            }
            object["peak_rss_bytes"] = 0.into();
        } else if let Some(report) = &self.report {
            object.clone_from(report);
        }
        object["status"] = status.into();
        object["open"] = self.is_open().into();
        object
    }

    /// Returns one line for people.
    #[must_use]
    pub fn to_line(&self) -> String {
        let object = self.to_report();
        let count = |key: &str| object.pointer(key).and_then(Value::as_u64).unwrap_or(0);
        let code = self.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        format!(
            "{:<22}  {}  {:<20}  {:<12} {:>4}  {:>12}  {:>9}  {:>8}  {}",
            self.id,
            utc(self.started),
            self.platform,
            self.status(),
            code,
            super::text::grouped(count("/records/written")),
            super::text::grouped(count("/records/rejected")),
            self.took().unwrap_or_else(|| "-".to_owned()),
            crate::secret::printable(&self.name)
        )
    }
}
