//! Reads batches of rows: writes the values of some rows into a block, then visits them, until the batch is done.

use super::decode::Values;
use crate::format::block::{Block, ColumnKind, Rows};
use crate::format::chunk::{Chunk, Extent};
use crate::format::reader::{Host, Reader, Stop, Tabular, Visit};
use crate::row::GroupRow;
use crate::scan::{Dialect, Scanner};
use std::ops::Range;

/// Number of bytes of text of a block; a larger row has one of its own.
const BLOCK_BYTES: usize = 128 << 10;
/// Maximum number of rows of a block.
const BLOCK_ROWS: usize = 1_024;

/// A format that is read in batches of rows.
pub(super) trait Rowwise: Tabular {
    /// Returns the kinds of the columns.
    fn kinds(&self) -> &[ColumnKind];

    /// Returns the maximum length of a row.
    fn longest(&self) -> usize;
}

/// The rows of a chunk.
#[derive(Clone, Default)]
pub(super) struct Batch {
    pub(super) values: Values,
    /// The numbers of the rows in the sheet.
    pub(super) rows: Vec<u32>,
    /// Number of the sheet.
    group: u64,
    /// The part of the input, in bytes, that counts as read with it.
    pub(super) read: Range<u64>,
}

impl Batch {
    pub(super) fn clear(&mut self, group: u64) {
        self.values.clear();
        self.rows.clear();
        self.group = group;
    }

    /// Adds a row. A large one, which is alone in its batch, is moved, and `row` gets other memory.
    pub(super) fn push(&mut self, number: u32, row: &mut Values) {
        match self.rows.is_empty() {
            true => std::mem::swap(&mut self.values, row),
            false => self.values.append(row),
        }
        self.rows.push(number);
    }

    fn columns(&self) -> usize {
        self.values.spans.len() / self.rows.len().max(1)
    }

    /// Returns the bytes of the values of some rows, which follow each other.
    fn bytes(&self, rows: Range<usize>) -> usize {
        let spans = &self.values.spans[rows.start * self.columns()..rows.end * self.columns()];
        spans.iter().map(|(_, len)| *len as usize).sum()
    }
}

/// Reads batches.
pub(crate) struct RowReader {
    pub(super) batch: Batch,
    block: Block,
    scanner: Scanner,
}

impl RowReader {
    pub(super) fn new(marked: Option<u8>) -> RowReader {
        // a value that contains NUL is examined again whatever the delimiter, so NUL can serve as one
        let dialect = Dialect { delimiter: 0, quote: None, marked: marked.unwrap_or(b'"') };
        RowReader { batch: Batch::default(), block: Block::default(), scanner: Scanner::new(dialect) }
    }

    /// Writes the rows from `rows.start` on into the block, as many as fit; returns the end of their range.
    fn fill(&mut self, rows: Range<usize>) -> usize {
        let RowReader { batch, block, scanner } = self;
        let mut to = rows.end.min(rows.start + BLOCK_ROWS);
        while to - rows.start > 1 && batch.bytes(rows.start..to) > BLOCK_BYTES {
            to = rows.start + (to - rows.start) / 2;
        }
        let (columns, values) = (batch.columns(), &batch.values);
        block.start(columns);
        for column in 0..columns {
            for row in rows.start..to {
                let number = row * columns + column;
                let (at, len) = values.spans[number];
                if len == 0 {
                    block.put_empty();
                    continue;
                }
                block.put(|text| {
                    text.extend_from_slice(&values.text[at as usize..(at + len) as usize]);
                    if values.bad.is_empty() {
                        return Ok(());
                    }
                    let found = values.bad.binary_search_by_key(&(number as u32), |(number, _)| *number);
                    found.map_or(Ok(()), |at| Err(values.bad[at].1))
                });
            }
        }
        block.finish(to - rows.start, scanner);
        to
    }
}

impl<F: Rowwise> Reader<F> for RowReader {
    fn open<H: Host<Self>>(&mut self, _format: &F, _chunk: &Chunk, host: &mut H) -> Result<Extent, H::Stop> {
        host.publish(0);
        // never empty, since the chunk has rows
        let bytes = usize::try_from(self.batch.read.end - self.batch.read.start).unwrap_or(usize::MAX).max(1);
        Ok(Extent { from: 0, to: bytes, state: 0 })
    }

    fn read<V>(&mut self, format: &F, _chunk: &Chunk, _extent: &Extent, visit: &mut V) -> Result<u64, Stop<V>>
    where
        V: Visit + Host<Self, Stop = Stop<V>>,
    {
        let (mut from, end) = (0, self.batch.rows.len());
        while from < end {
            let large = self.batch.bytes(from..from + 1);
            if large > BLOCK_BYTES {
                visit.enlarge(self, large)?;
            }
            let to = self.fill(from..end);
            let (numbers, group) = (&self.batch.rows, self.batch.group);
            let place = |row: usize| GroupRow { group, row: u64::from(numbers[from + row]) };
            let rows = Rows { block: &self.block, kinds: format.kinds(), place: &place, longest: format.longest() };
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
        self.batch.values.text.shrink_to(4 * BLOCK_BYTES);
    }
}
