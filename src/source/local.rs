//! Local files: positioned reads of files that must keep the identity they had when they were found.

use super::handles::{Handles, is_too_many};
use super::read_at::{Identity, ReadAt, changed, difference};
use crate::error::{Error, Kind, Result};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of a source, opened on demand. It must still be the file that was found first.
pub(super) struct PinnedFile {
    path: PathBuf,
    identity: Identity,
    /// Its number among the files of the source.
    number: usize,
    handles: Arc<Handles>,
}

impl PinnedFile {
    pub(super) fn new(path: PathBuf, number: usize, handles: Arc<Handles>) -> Result<PinnedFile> {
        let failed = |error| cannot_open(&path, error);
        let meta = std::fs::metadata(&path).map_err(failed)?;
        if meta.is_dir() {
            return Err(Error::new(Kind::Local, format!("{} is a directory", path.display()))
                .with_hint("name a file, or a glob like dir/*.csv"));
        }
        if !meta.is_file() {
            return Err(Error::new(Kind::Local, format!("{} is not a regular file", path.display()))
                .with_hint("give a stream on standard input with source.path: \"-\""));
        }
        let file = handles.get(number, || File::open(&path)).map_err(failed)?;
        let identity = identity_of(&file.metadata().map_err(failed)?);
        Ok(PinnedFile { path, identity, number, handles })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the identity that the file had when it was found.
    pub(super) fn pinned(&self) -> &Identity {
        &self.identity
    }

    /// Whether the file has content although its size is 0, as in proc and on some network file systems. The size of
    /// such a file is unknown, and the file can be read only from its start.
    pub(super) fn is_sizeless(&self) -> io::Result<bool> {
        if self.identity.size > 0 {
            return Ok(false);
        }
        let read = self.read_at(&mut [0], 0)?;
        // a file that is being written has a size by now
        Ok(read > 0 && std::fs::metadata(&self.path)?.len() == 0)
    }

    /// Describes what happened to the file since it was found, if it changed.
    pub(super) fn change(&self) -> Option<&'static str> {
        match std::fs::metadata(&self.path) {
            Ok(meta) => difference(&self.identity, &identity_of(&meta)),
            Err(_) => Some("was removed"),
        }
    }

    fn reopen(&self) -> io::Result<File> {
        let differs = |what| io::Error::other(changed(&self.path.to_string_lossy(), what));
        // checked first, since a FIFO in its place would block the open
        if let Some(what) = self.change() {
            return Err(differs(what));
        }
        let file = File::open(&self.path)?;
        match difference(&self.identity, &identity_of(&file.metadata()?)) {
            None => Ok(file),
            Some(what) => Err(differs(what)),
        }
    }
}

impl ReadAt for PinnedFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let file = self.handles.get(self.number, || self.reopen()).map_err(|error| match is_too_many(&error) {
            true => io::Error::other(cannot_open(&self.path, error)),
            false => error,
        })?;
        read_file_at(&file, buf, at)
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(identity_of(&std::fs::metadata(&self.path)?))
    }
}

pub(super) fn cannot_open(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "source.path is relative to the folder of the job file",
        io::ErrorKind::PermissionDenied => "check that this user may read it",
        _ if is_too_many(&error) => "the limit on open files is reached: raise it (ulimit -n)",
        _ => "see whether another program can read it; its disk or network may be at fault",
    };
    Error::io(format!("cannot open {}", path.display()), error).with_hint(hint)
}

#[cfg(unix)]
fn read_file_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, at)
}

#[cfg(windows)]
fn read_file_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, at)
}

/// A range of an open file that does not change: a copy of a stream.
pub(super) struct Copied {
    pub(super) file: Arc<File>,
    pub(super) from: u64,
    pub(super) len: u64,
}

impl ReadAt for Copied {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX).min(buf.len());
        if left == 0 { Ok(0) } else { read_file_at(&self.file, &mut buf[..left], self.from + at) }
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(Identity::of_size(self.len))
    }
}

fn identity_of(meta: &Metadata) -> Identity {
    #[cfg(unix)]
    let (device, inode) = {
        use std::os::unix::fs::MetadataExt;
        (meta.dev(), meta.ino())
    };
    #[cfg(not(unix))]
    let (device, inode) = (0, 0);
    let modified = meta.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let modified_ns = modified.map_or(0, |since| since.as_nanos() as i128);
    Identity { size: meta.len(), device, inode, modified_ns, version: None }
}

/// Whether `path` leads to a regular file that is not empty although its size is 0. See [`PinnedFile::is_sizeless`].
pub(super) fn is_sizeless(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == 0)
        && PinnedFile::new(path.to_owned(), 0, Arc::default()).is_ok_and(|file| file.is_sizeless().unwrap_or(false))
}

/// Whether `path` leads to the file that was opened at `opened`, under any name.
pub(super) fn is_at(path: &Path, opened: &Path, identity: &Identity) -> bool {
    if identity.inode == 0 {
        return path.canonicalize().is_ok_and(|path| opened.canonicalize().is_ok_and(|opened| path == opened));
    }
    std::fs::metadata(path).is_ok_and(|meta| {
        let there = identity_of(&meta);
        (there.device, there.inode) == (identity.device, identity.inode)
    })
}

/// Whether `path` leads to the file that standard input is redirected from.
#[cfg(unix)]
pub(super) fn is_stdin(path: &Path) -> bool {
    use std::os::fd::AsFd as _;
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let (Ok(stdin), Ok(there)) = (stdin.and_then(|file| file.metadata()), std::fs::metadata(path)) else {
        return false;
    };
    let (stdin, there) = (identity_of(&stdin), identity_of(&there));
    (stdin.device, stdin.inode) == (there.device, there.inode)
}

/// Always false, because this system cannot be asked.
#[cfg(not(unix))]
pub(super) fn is_stdin(_: &Path) -> bool {
    false
}

/// Bytes in memory.
pub(super) struct Memory(pub(super) Vec<u8>);

impl ReadAt for Memory {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(Identity::of_size(self.0.len() as u64))
    }
}

/// Reads a range of data that is read by position as a stream.
pub(super) struct Sequential {
    name: String,
    data: Arc<dyn ReadAt>,
    at: u64,
    end: u64,
}

impl Sequential {
    pub(super) fn new(name: &str, data: Arc<dyn ReadAt>, at: u64, end: u64) -> Sequential {
        Sequential { name: name.to_owned(), data, at, end }
    }
}

impl io::Read for Sequential {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buf.len());
        let n = self.data.read_at(&mut buf[..left], self.at)?;
        if n == 0 && left > 0 {
            return Err(io::Error::other(changed(&self.name, "shrank")));
        }
        self.at += n as u64;
        Ok(n)
    }
}
