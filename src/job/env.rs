//! The environment of a job: state directory, threads, variables, progress. None of it is global.

use super::run_plan::RunPlan;
use super::secrets::Lookup;
use super::world::World;
use crate::body::{Options, Progress};
use crate::error::{Error, Result};
use crate::secret::Taint;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The surroundings of a job.
///
/// ```
/// use listferry::job::Env;
///
/// let mut env = Env::default();
/// env.options.threads = 2;
/// env.state_dir = Some("/var/lib/etl/listferry".into());
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Env {
    /// Directory of the journal, quotas, spooled sources and reject files; default `$XDG_STATE_HOME/listferry`, else
    /// `~/.local/state/listferry`; the variable `LISTFERRY_STATE_DIR` names another. It is created with mode 0700 when it is first needed.
    pub state_dir: Option<PathBuf>,
    /// Threads, chunk size, and the counters of the pass under way (set `progress.cancelled` to stop).
    pub options: Options,
    /// Looks variables up for `{ env: NAME }`; default: the environment of the process.
    pub variables: Lookup,
    /// Called when a stage of a run begins; default none.
    pub watch: Option<Arc<dyn Fn(Stage) + Send + Sync>>,
    /// Called several times a second with the counts so far; default none. See [`Env::on_progress`].
    pub report_progress: Option<OnProgress>,
    /// Stops the command when it is cancelled, with a report of exit code 130; default none. Dropping the future of a
    /// run stops it as well, without a report.
    pub cancel: Option<CancellationToken>,
    /// The exit code of a run that `progress.cancelled` stopped: 143 for SIGTERM, otherwise 130.
    pub stopped_by: Arc<AtomicU8>,
    /// Adds the value that caused an error to the message, escaped and truncated; default false.
    pub show_values: bool,
    /// The id of the open run to abandon. It must be the run that is in the way; it is abandoned, and a new run starts,
    /// once the new list has been validated. Default none.
    pub new_run: Option<String>,
    /// Key of at most one delivery: once every part of a run with this key has been accepted, no run of the job sends
    /// anything under it again; default none.
    pub once: Option<String>,
    /// The plan that a run must carry out exactly; otherwise it ends with 10 and sends nothing. Default none.
    pub plan: Option<Arc<RunPlan>>,
    /// Called with one line when an open run is continued, closed or left open; default none.
    pub announce: Option<Announce>,
    /// True if the caller stores the report and then calls [`super::reported`], which ends the run. With false, the
    /// default, the run ends when the call returns.
    pub writes_report: bool,
    /// The secrets of the jobs that run in this environment. They are removed from messages and reports; the caller's
    /// own log can use this to remove them as well. Default empty.
    pub taint: Taint,
    /// Makes up secrets that are not set; only for a job whose destination is the sandbox. Default false.
    pub sandbox: bool,
    /// The stage of the command under way.
    stage: Arc<Mutex<Option<Stage>>>,
    /// Time, random numbers and connections; default: the machine's.
    #[doc(hidden)]
    pub world: World,
}

/// Receives one line about an open run; see [`Env::announce`].
pub type Announce = Arc<dyn Fn(&str) + Send + Sync>;

/// Receives the counts of a command under way; see [`Env::on_progress`].
pub type OnProgress = Arc<dyn Fn(&Snapshot) + Send + Sync>;

/// A stage of a run; see [`Env::watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The command has determined which run it works on.
    Decided,
    /// Pass one begins.
    Measure {
        /// Size of the source as stored.
        source_bytes: u64,
    },
    /// Pass two and the calls of the platform begin.
    Send {
        /// Total size of the parts.
        body_bytes: u64,
        /// Number of parts.
        parts: usize,
    },
    /// The run has ended.
    End,
}

/// The counts of a command under way; see [`Env::on_progress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The stage; `None` before the first one.
    pub stage: Option<Stage>,
    /// Bytes so far: of the source as stored in pass one, of the output in pass two.
    pub bytes: u64,
    /// The total that `bytes` approaches; `None` if it is unknown, as for a stream.
    pub total_bytes: Option<u64>,
    /// Records read in this pass.
    pub records: u64,
    /// Records rejected in this pass.
    pub rejected: u64,
}

impl Default for Env {
    fn default() -> Env {
        Env {
            state_dir: None,
            options: Options::default(),
            variables: super::config::process_variables(),
            watch: None,
            report_progress: None,
            cancel: None,
            stopped_by: Arc::default(),
            show_values: false,
            new_run: None,
            once: None,
            plan: None,
            announce: None,
            writes_report: false,
            taint: Taint::default(),
            sandbox: false,
            stage: Arc::default(),
            world: World::default(),
        }
    }
}

impl Env {
    /// The counters of the pass under way.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.options.progress
    }

    /// Returns the path of the state directory, which may not exist yet.
    ///
    /// # Errors
    /// `Usage`: no directory is given, and HOME is not set.
    pub fn state_dir(&self) -> Result<PathBuf> {
        let variable = |name: &str| (self.variables)(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(dir) = &self.state_dir {
            // the paths that are recorded are absolute
            return Ok(std::path::absolute(dir).unwrap_or_else(|_| dir.clone()));
        }
        if let Some(dir) = variable("LISTFERRY_STATE_DIR") {
            return Ok(dir);
        }
        if let Some(dir) = variable("XDG_STATE_HOME").filter(|path| path.is_absolute()) {
            return Ok(dir.join("listferry"));
        }
        let home = variable("HOME").or_else(|| variable("USERPROFILE"));
        let home = home.ok_or_else(|| {
            Error::usage("no state directory: HOME is not set").with_hint("give --state-dir or LISTFERRY_STATE_DIR")
        })?;
        Ok(home.join(".local").join("state").join("listferry"))
    }

    /// Sets a function that is called several times a second, from a thread of its own, with the counts so far, and once
    /// at the end.
    ///
    /// ```
    /// use listferry::Env;
    ///
    /// let env = Env::default().on_progress(|now| println!("{} records", now.records));
    /// ```
    #[must_use]
    pub fn on_progress(mut self, call: impl Fn(&Snapshot) + Send + Sync + 'static) -> Env {
        self.report_progress = Some(Arc::new(call));
        self
    }

    /// Returns the counts of the command under way.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let stage = *self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let progress = self.progress();
        let (bytes, total) = match stage {
            Some(Stage::Send { body_bytes, .. }) => (count(&progress.output_bytes), body_bytes),
            Some(Stage::Measure { source_bytes }) => (count(&progress.source_bytes), source_bytes),
            _ => (count(&progress.source_bytes), 0),
        };
        let (records, rejected) = (count(&progress.records), count(&progress.rejected));
        Snapshot { stage, bytes, total_bytes: Some(total).filter(|total| *total > 0), records, rejected }
    }

    pub(crate) fn stage(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Some(stage);
        if let Some(watch) = &self.watch {
            watch(stage);
        }
    }
}
