//! What an origin needs to open a source.

use crate::calls::Remote;
use std::path::PathBuf;
use std::sync::Arc;

/// The circumstances in which a source is opened.
pub(crate) struct Opening<'o> {
    /// How often the source will be read.
    pub(crate) passes: Passes,
    /// Candidate folders for a copy without a name; the first one that can be written is used.
    pub(crate) copy_dirs: Vec<PathBuf>,
    /// Maximum size of a copy, in bytes.
    pub(crate) max_copy_bytes: u64,
    /// Returns true once the command was cancelled.
    pub(crate) cancelled: Arc<dyn Fn() -> bool + Send + Sync>,
    /// If true, blocking work is done by the caller's thread; see [`crate::body::Options`].
    pub(crate) in_line: bool,
    /// The calls of the run; `None` in commands that make no run.
    pub(crate) remote: Option<&'o Remote<'o>>,
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
