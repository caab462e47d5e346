//! The traits of a format: an opened source that is cut into chunks, and readers that visit the rows of a chunk.
//!
//! A pass has one [`Chunks`], which is locked, and one [`Reader`] per thread. A thread claims the next chunk and reads
//! it in two steps: [`Reader::open`] gets the content, finds the part of it that belongs to the chunk and publishes the
//! state for the next chunk; [`Reader::read`] visits the rows. A chunk of text is a range of bytes that the thread
//! reads itself. The content of a stream, or of batches that one thread decodes for all (Parquet), is put into the
//! reader by `next`. Chunk bounds depend only on the input and the chunk size, so both passes have the same chunks.
//!
//! Memory: only one reader of the pass, that of the thread at the head, may have content much larger than a chunk (one
//! large record). Readers ask before they grow; see [`Host::enlarge`].

use super::cells::Cells;
use super::chunk::{Chunk, ChunkId, Extent, Fatal};
use super::encoding::{Coding, encode, shown};
use crate::error::{Error, Result};
use crate::row::{Columns, GroupRow, Record, Row, RowError};
use crate::source::{Encoding, OpenSource};
use crate::warning::Warning;
use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

/// The properties of an opened source that do not depend on the format.
pub(crate) trait Tabular: Columns + Send + Sync {
    /// Returns the source.
    fn source(&self) -> &Arc<OpenSource>;

    /// Returns the names of the columns without copying them, because there may be very many.
    #[cfg(feature = "jobs")]
    fn shared_columns(&self) -> &Arc<[String]>;

    /// Returns the number of physical lines before the first record of an input; 0 if the format has no lines.
    fn lines_before(&self, input: usize) -> u64;

    /// Returns the place of a row in words: `row group 3, row 17`. Default: for a format that has no such places.
    fn row_in_words(&self, _input: usize, at: GroupRow) -> String {
        format!("group {}, row {}", at.group, at.row)
    }

    /// Returns the values, in the order of the columns, of a split record from the bytes that [`Record::keep`] stored.
    fn cells<'k>(&'k self, kept: &'k [u8]) -> Cells<'k>;

    /// Returns the values as people read them: bytes that could not be decoded are escaped.
    fn shown_cells<'k>(&'k self, kept: &'k [u8]) -> Cells<'k> {
        let cells = self.cells(kept);
        if self.coding().is_some() { Box::new(cells.map(|cell| cell.map(shown))) } else { cells }
    }

    /// Returns the text to show for a record from the bytes that were stored of it.
    fn text<'k>(&self, kept: &'k [u8]) -> Cow<'k, [u8]> {
        if self.coding().is_some() { shown(Cow::Borrowed(kept)) } else { Cow::Borrowed(kept) }
    }

    /// Returns true if reject files contain the text of a record even if it was split, because the columns are not the
    /// whole record.
    fn rejects_have_text(&self) -> bool {
        false
    }

    /// Returns the bytes before the first record in a source of this format and encoding that the same job can read.
    fn source_head(&self) -> Vec<u8> {
        self.coding().map(Coding::mark_bytes).unwrap_or_default()
    }

    /// Returns how the first input is transcoded; `None`: it is UTF-8, or not text.
    fn coding(&self) -> Option<Coding> {
        None
    }

    /// Returns the encoding of the first input.
    fn encoding(&self) -> Encoding {
        self.coding().map(|coding| coding.encoding).unwrap_or_default()
    }

    /// Writes a record as it is in the source, and its end, from the bytes that were stored of it. Default: a line.
    ///
    /// # Errors
    /// `out` fails.
    fn write_as_source(&self, kept: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
        encode(kept, self.encoding(), out)?;
        encode(b"\n", self.encoding(), out)
    }

    /// Returns the columns that no record has had so far. Only formats whose records name their columns can know this.
    #[cfg(feature = "jobs")]
    fn never_seen(&self) -> Vec<NeverSeen> {
        Vec::new()
    }

    /// Returns warnings about the source itself, found when it was opened.
    fn warnings(&self) -> Vec<Warning> {
        Vec::new()
    }
}

/// A column that no record has had.
#[cfg(feature = "jobs")]
pub(crate) struct NeverSeen {
    /// Index of the column.
    pub(crate) column: usize,
    /// The rule of the job file for the column.
    pub(crate) rule: Option<Occurs>,
    /// The most similar name in the first records.
    pub(crate) nearest: Option<String>,
}

/// The rule of the job file for a column that records may lack.
#[cfg(feature = "jobs")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occurs {
    /// At least one record must have it.
    Required,
    /// All records may lack it.
    Optional,
}

/// A source opened in a format.
pub(crate) trait Format: Tabular + Sized + 'static {
    /// Hands out chunks.
    type Chunks<'f>: Chunks<Self::Reader>;
    /// Reads chunks.
    type Reader: Reader<Self>;

    /// Returns the chunks from `from` on, of about `chunk_bytes` each; `threads` of them are read at once.
    fn chunks(&self, from: ChunkId, chunk_bytes: usize, threads: usize) -> Self::Chunks<'_>;

    /// Returns a reader for chunks of this size. `marked` is a byte of the output that the plan would otherwise search
    /// for in each value; see [`Row::is_marked`].
    fn reader(&self, marked: Option<u8>, chunk_bytes: usize) -> Self::Reader;
}

/// Hands out the chunks of a pass in order.
pub(crate) trait Chunks<R>: Send {
    /// Returns the next chunk, possibly with its content in `reader`; `None` after the last one. Calls `enlarge` with
    /// the new size before content grows beyond the size of a chunk.
    ///
    /// # Errors
    /// The source cannot be read; no chunks follow.
    fn next(&mut self, reader: &mut R, enlarge: &mut dyn FnMut(&mut R, usize)) -> Result<Option<Chunk>>;
}

/// The services of the pass for a reader of one chunk.
pub(crate) trait Host<R> {
    /// The reason why reading stopped.
    type Stop: From<Fatal> + From<Error>;

    /// Returns the state at the start of the chunk; waits for the chunk before it to publish the state.
    ///
    /// # Errors
    /// The pass is being stopped.
    fn state(&mut self) -> Result<u64, Self::Stop>;

    /// Publishes the state at the end of the chunk. Called once per chunk.
    fn publish(&mut self, state: u64);

    /// Returns true if no other thread waits for the state; then it may be published after reading the chunk.
    fn is_alone(&self) -> bool;

    /// Called before the content grows to `bytes`. If that is much more than a chunk, waits until this chunk is at the
    /// head and replaces `reader` by the large reader of the pass, which then has the same content.
    ///
    /// # Errors
    /// The pass is being stopped.
    fn enlarge(&mut self, reader: &mut R, bytes: usize) -> Result<(), Self::Stop>;
}

/// Receives the records of a chunk, in order.
pub(crate) trait Visit {
    /// The reason why it stops.
    type Stop: From<Fatal> + From<Error>;

    /// Receives a row.
    ///
    /// # Errors
    /// The visitor stops.
    fn row<R: Row>(&mut self, row: &R) -> Result<(), Self::Stop>;

    /// Receives a record that could not be split into columns.
    ///
    /// # Errors
    /// The visitor stops.
    fn malformed<R: Record>(&mut self, record: &R, error: RowError) -> Result<(), Self::Stop>;

    /// Counts an empty line.
    fn blank(&mut self);

    /// Records that the next record shows that files were concatenated.
    fn joined(&mut self);
}

/// Reads chunks one after the other and reuses its memory.
pub(crate) trait Reader<F>: Send + Sized {
    /// Gets the content of a chunk and publishes the state after it; a thread that is alone publishes it after reading.
    ///
    /// # Errors
    /// Reading the source failed, or the pass is being stopped.
    fn open<H: Host<Self>>(&mut self, format: &F, chunk: &Chunk, host: &mut H) -> Result<Extent, H::Stop>;

    /// Visits the records that start in `extent`. Returns the number of physical lines in it.
    ///
    /// # Errors
    /// A record cannot be read, the visitor stops, or the pass is being stopped.
    fn read<V>(&mut self, format: &F, chunk: &Chunk, extent: &Extent, visit: &mut V) -> Result<u64, Stop<V>>
    where
        V: Visit + Host<Self, Stop = Stop<V>>;

    /// Reserves room for content of `bytes`.
    fn reserve(&mut self, bytes: usize);

    /// Copies the content of another reader.
    fn copy_from(&mut self, other: &Self);

    /// Frees the memory of a large record.
    fn shrink(&mut self);
}

/// The reason why a visitor stops.
pub(crate) type Stop<V> = <V as Visit>::Stop;
