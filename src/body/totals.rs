//! The totals of the chunks up to a point of a pass, and the start of a pass.

use super::batch::ChunkEnd;
use super::{Counts, Joined};
use crate::format::{ChunkId, Tabular};

/// The totals of the records before the head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) input: usize,
    /// Number of records in this input.
    pub(crate) record: u64,
    /// Number of lines in this input, including the header.
    pub(crate) line: u64,
    pub(crate) counts: Counts,
    /// Bytes of output passed on so far, without header lines.
    pub(crate) out_bytes: u64,
    pub(crate) out_records: u64,
}

impl Totals {
    /// Returns the totals before the first record of a source: the header of its first input.
    pub(crate) fn at_start(table: &dyn Tabular) -> Totals {
        Totals { line: table.lines_before(0), ..Totals::default() }
    }

    /// Moves to `input`, where records and lines are counted from the start; does nothing if it is the current one.
    /// Inputs without records have no chunks, so several may be skipped at once.
    pub(crate) fn enter(&mut self, input: usize, table: &dyn Tabular) {
        if self.input != input {
            self.input = input;
            self.record = 0;
            self.line = table.lines_before(input);
        }
    }

    /// Adds a finished chunk of this input.
    pub(crate) fn add(&mut self, end: &ChunkEnd) {
        if end.joined.count > 0 {
            let first = Joined { count: 0, input: self.input, record: self.record + end.joined.first + 1 };
            self.counts.joined.get_or_insert(first).count += end.joined.count;
        }
        let Counts { read, written, filtered, rejected, blank, .. } = end.counts;
        self.record += read;
        self.line += end.lines;
        self.counts.read += read;
        self.counts.written += written;
        self.counts.filtered += filtered;
        self.counts.rejected += rejected;
        self.counts.blank += blank;
    }
}

/// The start of a pass.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) chunk: ChunkId,
    pub(crate) totals: Totals,
}

impl Start {
    /// Returns the first record of the first input.
    pub(crate) fn of(table: &dyn Tabular) -> Start {
        Start { chunk: ChunkId::default(), totals: Totals::at_start(table) }
    }
}
