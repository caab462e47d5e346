//! The circumstances in which an origin opens a source.

use crate::calls::{Clock, Policy, Remote};
use crate::error::Result;
use crate::source::{CopyTo, OpenSource, SourceOptions};
use crate::transport::Client;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

/// The circumstances in which a source is opened.
pub(crate) struct Opening<'o> {
    /// How often the source will be read, and where a copy of it may be.
    pub(crate) copies: Copies,
    /// Returns true once the command was cancelled.
    pub(crate) cancelled: Arc<dyn Fn() -> bool + Send + Sync>,
    /// If true, blocking work is done by the caller's thread; see [`crate::body::Options`].
    pub(crate) in_line: bool,
    /// Number of threads that will read the source.
    pub(crate) threads: usize,
    /// The calls of the run; `None` in commands that make no run.
    pub(crate) remote: Option<&'o Remote<'o>>,
    /// Returns the means for requests that are not journaled.
    pub(crate) network: Box<dyn Fn() -> Result<Network> + Send + Sync + 'o>,
}

/// The means for requests that are not journaled and outlive the opening.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) client: Client,
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<dyn Clock>,
    /// Spreads the waits between attempts.
    pub(crate) random: String,
}

/// The purpose for which a source is opened.
#[derive(Clone)]
pub(crate) enum Passes {
    /// One pass: a stream needs no copy.
    One,
    /// Several passes of a command that keeps nothing and needs no writable state directory: a copy has no name.
    Several,
    /// The passes of a run: a copy has this path, and is kept as long as the run can be resumed.
    OfRun(PathBuf),
}

/// Whether a source that can be read only once is copied, and where to.
#[derive(Clone)]
pub(crate) struct Copies {
    pub(crate) passes: Passes,
    /// Candidate folders for a copy without a name; the first one that can be written is used.
    pub(crate) dirs: Vec<PathBuf>,
    /// Maximum size of a copy, in bytes.
    pub(crate) max_bytes: u64,
}

impl Copies {
    /// Returns where to copy files that do not report their size.
    pub(crate) fn to(&self) -> CopyTo<'_> {
        CopyTo { dirs: &self.dirs, max_bytes: self.max_bytes }
    }

    /// Opens a stream: as it comes for one pass, otherwise as a copy.
    ///
    /// # Errors
    /// `Data`: more than the maximum. `Local`: the copy cannot be written. Those of the stream.
    pub(crate) fn open_stream(
        &self,
        name: &str,
        mut stream: impl Read + Send + 'static,
        options: &SourceOptions,
    ) -> Result<OpenSource> {
        match &self.passes {
            Passes::One => OpenSource::from_stream_once(name, Box::new(stream), options),
            Passes::Several => OpenSource::spool_unnamed(self.to(), name, &mut stream, options),
            Passes::OfRun(copy) => {
                // an incomplete copy of a killed process of this run
                let _ = std::fs::remove_file(copy);
                OpenSource::spool_as(copy, name, &mut stream, self.max_bytes, options)
            }
        }
    }
}
