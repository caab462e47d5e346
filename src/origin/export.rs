//! Exports: lists that a platform makes on request.

#[cfg(feature = "jobs")]
use crate::calls::{BoxFuture, Remote};
#[cfg(feature = "jobs")]
use crate::error::Result;
#[cfg(feature = "jobs")]
use std::path::Path;
#[cfg(feature = "jobs")]
use std::time::Duration;

/// A fetched export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// Number of decoded bytes.
    pub bytes: u64,
    /// Number of bytes received over the network.
    pub received_bytes: u64,
    /// Whether the transfer was gzip-coded.
    pub gzip: bool,
}

/// An origin whose list is requested first, then waited for. The request is stored as the fact [`super::REQUESTED`] of
/// the run, with its time as `requested_s`, until the list has been read.
#[cfg(feature = "jobs")]
pub(crate) trait Export: Send + Sync {
    /// Returns a hash of what is requested, as 32 hex digits: exports with the same key are the same list.
    fn key(&self) -> String;

    /// Returns how long after its request an export is still waited for, and the setting that says so.
    fn wait(&self) -> (Duration, &'static str);

    /// Fetches the list into a file, decoded. An existing file stays as it is until the new one is complete. An export
    /// requested before under the same journal is waited for.
    ///
    /// # Errors
    /// As [`super::Origin::open`].
    fn fetch<'a>(&'a self, remote: &'a Remote<'_>, target: &'a Path) -> BoxFuture<'a, Result<Fetched>>;
}
