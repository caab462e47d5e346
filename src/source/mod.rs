//! Where the bytes come from: files, globs, streams that were spooled, compressed or not.
//!
//! A source stays open across both passes. Plain files are read by position from several threads; compressed ones
//! are decompressed from their start, once a pass: by whoever reads them, by a thread of its own, or by several where the
//! file can be taken apart.

#[cfg(feature = "upload")]
pub mod apsis;
mod beside;
mod decompress;
mod handles;
mod input;
mod local;
mod once;
mod paths;
mod pieces;
mod spool;
#[cfg(feature = "jobs")]
pub(crate) mod stoppable;
#[cfg(feature = "upload")]
pub(crate) mod temporary;

pub use input::Input;

use crate::error::{Error, Kind, Result};
use std::io;
use std::path::{Path, PathBuf};
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Size in bytes as stored.
    pub size: u64,
    /// Device; 0 where unknown.
    pub device: u64,
    /// Inode or the like; 0 where unknown.
    pub inode: u64,
    /// Nanoseconds since the epoch; 0 where unknown.
    pub modified_ns: i128,
}

impl Identity {
    /// The identity of something that only has a size.
    #[must_use]
    pub fn of_size(size: u64) -> Identity {
        Identity { size, ..Identity::default() }
    }
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
    /// Bytes of the largest window that a zstd frame may need, a power of two from 1 KiB to 128 MiB; default 16 MiB. Memory
    /// grows by it.
    pub max_window: u64,
}

impl Default for SourceOptions {
    fn default() -> SourceOptions {
        SourceOptions { compression: Compression::Auto, max_expansion: 200, max_window: 16 << 20 }
    }
}

/// One or more inputs that together are one list.
pub struct Source {
    inputs: Vec<Input>,
    /// A copy that its owner removes.
    spool: Option<PathBuf>,
    /// A copy that ends with this value.
    #[cfg_attr(not(feature = "jobs"), allow(dead_code, reason = "held, not used"))]
    copy: Option<spool::Unnamed>,
}

/// Where a source is copied that cannot be read by position.
#[derive(Clone, Copy)]
pub(crate) struct CopyTo<'a> {
    /// The first of these folders that takes a file.
    pub(crate) dirs: &'a [PathBuf],
    /// At most that many bytes, all copies together.
    pub(crate) max_bytes: u64,
}

impl Source {
    /// The files that `pattern` (a path or a glob) names, in byte order of their paths. They are opened as they are read,
    /// a few at a time.
    ///
    /// # Errors
    /// `Local`: nothing there, a directory, no permission, not seekable (a FIFO: spool it).
    pub fn open(pattern: impl AsRef<Path>, options: &SourceOptions) -> Result<Source> {
        Source::open_in(Path::new(""), pattern.as_ref(), options, None)
    }

    /// As [`Source::open`], relative to a folder whose name is taken as it is. Files that do not report their size are
    /// copied.
    ///
    /// # Errors
    /// As [`Source::open`], and as [`Source::spool`].
    pub(crate) fn open_in(
        folder: &Path,
        pattern: &Path,
        options: &SourceOptions,
        copy_to: Option<CopyTo<'_>>,
    ) -> Result<Source> {
        let handles = Arc::<handles::Handles>::default();
        let (mut inputs, mut copy) = (Vec::new(), None);
        for (number, path) in paths::paths(folder, pattern)?.into_iter().enumerate() {
            let file = local::PinnedFile::new(path, number, handles.clone())?;
            let name = file.path().to_string_lossy().into_owned();
            let sizeless = file.is_sizeless().map_err(|error| into_error(error, &format!("reading {name}")))?;
            inputs.push(match (sizeless, copy_to) {
                (false, _) => Input::file(name, file, options)?,
                (true, Some(to)) => spool::copy_file(&name, file.path(), to, &mut copy)
                    .and_then(|copied| Input::stored(name, Arc::new(copied), options))?,
                (true, None) => {
                    return Err(Error::new(Kind::Local, format!("{name} reports a size of 0 but is not empty"))
                        .with_hint("read it as a stream: source.path: \"-\", or Source::spool"));
                }
            });
        }
        Ok(Source { inputs, spool: None, copy })
    }

    /// True where `path` is readable from its start only, so to be spooled: a FIFO, a terminal, or a file that reports a
    /// size of 0 and is not empty.
    #[must_use]
    pub fn is_stream(path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) || local::is_sizeless(path)
    }

    /// Whether `path` leads to the file that standard input is redirected from; false where it is a pipe, or where that is
    /// not known.
    #[must_use]
    pub fn is_stdin(path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|meta| meta.is_file()) && local::is_stdin(path)
    }

    /// Whether `path` leads to one of its files, under whatever name: what writes there destroys it.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        self.inputs.iter().any(|input| input.is_at(path))
    }

    /// A source over anything that reads by position.
    ///
    /// # Errors
    /// `Local`: it cannot be read.
    pub fn from_read_at(name: &str, data: Arc<dyn ReadAt>, options: &SourceOptions) -> Result<Source> {
        Ok(Source::of(Input::stored(name.to_owned(), data, options)?))
    }

    /// A source over bytes in memory.
    ///
    /// # Errors
    /// `Data`: not what `options` says.
    pub fn from_bytes(name: &str, bytes: Vec<u8>, options: &SourceOptions) -> Result<Source> {
        Source::from_read_at(name, Arc::new(local::Memory(bytes)), options)
    }

    /// A source that can be read once: for one pass only. What was read of it before the pass (the header) is
    /// remembered, up to 16 MiB.
    ///
    /// # Errors
    /// `Local`: it cannot be read.
    pub fn from_stream_once(name: &str, reader: Box<dyn io::Read + Send>, options: &SourceOptions) -> Result<Source> {
        Ok(Source::of(Input::once(name.to_owned(), once::Once::new(reader), options)?))
    }

    fn of(input: Input) -> Source {
        Source { inputs: vec![input], spool: None, copy: None }
    }

    /// Copies a stream into a new 0600 file in `dir` and reads that; at most `max` bytes.
    ///
    /// # Errors
    /// `Data`: more than `max`. `Local`: it cannot be read or written.
    pub fn spool(
        name: &str,
        reader: &mut dyn io::Read,
        dir: &Path,
        max: u64,
        options: &SourceOptions,
    ) -> Result<Source> {
        let path = spool::name_in(dir);
        Source::spool_as(&path, name, reader, max, options)
    }

    /// As [`Source::spool`], under a name that its owner chose.
    ///
    /// # Errors
    /// As [`Source::spool`].
    pub(crate) fn spool_as(
        path: &Path,
        name: &str,
        reader: &mut dyn io::Read,
        max: u64,
        options: &SourceOptions,
    ) -> Result<Source> {
        spool::write(name, reader, path, max)?;
        Source::open_spooled(path, name, options)
    }

    /// As [`Source::spool`] into a file that has no name any more: whatever becomes of the process, nothing of it stays.
    ///
    /// # Errors
    /// As [`Source::spool`].
    #[cfg(feature = "jobs")]
    pub(crate) fn spool_unnamed(
        to: CopyTo<'_>,
        name: &str,
        reader: &mut dyn io::Read,
        options: &SourceOptions,
    ) -> Result<Source> {
        let mut copy = spool::Unnamed::create(to)?;
        let copied = copy.append(name, reader)?;
        let mut source = Source::of(Input::stored(name.to_owned(), Arc::new(copied), options)?);
        source.copy = Some(copy);
        Ok(source)
    }

    /// Reads a file that was spooled before, for a run that is taken up again.
    ///
    /// # Errors
    /// `Local`: it is gone.
    pub fn open_spooled(path: &Path, name: &str, options: &SourceOptions) -> Result<Source> {
        let file = local::PinnedFile::new(path.to_owned(), 0, Arc::default())?;
        let mut source = Source::of(Input::file(name.to_owned(), file, options)?);
        source.spool = Some(path.to_owned());
        Ok(source)
    }

    /// The spooled file, for its owner to remove when the run has ended.
    #[must_use]
    pub fn spool_path(&self) -> Option<&Path> {
        self.spool.as_deref()
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

    /// Path, size and time of change of all inputs as a hash: the same as long as no file was replaced or written to. None
    /// for a stream.
    #[must_use]
    pub fn stamp(&self) -> Option<String> {
        use sha2::Digest as _;
        let mut sha = sha2::Sha256::new();
        for input in &self.inputs {
            let (path, identity) = input.pinned().filter(|_| self.spool.is_none())?;
            let path = path.as_os_str().as_encoded_bytes();
            sha.update((path.len() as u64).to_le_bytes());
            sha.update(path);
            sha.update(identity.size.to_le_bytes());
            sha.update(identity.modified_ns.to_le_bytes());
        }
        Some(sha.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Compares every input with what it was when it was opened, the path included.
    ///
    /// # Errors
    /// `SourceChanged` with the name of the input that grew, shrank, was edited or replaced.
    pub fn verify_unchanged(&self) -> Result<()> {
        self.inputs.iter().try_for_each(Input::verify_unchanged)
    }
}

fn changed(name: &str, what: &str) -> Error {
    Error::new(Kind::SourceChanged, format!("{name} {what} while it was read"))
        .with_hint("write the source under another name, rename it when it is complete, then run again")
}

/// An I/O error as ours: one that carries an [`crate::Error`] gives it back.
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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "times of files")]
mod tests;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a reader that is slow")]
mod tests_beside;
