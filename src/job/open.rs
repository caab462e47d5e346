//! Opens a job's source, and knows where copies of it are.

use super::config::Config;
use super::env::Env;
use crate::calls::{Remote, block_on};
use crate::error::{Error, Result};
use crate::format;
use crate::origin::{Copies, GivenOrigin, Network, Opening, Origin, Passes};
use crate::settings::{NoSecrets, Secrets, Settings};
use crate::source::OpenSource;
use crate::transport::Client;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Config {
    /// Returns the origin of the source; `None` if the job file names none.
    ///
    /// # Errors
    /// `Usage`: a key is missing or invalid, or a secret is not set.
    pub(crate) fn origin(&self, secrets: &dyn Secrets) -> Result<Option<Arc<dyn Origin>>> {
        if let Some(given) = &self.given {
            return Ok(Some(Arc::new(GivenOrigin::new(Arc::clone(given), self.source.open.clone()))));
        }
        let Some(entry) = self.source.entry else { return Ok(None) };
        let map = super::config::object(&self.tree, "source")?;
        let settings = Settings { map: &map, at: "source", secrets, folder: &self.folder };
        (entry.build)(&settings, &self.source.open).map(Some)
    }

    /// Returns what an origin needs to open the source. `remote`: the calls of a run. `network` is used for requests
    /// that are not journaled.
    pub(crate) fn opening<'o>(
        &'o self,
        env: &'o Env,
        passes: Passes,
        remote: Option<&'o Remote<'o>>,
        client: impl Fn() -> Result<Client> + Send + Sync + 'o,
    ) -> Opening<'o> {
        let progress = Arc::clone(env.progress());
        let last = self.spool.dir.is_none().then(std::env::temp_dir);
        let dirs = self.spool_dir(env).ok().into_iter().chain(last).collect();
        let network = move || {
            let (policy, clock) = (self.upload.policy(self.wait), Arc::clone(&env.world.clock));
            Ok(Network { client: client()?, policy, clock, random: self.name.clone() })
        };
        Opening {
            copies: Copies { passes, dirs, max_bytes: self.spool.max_bytes },
            cancelled: Arc::new(move || progress.cancelled.load(Ordering::Relaxed)),
            in_line: env.options.in_line,
            threads: env.options.threads,
            remote,
            network: Box::new(network),
        }
    }

    /// Returns the purpose of opening the source of a run.
    ///
    /// # Errors
    /// `Usage`: no state directory is known.
    pub(crate) fn passes_of_run(&self, env: &Env, run_id: &str) -> Result<Passes> {
        Ok(Passes::OfRun(self.spool_file(env, run_id)?))
    }

    /// Opens the source of a command that makes no run.
    ///
    /// # Errors
    /// As [`Origin::open`]; `Usage`: there is no source.
    pub(crate) fn open_offline(&self, env: &Env, secrets: &dyn Secrets, passes: Passes) -> Result<Arc<OpenSource>> {
        // an export cannot be opened here, whether or not its secrets are set
        let is_export = self.source.entry.is_some_and(|entry| entry.is_export);
        let origin = self.origin(if is_export { &NoSecrets } else { secrets })?.ok_or_else(no_source)?;
        // a checksum of the bytes is compared before the pass
        let several = self.source.expect.sha256.is_some() || self.source.by_position;
        let passes = if several { Passes::Several } else { passes };
        let client = || self.client(env, secrets);
        let opening = Opening { in_line: true, ..self.opening(env, passes, None, client) };
        let source = with_scratch(block_on(origin.open(&opening))?, &opening);
        if !source.inputs()[0].is_once() || !self.is_by_position(&source)? {
            return Ok(Arc::new(source));
        }
        let mut stream = source.inputs()[0].open_stream()?;
        let copy = OpenSource::spool_unnamed(opening.copies.to(), &origin.name(), &mut stream, origin.options())?;
        Ok(Arc::new(with_scratch(copy, &opening)))
    }

    /// Whether the content of a source shows that it must be read by position.
    fn is_by_position(&self, source: &OpenSource) -> Result<bool> {
        let found = if self.source.by_content.is_empty() { None } else { format::by_content(source)? };
        Ok(found.is_some_and(|found| found.by_position))
    }

    /// Returns the directory for copies that a run must be able to read again.
    ///
    /// # Errors
    /// `Usage`: no state directory is known.
    pub(crate) fn spool_dir(&self, env: &Env) -> Result<PathBuf> {
        match &self.spool.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(env.state_dir()?.join("spool")),
        }
    }

    /// Removes a run's copy of a stream, complete or not; `kept` is the path that was recorded.
    pub(crate) fn forget_spool(&self, env: &Env, run_id: &str, kept: Option<&str>) {
        // the run is over either way, and the sweep finds what stays
        if let Some(path) = kept {
            let _ = std::fs::remove_file(self.kept_spool(env, path));
        }
        if let Ok(path) = self.spool_file(env, run_id) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Returns the path of the copy that a run recorded as `written`. A path that is not UTF-8 is not recorded exactly,
    /// but its last name is.
    pub(crate) fn kept_spool(&self, env: &Env, written: &str) -> PathBuf {
        let path = PathBuf::from(written);
        match (path.exists(), path.file_name(), self.spool_dir(env)) {
            (false, Some(name), Ok(dir)) => dir.join(name),
            _ => path,
        }
    }

    fn spool_file(&self, env: &Env, run_id: &str) -> Result<PathBuf> {
        Ok(self.spool_dir(env)?.join(format!("spool-{run_id}")))
    }
}

/// Returns the source with the spool as the place for what does not fit into memory.
#[cfg_attr(not(feature = "xlsx"), allow(unused_variables, reason = "only workbooks need it"))]
pub(super) fn with_scratch(source: OpenSource, opening: &Opening<'_>) -> OpenSource {
    #[cfg(feature = "xlsx")]
    let source = source.with_scratch_in(opening.copies.to());
    source
}

/// Returns the error for a job without a source.
pub(super) fn no_source() -> Error {
    Error::usage("source.path is required").with_hint("a file, a glob, or \"-\" for standard input")
}

/// Returns the error for output that would replace a file of the job.
pub(super) fn over_its_own(what: &str, target: &Path) -> Error {
    Error::usage(format!("the output would replace the {what} {}", target.display()))
        .with_hint("choose another file with -o")
}
