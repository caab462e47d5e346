//! The state directory: runs, steps, parts, rejected rows and quotas in one SQLite file, and one lock per job.
//!
//! Every change is on the disk when its method returns. Files are 0600, the directory 0700. A file that is damaged or
//! of a newer version is refused and never replaced, because starting over could send a list twice.

mod cached;
mod examine;
mod expiry;
mod faults;
mod history;
mod lock;
mod migrate;
mod mount;
mod open;
mod path;
mod quota;
mod record;
mod run;
mod unchanged;
mod write;

pub(in crate::job) use examine::examine;
pub(in crate::job) use expiry::{REJECTS_UNTIL, SPOOL_EXPIRED, SPOOL_UNTIL};
pub use history::RunFilter;
pub(in crate::job) use lock::JobLocks;
pub(in crate::job) use record::PASS_ONE;
pub use record::{ClosedAs, RunRecord};
pub use run::Run;
pub(in crate::job) use run::{Keep, Standing};
pub(in crate::job) use write::NewRun;

use self::open::IfNone;
use super::world::{Connected, Watch, World};
use crate::calls::{Clock, SystemClock};
use crate::error::{Error, Kind, Result};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The fact of a run of 0.1.0 that was partly accepted and did not keep what is needed to continue.
pub(in crate::job) const NOT_KEPT: &str = "not-kept";

/// The result of [`State::init`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Init {
    /// A sound state existed already.
    Exists,
    /// The state was created.
    Made,
    /// The state was created; the damaged one was moved to this path, unless it was missing.
    Replaced(Option<PathBuf>),
}

/// An open state directory. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct State {
    dir: PathBuf,
    connection: Connected,
    clock: Arc<dyn Clock>,
    watch: Option<Watch>,
}

impl State {
    /// Opens (or creates) the state in a directory.
    ///
    /// # Errors
    /// `Busy` (3): the directory or the file cannot be opened or created, is damaged, or was written by a newer
    /// version.
    pub fn open(dir: &Path) -> Result<State> {
        State::open_or(dir, IfNone::Make)
    }

    fn open_or(dir: &Path, if_none: IfNone) -> Result<State> {
        let connection = open::open(dir, if_none)?;
        Ok(State::with(dir, connection))
    }

    fn with(dir: &Path, connection: Connection) -> State {
        State::connected(dir, Arc::new(Mutex::new(connection)))
    }

    fn connected(dir: &Path, connection: Connected) -> State {
        State { dir: dir.to_owned(), connection, clock: Arc::new(SystemClock), watch: None }
    }

    /// Opens the state with the clock and the observer of a world, or returns the one that the world has open. With
    /// `require`, the directory must have a state (`state.require`).
    ///
    /// # Errors
    /// `Busy` (3): as [`State::open`]; there is none.
    pub(in crate::job) fn in_world(dir: &Path, world: &World, require: bool) -> Result<State> {
        let state = match (State::of_world(dir, world), require) {
            (Some(state), _) => state,
            (None, true) => State::open_or(dir, IfNone::Refuse)?,
            (None, false) => State::open(dir)?,
        };
        Ok(State { clock: Arc::clone(&world.clock), watch: world.watch.clone(), ..state })
    }

    /// Returns the state that a world has open.
    pub(in crate::job) fn of_world(dir: &Path, world: &World) -> Option<State> {
        world.connection.as_ref().map(|connection| State::connected(dir, Arc::clone(connection)))
    }

    /// Creates the state in a directory if it has none. With `force` a damaged one is set aside first; the result has
    /// its new path. A sound state is not changed.
    ///
    /// # Errors
    /// `Busy` (3): the state is damaged and `force` is false, or it cannot be created.
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

    /// Opens the state in a directory for reading, even if nothing can be written; `None` if there is none.
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

    /// Like [`State::open`]; if nothing can be written, opens an existing state for reading.
    ///
    /// # Errors
    /// As [`State::open`].
    pub(in crate::job) fn open_to_list(dir: &Path) -> Result<State> {
        State::open(dir).or_else(|error| match is_read_only(&error) {
            true => State::open_to_read(dir)?.ok_or(error),
            false => Err(error),
        })
    }

    /// Returns the directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // a transaction that was interrupted by a panic has been rolled back
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if SQLite reports that the file is damaged.
fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt))
}

/// Converts an error while reading: the state cannot be trusted. Reading may have to write, too (the log and the memory
/// that processes share); an error there counts as one while writing.
fn unreadable(error: rusqlite::Error) -> Error {
    if is_out_of_room(&error) {
        return unwritable(error);
    }
    Error::new(Kind::Busy, format!("the state cannot be read: {error}"))
        .with_hint(
            "look at the state directory; it is never replaced automatically, because that could send a list twice",
        )
        .with_source(error)
}

/// Converts an error while writing: nothing may be sent that is not recorded.
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

/// Returns true if there was no space because of the disk, a quota or a limit.
fn is_out_of_room(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{
        SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE,
    };
    let code = error.sqlite_error().map(|error| error.extended_code);
    let of_writing = [SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE];
    code.is_some_and(|code| of_writing.contains(&code))
}

/// Returns true if this user cannot write here now or later.
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
