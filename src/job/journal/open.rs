//! Opens the SQLite file: permissions, version, a check for damage.

use super::{unreadable, unwritable};
use crate::error::{Error, Kind, Result};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

/// Of the schema; a file with a greater one is refused.
const VERSION: i64 = 1;
/// `lsfy`: the file is ours.
const APPLICATION: i64 = 0x6c73_6679;
/// A larger file is not checked page by page on each start.
const CHECKED_BYTES: u64 = 64 << 20;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(2);
/// So long an opening waits for another one, and for a connection that is just being closed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn open(dir: &Path) -> Result<Connection> {
    let cannot = |what: &str, error: std::io::Error| {
        // what has no room has no state that could be in doubt
        let (kind, hint) = match is_out_of_room(&error) {
            true => (Kind::Local, "make room, or give another with --state-dir; nothing was sent"),
            false => (Kind::Busy, "give another with --state-dir"),
        };
        Error::new(kind, format!("the state directory {} cannot be {what}: {error}", dir.display()))
            .with_hint(hint)
            .with_source(error)
    };
    make_dir(dir).map_err(|error| cannot("made", error))?;
    let until = Instant::now() + PATIENCE;
    let turn = turn(dir, until).map_err(|error| cannot("locked", error))?;
    let path = dir.join("state.db");
    make_file(&path).map_err(|error| cannot("written to", error))?;
    let length = std::fs::metadata(&path).map_err(|error| cannot("read", error))?.len();
    let db = connect(&path, until)?;
    drop(turn);
    if length <= CHECKED_BYTES {
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(unreadable)?;
        if verdict != "ok" {
            return Err(damaged(&verdict));
        }
    }
    Ok(db)
}

/// Whether the disk, a quota or a limit had no room.
fn is_out_of_room(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
        // ENFILE and EMFILE
        || (cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24)))
}

/// For reading what is there, also where nothing may be written: nothing is made or changed.
pub(super) fn to_read(dir: &Path) -> Result<Connection> {
    let path = dir.join("state.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    // Where no log lies beside it nobody is at work, and the file is all there is. Else SQLite needs the log, and files that
    // it shares with whoever writes.
    let alone = cfg!(unix) && !dir.join("state.db-wal").exists();
    let db = match path.to_str().filter(|_| alone) {
        Some(path) => {
            let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
        }
        None => Connection::open_with_flags(&path, flags),
    };
    let db = db.map_err(unreadable)?;
    db.busy_timeout(PATIENCE).map_err(unreadable)?;
    let pragma = |name: &str| -> Result<i64> {
        db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(unreadable)
    };
    match (pragma("application_id")?, pragma("user_version")?) {
        (APPLICATION, VERSION) => Ok(db),
        (APPLICATION, newer) if newer > VERSION => Err(too_new(newer)),
        _ => Err(damaged("it is no state of listferry")),
    }
}

/// One opens at a time, of all threads and processes: SQLite does not wait, but refuses, where two switch a file to WAL.
fn turn(dir: &Path, until: Instant) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(dir.join("state.opening"))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The connection, its settings and tables. Whoever closes the last connection meanwhile locks the others out, and then
/// too SQLite refuses instead of waiting.
fn connect(path: &Path, until: Instant) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(unreadable)?;
    db.busy_timeout(PATIENCE).map_err(unreadable)?;
    loop {
        match settings(&db) {
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) && Instant::now() < until =>
            {
                std::thread::sleep(PAUSE);
            }
            done => break done.map_err(unreadable)?,
        }
    }
    prepare(&mut db)?;
    Ok(db)
}

/// WAL is of the file, for good; the other three are of this connection.
fn settings(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "secure_delete", "ON")?;
    db.pragma_update(None, "foreign_keys", "ON")?;
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
}

/// Makes the tables in a new file, refuses what is not ours or too new.
fn prepare(db: &mut Connection) -> Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unwritable)?;
    let pragma = |name: &str| -> Result<i64> {
        transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(unreadable)
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))
        .map_err(unreadable)?;
    match (application, version, tables) {
        (0, 0, 0) => {
            transaction.execute_batch(include_str!("schema.sql")).map_err(unwritable)?;
            transaction.pragma_update(None, "application_id", APPLICATION).map_err(unwritable)?;
            transaction.pragma_update(None, "user_version", VERSION).map_err(unwritable)?;
            transaction.commit().map_err(unwritable)
        }
        (APPLICATION, VERSION, _) => Ok(()),
        (APPLICATION, newer, _) if newer > VERSION => Err(too_new(newer)),
        _ => Err(damaged("it is no state of listferry")),
    }
}

fn too_new(newer: i64) -> Error {
    let message = format!("the state was written by a newer listferry (version {newer}, this one reads {VERSION})");
    Error::new(Kind::Busy, message).with_hint("use the newer listferry, or another --state-dir")
}

fn damaged(why: &str) -> Error {
    Error::new(Kind::Busy, format!("the state is damaged: {}", crate::secret::printable(why))).with_hint(
        "restore state.db of the state directory from a backup, or see what the platform holds and move it away",
    )
}

#[cfg(unix)]
fn make_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_dir(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)
}

/// Made by us, so that nobody else can read it from its first moment; SQLite gives its side files the same mode. One that
/// is there is not opened: closing it would free the locks of every connection that this process has to it.
fn make_file(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
