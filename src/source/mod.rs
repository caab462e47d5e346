//! Where the bytes come from: files, globs, streams that were spooled, compressed or not.
//!
//! A source stays open across both passes. Plain files are read by position from several threads; compressed ones
//! are decompressed from their start, once a pass: by whoever reads them, by a thread of its own, or by several where the
//! file can be taken apart.

#[cfg(feature = "upload")]
pub mod apsis;
mod beside;
mod decompress;
mod local;
mod once;
mod pieces;
mod spool;
#[cfg(feature = "jobs")]
pub(crate) mod stoppable;
#[cfg(feature = "upload")]
pub(crate) mod temporary;

use crate::error::{Error, Kind, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
}

impl Default for SourceOptions {
    fn default() -> SourceOptions {
        SourceOptions { compression: Compression::Auto, max_expansion: 200 }
    }
}

/// One or more inputs that together are one list.
pub struct Source {
    inputs: Vec<Input>,
    spool: Option<PathBuf>,
}

/// One file of a [`Source`].
pub struct Input {
    name: String,
    content: Content,
    /// Never `Auto`.
    compression: Compression,
    max_expansion: u64,
    findings: Arc<decompress::Findings>,
}

enum Content {
    Stored { data: Arc<dyn ReadAt>, identity: Identity, path: Option<PathBuf> },
    Once(once::Once),
}

impl Source {
    /// The files that `pattern` (a path or a glob) names, in byte order of their paths.
    ///
    /// # Errors
    /// `Local`: nothing there, a directory, no permission, not seekable (a FIFO: spool it).
    pub fn open(pattern: &str, options: &SourceOptions) -> Result<Source> {
        let mut inputs = Vec::new();
        for path in local::paths(pattern)? {
            let file = local::LocalFile::open(&path)?;
            inputs.push(Input::stored(&path.to_string_lossy(), Arc::new(file), Some(path.clone()), options)?);
        }
        Ok(Source { inputs, spool: None })
    }

    /// True where `path` is a FIFO, a terminal or the like: readable once only, so to be spooled.
    #[must_use]
    pub fn is_stream(path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
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
        self.inputs.iter().any(|input| match &input.content {
            Content::Stored { identity, path: Some(opened), .. } => local::is_at(path, opened, identity),
            _ => false,
        })
    }

    /// A source over anything that reads by position.
    ///
    /// # Errors
    /// `Local`: it cannot be read.
    pub fn from_read_at(name: &str, data: Arc<dyn ReadAt>, options: &SourceOptions) -> Result<Source> {
        Ok(Source { inputs: vec![Input::stored(name, data, None, options)?], spool: None })
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
        let once = once::Once::new(reader);
        let compression = match options.compression {
            Compression::Auto => {
                decompress::by_magic(&once.peek(4).map_err(|e| into_error(e, &format!("reading {name}")))?)
            }
            other => other,
        };
        let input = Input {
            name: name.to_owned(),
            content: Content::Once(once),
            compression,
            max_expansion: options.max_expansion,
            findings: Arc::default(),
        };
        Ok(Source { inputs: vec![input], spool: None })
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

    /// As [`Source::spool`] into the first of `dirs` that takes a file, which has no name any more when it is filled:
    /// whatever becomes of the process, nothing of it stays. Where the system keeps the name it is
    /// [`Source::spool_path`].
    ///
    /// # Errors
    /// As [`Source::spool`].
    #[cfg(feature = "jobs")]
    pub(crate) fn spool_unnamed(
        dirs: &[PathBuf],
        name: &str,
        reader: &mut dyn io::Read,
        max: u64,
        options: &SourceOptions,
    ) -> Result<Source> {
        let mut made = Err(Error::new(Kind::Local, "there is no place for a copy of the source"));
        for dir in dirs {
            let path = spool::name_in(dir);
            made = spool::create(&path).map(|file| (path, file));
            if made.is_ok() {
                break;
            }
        }
        let (path, mut file) = made?;
        let named = std::fs::remove_file(&path).is_err();
        let source = spool::copy(name, reader, &mut file, &path, max)
            .and_then(|()| Input::stored(name, Arc::new(local::LocalFile::of(file)), None, options))
            .map(|input| Source { inputs: vec![input], spool: named.then(|| path.clone()) });
        if named && source.is_err() {
            // the first error is the one to report
            let _ = std::fs::remove_file(&path);
        }
        source
    }

    /// Reads a file that was spooled before, for a run that is taken up again.
    ///
    /// # Errors
    /// `Local`: it is gone.
    pub fn open_spooled(path: &Path, name: &str, options: &SourceOptions) -> Result<Source> {
        let file = local::LocalFile::open(path)?;
        let input = Input::stored(name, Arc::new(file), Some(path.to_owned()), options)?;
        Ok(Source { inputs: vec![input], spool: Some(path.to_owned()) })
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

    /// Compares every input with what it was when it was opened, the path included.
    ///
    /// # Errors
    /// `SourceChanged` with the name of the input that grew, shrank, was edited or replaced.
    pub fn verify_unchanged(&self) -> Result<()> {
        self.inputs.iter().try_for_each(Input::verify_unchanged)
    }
}

impl Input {
    fn stored(name: &str, data: Arc<dyn ReadAt>, path: Option<PathBuf>, options: &SourceOptions) -> Result<Input> {
        let failed = |error| Error::io(format!("reading {name}"), error);
        let identity = data.identity().map_err(failed)?;
        let mut magic = [0; 4];
        let mut have = 0;
        while have < magic.len() {
            match data.read_at(&mut magic[have..], have as u64).map_err(failed)? {
                0 => break,
                n => have += n,
            }
        }
        let found = decompress::by_magic(&magic[..have]);
        let compression = match options.compression {
            Compression::Auto => found,
            told @ (Compression::Gzip | Compression::Zstd) if told != found => {
                return Err(Error::data(format!("{name} is not {} data", decompress::name(told)))
                    .with_hint("set source.compression to auto, or to what the file is"));
            }
            told => told,
        };
        let content = Content::Stored { data, identity, path };
        let max_expansion = options.max_expansion;
        Ok(Input { name: name.to_owned(), content, compression, max_expansion, findings: Arc::default() })
    }

    /// As the user named it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes as stored; 0 for a stream whose end has not been seen.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        match &self.content {
            Content::Stored { identity, .. } => identity.size,
            Content::Once(once) => once.taken(),
        }
    }

    /// Stored bytes that the stream opened last has consumed so far.
    #[must_use]
    pub fn consumed_bytes(&self) -> u64 {
        self.findings.consumed.load(Ordering::Relaxed)
    }

    /// The gzip members that were found so far; 0 where it is not gzip.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.findings.members.load(Ordering::Relaxed)
    }

    /// What is odd about it but no error, as found so far; for people.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        match self.findings.padding.load(Ordering::Relaxed) {
            0 => Vec::new(),
            zeros => {
                vec![format!("{}: {zeros} zero bytes behind the end of the gzip data were passed over", self.name)]
            }
        }
    }

    /// True where [`Input::read_at`] gives the content itself.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.compression == Compression::None && matches!(self.content, Content::Stored { .. })
    }

    /// How it is compressed; never `Auto`.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Reads stored bytes by position.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        match &self.content {
            Content::Stored { data, .. } => data.read_at(buf, at),
            Content::Once(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// The decompressed content from its start. Errors that it yields carry an [`crate::Error`] inside
    /// (see [`into_error`]), so that damage says where.
    ///
    /// # Errors
    /// `Local`: it cannot be read, or is a stream that was read already.
    pub fn open_stream(&self) -> Result<Box<dyn io::Read + Send>> {
        self.unpacking().open(self.stored_stream()?, decompress::Resume::default())
    }

    /// As [`Input::open_stream`], but decompressed (or read, where it is a stream) by threads of its own: up to `threads` (six)
    /// where it consists of several zstd frames or bgzip members, else one. With one thread it is the same as that.
    ///
    /// Bytes and errors are the same. At most 9 MiB of content are held ready, and windows of at most 12 MiB (16 MiB where it is one).
    ///
    /// # Errors
    /// As [`Input::open_stream`], or `Local`: no thread can be started.
    pub fn open_stream_beside(&self, threads: usize) -> Result<Box<dyn io::Read + Send>> {
        if threads <= 1 {
            return self.open_stream();
        }
        Ok(match &self.content {
            Content::Stored { data, identity, .. } if self.compression != Compression::None => {
                self.findings.consumed.store(0, Ordering::Relaxed);
                let stored = beside::Stored { data: data.clone(), identity: identity.clone() };
                Box::new(beside::Beside::pieces(stored, self.unpacking(), threads)?)
            }
            _ => Box::new(beside::Beside::serial(self.open_stream()?, self.unpacking())?),
        })
    }

    fn stored_stream(&self) -> Result<Box<dyn io::Read + Send>> {
        self.findings.consumed.store(0, Ordering::Relaxed);
        Ok(match &self.content {
            Content::Stored { data, identity, .. } => {
                Box::new(local::Sequential::new(&self.name, data.clone(), 0, identity.size))
            }
            Content::Once(once) => Box::new(once.open()?),
        })
    }

    fn unpacking(&self) -> decompress::Unpacking {
        decompress::Unpacking {
            name: self.name.clone(),
            compression: self.compression,
            max_expansion: self.max_expansion,
            findings: self.findings.clone(),
        }
    }

    /// See [`Source::verify_unchanged`].
    ///
    /// # Errors
    /// `SourceChanged`.
    pub fn verify_unchanged(&self) -> Result<()> {
        let Content::Stored { data, identity, path } = &self.content else { return Ok(()) };
        let now = data.identity().map_err(|error| Error::io(format!("looking at {}", self.name), error))?;
        let what = if now.size > identity.size {
            "grew"
        } else if now.size < identity.size {
            "shrank"
        } else if now != *identity {
            "was edited"
        } else if let Some(became) = path.as_ref().and_then(|path| local::became(path, identity)) {
            became
        } else {
            return Ok(());
        };
        Err(changed(&self.name, what))
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
mod tests;
#[cfg(test)]
mod tests_beside;
