//! Opens a job's source: files in place, streams as they come or as a copy.

use super::config::Config;
use super::env::Env;
use crate::error::{Error, Result};
use crate::origin::file::stoppable::Stoppable;
use crate::settings::{NoSecrets, Settings};
use crate::source::{CopyTo, Source};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The purpose for which a source is opened.
#[derive(Clone, Copy)]
pub(crate) enum Passes<'r> {
    /// One pass: a stream needs no copy.
    One,
    /// Several passes of a command that keeps nothing and needs no writable state directory: the copy of a stream has
    /// no name.
    Several,
    /// The passes of the run with this id: the copy is kept as long as the run can be resumed.
    OfRun(&'r str),
}

impl Config {
    /// Opens the source. A silent stream can be cancelled by `progress.cancelled`.
    ///
    /// # Errors
    /// `Local`: missing, unreadable, or the copy cannot be written. `Data`: larger than `spool.max`, or damaged.
    /// `Interrupted`.
    pub(crate) fn open(&self, env: &Env, passes: Passes<'_>) -> Result<Arc<Source>> {
        let Some(path) = self.source.path.as_deref() else {
            return Err(match self.source.apsis {
                Some(_) => Error::usage("source.apsis: this command works offline; run `listferry export` first")
                    .with_hint("listferry export JOB -o FILE, then --set source.apsis=null --set source.path=FILE"),
                None => Error::usage("source.path is required").with_hint("a file, a glob, or \"-\" for stdin"),
            });
        };
        let (options, max) = (&self.source.open, self.spool.max_bytes);
        let dirs = self.spool_dirs(env);
        let copy_to = CopyTo { dirs: &dirs, max_bytes: max };
        if !self.is_stream() {
            return Ok(Arc::new(Source::open_in(&self.folder, Path::new(path), options, Some(copy_to))?));
        }
        let name = &self.source_name();
        let mut stream = stream(if path == "-" { None } else { Some(self.folder.join(path)) }, env)?;
        let source = match passes {
            Passes::One if self.source.expect.sha256.is_none() => {
                Source::from_stream_once(name, Box::new(stream), options)?
            }
            Passes::One | Passes::Several => Source::spool_unnamed(copy_to, name, &mut stream, options)?,
            Passes::OfRun(id) => {
                let copy = self.spool_file(env, id)?;
                // an incomplete copy of a killed process of this run
                let _ = std::fs::remove_file(&copy);
                Source::spool_as(&copy, name, &mut stream, max, options)?
            }
        };
        Ok(Arc::new(source))
    }

    /// Returns a hash of path, size and times of the source's files; none for a stream.
    ///
    /// # Errors
    /// `Local`: a file does not exist or cannot be read.
    pub(crate) fn stamp(&self) -> Result<Option<String>> {
        let Some(path) = self.source.path.as_deref().filter(|_| !self.is_stream()) else { return Ok(None) };
        Ok(Source::open_in(&self.folder, Path::new(path), &self.source.open, None)?.stamp())
    }

    /// Returns the maximum wait for an APSIS export.
    pub(crate) fn apsis_wait(&self) -> std::time::Duration {
        let map = self.source.apsis.as_ref();
        let settings = map.map(|map| Settings { map, at: "source.apsis", secrets: &NoSecrets, folder: &self.folder });
        let wait = settings.and_then(|settings| settings.opt_duration("wait").ok().flatten());
        wait.unwrap_or(std::time::Duration::from_secs(24 * 3600))
    }

    /// Whether the source can be read only once.
    pub(crate) fn is_stream(&self) -> bool {
        self.source.path.as_deref().is_some_and(|path| path == "-" || Source::is_stream(&self.folder.join(path)))
    }

    /// Returns the source's path for messages and positions, `-` for standard input.
    pub(crate) fn source_name(&self) -> String {
        match self.source.path.as_deref() {
            None => "apsis".to_owned(),
            Some("-") => "-".to_owned(),
            Some(path) => self.folder.join(path).to_string_lossy().into_owned(),
        }
    }

    /// Whether `path` leads to a file that the job reads, so that writing there would destroy it.
    pub(crate) fn reads(&self, source: &Source, path: &Path) -> bool {
        source.is_at(path) || (self.source.path.as_deref() == Some("-") && Source::is_stdin(path))
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

    /// Returns the candidate directories for a copy of a command that keeps nothing.
    fn spool_dirs(&self, env: &Env) -> Vec<PathBuf> {
        let last = self.spool.dir.is_none().then(std::env::temp_dir);
        self.spool_dir(env).ok().into_iter().chain(last).collect()
    }
}

/// Opens standard input, or the FIFO or device at `path`.
fn stream(path: Option<PathBuf>, env: &Env) -> Result<Stoppable> {
    let progress = Arc::clone(env.progress());
    let open = move || -> Result<Box<dyn Read>> {
        let Some(path) = path else { return Ok(Box::new(std::io::stdin())) };
        let failed = |error| Error::io(format!("the source {}", path.display()), error);
        let file = std::fs::File::open(&path).map_err(failed)?;
        Ok(Box::new(file))
    };
    Stoppable::open(open, move || progress.cancelled.load(Ordering::Relaxed))
}

/// Returns the error for output that would replace a file of the job.
pub(super) fn over_its_own(what: &str, target: &Path) -> Error {
    Error::usage(format!("the output would replace the {what} {}", target.display()))
        .with_hint("choose another file with -o")
}
