//! What a job is run in: state directory, threads, variables, progress. Nothing of it is global.

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
    /// Journal, quotas, spooled sources and reject files; default `$XDG_STATE_HOME/listferry`, else
    /// `~/.local/state/listferry`. Made (0700) when it is first needed.
    pub state_dir: Option<PathBuf>,
    /// Threads, chunk size, and the counters of the pass under way (set `progress.cancelled` to stop).
    pub options: Options,
    /// Looks variables up for `{ env: NAME }`; default: the environment of the process.
    pub variables: Lookup,
    /// Told when a stage of a run begins; default: nobody.
    pub watch: Option<Arc<dyn Fn(Stage) + Send + Sync>>,
    /// The exit code that a run stopped by `progress.cancelled` ends with: 143 for SIGTERM; everything else is 130.
    pub stopped_by: Arc<AtomicU8>,
    /// Add the value at fault, escaped and cut, to messages; default false.
    pub show_values: bool,
    /// Start a new run and abandon the open one with this id, which must be in the way, as soon as the new list has been
    /// validated; default none.
    pub new_run: Option<String>,
    /// Once a run of the job with this key has every part accepted, the key never sends again; default none.
    pub once: Option<String>,
    /// Called with one line when an open run is continued, closed or left; default: nobody is told.
    pub announce: Option<Announce>,
    /// The caller writes the report somewhere and calls [`super::reported`] when that is done: the run ends then. Default
    /// false: it ends when the call returns.
    pub writes_report: bool,
    /// The secrets of the jobs that are run in it. Messages and reports are without them; a log of the caller's own can
    /// use it, too. Default: none yet.
    pub taint: Taint,
    /// Secrets that are not set are made up: only for a job that is pointed at the sandbox. Default false.
    pub sandbox: bool,
    /// Time, random numbers and connections; default: the machine's.
    #[doc(hidden)]
    pub world: World,
}

/// Takes one line about an open run; see [`Env::announce`].
pub type Announce = Arc<dyn Fn(&str) + Send + Sync>;

/// A stage of a run, told to [`Env::watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It is decided which run the command works on.
    Decided,
    /// Pass one: so many bytes of source as stored.
    Measure {
        /// Bytes as stored.
        source_bytes: u64,
    },
    /// Pass two and the platform's calls: so many bytes of content in so many parts.
    Send {
        /// Bytes of all parts.
        body_bytes: u64,
        /// How many.
        parts: usize,
    },
    /// Over.
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

    /// The state directory, whether it is there or not.
    ///
    /// # Errors
    /// `Usage`: none given, and no home directory known.
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
