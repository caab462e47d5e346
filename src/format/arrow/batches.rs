//! The batches of a pass: the record batches of an input, cut into slices of at most 8,192 rows.
//!
//! The number of rows of a slice depends on its record batch and on the size of a chunk alone, so the n-th slice has the
//! same rows in every pass. A pass that starts in the middle skips the bodies of the record batches before it.

use super::stream::{Announced, Messages};
use crate::error::{Error, Place, Result};
use crate::format::chunk::{Chunk, ChunkId};
use crate::format::columnar::{Batch, BatchReader, Column, Columns, MAX_BATCH_ROWS, Meaning};
use crate::format::reader::Chunks;
use crate::row::GroupRow;
use crate::source::OpenSource;
use arrow_array::RecordBatch;
use std::ops::Range;
use std::sync::Arc;

/// Hands out slices of record batches.
pub(crate) struct Batches<'f> {
    source: &'f OpenSource,
    columns: &'f Columns,
    chunk_bytes: usize,
    threads: usize,
    input: usize,
    /// Number of the next slice in the input.
    index: u64,
    open: Option<Open<'f>>,
}

/// An input that is being read.
struct Open<'f> {
    messages: Messages<'f>,
    columns: Arc<[Column]>,
    /// Number of record batches so far, and of the rows before the current one.
    group: u64,
    before: u64,
    current: Option<Current>,
}

/// A record batch that is being cut into slices.
struct Current {
    rows: RecordBatch,
    each: usize,
    from: usize,
    /// The bytes of the input that it takes.
    bytes: Range<u64>,
}

impl<'f> Batches<'f> {
    pub(super) fn new(
        (source, columns): (&'f OpenSource, &'f Columns),
        from: ChunkId,
        chunk_bytes: usize,
        threads: usize,
    ) -> Batches<'f> {
        Batches { source, columns, chunk_bytes, threads, input: from.input, index: from.index, open: None }
    }

    /// Opens the current input at the slice `index`.
    fn open(&self) -> Result<Open<'f>> {
        let input = &self.source.inputs()[self.input];
        let wanted = self.columns;
        let mut messages = Messages::open(input, self.threads)?;
        // the file may have changed since it was checked
        wanted.check(&messages.schema, input)?;
        let all = wanted
            .locate(&messages.schema, |_, field| Meaning::of(field, &mut Meaning::of_extension))
            .unwrap_or_default();
        let mut fields: Vec<usize> = all.iter().map(|column| column.array).collect();
        fields.sort_unstable();
        fields.dedup();
        let moved = |column: &Column| {
            let array = fields.iter().position(|field| *field == column.array).unwrap_or_default();
            Column { array, ..column.clone() }
        };
        let columns = all.iter().map(moved).collect();
        messages.project(fields);
        let mut open = Open { messages, columns, group: 0, before: 0, current: None };
        let mut left = self.index;
        while left > 0 {
            let Some(announced) = open.announced()? else { break };
            let (rows, each) = (announced.rows, self.slice_rows(&announced));
            let slices = rows.div_ceil(each as u64);
            if left >= slices {
                open.messages.skip(&announced)?;
                open.before += rows;
                left -= slices;
                continue;
            }
            open.start(announced, each)?;
            if let Some(current) = &mut open.current {
                current.from = usize::try_from(left).unwrap_or(usize::MAX).saturating_mul(each);
            }
            break;
        }
        Ok(open)
    }

    /// Returns the number of rows of a slice of a record batch.
    fn slice_rows(&self, announced: &Announced) -> usize {
        let row_bytes = (announced.wanted_bytes() / announced.rows.max(1)).max(1);
        let rows = (4 * self.chunk_bytes as u64 / row_bytes).clamp(1, MAX_BATCH_ROWS as u64);
        usize::try_from(rows).unwrap_or(MAX_BATCH_ROWS)
    }

    /// Returns the next slice; `None` at the end of the input.
    fn slice(&self, open: &mut Open<'_>) -> Result<Option<Batch>> {
        loop {
            if let Some(current) = &mut open.current {
                let (from, rows) = (current.from, current.rows.num_rows());
                if from < rows {
                    let len = current.each.min(rows - from);
                    current.from += len;
                    let share = |row: usize| {
                        let all = u128::from(current.bytes.end - current.bytes.start);
                        current.bytes.start + (all * row as u128 / rows as u128) as u64
                    };
                    return Ok(Some(Batch {
                        rows: current.rows.slice(from, len),
                        columns: Arc::clone(&open.columns),
                        first: GroupRow { group: open.group, row: from as u64 + 1 },
                        read: share(from)..share(from + len),
                    }));
                }
                open.before += rows as u64;
                // its memory is used again for the next one, as soon as no thread needs a slice of it
                open.current = None;
            }
            let Some(announced) = open.announced()? else { return Ok(None) };
            let each = self.slice_rows(&announced);
            open.start(announced, each)?;
        }
    }

    /// Adds the place to an error.
    fn placed(&self, mut error: Error, open: Option<&Open<'_>>) -> Error {
        let place: &mut Place = error.place_mut();
        place.file.get_or_insert_with(|| self.source.inputs()[self.input].name().to_owned());
        if let Some(open) = open {
            let rows = open.current.as_ref().map_or(0, |current| current.rows.num_rows() as u64);
            place.record = Some(open.before + rows + 1);
            place.row = Some(format!("batch {}", open.group.max(1)));
        }
        error
    }
}

impl Open<'_> {
    /// Returns the next record batch, without its body.
    fn announced(&mut self) -> Result<Option<Announced>> {
        self.group += 1;
        self.messages.next()
    }

    /// Reads a record batch.
    fn start(&mut self, announced: Announced, each: usize) -> Result<()> {
        let from = self.messages.at();
        let rows = self.messages.read(announced)?;
        let bytes = from..self.messages.at();
        self.current = Some(Current { rows, each, from: 0, bytes });
        Ok(())
    }
}

impl Chunks<BatchReader> for Batches<'_> {
    fn next(
        &mut self,
        reader: &mut BatchReader,
        _enlarge: &mut dyn FnMut(&mut BatchReader, usize),
    ) -> Result<Option<Chunk>> {
        // the slice before this one may be the last that needs its record batch
        reader.batch = None;
        while let Some(input) = self.source.inputs().get(self.input) {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open().map_err(|error| self.placed(error, None))?,
            };
            let slice = self.slice(&mut open).map_err(|error| self.placed(error, Some(&open)))?;
            if let Some(batch) = slice {
                self.open = Some(open);
                let chunk = Chunk { input: self.input, index: self.index, offset: batch.read.start, is_held: true };
                reader.batch = Some(batch);
                self.index += 1;
                return Ok(Some(chunk));
            }
            input.verify_end()?;
            (self.input, self.index) = (self.input + 1, 0);
        }
        Ok(None)
    }
}
