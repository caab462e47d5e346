//! Rows that a platform rejected, in a separate file per run, because a million of them must not slow down the check of
//! the state at every start. The file is removed when the run has ended; its rows are in the reject file by then.

use super::{unreadable, unwritable};
use crate::calls::{FaultAt, MAX_STORED_FAULTS, RowFault};
use crate::error::Result;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of rows in one transaction: a sync for each row would take hours for a million.
const ROWS_PER_WRITE: usize = 512;
/// Number of bytes after which rows are written earlier.
const BYTES_PER_WRITE: usize = 256 << 10;
/// Maximum size of a platform's message; longer ones are cut.
const MAX_MESSAGE_BYTES: usize = 1024;
/// Number of bytes of messages that are remembered, so that a repeated one is stored once.
const REMEMBERED_BYTES: usize = 64 << 10;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS faults (
    grp     TEXT NOT NULL,
    place   INTEGER NOT NULL,  -- the output index; the greatest integer if only the key is known
    key     TEXT,
    message INTEGER NOT NULL   -- id of the message
) STRICT;
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS faults_by_place ON faults (place);
CREATE TABLE IF NOT EXISTS fault_counts (grp TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

/// The rejected rows of one run. The file is created with the first of them.
pub(super) struct FaultFile {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    db: Option<Connection>,
    waiting: Vec<(String, RowFault)>,
    waiting_bytes: usize,
    known: Known,
}

/// The last messages that were stored, with their ids. Platforms tend to say the same of many rows.
#[derive(Default)]
struct Known {
    ids: HashMap<String, i64>,
    bytes: usize,
}

impl Known {
    /// Returns the id of a message, which is stored unless it is known.
    fn id(&mut self, into: &Transaction<'_>, message: &str) -> rusqlite::Result<i64> {
        if let Some(&id) = self.ids.get(message) {
            return Ok(id);
        }
        into.prepare_cached("INSERT INTO messages (text) VALUES (?1)")?.execute([message])?;
        let id = into.last_insert_rowid();
        if self.bytes >= REMEMBERED_BYTES {
            *self = Known::default();
        }
        // counts the map's own share as well
        self.bytes += message.len() + 64;
        self.ids.insert(message.to_owned(), id);
        Ok(id)
    }
}

/// Rows with their place in the order.
type Page = Vec<((i64, i64), RowFault)>;

impl FaultFile {
    /// Returns the file of a run in a state directory, without opening or creating it.
    pub(super) fn of(dir: &Path, run_id: &str) -> FaultFile {
        FaultFile { path: dir.join("refused").join(format!("{run_id}.db")), inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // a transaction that was interrupted by a panic has been rolled back
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file, or creates it.
    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        let failed = |error: std::io::Error| {
            rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
                Some(format!("{}: {error}", self.path.display())),
            )
        };
        if let Some(dir) = self.path.parent() {
            super::open::make_dir(dir).map_err(failed)?;
        }
        super::open::make_file(&self.path).map_err(failed)?;
        let db = Connection::open(&self.path)?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        db.pragma_update(None, "cache_size", -1024)?;
        db.execute_batch(SCHEMA)?;
        Ok(db)
    }

    /// Returns the connection; none if no row was ever stored and `make` is false.
    fn open<'i>(&self, inner: &'i mut Inner, make: bool) -> Result<Option<&'i mut Connection>> {
        if inner.db.is_none() && (make || self.path.exists()) {
            inner.db = Some(self.connect().map_err(unwritable)?);
        }
        Ok(inner.db.as_mut())
    }

    /// Stores a row, which is in the file after [`FaultFile::flush`].
    pub(super) fn add(&self, group: &str, fault: &RowFault) -> Result<()> {
        let full = {
            let mut inner = self.inner();
            let mut fault = fault.clone();
            if fault.message.len() > MAX_MESSAGE_BYTES {
                fault.message.truncate(fault.message.floor_char_boundary(MAX_MESSAGE_BYTES));
                fault.message.push('…');
            }
            inner.waiting_bytes += fault.message.len();
            inner.waiting.push((group.to_owned(), fault));
            inner.waiting.len() >= ROWS_PER_WRITE || inner.waiting_bytes >= BYTES_PER_WRITE
        };
        if full { self.flush() } else { Ok(()) }
    }

    /// Writes the waiting rows.
    pub(super) fn flush(&self) -> Result<()> {
        let mut inner = self.inner();
        let waiting = std::mem::take(&mut inner.waiting);
        inner.waiting_bytes = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        // without this write, its messages are not stored
        let mut known = std::mem::take(&mut inner.known);
        let Some(db) = self.open(&mut inner, true)? else { return Ok(()) };
        write(db, &waiting, &mut known).map_err(unwritable)?;
        inner.known = known;
        Ok(())
    }

    /// Makes the rows durable, before a result states that all have been read.
    pub(super) fn settle(&self) -> Result<()> {
        self.flush()?;
        let inner = self.inner();
        let Some(db) = &inner.db else { return Ok(()) };
        db.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).map_err(unwritable)
    }

    /// Deletes the rows of a group, and the messages that no other row has.
    pub(super) fn clear(&self, group: &str) -> Result<()> {
        self.flush()?;
        let mut inner = self.inner();
        inner.known = Known::default();
        let Some(db) = self.open(&mut inner, false)? else { return Ok(()) };
        let clear = |db: &mut Connection| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if transaction.execute("DELETE FROM faults WHERE grp = ?1", [group])? > 0 {
                transaction.execute("DELETE FROM messages WHERE id NOT IN (SELECT message FROM faults)", [])?;
            }
            transaction.execute("DELETE FROM fault_counts WHERE grp = ?1", [group])?;
            transaction.commit()
        };
        clear(db).map_err(unwritable)
    }

    /// Returns the number of rows that were stored or counted.
    pub(super) fn count(&self) -> Result<u64> {
        self.flush()?;
        let mut inner = self.inner();
        let Some(db) = self.open(&mut inner, false)? else { return Ok(0) };
        let count: i64 = db
            .query_row("SELECT coalesce(sum(count), 0) FROM fault_counts", [], |row| row.get(0))
            .map_err(unreadable)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Calls `each` with the stored rows, sorted by index if they have one, until it returns false.
    pub(super) fn each(&self, each: &mut dyn FnMut(&RowFault) -> Result<bool>) -> Result<()> {
        self.flush()?;
        // by pages, so that the connection is free while `each` runs; rows without an index come last
        let mut after: (i64, i64) = (-1, 0);
        loop {
            let page = {
                let mut inner = self.inner();
                let Some(db) = self.open(&mut inner, false)? else { return Ok(()) };
                page(db, after).map_err(unreadable)?
            };
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, fault) in &page {
                if !each(fault)? {
                    return Ok(());
                }
            }
        }
    }

    /// Removes the file, because the run has ended.
    pub(super) fn remove(&self) {
        let mut inner = self.inner();
        *inner = Inner::default();
        let _ = std::fs::remove_file(&self.path);
        // left by a process that was killed
        for side in ["db-wal", "db-shm"] {
            let _ = std::fs::remove_file(self.path.with_extension(side));
        }
    }
}

fn write(db: &mut Connection, waiting: &[(String, RowFault)], known: &mut Known) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let stored: i64 =
            transaction.query_row("SELECT coalesce(sum(count), 0) FROM fault_counts", [], |row| row.get(0))?;
        let room = MAX_STORED_FAULTS.saturating_sub(u64::try_from(stored).unwrap_or(0));
        let mut insert =
            transaction.prepare_cached("INSERT INTO faults (grp, place, key, message) VALUES (?1, ?2, ?3, ?4)")?;
        let mut count = transaction.prepare_cached(
            "INSERT INTO fault_counts (grp, count) VALUES (?1, 1) ON CONFLICT (grp) DO UPDATE SET count = count + 1",
        )?;
        for (at, (group, fault)) in waiting.iter().enumerate() {
            if (at as u64) < room {
                let (place, key) = match &fault.at {
                    FaultAt::Index(index) => (i64::try_from(*index).unwrap_or(i64::MAX), None),
                    FaultAt::Key(key) => (i64::MAX, Some(key)),
                };
                insert.execute(params![group, place, key, known.id(&transaction, &fault.message)?])?;
            }
            count.execute(params![group])?;
        }
    }
    transaction.commit()
}

fn page(db: &Connection, after: (i64, i64)) -> rusqlite::Result<Page> {
    let mut select = db.prepare_cached(
        "SELECT place, faults.rowid, key, text FROM faults JOIN messages ON messages.id = faults.message \
         WHERE (place, faults.rowid) > (?1, ?2) ORDER BY place, faults.rowid LIMIT 500",
    )?;
    let rows = select.query_map(params![after.0, after.1], |row| {
        let place: i64 = row.get(0)?;
        let at = match row.get::<_, Option<String>>(2)? {
            Some(key) => FaultAt::Key(key),
            None => FaultAt::Index(u64::try_from(place).unwrap_or(0)),
        };
        Ok(((place, row.get(1)?), RowFault { at, message: row.get(3)? }))
    })?;
    rows.collect()
}

/// Removes the rejected rows of a run that has ended.
pub(super) fn remove(dir: &Path, run_id: &str) {
    FaultFile::of(dir, run_id).remove();
}
