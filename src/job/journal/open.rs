//! Opens the SQLite file: permissions, version, and a check for damage.

use super::{is_corrupt, unreadable, unwritable};
use crate::calls::{Clock as _, SystemClock, pause};
use crate::error::{Error, Kind, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of the schema; a file with a greater one is refused.
const VERSION: i64 = 2;
/// Marks the file as ours: `lsfy`.
const APPLICATION: i64 = 0x6c73_6679;

/// Minimum size of a database: SQLite's smallest page.
const MIN_DATABASE_BYTES: u64 = 512;
/// Number of cached statements; more than a run uses.
const KEPT_STATEMENTS: usize = 96;
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(2);
/// Maximum wait for another process that is opening, or for a connection that is being closed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Behaviour if the directory has no state yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfNone {
    /// Create it.
    Make,
    /// Fail with 3 (`state.require`).
    Refuse,
}

/// Written when the database exists. Without it, a database that has vanished would look like one that never existed.
const MARKER: &str = "state.made";

pub(super) fn open(dir: &Path, if_none: IfNone) -> Result<Connection> {
    let cannot = |what: &str, error: std::io::Error| {
        // a full disk does not mean that a state is in doubt
        let (kind, hint) = match is_out_of_room(&error) {
            true => (Kind::Local, "make room, or choose another with --state-dir; nothing was sent"),
            false => (Kind::Busy, "choose another with --state-dir"),
        };
        Error::new(kind, format!("the state directory {} cannot be {what}: {error}", dir.display()))
            .with_hint(hint)
            .with_source(error)
    };
    if if_none == IfNone::Refuse && !exists(dir) {
        return Err(Error::new(
            Kind::Busy,
            format!("the state directory {} has no state yet, and state.require is true", dir.display()),
        )
        .with_hint("mount the directory of the earlier runs, or create a new state with `listferry runs init`"));
    }
    make_dir(dir).map_err(|error| cannot("made", error))?;
    super::mount::check(dir)?;
    let until = SystemClock.elapsed() + PATIENCE;
    let turn = turn(dir, until).map_err(|error| cannot("locked", error))?;
    let path = dir.join("state.db");
    match (path.exists(), dir.join(MARKER).exists()) {
        (true, _) => {}
        (false, true) => return Err(damaged(dir, "state.db is gone")),
        (false, false) => create(dir)?,
    }
    let db = connect(dir, until)?;
    make_file(&dir.join(MARKER)).map_err(|error| cannot("written to", error))?;
    drop(turn);
    let verdict: String =
        db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(|error| damaged_by(dir, error))?;
    if verdict != "ok" {
        return Err(damaged(dir, &verdict));
    }
    Ok(db)
}

/// Returns true if there was no space because of the disk, a quota or a limit.
fn is_out_of_room(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
        // ENFILE and EMFILE
        || (cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24)))
}

/// Returns true if the directory has a state, or had one.
pub(super) fn exists(dir: &Path) -> bool {
    dir.join("state.db").exists() || dir.join(MARKER).exists()
}

/// Moves a damaged state aside, under names that no state has. Returns the new name of the database, if there was one.
pub(super) fn set_aside(dir: &Path, suffix: &str) -> std::io::Result<Option<PathBuf>> {
    let there = dir.join("state.db").exists();
    let aside = dir.join(format!("state.db.{suffix}"));
    for (from, to) in [
        ("state.db", aside.clone()),
        ("state.db-wal", dir.join(format!("state.db.{suffix}-wal"))),
        ("state.db-shm", dir.join(format!("state.db.{suffix}-shm"))),
    ] {
        match std::fs::rename(dir.join(from), to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match std::fs::remove_file(dir.join(MARKER)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(there.then_some(aside)),
    }
}

/// Creates the database under another name and renames it when its tables exist: a file of 0 bytes is damage, never a
/// new state.
fn create(dir: &Path) -> Result<()> {
    let path = dir.join("state.db.new");
    let made = |error: std::io::Error| Error::io(format!("the state in {} cannot be made", dir.display()), error);
    for left in ["state.db.new", "state.db.new-journal"] {
        match std::fs::remove_file(dir.join(left)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(made(error)),
            _ => {}
        }
    }
    make_file(&path).map_err(made)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(&path, flags).map_err(unwritable)?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unwritable)?;
    transaction.execute_batch(include_str!("schema.sql")).map_err(unwritable)?;
    transaction.pragma_update(None, "application_id", APPLICATION).map_err(unwritable)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(unwritable)?;
    transaction.commit().map_err(unwritable)?;
    drop(db);
    std::fs::rename(&path, dir.join("state.db")).map_err(made)
}

/// Opens an existing state for reading, even if nothing may be written. Creates and changes nothing.
pub(super) fn to_read(dir: &Path) -> Result<Connection> {
    let path = dir.join("state.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let open = |db: rusqlite::Result<Connection>| {
        db.and_then(|db| db.query_row("PRAGMA application_id", [], |_| Ok(())).map(|()| db))
    };
    let db = match (open(Connection::open_with_flags(&path, flags)), path.to_str()) {
        // the write-ahead log of an older version cannot be read without writing files
        (Err(_), Some(path)) if !dir.join("state.db-wal").exists() => {
            let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            open(Connection::open_with_flags(format!("file:{path}?immutable=1"), flags))
        }
        (db, _) => db,
    };
    let db = db.map_err(|error| damaged_by(dir, error))?;
    db.busy_timeout(PATIENCE).map_err(unreadable)?;
    let pragma = |name: &str| -> Result<i64> {
        db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(|error| damaged_by(dir, error))
    };
    match (pragma("application_id")?, pragma("user_version")?) {
        (APPLICATION, VERSION) => Ok(db),
        (APPLICATION, newer) if newer > VERSION => Err(too_new(newer)),
        (APPLICATION, older) => Err(Error::new(
            Kind::Busy,
            format!(
                "the state was written by an older listferry (version {older}) and cannot be brought up to date here"
            ),
        )
        .with_hint("run `listferry runs` once where the state directory is writable")),
        _ => Err(damaged(dir, "it is not a state of listferry")),
    }
}

/// Lets one thread of all processes open at a time, because SQLite refuses instead of waiting if two switch a file to
/// WAL.
fn turn(dir: &Path, until: Duration) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(dir.join("state.opening"))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if SystemClock.elapsed() < until => pause(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns the connection, with its settings and tables. If another process closes the last connection meanwhile, it
/// locks others out, and again SQLite refuses instead of waiting.
fn connect(dir: &Path, until: Duration) -> Result<Connection> {
    let path = dir.join("state.db");
    // SQLite treats a file of a few bytes as an empty database and writes to it. Check only its size: closing the file
    // would release the locks of every other connection of this process.
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() < MIN_DATABASE_BYTES) {
        return Err(damaged(dir, "state.db is not a database"));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(unreadable)?;
    db.busy_timeout(PATIENCE).map_err(unreadable)?;
    db.set_prepared_statement_cache_capacity(KEPT_STATEMENTS);
    loop {
        match settings(&db) {
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
                    && SystemClock.elapsed() < until =>
            {
                pause(PAUSE);
            }
            done => break done.map_err(|error| damaged_by(dir, error))?,
        }
    }
    prepare(&mut db, dir)?;
    Ok(db)
}

/// Uses a rollback journal instead of a write-ahead log. If a log is damaged or removed, SQLite silently uses less of
/// it, and a call that was journaled there would be forgotten. Committed data is in the database itself.
fn settings(db: &Connection) -> rusqlite::Result<()> {
    // a plan does not depend on the values, so that a statement is not prepared again for others
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "secure_delete", "ON")?;
    db.pragma_update(None, "foreign_keys", "ON")?;
    db.query_row("PRAGMA journal_mode = TRUNCATE", [], |_| Ok(()))
}

/// Migrates an older state; refuses a file that is not ours or too new.
fn prepare(db: &mut Connection, dir: &Path) -> Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unwritable)?;
    let pragma = |name: &str| -> Result<i64> {
        transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(|error| damaged_by(dir, error))
    };
    match (pragma("application_id")?, pragma("user_version")?) {
        (APPLICATION, VERSION) => Ok(()),
        (APPLICATION, 1) => {
            let verdict: String = transaction
                .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
                .map_err(|error| damaged_by(dir, error))?;
            if verdict != "ok" {
                return Err(damaged(dir, &verdict));
            }
            super::migrate::to_2(&transaction, dir).map_err(unwritable)?;
            transaction.pragma_update(None, "user_version", VERSION).map_err(unwritable)?;
            transaction.commit().map_err(unwritable)
        }
        (APPLICATION, newer) if newer > VERSION => Err(too_new(newer)),
        _ => Err(damaged(dir, "it is not a state of listferry")),
    }
}

fn too_new(newer: i64) -> Error {
    let message = format!("the state was written by a newer listferry (version {newer}, this one reads {VERSION})");
    Error::new(Kind::Busy, message).with_hint("use the newer listferry, or another --state-dir")
}

fn damaged(dir: &Path, why: &str) -> Error {
    let why = crate::secret::printable(why);
    Error::new(Kind::Busy, format!("the state in {} is damaged: {why}", dir.display())).with_source(Damaged).with_hint(
        "restore state.db from a backup; or check what the platform has, then start over with `listferry runs init \
         --force`, which sets the damaged file aside: lists that were sent will be unknown and could be sent again",
    )
}

/// The cause of errors about damage, so that `runs init --force` can recognise them.
#[derive(Debug)]
struct Damaged;

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("damaged state")
    }
}

impl std::error::Error for Damaged {}

/// Returns true if opening failed because the state is damaged, not because it is in use or too new.
pub(super) fn is_damage(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Damaged>())
}

/// Converts an error of SQLite while the state is opened.
fn damaged_by(dir: &Path, error: rusqlite::Error) -> Error {
    match is_corrupt(&error) {
        true => damaged(dir, &error.to_string()),
        false => unreadable(error),
    }
}

#[cfg(unix)]
pub(super) fn make_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
pub(super) fn make_dir(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)
}

/// Creates the file so that only its owner can read it from the first moment; SQLite gives its side files the same
/// mode. An existing file is not opened, because closing it would release the locks of every connection that this
/// process has to it.
pub(super) fn make_file(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
