//! The trait of content that is read by ranges.

use super::window::Window;
use crate::calls::BoxFuture;
use crate::error::Result;
use std::ops::Range;

/// Content of another machine that is pinned to one version.
pub(in crate::origin) trait Ranged: Send + Sync + 'static {
    /// Returns its size in bytes.
    fn size(&self) -> u64;

    /// Returns the version: a text that is another one for other content.
    fn version(&self) -> &str;

    /// Sends a range to `to`, in order and whole. Faults are retried, and reading resumes at the byte where it stopped.
    ///
    /// # Errors
    /// `SourceChanged`: the content has changed or is gone. `Credentials`, `Transient`, `Local`.
    fn read<'a>(&'a self, range: Range<u64>, to: &'a Window) -> BoxFuture<'a, Result<()>>;

    /// Checks that the content is still the same.
    ///
    /// # Errors
    /// As [`Ranged::read`].
    fn check(&self) -> BoxFuture<'_, Result<()>>;
}
