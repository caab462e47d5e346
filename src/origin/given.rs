//! A source that a program gives instead of one that a job file names: a stream that is read once, one that can be
//! opened again, or a file that the program has spooled.

use super::contract::Origin;
use super::opening::{Copies, Opening, Passes};
use super::stoppable::Stoppable;
use crate::calls::{BoxFuture, aside};
use crate::error::{Error, Result};
use crate::source::{OpenSource, Reopen, SourceOptions};
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A file that belongs to the source and is removed with it, unless a run keeps it.
#[derive(Debug)]
pub(crate) struct SpoolFile(pub(crate) PathBuf);

impl Drop for SpoolFile {
    fn drop(&mut self) {
        // if a run has adopted the file, it has another name by now
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The content of a source that a program gives.
pub(crate) enum Content {
    /// Read once, by the first command that needs it.
    Once(Mutex<Option<Box<dyn Read + Send>>>),
    /// Opened again for each pass.
    #[cfg_attr(not(feature = "arrow"), expect(dead_code, reason = "only record batches can be asked for again"))]
    Again(Reopen),
    /// A finished copy.
    Spooled(SpoolFile),
}

/// A source that a program gives.
pub(crate) struct Given {
    /// The name of the source in messages and positions.
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// The origin of a [`Given`], with the options of the job.
pub(crate) struct GivenOrigin {
    given: Arc<Given>,
    options: SourceOptions,
}

impl GivenOrigin {
    pub(crate) fn new(given: Arc<Given>, options: SourceOptions) -> GivenOrigin {
        GivenOrigin { given, options }
    }
}

impl Given {
    fn open(
        &self,
        options: &SourceOptions,
        copies: &Copies,
        cancelled: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Result<OpenSource> {
        match &self.content {
            Content::Again(open) => Ok(OpenSource::from_reopened(&self.name, Arc::clone(open), options)),
            Content::Once(stream) => {
                let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                let stream = stream.ok_or_else(|| read_before(&self.name))?;
                let stream = Stoppable::open(move || Ok(stream), move || cancelled())?;
                copies.open_stream(&self.name, stream, options)
            }
            Content::Spooled(SpoolFile(path)) => match &copies.passes {
                Passes::OfRun(copy) => {
                    std::fs::rename(path, copy)
                        .map_err(|error| Error::io(format!("the spooled records in {}", path.display()), error))?;
                    OpenSource::open_spooled(copy, &self.name, options)
                }
                _ => OpenSource::open_spooled(path, &self.name, options),
            },
        }
    }
}

/// Returns the error for a stream that was read before.
fn read_before(name: &str) -> Error {
    Error::usage(format!("{name} was read before, and can be read only once"))
        .with_hint("give the job a new source for each command: `job.with_source(…)`")
}

impl Origin for GivenOrigin {
    fn name(&self) -> String {
        self.given.name.clone()
    }

    fn options(&self) -> &SourceOptions {
        &self.options
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn open<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<OpenSource>> {
        let (given, options, copies) = (Arc::clone(&self.given), self.options.clone(), opening.copies.clone());
        let cancelled = Arc::clone(&opening.cancelled);
        let open = move || given.open(&options, &copies, cancelled);
        Box::pin(async move { aside(opening.in_line, open).await? })
    }

    fn stamp<'a>(&'a self, _: &'a Opening<'_>) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async { Ok(None) })
    }
}
