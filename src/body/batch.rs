//! The result of a chunk, which a worker passes to the ordered stage. Positions are relative to the chunk.

use super::Counts;
use super::options::Bounds;
use super::slab::Slab;
use crate::error::Error;
use crate::format::Fatal;
use crate::mapping::Sights;
use crate::row::{Record, RecordPlace, RowError};

/// Options of a pass: what it collects in addition to the length and digest of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Collect {
    /// The output itself.
    pub(crate) data: bool,
    /// Rejected records with their positions.
    pub(crate) rejects: bool,
    /// Written records with their positions and output.
    pub(crate) rows: bool,
    /// Counts for warnings.
    pub(crate) sights: bool,
}

/// The records of a chunk that show that files were concatenated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JoinedRecords {
    pub(crate) count: u64,
    /// Number of the first of them in the chunk, from 0.
    pub(crate) first: u64,
}

/// Rejected records and, if the pass asks for them, written ones, in order; their bytes share one arena.
#[derive(Default)]
pub(crate) struct RowLog {
    pub(crate) items: Vec<LoggedRow>,
    arena: Vec<u8>,
    reasons: usize,
}

/// A record that was logged.
pub(crate) struct LoggedRow {
    /// Number of the record in the chunk, from 0.
    pub(crate) record: u64,
    pub(crate) place: RecordPlace,
    /// Range of the stored bytes of the record.
    pub(crate) kept: (u32, u32),
    /// True if it was split into columns.
    pub(crate) is_split: bool,
    pub(crate) outcome: RowOutcome,
}

/// The outcome of a logged record.
pub(crate) enum RowOutcome {
    /// Written; the range of its output.
    Written((u32, u32)),
    Rejected(RowError),
}

impl RowLog {
    /// Returns an empty log with room for that many bytes of records.
    pub(crate) fn with_capacity(bytes: usize) -> RowLog {
        RowLog { arena: Vec::with_capacity(bytes), ..RowLog::default() }
    }

    /// Returns a range of the logged bytes.
    pub(crate) fn bytes(&self, range: (u32, u32)) -> &[u8] {
        &self.arena[range.0 as usize..range.1 as usize]
    }

    /// Returns the memory of the arena.
    pub(crate) fn capacity(&self) -> usize {
        self.arena.capacity()
    }

    /// Empties the log but keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.arena.clear();
        self.reasons = 0;
    }

    fn append(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> (u32, u32) {
        let from = self.arena.len() as u32;
        append(&mut self.arena);
        (from, self.arena.len() as u32)
    }

    /// Logs a record that was written.
    pub(crate) fn written(&mut self, number: u64, record: &impl Record, output: &[u8]) {
        let kept = self.append(|arena| record.keep(arena));
        let output = self.append(|arena| arena.extend_from_slice(output));
        let outcome = RowOutcome::Written(output);
        self.items.push(LoggedRow { record: number, place: record.place(), kept, is_split: true, outcome });
    }

    /// Logs a record that was rejected.
    pub(crate) fn rejected(&mut self, number: u64, record: &impl Record, is_split: bool, error: RowError) {
        let kept = self.append(|arena| record.keep(arena));
        self.reasons += error.reason.len();
        let outcome = RowOutcome::Rejected(error);
        self.items.push(LoggedRow { record: number, place: record.place(), kept, is_split, outcome });
    }

    /// Returns true if the log must be passed on before more is logged.
    pub(crate) fn is_large(&self, bounds: &Bounds) -> bool {
        self.arena.len() + self.reasons > bounds.row_bytes || self.items.len() > bounds.rows
    }
}

/// The part of a chunk that is ready for the ordered stage.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) slabs: Vec<Slab>,
    pub(crate) rows: RowLog,
}

/// The reason why a chunk was not finished.
pub(crate) enum Stop {
    /// The pass is being stopped by another thread.
    Stopped,
    /// The separator on trial occurs in a value.
    Clash,
    /// A fatal error; the number of records of the chunk before it.
    Fatal(Fatal, u64),
}

impl Stop {
    /// Sets the number of records of the chunk before the stop.
    pub(crate) fn after(self, records: u64) -> Stop {
        match self {
            Stop::Fatal(fatal, _) => Stop::Fatal(fatal, records),
            other => other,
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Fatal(error.into(), 0)
    }
}

impl From<Fatal> for Stop {
    fn from(fatal: Fatal) -> Stop {
        Stop::Fatal(fatal, 0)
    }
}

/// A finished chunk.
#[derive(Default)]
pub(crate) struct ChunkEnd {
    /// Counts of its records; reject reasons are counted with the rows.
    pub(crate) counts: Counts,
    pub(crate) joined: JoinedRecords,
    /// Number of physical lines in it.
    pub(crate) lines: u64,
    /// State at its start.
    pub(crate) state: u64,
    /// Length in units of the format.
    pub(crate) length: u64,
    /// Counts for warnings, if the pass asks for them.
    pub(crate) sights: Option<Sights>,
}
