//! Where the bytes come from: files, globs, streams that were spooled, compressed or not.
//!
//! A source stays open across both passes. Plain files are read by position from several threads; compressed ones
//! are decompressed from their start, once a pass, by one thread.

use crate::error::Result;
use std::io;
use std::sync::Arc;

/// Bytes that can be read at any position, again and again.
pub trait ReadAt: Send + Sync {
    /// Reads up to `buf.len()` bytes at `at`; 0 only at the end.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;

    /// What tells this content from another: compared before, between and after the passes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn identity(&self) -> io::Result<Identity>;
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Size in bytes as stored.
    pub size: u64,
    /// Whatever else tells: device, inode, modification time in ns; 0 where unknown.
    pub device: u64,
    /// Inode or the like.
    pub inode: u64,
    /// Nanoseconds since the epoch.
    pub modified_ns: i128,
}

/// How the bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Found by magic bytes.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// RFC 1952, all members.
    Gzip,
    /// RFC 8878, all frames.
    Zstd,
}

/// How to open a source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceOptions {
    /// Default: by magic bytes.
    pub compression: Compression,
    /// Decompressed to compressed, judged after 64 MiB; default 200.
    pub max_expansion: u64,
}

impl Default for SourceOptions {
    fn default() -> SourceOptions {
        SourceOptions { compression: Compression::Auto, max_expansion: 200 }
    }
}

/// One or more inputs that together are one list.
pub struct Source {
    inputs: Vec<Input>,
}

/// One file of a [`Source`].
pub struct Input {
    /// As the user named it.
    name: String,
    data: Arc<dyn ReadAt>,
    identity: Identity,
    /// `None` or the one found; never `Auto`.
    compression: Compression,
    max_expansion: u64,
}

impl Source {
    /// The files that `pattern` (a path or a glob) names, in byte order of their paths.
    ///
    /// # Errors
    /// `Local`: nothing there, a directory, no permission.
    pub fn open(pattern: &str, options: &SourceOptions) -> Result<Source> {
        let _ = (pattern, options);
        todo!()
    }

    /// A source over anything that reads by position.
    ///
    /// # Errors
    /// `Local`: it cannot be read.
    pub fn from_read_at(name: &str, data: Arc<dyn ReadAt>, options: &SourceOptions) -> Result<Source> {
        let _ = (name, data, options);
        todo!()
    }

    /// The inputs in order; at least one.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Bytes as stored, all inputs together.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.inputs.iter().map(Input::stored_bytes).sum()
    }

    /// Compares every input with what it was when it was opened, the path included.
    ///
    /// # Errors
    /// `SourceChanged` with the name of the input that grew, shrank, was edited or replaced.
    pub fn verify_unchanged(&self) -> Result<()> {
        self.inputs.iter().try_for_each(Input::verify_unchanged)
    }
}

impl Input {
    /// As the user named it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes as stored.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.identity.size
    }

    /// True where [`Input::read_at`] gives the content itself.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.compression == Compression::None
    }

    /// Reads stored bytes by position.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.data.read_at(buf, at)
    }

    /// The decompressed content from its start. Errors that it yields carry an [`crate::Error`] inside
    /// (`io::Error::get_ref` downcasts), so that damage says where.
    ///
    /// # Errors
    /// `Local`: it cannot be read.
    pub fn open_stream(&self) -> Result<Box<dyn io::Read + Send>> {
        let _ = self.max_expansion;
        todo!()
    }

    /// See [`Source::verify_unchanged`].
    ///
    /// # Errors
    /// `SourceChanged`.
    pub fn verify_unchanged(&self) -> Result<()> {
        todo!()
    }
}

/// An I/O error as ours: one that carries an [`crate::Error`] gives it back.
pub fn into_error(error: io::Error, what: &str) -> crate::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<crate::Error>())
        && let Some(inner) = error.into_inner()
    {
        return match inner.downcast::<crate::Error>() {
            Ok(ours) => *ours,
            Err(other) => crate::Error::new(crate::Kind::Local, format!("{what}: {other}")),
        };
    }
    crate::Error::new(crate::Kind::Local, what)
}
