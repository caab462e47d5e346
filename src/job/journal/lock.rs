//! Ensures that a job runs only once at a time, by an OS lock per job, which the kernel releases however the process
//! ends.

use crate::calls::pause as pause_for;
use crate::error::{Error, Kind, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The locks of a job under all keys that it is recorded by, held until the last clone is dropped.
#[derive(Clone, Debug)]
pub(in crate::job) struct JobLocks(#[allow(dead_code, reason = "held, not read")] Arc<Vec<JobLock>>);

impl JobLocks {
    /// Takes the lock of each key; creates the first if necessary.
    ///
    /// # Errors
    /// `Busy`: another process holds one of them.
    pub(in crate::job) fn take(dir: &Path, keys: &[&str]) -> Result<JobLocks> {
        let mut wanted: Vec<&str> = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            if (at == 0 || path(dir, key).exists()) && !wanted.contains(key) {
                wanted.push(key);
            }
        }
        // in the same order in all processes
        wanted.sort_unstable();
        wanted
            .into_iter()
            .map(|key| JobLock::take(dir, key))
            .collect::<Result<_>>()
            .map(|locks| JobLocks(Arc::new(locks)))
    }
}

/// Held while a job runs.
#[derive(Debug)]
struct JobLock(#[allow(dead_code, reason = "the lock lives as long as the file is open")] File);

fn path(dir: &Path, job: &str) -> PathBuf {
    dir.join(format!("{job}.lock"))
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A place among simultaneous calls, held by a file lock.
#[derive(Debug)]
pub(super) struct SeatLock(#[allow(dead_code, reason = "the lock lives as long as the file is open")] File);

impl SeatLock {
    /// Takes one of `limit` places of this name, if one is free.
    ///
    /// # Errors
    /// `Local`: the state directory cannot be written.
    pub(super) fn take(dir: &Path, name: &str, limit: u32) -> Result<Option<SeatLock>> {
        for place in 0..limit {
            let path = dir.join(format!("{name}.{place}.seat"));
            let cannot = |error| Error::io(format!("the lock {} cannot be taken", path.display()), error);
            let file = open(&path).map_err(cannot)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Some(SeatLock(file))),
                // it was removed meanwhile; the caller tries again soon
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            }
        }
        Ok(None)
    }
}

impl JobLock {
    /// Takes the lock of a job.
    ///
    /// # Errors
    /// `Busy`: another process holds it.
    fn take(dir: &Path, job: &str) -> Result<JobLock> {
        let path = path(dir, job);
        let cannot = |error: std::io::Error| {
            Error::new(Kind::Busy, format!("the lock {} cannot be taken: {error}", path.display())).with_source(error)
        };
        let mut file = open(&path).map_err(cannot)?;
        // a process that lists the runs holds it for a moment
        for pause in [5, 20, 75, 0] {
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(JobLock(file)),
                // it was removed meanwhile
                Ok(()) => file = open(&path).map_err(cannot)?,
                Err(TryLockError::WouldBlock) => pause_for(Duration::from_millis(pause)),
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            }
        }
        Err(Error::new(Kind::Busy, "this job is running already")
            .with_hint("wait until the other process has ended; `listferry runs` shows it"))
    }
}

/// Returns true if an open file is the one at a path: a lock of a file that was removed excludes no other process.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let place = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(own), Ok(there)) => place(own) == place(there),
        _ => false,
    }
}

/// Files are not removed while they are open.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Removes the file of a lock that no process holds. Returns true if it was removed.
pub(super) fn remove_if_free(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else { return false };
    // it is removed while it is locked, so that a process which takes it afterwards sees that it is gone
    file.try_lock().is_ok() && std::fs::remove_file(path).is_ok()
}

/// Returns whether a process holds the lock of a job.
pub(super) fn is_taken(dir: &Path, job: &str) -> bool {
    let Ok(file) = File::open(path(dir, job)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}
