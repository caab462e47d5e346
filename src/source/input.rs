//! One input of a source: its content by position and as a stream.

use super::encoding::Encoding;
use super::options::{Compression, SourceOptions};
use super::read_at::{Identity, ReadAt, changed, into_error};
use super::{beside, damage, decompress, local, once};
use crate::error::{Error, Result};
use std::io;
use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "jobs")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// One file, stream or buffer of a [`super::OpenSource`].
pub struct Input {
    name: String,
    content: Content,
    /// Never `Auto`.
    compression: Compression,
    max_expansion: u64,
    max_window: u64,
    encoding: Encoding,
    findings: Arc<damage::Findings>,
}

enum Content {
    File(Arc<local::PinnedFile>),
    Stored {
        data: Arc<dyn ReadAt>,
        identity: Identity,
    },
    Once(once::Once),
    #[cfg(feature = "jobs")]
    Again {
        open: Reopen,
        taken: Arc<AtomicU64>,
    },
}

/// Opens a stream from its start, each time with the same content.
#[cfg(feature = "jobs")]
pub(crate) type Reopen = Arc<dyn Fn() -> Result<Box<dyn io::Read + Send>> + Send + Sync>;

/// A stream that counts the bytes that are read from it.
#[cfg(feature = "jobs")]
struct Counted {
    stream: Box<dyn io::Read + Send>,
    taken: Arc<AtomicU64>,
}

#[cfg(feature = "jobs")]
impl io::Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Input {
    /// Wraps a local file.
    pub(super) fn file(name: String, file: local::PinnedFile, options: &SourceOptions) -> Result<Input> {
        let compression = compression_of(&name, &file, options)?;
        Ok(Input::new(name, Content::File(Arc::new(file)), compression, options))
    }

    /// Wraps anything that can be read by position.
    pub(super) fn stored(name: String, data: Arc<dyn ReadAt>, options: &SourceOptions) -> Result<Input> {
        let identity = data.identity().map_err(|error| into_error(error, &format!("reading {name}")))?;
        let compression = compression_of(&name, &*data, options)?;
        Ok(Input::new(name, Content::Stored { data, identity }, compression, options))
    }

    /// Wraps a stream that can be read once.
    pub(super) fn once(name: String, once: once::Once, options: &SourceOptions) -> Result<Input> {
        let compression = match options.compression {
            Compression::Auto => {
                let first = |at: u64| {
                    let mut bytes = once.peek(at as usize + decompress::MAGIC_BYTES)?;
                    Ok(bytes.split_off((at as usize).min(bytes.len())))
                };
                decompress::detect(first).map_err(|e| into_error(e, &format!("reading {name}")))?
            }
            other => other,
        };
        Ok(Input::new(name, Content::Once(once), compression, options))
    }

    /// Wraps a stream without compression that can be opened any number of times.
    #[cfg(feature = "jobs")]
    pub(super) fn again(name: String, open: Reopen, options: &SourceOptions) -> Input {
        Input::new(name, Content::Again { open, taken: Arc::default() }, Compression::None, options)
    }

    fn new(name: String, content: Content, compression: Compression, options: &SourceOptions) -> Input {
        let SourceOptions { max_expansion, max_window, encoding, .. } = *options;
        let max_window = max_window.clamp(decompress::MIN_WINDOW, damage::MAX_WINDOW);
        Input { name, content, compression, max_expansion, max_window, encoding, findings: Arc::default() }
    }

    /// Returns the name, as the user gave it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of stored bytes; 0 for a stream whose end has not been reached.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        match &self.content {
            Content::File(file) => file.pinned().size,
            Content::Stored { identity, .. } => identity.size,
            Content::Once(once) => once.taken(),
            #[cfg(feature = "jobs")]
            Content::Again { taken, .. } => taken.load(Ordering::Relaxed),
        }
    }

    /// Returns the number of stored bytes consumed by the stream opened last.
    #[must_use]
    pub fn consumed_bytes(&self) -> u64 {
        self.findings.consumed.load(Ordering::Relaxed)
    }

    /// Returns the number of gzip members found so far; 0 for other formats.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.findings.members.load(Ordering::Relaxed)
    }

    /// Returns oddities found so far that are not errors, as messages for people.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        match self.findings.padding.load(Ordering::Relaxed) {
            0 => Vec::new(),
            zeros => {
                vec![format!(
                    "{}: {zeros} zero bytes after the end of the {} data were ignored",
                    self.name,
                    damage::name(self.compression)
                )]
            }
        }
    }

    /// Returns the first bytes of the content; `None` if they cannot be read without reading the source.
    ///
    /// # Errors
    /// The input cannot be read or decompressed.
    #[cfg(feature = "jobs")]
    pub(crate) fn first_bytes(&self) -> Result<Option<Vec<u8>>> {
        const FIRST_BYTES: usize = 256;
        let failed = |error| into_error(error, &format!("reading {}", self.name));
        let mut bytes = Vec::new();
        match &self.content {
            Content::Once(once) if self.compression == Compression::None => {
                bytes = once.peek(FIRST_BYTES).map_err(failed)?;
            }
            Content::Once(_) => return Ok(None),
            _ => {
                let stream: Box<dyn io::Read + Send> = self.open_stream()?;
                io::Read::read_to_end(&mut io::Read::take(stream, FIRST_BYTES as u64), &mut bytes).map_err(failed)?;
            }
        }
        Ok(Some(bytes))
    }

    /// Returns true if [`Input::read_at`] returns the content itself.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.compression == Compression::None && matches!(self.content, Content::File(_) | Content::Stored { .. })
    }

    /// Returns true if the input is a stream that can be read only once.
    #[cfg(feature = "jobs")]
    pub(crate) fn is_once(&self) -> bool {
        matches!(self.content, Content::Once(_))
    }

    /// Returns the maximum ratio of decompressed to compressed bytes.
    #[cfg(feature = "arrow")]
    pub(crate) fn max_expansion(&self) -> u64 {
        self.max_expansion
    }

    /// Checks the ratio of content to stored bytes of a part of the input that is compressed by itself.
    ///
    /// # Errors
    /// `Data`: it is above `max_expansion`.
    #[cfg(feature = "xlsx")]
    pub(crate) fn check_expansion(&self, produced: u64, consumed: u64) -> Result<()> {
        match decompress::expands_too_much(produced, consumed, self.max_expansion) {
            true => Err(decompress::too_expanded(&self.name, self.max_expansion, (produced, consumed))),
            false => Ok(()),
        }
    }

    /// Returns the compression; never `Auto`.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Returns the encoding that the options name.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether `path` leads to this file, under any name.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        matches!(&self.content, Content::File(file) if local::is_at(path, file.path(), file.pinned()))
    }

    /// Returns the time of the last change of the content, if it is known.
    #[cfg(feature = "jobs")]
    pub(crate) fn modified(&self) -> Option<std::time::SystemTime> {
        let (_, identity) = self.pinned()?;
        let since = u64::try_from(identity.modified_ns).ok().filter(|since| *since > 0)?;
        std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_nanos(since))
    }

    /// Returns the file's path, or the name of a pinned version, and the identity when it was opened; `None` if only
    /// reading the input shows whether it is the same.
    pub(super) fn pinned(&self) -> Option<(&Path, &Identity)> {
        match &self.content {
            Content::File(file) => Some((file.path(), file.pinned())),
            Content::Stored { identity, .. } if identity.version.is_some() => Some((Path::new(&self.name), identity)),
            _ => None,
        }
    }

    /// Returns the data that is read by position, with its length.
    fn by_position(&self) -> Option<(Arc<dyn ReadAt>, u64)> {
        match &self.content {
            Content::File(file) => Some((file.clone(), file.pinned().size)),
            Content::Stored { data, identity } => Some((data.clone(), identity.size)),
            _ => None,
        }
    }

    /// Reads stored bytes by position.
    ///
    /// # Errors
    /// The system's error, or one that carries an [`crate::Error`] (see [`into_error`]) if the file was replaced.
    pub fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        match &self.content {
            Content::File(file) => file.read_at(buf, at),
            Content::Stored { data, .. } => data.read_at(buf, at),
            _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// Opens a stream of the decompressed content from its start. Its errors carry an [`crate::Error`] (see
    /// [`into_error`]), which contains the position of damage.
    ///
    /// # Errors
    /// `Local`: the input cannot be read, or is a stream that was read before.
    pub fn open_stream(&self) -> Result<Box<dyn io::Read + Send>> {
        self.unpacking().open(self.stored_stream()?, decompress::Resume::default())
    }

    /// Like [`Input::open_stream`], but decompresses (or reads, for a stream) on background threads: on up to
    /// `threads`, at most six, if the input consists of several zstd frames or bgzip members, otherwise on one. With
    /// one thread this is the same as [`Input::open_stream`].
    ///
    /// Bytes and errors are the same. At most 9 MiB of content are held ready, plus windows of at most 12 MiB together
    /// (or of the largest allowed size for a single one).
    ///
    /// # Errors
    /// As [`Input::open_stream`]; `Local`: no thread can be started.
    pub fn open_stream_beside(&self, threads: usize) -> Result<Box<dyn io::Read + Send>> {
        if threads <= 1 {
            return self.open_stream();
        }
        Ok(match self.by_position() {
            Some((data, size))
                if matches!(self.compression, Compression::Gzip | Compression::Zstd) && !data.is_sequential() =>
            {
                self.findings.consumed.store(0, Ordering::Relaxed);
                match beside::Beside::pieces(beside::Stored { data, size }, self.unpacking(), threads) {
                    Ok(beside) => Box::new(beside),
                    // without room for more threads, the content comes from this one
                    Err(_) => self.open_stream()?,
                }
            }
            _ => Box::new(beside::Beside::serial(self.open_stream()?, self.unpacking())?),
        })
    }

    fn stored_stream(&self) -> Result<Box<dyn io::Read + Send>> {
        self.findings.consumed.store(0, Ordering::Relaxed);
        Ok(match (&self.content, self.by_position()) {
            (Content::Once(once), _) => Box::new(once.open()?),
            #[cfg(feature = "jobs")]
            (Content::Again { open, taken }, _) => {
                taken.store(0, Ordering::Relaxed);
                Box::new(Counted { stream: open()?, taken: Arc::clone(taken) })
            }
            (_, Some((data, size))) => Box::new(local::Sequential::new(&self.name, data, 0, size)),
            (_, None) => Box::new(io::empty()),
        })
    }

    fn unpacking(&self) -> decompress::Unpacking {
        decompress::Unpacking {
            name: self.name.clone(),
            compression: self.compression,
            max_expansion: self.max_expansion,
            max_window: self.max_window,
            findings: self.findings.clone(),
        }
    }

    /// Compares the data and its path with their state when the input was opened.
    ///
    /// # Errors
    /// `SourceChanged`.
    pub fn verify_unchanged(&self) -> Result<()> {
        let what = match &self.content {
            Content::File(file) => file.change(),
            Content::Stored { data, identity } => {
                data.change(identity).map_err(|error| into_error(error, &format!("looking at {}", self.name)))?
            }
            _ => None,
        };
        what.map_or(Ok(()), |what| Err(changed(&self.name, what)))
    }

    /// Checks that nothing follows the reported size, because some file systems report a size that is too small.
    ///
    /// # Errors
    /// `SourceChanged`.
    pub(crate) fn verify_end(&self) -> Result<()> {
        let Some((data, size)) = self.by_position() else { return Ok(()) };
        match data.read_at(&mut [0], size) {
            Ok(0) => Ok(()),
            Ok(_) => Err(changed(&self.name, "has more content than its size says, or grew")),
            Err(error) => Err(into_error(error, &format!("reading {}", self.name))),
        }
    }
}

/// Determines the compression from the option and the first bytes.
fn compression_of(name: &str, data: &dyn ReadAt, options: &SourceOptions) -> Result<Compression> {
    let first = |at: u64| {
        let mut magic = vec![0; decompress::MAGIC_BYTES];
        let mut have = 0;
        while have < magic.len() {
            match data.read_at(&mut magic[have..], at + have as u64) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        magic.truncate(have);
        Ok(magic)
    };
    let found = decompress::detect(first).map_err(|error| into_error(error, &format!("reading {name}")))?;
    match options.compression {
        Compression::Auto => Ok(found),
        given if given != Compression::None && given != found => {
            Err(Error::data(format!("{name} is not {} data", damage::name(given)))
                .with_hint("set source.compression to auto, or to what the file is"))
        }
        given => Ok(given),
    }
}
