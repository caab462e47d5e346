//! Reads batches: writes the values of some rows into a block, then visits them, until the batch is done.

use super::column::Column;
use super::table::Columnar;
use super::typed::Source;
use crate::error::Error;
use crate::format::block::{Block, Rows};
use crate::format::chunk::{Chunk, Extent};
use crate::format::reader::{Host, Reader, Stop, Visit};
use crate::row::GroupRow;
use crate::scan::{Dialect, Scanner};
use arrow_array::RecordBatch;
use std::ops::Range;
use std::sync::Arc;

/// Maximum number of rows of a batch.
pub(in crate::format) const MAX_BATCH_ROWS: usize = 8_192;

/// Number of bytes of text of a block; a larger row has one of its own.
const BLOCK_BYTES: usize = 128 << 10;
/// Maximum number of rows of a block.
const BLOCK_ROWS: usize = 1_024;

/// The rows of a chunk.
#[derive(Clone)]
pub(in crate::format) struct Batch {
    pub(in crate::format) rows: RecordBatch,
    /// The places of the columns in it.
    pub(in crate::format) columns: Arc<[Column]>,
    /// The place of the first row.
    pub(in crate::format) first: GroupRow,
    /// The part of the input, in bytes, that counts as read with it.
    pub(in crate::format) read: Range<u64>,
}

/// Reads batches.
pub(crate) struct BatchReader {
    pub(in crate::format) batch: Option<Batch>,
    block: Block,
    scanner: Scanner,
}

impl BatchReader {
    pub(in crate::format) fn new(marked: Option<u8>) -> BatchReader {
        // a value that contains NUL is examined again whatever the delimiter, so NUL can serve as one
        let dialect = Dialect { delimiter: 0, quote: None, marked: marked.unwrap_or(b'"') };
        BatchReader { batch: None, block: Block::default(), scanner: Scanner::new(dialect) }
    }

    /// Writes the rows from `rows.start` on into the block, as many as fit; returns the end of their range.
    fn fill(&mut self, columns: &[Source<'_>], rows: Range<usize>) -> usize {
        let mut to = rows.end.min(rows.start + BLOCK_ROWS);
        while to - rows.start > 1 && bytes(columns, rows.start..to) > BLOCK_BYTES {
            to = rows.start + (to - rows.start) / 2;
        }
        self.block.start(columns.len());
        for column in columns {
            column.put(rows.start..to, &mut self.block);
        }
        self.block.finish(to - rows.start, &self.scanner);
        to
    }
}

fn bytes(columns: &[Source<'_>], rows: Range<usize>) -> usize {
    columns.iter().map(|column| column.typed.bytes(rows.clone())).sum()
}

impl<F: Columnar> Reader<F> for BatchReader {
    fn open<H: Host<Self>>(&mut self, _format: &F, _chunk: &Chunk, host: &mut H) -> Result<Extent, H::Stop> {
        host.publish(0);
        let read = self.batch.as_ref().map_or(0..0, |batch| batch.read.clone());
        // never empty, since the chunk has rows
        let bytes = usize::try_from(read.end - read.start).unwrap_or(usize::MAX).max(1);
        Ok(Extent { from: 0, to: bytes, state: 0 })
    }

    fn read<V>(&mut self, format: &F, _chunk: &Chunk, _extent: &Extent, visit: &mut V) -> Result<u64, Stop<V>>
    where
        V: Visit + Host<Self, Stop = Stop<V>>,
    {
        let Some(batch) = self.batch.take() else { return Ok(0) };
        let columns = batch.columns.iter().map(|column| {
            let array = batch.rows.columns().get(column.array)?;
            Source::of(array, &column.path, &column.meaning)
        });
        let columns: Vec<Source<'_>> = columns
            .collect::<Option<_>>()
            .ok_or_else(|| Error::data("the batch has other columns than the schema says"))?;
        let (mut from, end) = (0, batch.rows.num_rows());
        while from < end {
            let large = bytes(&columns, from..from + 1);
            if large > BLOCK_BYTES {
                visit.enlarge(self, large)?;
            }
            let to = self.fill(&columns, from..end);
            let place = |row: usize| GroupRow { row: batch.first.row + (from + row) as u64, ..batch.first };
            let rows =
                Rows { block: &self.block, kinds: &format.wanted().kinds, place: &place, longest: format.longest() };
            rows.visit(&self.scanner, visit)?;
            from = to;
        }
        Ok(0)
    }

    fn reserve(&mut self, bytes: usize) {
        self.block.reserve(bytes);
    }

    fn copy_from(&mut self, other: &Self) {
        self.batch.clone_from(&other.batch);
    }

    fn shrink(&mut self) {
        self.block.shrink(BLOCK_BYTES);
    }
}
