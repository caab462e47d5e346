//! The batches of a pass: one row group after the other, decoded by the thread that claims the next batch.
//!
//! The number of rows of a batch depends on the file and on the size of a chunk alone, so the n-th batch has the same
//! rows in every pass. `group` and `row` are the place of the next batch; `rows` decodes from there on, and is opened
//! when it is needed. A pass that starts in the middle of a row group skips pages by their index or their headers.

use super::file::File;
use super::pages::{Pages, damaged};
use super::schema;
use crate::error::{Error, Place, Result};
use crate::format::chunk::{Chunk, ChunkId};
use crate::format::columnar::{Batch, BatchReader, Column, Columns, MAX_BATCH_ROWS, unless_panic};
use crate::format::reader::Chunks;
use crate::row::GroupRow;
use crate::source::{Input, OpenSource};
use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{ColumnChunkMask, PageIndexPolicy, ParquetMetaDataReader};
use std::sync::Arc;

/// Hands out batches.
pub(crate) struct Batches<'f> {
    of: Files<'f>,
    chunk_bytes: usize,
    input: usize,
    /// Number of the next batch in the input.
    index: u64,
    open: Option<Open>,
}

/// The files that are read, and how.
#[derive(Clone, Copy)]
pub(super) struct Files<'f> {
    pub(super) source: &'f Arc<OpenSource>,
    pub(super) columns: &'f Columns,
    pub(super) max_page_bytes: u64,
}

/// An input whose batches are being read.
struct Open {
    file: File,
    leaves: Vec<usize>,
    /// Number of rows of all row groups before `group`, and of all row groups.
    before: u64,
    total: u64,
    group: usize,
    row: u64,
    rows: Option<Decoding>,
}

/// A row group that is being decoded.
struct Decoding {
    reader: ParquetRecordBatchReader,
    pages: Pages,
    columns: Arc<[Column]>,
}

impl<'f> Batches<'f> {
    pub(super) fn new(of: Files<'f>, from: ChunkId, chunk_bytes: usize) -> Batches<'f> {
        Batches { of, chunk_bytes, input: from.input, index: from.index, open: None }
    }

    /// Opens the current input at the batch `index`.
    fn open(&self, input: &Input) -> Result<Open> {
        let file = File::open(input, self.of.max_page_bytes)?;
        // the file may have changed since it was checked
        self.of.columns.check(&file.noted, input)?;
        file.check(input, self.of.columns)?;
        let leaves = file.leaves(&self.of.columns.wanted);
        let total = (0..file.groups()).map(|group| file.rows(group)).sum();
        let mut open = Open { file, leaves, before: 0, total, group: 0, row: 0, rows: None };
        let mut left = self.index;
        while open.group < open.file.groups() {
            let rows = open.file.rows(open.group);
            let each = open.batch_rows(self.chunk_bytes);
            let batches = rows.div_ceil(each);
            if left < batches {
                open.row = left * each;
                break;
            }
            left -= batches;
            open.next_group();
        }
        Ok(open)
    }
}

impl Open {
    /// Returns the number of rows of a batch of the current row group.
    fn batch_rows(&self, chunk_bytes: usize) -> u64 {
        let row_bytes = self.file.row_bytes(self.group, &self.leaves).max(1);
        // few large rows, since a batch keeps the pages of all its rows
        (4 * chunk_bytes as u64 / row_bytes).clamp(1, MAX_BATCH_ROWS as u64)
    }

    fn next_group(&mut self) {
        self.before += self.file.rows(self.group);
        (self.group, self.row, self.rows) = (self.group + 1, 0, None);
    }

    /// Returns the next batch; `None` after the last.
    fn next(&mut self, of: Files<'_>, input: usize, chunk_bytes: usize) -> Result<Option<Batch>> {
        while self.group < self.file.groups() && self.row == self.file.rows(self.group) {
            self.next_group();
        }
        if self.group == self.file.groups() {
            return Ok(None);
        }
        let want = self.batch_rows(chunk_bytes).min(self.file.rows(self.group) - self.row);
        let rows = self.decode(of, input, want).map_err(|error| self.placed(error, of, input))?;
        let columns = match &self.rows {
            Some(decoding) => Arc::clone(&decoding.columns),
            None => Arc::default(),
        };
        let first = GroupRow { group: self.group as u64 + 1, row: self.row + 1 };
        let stored = of.source.inputs()[input].stored_bytes();
        let read = self.share(stored, self.row)..self.share(stored, self.row + want);
        self.row += want;
        Ok(Some(Batch { rows, columns, first, read }))
    }

    /// Returns the part of the input, in bytes, that counts as read with the rows before one of the current row group.
    fn share(&self, stored: u64, row: u64) -> u64 {
        let share = u128::from(stored) * u128::from(self.before + row) / u128::from(self.total.max(1));
        u64::try_from(share).unwrap_or(stored)
    }

    /// Adds the place to an error of the batch at `row`.
    fn placed(&self, mut error: Error, of: Files<'_>, input: usize) -> Error {
        let place: &mut Place = error.place_mut();
        place.file.get_or_insert_with(|| of.source.inputs()[input].name().to_owned());
        place.record = Some(self.before + self.row + 1);
        place.row = Some(format!("row group {}, row {}", self.group + 1, self.row + 1));
        error
    }

    /// Decodes `want` rows from `row` on.
    fn decode(&mut self, of: Files<'_>, input: usize, want: u64) -> Result<RecordBatch> {
        let decoding = match &mut self.rows {
            Some(decoding) => decoding,
            None => {
                let decoding = self.start(of, input, want)?;
                self.rows.insert(decoding)
            }
        };
        let Decoding { reader, pages, .. } = decoding;
        let next = unless_panic(|| reader.next().transpose());
        let damaged_by = |what: &str| pages.take_error().unwrap_or_else(|| damaged(what));
        let rows = match next {
            Ok(Some(rows)) => rows,
            Ok(None) => return Err(damaged_by("a row group ends before its number of rows")),
            Err(what) => return Err(damaged_by(&what)),
        };
        if rows.num_rows() as u64 != want {
            return Err(damaged_by("a row group ends before its number of rows"));
        }
        Ok(rows)
    }

    /// Starts decoding at `row` of the current row group.
    fn start(&self, of: Files<'_>, input: usize, batch_rows: u64) -> Result<Decoding> {
        let columns = self.file.columns(self.group, &self.leaves);
        let source = (Arc::clone(of.source), input);
        let max = of.max_page_bytes;
        let indexed = if self.row > 0 { self.with_index(&source, max) } else { None };
        let (metadata, is_indexed) = match indexed {
            Some(metadata) => (metadata, true),
            None => (self.file.metadata.clone(), false),
        };
        let pages = Pages::new(source, self.group + 1, columns, max, is_indexed);
        let offset = usize::try_from(self.row).unwrap_or(usize::MAX);
        let built = unless_panic(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(pages.clone(), metadata)
                .with_row_groups(vec![self.group])
                .with_projection(self.file.mask(&self.leaves))
                .with_batch_size(usize::try_from(batch_rows).unwrap_or(usize::MAX))
                .with_offset(offset)
                .build()
        });
        let reader = built.map_err(|what| pages.take_error().unwrap_or_else(|| damaged(&what)))?;
        let read = arrow_array::RecordBatchReader::schema(&reader);
        let columns =
            of.columns.locate(&read, |wanted, _| schema::meaning(&self.file.written, &self.file.noted, wanted));
        let columns = columns.ok_or_else(|| damaged("its columns are not those of its schema"))?;
        Ok(Decoding { reader, pages, columns })
    }

    /// Returns the metadata with the index of the pages of the current row group; `None` if the file has none, or none
    /// that fits.
    fn with_index(&self, source: &(Arc<OpenSource>, usize), max: u64) -> Option<ArrowReaderMetadata> {
        let group = self.file.metadata.metadata().row_group(self.group);
        let ranges = self.leaves.iter().map(|leaf| group.column(*leaf).offset_index_range());
        let ranges: Vec<_> = ranges.collect::<Option<_>>()?;
        let size = source.0.inputs()[source.1].stored_bytes();
        if self.leaves.is_empty() || ranges.iter().any(|range| range.end > size || range.end - range.start > max) {
            return None;
        }
        let index = Pages::of_index(source.clone(), size);
        let mask = ColumnChunkMask::row_groups_and_columns([self.group], self.leaves.iter().copied());
        let read = unless_panic(|| {
            let mut reader = ParquetMetaDataReader::new_with_metadata(self.file.metadata.metadata().as_ref().clone())
                .with_offset_index_policy(PageIndexPolicy::Optional)
                .with_column_index_policy(PageIndexPolicy::Skip)
                .with_offset_index_mask(mask);
            reader.read_page_indexes(&index)?;
            reader.finish()
        });
        let metadata = read.ok()?;
        let pages = metadata.page_index_for_row_group(self.group);
        let is_valid = self.leaves.iter().all(|leaf| {
            let (start, len) = group.column(*leaf).byte_range();
            let Some(index) = pages.offset_index(*leaf) else { return false };
            let mut at = (start, 0);
            !index.page_locations().is_empty()
                && index.page_locations().iter().enumerate().all(|(nth, page)| {
                    let place = u64::try_from(page.offset).ok().zip(u64::try_from(page.first_row_index).ok());
                    let bytes = u64::try_from(page.compressed_page_size).unwrap_or(0);
                    let follows = place.is_some_and(|(offset, row)| {
                        let rows = if nth == 0 { row == 0 } else { row > at.1 && row < self.file.rows(self.group) };
                        rows && offset >= at.0 && bytes > 0 && offset + bytes <= start + len
                    });
                    at = place.map_or(at, |(offset, row)| (offset + bytes, row));
                    follows
                })
        });
        let options = ArrowReaderOptions::new().with_schema(Arc::clone(self.file.metadata.schema()));
        if is_valid { ArrowReaderMetadata::try_new(Arc::new(metadata), options).ok() } else { None }
    }
}

impl Chunks<BatchReader> for Batches<'_> {
    fn next(
        &mut self,
        reader: &mut BatchReader,
        _enlarge: &mut dyn FnMut(&mut BatchReader, usize),
    ) -> Result<Option<Chunk>> {
        let of = self.of;
        while let Some(input) = of.source.inputs().get(self.input) {
            let open = match &mut self.open {
                Some(open) => open,
                None => {
                    let open = self.open(input)?;
                    self.open.insert(open)
                }
            };
            if let Some(batch) = open.next(of, self.input, self.chunk_bytes)? {
                let offset = batch.read.start;
                reader.batch = Some(batch);
                let chunk = Chunk { input: self.input, index: self.index, offset, is_held: true };
                self.index += 1;
                return Ok(Some(chunk));
            }
            input.verify_end()?;
            (self.input, self.index, self.open) = (self.input + 1, 0, None);
        }
        Ok(None)
    }
}
