//! Migrates a state that an older version wrote.

use super::faults::FaultFile;
use rusqlite::{Transaction, params};
use std::path::Path;

/// Migrates version 1 (listferry 0.1.0) to 2. The rejected rows of an open run move to a file of its own; those of an
/// ended run are in its reject file.
pub(super) fn to_2(transaction: &Transaction<'_>, dir: &Path) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "ALTER TABLE runs ADD COLUMN target TEXT;
         ALTER TABLE runs ADD COLUMN source TEXT;
         ALTER TABLE runs ADD COLUMN effect TEXT;
         ALTER TABLE runs ADD COLUMN once_key TEXT;
         ALTER TABLE runs ADD COLUMN closed_as TEXT;
         ALTER TABLE runs ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE runs ADD COLUMN reported INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE runs ADD COLUMN version TEXT;
         ALTER TABLE parts ADD COLUMN accepted_ms INTEGER;
         ALTER TABLE slots ADD COLUMN reserved_by INTEGER;
         UPDATE runs SET reported = 1, version = '0.1.0';
         UPDATE runs SET closed_as = 'abandoned'
           WHERE closed = 1 AND (exit_code IS NULL OR exit_code NOT IN (0, 10, 11, 12, 30));
         UPDATE parts SET accepted_ms = (SELECT coalesce(ended_ms, started_ms) FROM runs WHERE seq = run) WHERE accepted;
         UPDATE runs SET closed = 1
           WHERE closed = 0 AND NOT EXISTS (SELECT 1 FROM steps WHERE run = seq)
             AND NOT EXISTS (SELECT 1 FROM parts WHERE run = seq AND accepted)
             AND NOT EXISTS (SELECT 1 FROM facts WHERE run = seq);",
    )?;
    // 0.1.0 closed a run that was refused after parts were accepted, and erased what is needed to continue it
    transaction.execute(
        "UPDATE runs SET closed = 0 WHERE closed = 1 AND exit_code IN (10, 12, 30)
           AND EXISTS (SELECT 1 FROM parts WHERE run = seq AND accepted)
           AND seq = (SELECT max(seq) FROM runs AS other WHERE other.job = runs.job)",
        [],
    )?;
    transaction.execute(
        "INSERT OR REPLACE INTO facts (run, key, value) SELECT seq, ?1, 'true' FROM runs
           WHERE closed = 0 AND exit_code IN (10, 12, 30) AND NOT EXISTS (SELECT 1 FROM steps WHERE run = seq)",
        [super::NOT_KEPT],
    )?;
    let mut open = transaction.prepare("SELECT seq, id FROM runs WHERE closed = 0")?;
    let open: Vec<(i64, String)> =
        open.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (seq, id) in open {
        let counted: i64 =
            transaction.query_row("SELECT count(*) FROM fault_counts WHERE run = ?1", [seq], |row| row.get(0))?;
        if counted > 0 {
            copy(transaction, dir, seq, &id)?;
        }
    }
    transaction.execute_batch("DROP TABLE faults; DROP TABLE fault_counts;")
}

fn copy(transaction: &Transaction<'_>, dir: &Path, seq: i64, id: &str) -> rusqlite::Result<()> {
    let mut db = FaultFile::of(dir, id).connect()?;
    let into = db.transaction()?;
    into.execute_batch("DELETE FROM faults; DELETE FROM messages; DELETE FROM fault_counts;")?;
    {
        let mut from = transaction.prepare("SELECT grp, place, key, message FROM faults WHERE run = ?1")?;
        let mut rows = from.query([seq])?;
        let mut message = into.prepare("INSERT INTO messages (text) VALUES (?1)")?;
        let mut insert = into.prepare("INSERT INTO faults (grp, place, key, message) VALUES (?1, ?2, ?3, ?4)")?;
        while let Some(row) = rows.next()? {
            message.execute([row.get::<_, String>(3)?])?;
            insert.execute(params![
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, Option<String>>(2)?,
                into.last_insert_rowid()
            ])?;
        }
        let mut from = transaction.prepare("SELECT grp, count FROM fault_counts WHERE run = ?1")?;
        let mut rows = from.query([seq])?;
        while let Some(row) = rows.next()? {
            into.execute(
                "INSERT INTO fault_counts (grp, count) VALUES (?1, ?2)",
                params![row.get::<_, String>(0)?, row.get::<_, i64>(1)?],
            )?;
        }
    }
    into.commit()
}
