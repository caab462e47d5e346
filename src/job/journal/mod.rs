//! The state directory: runs, steps, parts, platform-rejected rows and quotas in one SQLite file, and one lock a job.
//!
//! WAL with synchronous FULL: what a method wrote is on the disk when it returns. Files are 0600, the directory 0700.
//! A file that is damaged or of a newer version is refused and never replaced: starting over could send twice.

mod lock;
mod open;
mod path;
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

/// An error while reading: the state is not to be trusted.
fn unreadable(error: rusqlite::Error) -> Error {
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
        .with_hint("is the disk of the state directory full, or read-only? nothing was sent that is not written down")
        .with_source(error)
}

fn millis(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn moment(millis: i64) -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests;
