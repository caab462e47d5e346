//! The batches of a pass: the rows of the sheet, decoded by the thread that claims the next batch.
//!
//! How many rows a batch has depends on the rows and on the size of a chunk alone, so the n-th batch has the same rows in
//! every pass. A pass that starts in the middle decodes the rows before it, since a sheet is one compressed stream. `held`
//! is a row that was decoded and did not fit into the last batch; `failed` is an error that comes after it.

use super::at::At;
use super::columns::Named;
use super::decode::{Decoder, Opened, Values, row_in_words};
use super::options::XlsxOptions;
use super::reader::{Batch, RowReader};
use crate::error::{Error, Kind, Place, Result};
use crate::format::chunk::{Chunk, ChunkId};
use crate::format::reader::Chunks;
use crate::source::OpenSource;
use std::ops::Range;
use std::sync::Arc;

/// Maximum number of rows of a batch, and of its values.
const MAX_BATCH_ROWS: usize = 8_192;
const MAX_BATCH_VALUES: usize = 65_536;
/// Bytes of a row that every reader has room for.
const LARGE_BYTES: usize = 256 << 10;

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
    pub(super) options: &'f XlsxOptions,
    pub(super) columns: &'f Named,
}

/// An input whose rows are being decoded.
struct Open {
    decoder: Decoder,
    group: u64,
    /// Number of rows in earlier batches.
    before: u64,
    row: Values,
    held: Option<u32>,
    failed: Option<Error>,
    /// Bytes of the input that count as read.
    read: u64,
}

impl<'f> Batches<'f> {
    pub(super) fn new(of: Files<'f>, from: ChunkId, chunk_bytes: usize) -> Batches<'f> {
        Batches { of, chunk_bytes, input: from.input, index: from.index, open: None }
    }

    /// Opens the current input at the batch `index`.
    fn open(&self) -> Result<Open> {
        let at = At { source: Arc::clone(self.of.source), input: self.input };
        let (opened, header) = Opened::open(at, self.of.options)?;
        // the file may have changed since it was checked
        let columns = self.of.columns.places(&header)?;
        let group = opened.book.sheet_number;
        let decoder = opened.decode(&columns, self.of.source)?;
        let mut open = Open { decoder, group, before: 0, row: Values::default(), held: None, failed: None, read: 0 };
        let mut skipped = Batch::default();
        for _ in 0..self.index {
            self.fill(&mut open, &mut skipped)?;
        }
        Ok(open)
    }

    /// Decodes the next batch, which is empty after the last row.
    fn fill(&self, open: &mut Open, batch: &mut Batch) -> Result<()> {
        let most = (MAX_BATCH_VALUES / self.of.columns.names.len().max(1)).clamp(1, MAX_BATCH_ROWS);
        batch.clear(open.group);
        while batch.rows.len() < most {
            open.hold(batch.rows.len() as u64);
            if !batch.rows.is_empty()
                && (open.failed.is_some() || batch.values.text.len() + open.row.text.len() > self.chunk_bytes)
            {
                break;
            }
            if let Some(error) = open.failed.take() {
                return Err(error);
            }
            let Some(number) = open.held.take() else { break };
            batch.push(number, &mut open.row);
        }
        open.before += batch.rows.len() as u64;
        batch.read = self.read(open);
        Ok(())
    }

    /// Returns the bytes of the input that count as read with a batch.
    fn read(&self, open: &mut Open) -> Range<u64> {
        let stored = self.of.source.inputs()[self.input].stored_bytes();
        let (read, all) = open.decoder.progress();
        let now = u128::from(stored) * u128::from(read) / u128::from(all.max(1));
        let from = std::mem::replace(&mut open.read, u64::try_from(now).unwrap_or(stored));
        from..open.read.max(from)
    }
}

impl Open {
    /// Decodes the next row, unless one is held; `taken` rows since the last batch are not in `before` yet.
    fn hold(&mut self, taken: u64) {
        if self.held.is_some() || self.failed.is_some() {
            return;
        }
        match self.decoder.next(&mut self.row) {
            Ok(number) => self.held = number,
            Err(mut error) => {
                if error.kind() == Kind::Data {
                    let place: &mut Place = error.place_mut();
                    place.record = Some(self.before + taken + 1);
                    place.row = Some(row_in_words(self.decoder.sheet_name(), u64::from(self.decoder.row())));
                }
                self.failed = Some(error);
            }
        }
    }
}

impl Chunks<RowReader> for Batches<'_> {
    fn next(
        &mut self,
        reader: &mut RowReader,
        enlarge: &mut dyn FnMut(&mut RowReader, usize),
    ) -> Result<Option<Chunk>> {
        while let Some(input) = self.of.source.inputs().get(self.input) {
            let placed = |mut error: Error| {
                error.place_mut().file.get_or_insert_with(|| input.name().to_owned());
                error
            };
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open().map_err(placed)?,
            };
            open.hold(0);
            if open.row.text.len() > self.chunk_bytes.max(LARGE_BYTES) {
                enlarge(reader, open.row.text.len());
            }
            self.fill(&mut open, &mut reader.batch).map_err(placed)?;
            if !reader.batch.rows.is_empty() {
                self.open = Some(open);
                let offset = reader.batch.read.start;
                let chunk = Chunk { input: self.input, index: self.index, offset, is_held: true };
                self.index += 1;
                return Ok(Some(chunk));
            }
            input.verify_end()?;
            (self.input, self.index) = (self.input + 1, 0);
        }
        Ok(None)
    }
}
