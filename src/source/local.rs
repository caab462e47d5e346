//! Files of this machine: paths and globs, positioned reads, identity.

use super::{Identity, ReadAt};
use crate::error::{Error, Kind, Result};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The paths that a pattern names, in byte order.
pub(super) fn paths(pattern: &str) -> Result<Vec<PathBuf>> {
    let literal = PathBuf::from(pattern);
    if !pattern.contains(['*', '?', '[']) || literal.exists() {
        return Ok(vec![literal]);
    }
    // as in a shell: what starts with a dot is hidden (half-copied files of rsync and the like)
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let entries = glob::glob_with(pattern, options)
        .map_err(|error| Error::usage(format!("source.path: {pattern} is not a valid glob: {}", error.msg)))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| {
            let path = error.path().display().to_string();
            Error::io(format!("looking for {pattern} in {path}"), error.into())
        })?;
        // anything else that is no file must not be passed over in silence: half a list would look whole
        if !path.is_dir() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Error::new(Kind::Local, format!("no file matches {pattern}"))
            .with_hint("source.path is relative to the folder of the job file"));
    }
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(found)
}

/// An open file.
pub(super) struct LocalFile(File);

impl LocalFile {
    /// One that is open, whatever its name.
    #[cfg(feature = "jobs")]
    pub(super) fn of(file: File) -> LocalFile {
        LocalFile(file)
    }

    pub(super) fn open(path: &Path) -> Result<LocalFile> {
        let failed = |error: io::Error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => "source.path is relative to the folder of the job file",
                _ => "check that this user may read it",
            };
            Error::io(format!("cannot open {}", path.display()), error).with_hint(hint)
        };
        let meta = std::fs::metadata(path).map_err(failed)?;
        if meta.is_dir() {
            return Err(Error::new(Kind::Local, format!("{} is a directory", path.display()))
                .with_hint("name a file, or a glob like dir/*.csv"));
        }
        if !meta.is_file() {
            return Err(Error::new(Kind::Local, format!("{} is not a regular file", path.display()))
                .with_hint("give a stream on standard input with source.path: \"-\""));
        }
        Ok(LocalFile(File::open(path).map_err(failed)?))
    }
}

impl ReadAt for LocalFile {
    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buf, at)
    }

    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.0, buf, at)
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(identity_of(&self.0.metadata()?))
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
    Identity { size: meta.len(), device, inode, modified_ns }
}

/// What became of the path, where it no longer names the file that was opened.
pub(super) fn became(path: &Path, opened: &Identity) -> Option<&'static str> {
    match std::fs::metadata(path) {
        Ok(meta) => {
            let now = identity_of(&meta);
            ((now.device, now.inode) != (opened.device, opened.inode)).then_some("was replaced")
        }
        Err(_) => Some("was removed"),
    }
}

/// Whether `path` leads to the file that was opened at `opened`, under whatever name.
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

/// Not known here.
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

/// Positioned reads as a stream, from one byte up to another that was there at the start.
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
            return Err(io::Error::other(super::changed(&self.name, "shrank")));
        }
        self.at += n as u64;
        Ok(n)
    }
}
