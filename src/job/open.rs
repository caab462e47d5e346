//! A job's source, opened: files as they lie, streams as they come or as a copy.

use super::config::Config;
use super::env::Env;
use crate::error::{Error, Result};
use crate::source::Source;
use crate::source::stoppable::Stoppable;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a source is opened for.
#[derive(Clone, Copy)]
pub(crate) enum Passes<'r> {
    /// One pass: a stream needs no copy.
    One,
    /// Several, of a command that keeps nothing and needs no writable state directory: the copy of a stream has no name.
    Several,
    /// Those of the run with this id: the copy stays for as long as the run can be taken up.
    OfRun(&'r str),
}

impl Config {
    /// Opens the source. A stream that says nothing can be stopped by `progress.cancelled`.
    ///
    /// # Errors
    /// `Local`: missing, unreadable, the copy cannot be written. `Data`: longer than `spool.max`, damaged. `Interrupted`.
    pub(crate) fn open(&self, env: &Env, passes: Passes<'_>) -> Result<Arc<Source>> {
        let Some(path) = self.source.path.as_deref() else {
            return Err(match self.source.apsis {
                Some(_) => Error::usage("source.apsis: export it first, this command contacts nobody")
                    .with_hint("listferry export JOB -o FILE, then --set source.apsis=null --set source.path=FILE"),
                None => Error::usage("source.path is required").with_hint("a file, a glob, or \"-\" for stdin"),
            });
        };
        let (options, max) = (&self.source.open, self.spool.max_bytes);
        if !self.is_stream() {
            return Ok(Arc::new(Source::open(path, options)?));
        }
        let mut stream = stream(path.to_owned(), env)?;
        let source = match passes {
            Passes::One if self.source.expect.sha256.is_none() => {
                Source::from_stream_once(path, Box::new(stream), options)?
            }
            Passes::One | Passes::Several => {
                Source::spool_unnamed(&self.spool_dirs(env), path, &mut stream, max, options)?
            }
            Passes::OfRun(id) => {
                let copy = self.spool_file(env, id)?;
                // half of one, of a process of this run that was killed
                let _ = std::fs::remove_file(&copy);
                Source::spool_as(&copy, path, &mut stream, max, options)?
            }
        };
        Ok(Arc::new(source))
    }

    /// Whether the source can be read only once.
    pub(crate) fn is_stream(&self) -> bool {
        self.source.path.as_deref().is_some_and(|path| path == "-" || Source::is_stream(Path::new(path)))
    }

    /// Whether `path` leads to what the job reads: what writes there destroys it.
    pub(crate) fn reads(&self, source: &Source, path: &Path) -> bool {
        source.is_at(path) || (self.source.path.as_deref() == Some("-") && Source::is_stdin(path))
    }

    /// Where a run keeps what it must be able to read again.
    ///
    /// # Errors
    /// `Usage`: no state directory is known.
    pub(crate) fn spool_dir(&self, env: &Env) -> Result<PathBuf> {
        match &self.spool.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(env.state_dir()?.join("spool")),
        }
    }

    /// Removes what a run kept of a stream, whole or half; `kept`: where it said that it lies.
    pub(crate) fn forget_spool(&self, env: &Env, run_id: &str, kept: Option<&str>) {
        // the run is over either way; the sweep finds what stays
        if let Some(path) = kept {
            let _ = std::fs::remove_file(path);
        }
        if let Ok(path) = self.spool_file(env, run_id) {
            let _ = std::fs::remove_file(path);
        }
    }

    fn spool_file(&self, env: &Env, run_id: &str) -> Result<PathBuf> {
        Ok(self.spool_dir(env)?.join(format!("spool-{run_id}")))
    }

    /// Where a command that keeps nothing tries to put a copy.
    fn spool_dirs(&self, env: &Env) -> Vec<PathBuf> {
        let last = self.spool.dir.is_none().then(std::env::temp_dir);
        self.spool_dir(env).ok().into_iter().chain(last).collect()
    }
}

/// Standard input, or a FIFO and the like.
fn stream(path: String, env: &Env) -> Result<Stoppable> {
    let progress = Arc::clone(env.progress());
    let open = move || -> Result<Box<dyn Read>> {
        if path == "-" {
            return Ok(Box::new(std::io::stdin()));
        }
        let file = std::fs::File::open(&path).map_err(|error| Error::io(format!("the source {path}"), error))?;
        Ok(Box::new(file))
    };
    Stoppable::open(open, move || progress.cancelled.load(Ordering::Relaxed))
}

/// Output that would replace what the job is made of.
pub(super) fn over_its_own(what: &str, target: &Path) -> Error {
    Error::usage(format!("the output would replace the {what} {}", target.display()))
        .with_hint("name another file with -o")
}
