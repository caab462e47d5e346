//! The state directory: runs, steps, parts, platform-rejected rows and quotas in one SQLite file, and one lock a job.
//!
//! WAL with synchronous FULL: what a method wrote is on the disk when it returns. Files are 0600, the directory 0700.
//! A file that is damaged or of a newer version is refused and never replaced: starting over could send twice.

mod lock;
mod open;
mod path;
mod quota;
mod record;
mod run;

pub use lock::JobLock;
pub(in crate::job) use record::PASS_ONE;
pub use record::RunRecord;
pub use run::Run;

use crate::error::{Error, Kind, Result};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// An open state directory. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct State {
    dir: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl State {
    /// Opens (or makes) the state in a directory.
    ///
    /// # Errors
    /// `Busy` (3): the directory or the file cannot be opened or made, is damaged, or was written by a newer version.
    pub fn open(dir: &Path) -> Result<State> {
        let connection = open::open(dir)?;
        Ok(State { dir: dir.to_owned(), connection: Arc::new(Mutex::new(connection)) })
    }

    /// Opens the state in a directory for reading, also where nothing can be written; `None`: there is none.
    ///
    /// # Errors
    /// `Busy` (3): as [`State::open`].
    pub(in crate::job) fn open_to_read(dir: &Path) -> Result<Option<State>> {
        match std::fs::metadata(dir.join("state.db")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        let connection = open::to_read(dir)?;
        Ok(Some(State { dir: dir.to_owned(), connection: Arc::new(Mutex::new(connection)) }))
    }

    /// As [`State::open`]; where nothing can be written, what is there is opened for reading.
    ///
    /// # Errors
    /// As [`State::open`].
    pub(in crate::job) fn open_to_list(dir: &Path) -> Result<State> {
        State::open(dir).or_else(|error| match is_read_only(&error) {
            true => State::open_to_read(dir)?.ok_or(error),
            false => Err(error),
        })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // a transaction that a panic cut short has been rolled back
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error while reading: the state is not to be trusted. Reading may have to write, too (the log and the memory that
/// processes share): then it is an error while writing.
fn unreadable(error: rusqlite::Error) -> Error {
    if is_out_of_room(&error) {
        return unwritable(error);
    }
    Error::new(Kind::Busy, format!("the state cannot be read: {error}"))
        .with_hint("look at the state directory; it is never replaced by itself, for that could send a list twice")
        .with_source(error)
}

/// An error while writing: nothing may be sent that is not written down.
fn unwritable(error: rusqlite::Error) -> Error {
    if let Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) = error.sqlite_error_code() {
        return unreadable(error);
    }
    Error::new(Kind::Local, format!("the state cannot be written: {error}"))
        .with_hint(
            "is the disk of the state directory full or read-only, or the size of files limited (ulimit -f)? nothing was \
             sent that is not written down",
        )
        .with_source(error)
}

/// Whether the disk, a quota or a limit had no room for what was to be written.
fn is_out_of_room(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{
        SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE,
    };
    let code = error.sqlite_error().map(|error| error.extended_code);
    let of_writing = [SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE];
    code.is_some_and(|code| of_writing.contains(&code))
}

/// Whether nothing can be written there by this user, now or later.
fn is_read_only(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let io = source.and_then(|source| source.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    let sqlite = source.and_then(|source| source.downcast_ref::<rusqlite::Error>());
    matches!(io, Some(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem))
        || sqlite.and_then(rusqlite::Error::sqlite_error_code) == Some(rusqlite::ErrorCode::ReadOnly)
}

fn millis(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn moment(millis: i64) -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_quota;
