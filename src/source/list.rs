//! A source: one or more inputs that form one list.

use super::input::Input;
#[cfg(feature = "jobs")]
use super::input::Reopen;
use super::options::{CopyTo, SourceOptions};
use super::read_at::{ReadAt, into_error};
use super::{handles, local, once, paths, spool};
use crate::error::{Error, Kind, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One or more inputs that form one list.
pub struct OpenSource {
    inputs: Vec<Input>,
    /// A copy that its owner has to remove.
    spool: Option<PathBuf>,
    /// A copy that is removed with this value.
    #[cfg_attr(not(feature = "jobs"), allow(dead_code, reason = "held, not used"))]
    copy: Option<spool::Unnamed>,
    /// True if it was read from standard input.
    is_stdin: bool,
    /// The folders in which a format may write what does not fit into memory, and how many bytes; `None`: the system's
    /// folder for temporary files.
    #[cfg(feature = "xlsx")]
    scratch: Option<(Vec<PathBuf>, u64)>,
}

impl OpenSource {
    /// Opens the files that match `pattern` (a path or a glob), in byte order of their paths. Files are opened as they
    /// are read, a few at a time.
    ///
    /// # Errors
    /// `Local`: no such file, a directory, no permission, or not seekable (a FIFO has to be spooled).
    pub fn open(pattern: impl AsRef<Path>, options: &SourceOptions) -> Result<OpenSource> {
        OpenSource::open_in(Path::new(""), pattern.as_ref(), options, None)
    }

    /// Like [`OpenSource::open`], with a pattern relative to `folder`, whose name is taken literally. Files that do not
    /// report their size are copied.
    ///
    /// # Errors
    /// As [`OpenSource::open`], and as [`OpenSource::spool`].
    pub(crate) fn open_in(
        folder: &Path,
        pattern: &Path,
        options: &SourceOptions,
        copy_to: Option<CopyTo<'_>>,
    ) -> Result<OpenSource> {
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
                        .with_hint("read it as a stream: source.path: \"-\", or OpenSource::spool"));
                }
            });
        }
        Ok(OpenSource { copy, ..OpenSource::of_all(inputs) })
    }

    /// Returns true if `path` can be read only from its start and has to be spooled: a FIFO, a terminal, or a non-empty
    /// file that reports a size of 0.
    #[must_use]
    pub fn is_stream(path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) || local::is_sizeless(path)
    }

    /// Marks the source as read from standard input.
    #[cfg(feature = "jobs")]
    #[must_use]
    pub(crate) fn of_stdin(self) -> OpenSource {
        OpenSource { is_stdin: true, ..self }
    }

    /// Whether `path` leads to one of the source's files, under any name, or to the file that standard input is
    /// redirected from, so that writing there would destroy the source.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        let is_file = || std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
        self.inputs.iter().any(|input| input.is_at(path)) || (self.is_stdin && is_file() && local::is_stdin(path))
    }

    /// Creates a source over anything that can be read by position.
    ///
    /// # Errors
    /// `Local`: the data cannot be read.
    pub fn from_read_at(name: &str, data: Arc<dyn ReadAt>, options: &SourceOptions) -> Result<OpenSource> {
        Ok(OpenSource::of(Input::stored(name.to_owned(), data, options)?))
    }

    /// Creates a source over several data that can be read by position, with their names.
    ///
    /// # Errors
    /// As [`OpenSource::from_read_at`].
    #[cfg(feature = "store")]
    pub(crate) fn from_parts(parts: Vec<(String, Arc<dyn ReadAt>)>, options: &SourceOptions) -> Result<OpenSource> {
        let inputs = parts.into_iter().map(|(name, data)| Input::stored(name, data, options)).collect::<Result<_>>()?;
        Ok(OpenSource::of_all(inputs))
    }

    /// Creates a source over bytes in memory.
    ///
    /// # Errors
    /// `Data`: the bytes do not match `options`.
    pub fn from_bytes(name: &str, bytes: Vec<u8>, options: &SourceOptions) -> Result<OpenSource> {
        OpenSource::from_read_at(name, Arc::new(local::Memory(bytes)), options)
    }

    /// Creates a source over a stream that can be read once, for a single pass. What is read before the pass (the
    /// header) is kept, up to 16 MiB.
    ///
    /// # Errors
    /// `Local`: the stream cannot be read.
    pub fn from_stream_once(
        name: &str,
        reader: Box<dyn io::Read + Send>,
        options: &SourceOptions,
    ) -> Result<OpenSource> {
        Ok(OpenSource::of(Input::once(name.to_owned(), once::Once::new(reader), options)?))
    }

    /// Creates a source over a stream that can be opened again for each pass; `open` must give the same content each
    /// time.
    #[cfg(feature = "jobs")]
    pub(crate) fn from_reopened(name: &str, open: Reopen, options: &SourceOptions) -> OpenSource {
        OpenSource::of(Input::again(name.to_owned(), open, options))
    }

    fn of(input: Input) -> OpenSource {
        OpenSource::of_all(vec![input])
    }

    fn of_all(inputs: Vec<Input>) -> OpenSource {
        OpenSource {
            inputs,
            spool: None,
            copy: None,
            is_stdin: false,
            #[cfg(feature = "xlsx")]
            scratch: None,
        }
    }

    /// Sets the folder for what a format cannot keep in memory (shared strings of XLSX beyond 16 MiB), and how many bytes
    /// may be written there. The files are readable only by their owner and have no name. Default: the system's folder
    /// for temporary files, without a limit.
    #[cfg(feature = "xlsx")]
    #[must_use]
    pub fn with_scratch(self, dir: &Path, max_bytes: u64) -> OpenSource {
        OpenSource { scratch: Some((vec![dir.to_owned()], max_bytes)), ..self }
    }

    /// Like [`OpenSource::with_scratch`], in the first of several folders that can be written.
    #[cfg(all(feature = "jobs", feature = "xlsx"))]
    pub(crate) fn with_scratch_in(self, to: CopyTo<'_>) -> OpenSource {
        OpenSource { scratch: Some((to.dirs.to_vec(), to.max_bytes)), ..self }
    }

    /// Creates a file without a name for what does not fit into memory.
    ///
    /// # Errors
    /// `Local`: no file can be created.
    #[cfg(feature = "xlsx")]
    pub(crate) fn scratch(&self) -> Result<spool::Scratch> {
        let temporary = [std::env::temp_dir()];
        let to = match &self.scratch {
            Some((dirs, max_bytes)) => CopyTo { dirs, max_bytes: *max_bytes },
            None => CopyTo { dirs: &temporary, max_bytes: u64::MAX },
        };
        spool::Scratch::create(to)
    }

    /// Copies a stream, at most `max` bytes of it, into a new 0600 file in `dir` and opens the copy.
    ///
    /// # Errors
    /// `Data`: more than `max` bytes. `Local`: the stream cannot be read or the copy cannot be written.
    pub fn spool(
        name: &str,
        reader: &mut dyn io::Read,
        dir: &Path,
        max: u64,
        options: &SourceOptions,
    ) -> Result<OpenSource> {
        let path = spool::name_in(dir);
        OpenSource::spool_as(&path, name, reader, max, options)
    }

    /// Like [`OpenSource::spool`], to a path chosen by the caller.
    ///
    /// # Errors
    /// As [`OpenSource::spool`].
    pub(crate) fn spool_as(
        path: &Path,
        name: &str,
        reader: &mut dyn io::Read,
        max: u64,
        options: &SourceOptions,
    ) -> Result<OpenSource> {
        spool::write(name, reader, path, max)?;
        OpenSource::open_spooled(path, name, options)
    }

    /// Like [`OpenSource::spool`], into a file that has no name, so that nothing remains however the process ends.
    ///
    /// # Errors
    /// As [`OpenSource::spool`].
    #[cfg(feature = "jobs")]
    pub(crate) fn spool_unnamed(
        to: CopyTo<'_>,
        name: &str,
        reader: &mut dyn io::Read,
        options: &SourceOptions,
    ) -> Result<OpenSource> {
        let mut copy = spool::Unnamed::create(to)?;
        let copied = copy.append(name, reader)?;
        let mut source = OpenSource::of(Input::stored(name.to_owned(), Arc::new(copied), options)?);
        source.copy = Some(copy);
        Ok(source)
    }

    /// Opens a file that was spooled before, for a run that is resumed.
    ///
    /// # Errors
    /// `Local`: the file does not exist any more.
    pub fn open_spooled(path: &Path, name: &str, options: &SourceOptions) -> Result<OpenSource> {
        let file = local::PinnedFile::new(path.to_owned(), 0, Arc::default())?;
        let mut source = OpenSource::of(Input::file(name.to_owned(), file, options)?);
        source.spool = Some(path.to_owned());
        Ok(source)
    }

    /// Returns the spooled file, which its owner has to remove when the run has ended.
    #[must_use]
    pub fn spool_path(&self) -> Option<&Path> {
        self.spool.as_deref()
    }

    /// Returns the inputs in order; there is at least one.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Returns the number of stored bytes of all inputs together.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.inputs.iter().map(Input::stored_bytes).sum()
    }

    /// Returns a hash of path, size and modification time, or version, of all inputs, which stays the same as long as no
    /// input is replaced or written to. `None` for a stream.
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
            sha.update(identity.version.as_deref().unwrap_or_default().as_bytes());
        }
        Some(sha.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Compares every input and its path with their state when they were opened.
    ///
    /// # Errors
    /// `SourceChanged` with the name of the input that grew, shrank, was edited or replaced.
    pub fn verify_unchanged(&self) -> Result<()> {
        self.inputs.iter().try_for_each(Input::verify_unchanged)
    }
}
