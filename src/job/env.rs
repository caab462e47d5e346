//! The environment of a job: state directory, threads, variables, progress. None of it is global.

use super::run_plan::RunPlan;
use super::secrets::Lookup;
use super::world::World;
use crate::body::{Options, Progress};
use crate::error::{Error, Result};
use crate::secret::Taint;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

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
    /// `~/.local/state/listferry`. It is created with mode 0700 when it is first needed.
    pub state_dir: Option<PathBuf>,
    /// Threads, chunk size, and the counters of the pass under way (set `progress.cancelled` to stop).
    pub options: Options,
    /// Looks variables up for `{ env: NAME }`; default: the environment of the process.
    pub variables: Lookup,
    /// Called when a stage of a run begins; default none.
    pub watch: Option<Arc<dyn Fn(Stage) + Send + Sync>>,
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
    /// Time, random numbers and connections; default: the machine's.
    #[doc(hidden)]
    pub world: World,
}

/// Receives one line about an open run; see [`Env::announce`].
pub type Announce = Arc<dyn Fn(&str) + Send + Sync>;

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

impl Default for Env {
    fn default() -> Env {
        Env {
            state_dir: None,
            options: Options::default(),
            variables: super::config::process_variables(),
            watch: None,
            stopped_by: Arc::default(),
            show_values: false,
            new_run: None,
            once: None,
            plan: None,
            announce: None,
            writes_report: false,
            taint: Taint::default(),
            sandbox: false,
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
            return Ok(dir.clone());
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

    pub(crate) fn stage(&self, stage: Stage) {
        if let Some(watch) = &self.watch {
            watch(stage);
        }
    }
}
