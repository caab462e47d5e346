//! A stream written to disk, so that it can be read twice.

use super::CopyTo;
use super::local::Copied;
use crate::error::{Error, Kind, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Creates a directory that only its owner can enter.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Creates a file that only its owner can read.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Returns a path in `dir` that no other process uses.
#[expect(clippy::disallowed_methods, reason = "names of files contain the time of the machine")]
pub(crate) fn name_in(dir: &Path) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    dir.join(format!("spool-{}-{nanos:x}-{number}", std::process::id()))
}

/// Creates a file, and its directory if that is missing.
pub(crate) fn create(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent() {
        make_private_dir(dir).map_err(|error| Error::io(format!("making {}", dir.display()), error))?;
    }
    create_private(path).map_err(|error| Error::io(format!("creating {}", path.display()), error))
}

/// Copies the stream into a new file at `path`, which is removed on failure.
pub(super) fn write(name: &str, reader: &mut dyn Read, path: &Path, max: u64) -> Result<()> {
    let mut file = create(path)?;
    let copied = copy(name, reader, &mut file, path, (0, max))
        .and_then(|_| file.sync_all().map_err(|error| Error::io(format!("writing {}", path.display()), error)));
    if copied.is_err() {
        // the first error is the one to report
        let _ = fs::remove_file(path);
    }
    copied
}

/// Appends the stream to a file that has `before` bytes and may have `max`. `path` is its name in messages. Returns the
/// number of bytes copied.
fn copy<W: Write>(
    name: &str,
    reader: &mut dyn Read,
    file: &mut W,
    path: &Path,
    (before, max): (u64, u64),
) -> Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0u64;
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(super::into_error(error, &format!("reading {name}"))),
        };
        total += n as u64;
        if before + total > max {
            let what = if before > 0 { "and the files before it are" } else { "is" };
            return Err(Error::new(Kind::Data, format!("{name} {what} larger than spool.max ({max} bytes)"))
                .with_hint("raise spool.max, or put the list into a file and use that as the source"));
        }
        file.write_all(&buffer[..n]).map_err(|error| {
            Error::io(format!("writing {}", path.display()), error).with_hint("set spool.dir to a disk with more room")
        })?;
    }
}

/// An unnamed file that streams are copied into one after another. If the system cannot remove its name, it is removed
/// with this value.
pub(super) struct Unnamed {
    file: Arc<File>,
    path: PathBuf,
    named: bool,
    len: u64,
    max: u64,
}

impl Unnamed {
    pub(crate) fn create(to: CopyTo<'_>) -> Result<Unnamed> {
        let mut made = Err(Error::new(Kind::Local, "no folder for a copy of the source is known"));
        for dir in to.dirs {
            let path = name_in(dir);
            made = create(&path).map(|file| (path, file));
            if made.is_ok() {
                break;
            }
        }
        let (path, file) = made?;
        let named = fs::remove_file(&path).is_err();
        Ok(Unnamed { file: Arc::new(file), path, named, len: 0, max: to.max_bytes })
    }

    /// Copies a stream to the end.
    pub(super) fn append(&mut self, name: &str, reader: &mut dyn Read) -> Result<Copied> {
        let failed = |error| Error::io(format!("writing {}", self.path.display()), error);
        let mut file = self.file.try_clone().map_err(failed)?;
        let from = self.len;
        let len = copy(name, reader, &mut file, &self.path, (from, self.max))?;
        self.len += len;
        Ok(Copied { file: self.file.clone(), from, len })
    }
}

/// A file without a name for what does not fit into memory.
#[cfg(feature = "xlsx")]
pub(crate) struct Scratch(Unnamed);

#[cfg(feature = "xlsx")]
impl Scratch {
    /// Creates an empty file.
    ///
    /// # Errors
    /// `Local`: in none of the folders a file can be created.
    pub(super) fn create(to: CopyTo<'_>) -> Result<Scratch> {
        Unnamed::create(to).map(Scratch)
    }

    /// Appends bytes; `what` is their name in messages.
    ///
    /// # Errors
    /// `Data`: the file would be larger than `spool.max`. `Local`: it cannot be written.
    pub(crate) fn append(&mut self, what: &str, mut bytes: &[u8]) -> Result<()> {
        let Unnamed { file, path, len, max, .. } = &mut self.0;
        *len += copy(what, &mut bytes, &mut &**file, path, (*len, *max))?;
        Ok(())
    }

    /// Reads bytes that were appended.
    ///
    /// # Errors
    /// `Local`.
    pub(crate) fn read_exact_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        let file = Copied { file: Arc::clone(&self.0.file), from: 0, len: self.0.len };
        let mut have = 0;
        while have < buf.len() {
            match super::ReadAt::read_at(&file, &mut buf[have..], at + have as u64) {
                Ok(0) => return Err(self.failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io(format!("reading {}", self.0.path.display()), error)
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if self.named {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Copies a file that does not report its size to the end of `copy`, which is created for the first such file.
pub(super) fn copy_file(name: &str, path: &Path, to: CopyTo<'_>, copy: &mut Option<Unnamed>) -> Result<Copied> {
    let copy = match copy {
        Some(copy) => copy,
        None => copy.insert(Unnamed::create(to)?),
    };
    let mut file = File::open(path).map_err(|error| Error::io(format!("reading {name}"), error))?;
    copy.append(name, &mut file)
}
