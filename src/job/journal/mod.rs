//! The state directory: runs, steps, parts, platform-rejected rows and quotas in one SQLite file, and one lock a job.
//!
//! WAL with synchronous FULL: what a method wrote is on the disk when it returns. Files are 0600, the directory 0700.
//! A file that is damaged or of a newer version is refused and never replaced: starting over could send twice.

mod faults;
mod lock;
mod migrate;
mod mount;
mod open;
mod path;
mod quota;
mod record;
mod run;
mod write;

pub(in crate::job) use lock::JobLocks;
pub(in crate::job) use record::PASS_ONE;
pub use record::{ClosedAs, RunRecord};
pub use run::Run;
pub(in crate::job) use run::{Keep, Standing};
pub(in crate::job) use write::NewRun;

use self::open::IfNone;
use super::world::{Watch, World};
use crate::calls::{Clock, SystemClock};
use crate::error::{Error, Kind, Result};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The fact of a run of 0.1.0 that is partly accepted and kept nothing to go on with.
pub(in crate::job) const NOT_KEPT: &str = "not-kept";

/// What [`State::init`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Init {
    /// There was a sound state already.
    Exists,
    /// It was made.
    Made,
    /// It was made; the damaged one was moved to this path, unless it was gone.
    Replaced(Option<PathBuf>),
}

/// An open state directory. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct State {
    dir: PathBuf,
    connection: Arc<Mutex<Connection>>,
    clock: Arc<dyn Clock>,
    watch: Option<Watch>,
}

impl State {
    /// Opens (or makes) the state in a directory.
    ///
    /// # Errors
    /// `Busy` (3): the directory or the file cannot be opened or made, is damaged, or was written by a newer version.
    pub fn open(dir: &Path) -> Result<State> {
        State::open_or(dir, IfNone::Make)
    }

    /// Opens the state in a directory that must hold one already (`state.require`).
    ///
    /// # Errors
    /// `Busy` (3): as [`State::open`]; there is none.
    pub(in crate::job) fn open_existing(dir: &Path) -> Result<State> {
        State::open_or(dir, IfNone::Refuse)
    }

    fn open_or(dir: &Path, if_none: IfNone) -> Result<State> {
        let connection = open::open(dir, if_none)?;
        Ok(State::with(dir, connection))
    }

    fn with(dir: &Path, connection: Connection) -> State {
        let (connection, clock) = (Arc::new(Mutex::new(connection)), Arc::new(SystemClock));
        State { dir: dir.to_owned(), connection, clock, watch: None }
    }

    /// The same state with another clock, and somebody who is told of each write.
    pub(in crate::job) fn in_world(mut self, world: &World) -> State {
        self.clock = Arc::clone(&world.clock);
        self.watch.clone_from(&world.watch);
        self
    }

    /// Makes the state in a directory if it holds none. With `force` a damaged one is set aside first; the result is
    /// where it went. A sound state stays as it is.
    ///
    /// # Errors
    /// `Busy` (3): the state is damaged and `force` is false, or it cannot be made.
    pub fn init(dir: &Path, force: bool) -> Result<Init> {
        let there = open::exists(dir);
        match State::open(dir) {
            Ok(_) if there => Ok(Init::Exists),
            Ok(_) => Ok(Init::Made),
            Err(error) if force && there && open::is_damage(&error) => {
                let suffix = format!("damaged-{}", millis(SystemClock.wall()));
                let aside = open::set_aside(dir, &suffix).map_err(|error| {
                    Error::io(format!("the damaged state in {} cannot be set aside", dir.display()), error)
                })?;
                State::open(dir).map(|_| Init::Replaced(aside))
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the state in a directory for reading, also where nothing can be written; `None`: there is none.
    ///
    /// # Errors
    /// `Busy` (3): as [`State::open`].
    pub(in crate::job) fn open_to_read(dir: &Path) -> Result<Option<State>> {
        if !open::exists(dir) {
            return Ok(None);
        }
        let connection = open::to_read(dir)?;
        Ok(Some(State::with(dir, connection)))
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

/// Returns true if SQLite says so itself: the file is there, but it is not sound.
fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt))
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
    if is_corrupt(&error) {
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
