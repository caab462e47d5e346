//! Content that can be read by position, and the errors of reading it.

use crate::error::{Error, Kind};
use std::io;

/// Bytes that can be read at any position, any number of times.
pub trait ReadAt: Send + Sync {
    /// Reads up to `buf.len()` bytes at `at`; returns 0 only at the end.
    ///
    /// # Errors
    /// Any error of the system.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;

    /// Returns the identity of the content, which is compared before, between and after the passes.
    ///
    /// # Errors
    /// Any error of the system.
    fn identity(&self) -> io::Result<Identity>;

    /// Describes how the content has changed since it had the identity `before`; `None` if it has not. By default it
    /// compares the identities.
    ///
    /// # Errors
    /// As [`ReadAt::identity`]. An error may carry a [`crate::Error`], which says itself what has changed.
    fn change(&self, before: &Identity) -> io::Result<Option<&'static str>> {
        Ok(difference(before, &self.identity()?))
    }

    /// Returns true if reading at several distant positions in turn is slow, so that compressed content is decompressed
    /// by one thread. False by default.
    fn is_sequential(&self) -> bool {
        false
    }
}

/// Distinguishes one state of a file or an object from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Size in bytes as stored.
    pub size: u64,
    /// Device; 0 if unknown.
    pub device: u64,
    /// Inode or its equivalent; 0 if unknown.
    pub inode: u64,
    /// Time of the last change in nanoseconds since the epoch; 0 if unknown.
    pub modified_ns: i128,
    /// The version that a server names; `None` if there is none.
    pub version: Option<String>,
}

impl Identity {
    /// Creates the identity of data of which only the size is known.
    #[must_use]
    pub fn of_size(size: u64) -> Identity {
        Identity { size, ..Identity::default() }
    }
}

/// Describes how content must have changed for its identity to be `now`.
pub(super) fn difference(before: &Identity, now: &Identity) -> Option<&'static str> {
    if (before.device, before.inode) != (now.device, now.inode) {
        Some("was replaced")
    } else if now.size > before.size {
        Some("grew")
    } else if now.size < before.size {
        Some("shrank")
    } else {
        (now != before).then_some("was edited")
    }
}

/// Returns the error for content that is not what it was.
pub(super) fn changed(name: &str, what: &str) -> Error {
    Error::new(Kind::SourceChanged, format!("{name} {what} while it was read"))
        .with_hint("write the source under another name, rename it when it is complete, then run again")
}

/// Converts an I/O error; returns the [`crate::Error`] that it carries, if any.
#[must_use]
pub fn into_error(error: io::Error, what: &str) -> Error {
    if !error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        return Error::io(what, error);
    }
    match error.into_inner().map(|inner| inner.downcast::<Error>()) {
        Some(Ok(ours)) => *ours,
        Some(Err(other)) => Error::new(Kind::Local, format!("{what}: {other}")),
        None => Error::new(Kind::Local, what),
    }
}
