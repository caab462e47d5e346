//! The trait of origins.

use super::export::Export;
use super::opening::Opening;
use crate::calls::BoxFuture;
use crate::error::Result;
use crate::source::{OpenSource, SourceOptions};
use std::path::Path;

/// A place that a list comes from, as a job file describes it.
pub(crate) trait Origin: Send + Sync {
    /// Returns the name of the source for messages and positions, without secrets.
    fn name(&self) -> String;

    /// Returns how the content is decompressed.
    fn options(&self) -> &SourceOptions;

    /// Returns true if the content can be read only once, and only when it comes.
    fn is_stream(&self) -> bool {
        false
    }

    /// Returns the origin as one that is requested first; by default it is not.
    fn as_export(&self) -> Option<&dyn Export> {
        None
    }

    /// Opens the source. It stays the same as long as it is open: if the content changes, reading it or
    /// [`OpenSource::verify_unchanged`] fails with `SourceChanged`. A copy that a run needs later is at
    /// [`OpenSource::spool_path`].
    ///
    /// # Errors
    /// `Local`: missing, unreadable, or the copy cannot be written. `Data`: larger than `spool.max`, or damaged.
    /// `Interrupted`. From other machines also `Credentials`, `Transient`, `Refused` and `Pending`.
    fn open<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<OpenSource>>;

    /// Opens the copy of a run that is continued.
    ///
    /// # Errors
    /// `Local`: the copy does not exist any more.
    fn open_copy(&self, path: &Path) -> Result<OpenSource> {
        OpenSource::open_spooled(path, &self.name(), self.options())
    }

    /// Returns [`OpenSource::stamp`] of the source as it is now, without reading it; `None` if only reading it shows whether
    /// it is the same.
    ///
    /// # Errors
    /// As [`Origin::open`].
    fn stamp<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<Option<String>>>;
}
