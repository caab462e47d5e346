//! What a format is: an opened source that is cut into chunks, and readers that visit the rows of a chunk.
//!
//! A pass has one [`Chunks`] under a lock and one [`Reader`] a thread. A thread claims the next chunk and reads it in two steps:
//! [`Reader::open`] gets the content, finds out what of it belongs to the chunk and publishes the state for the next chunk;
//! [`Reader::read`] visits the rows. Text is claimed as a range of bytes that the thread reads itself; of a stream, or of batches
//! that one thread decodes for all (Parquet), `next` puts the content into the reader at once. Where chunks are cut depends on the
//! input and the chunk size alone, so that both passes cut alike.
//!
//! Memory: content much larger than a chunk (one large record) is allowed in one reader of the pass only, that of the thread at
//! the head; readers say so before they grow, see [`Host::enlarge`].

use super::cells::Cells;
use super::chunk::{Chunk, ChunkId, Extent, Fatal};
use crate::error::{Error, Result};
use crate::row::{Columns, Record, Row, RowError};
use crate::source::Source;
use crate::warning::Warning;
use std::borrow::Cow;
use std::sync::Arc;

/// What every opened source can tell, whatever its format.
pub(crate) trait Tabular: Columns + Send + Sync {
    /// Returns the source.
    fn source(&self) -> &Arc<Source>;

    /// Returns the names of the columns, not copied: there may be very many.
    #[cfg(feature = "jobs")]
    fn shared_columns(&self) -> &Arc<[String]>;

    /// Returns the number of physical lines before the first record of an input; 0 if the format has no lines.
    fn lines_before(&self, input: usize) -> u64;

    /// Returns the values of a record that was split into columns, in the order of the columns, from what
    /// [`Record::keep`] kept of it.
    fn cells<'k>(&self, kept: &'k [u8]) -> Cells<'k>;

    /// Returns what people are shown of a record, from what was kept of it.
    fn text<'k>(&self, kept: &'k [u8]) -> Cow<'k, [u8]> {
        Cow::Borrowed(kept)
    }

    /// Returns true if reject files have the text of a record although it was split into columns: the columns are not all of it.
    fn rejects_have_text(&self) -> bool {
        false
    }

    /// Returns the columns that no record has had so far. Only formats whose records name their columns know it.
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
    /// What the job file says about it.
    pub(crate) rule: Option<Occurs>,
    /// The name most like it among those that the first records have.
    pub(crate) nearest: Option<String>,
}

/// What the job file says about a column that not every record needs to have.
#[cfg(feature = "jobs")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occurs {
    /// At least one record must have it.
    Required,
    /// It may be missing in all of them.
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

    /// Returns a reader for chunks of that size. `marked` is a byte of the output that the plan would otherwise look for in
    /// each value; see [`Row::is_marked`].
    fn reader(&self, marked: Option<u8>, chunk_bytes: usize) -> Self::Reader;
}

/// Hands out the chunks of a pass in order.
pub(crate) trait Chunks<R>: Send {
    /// Returns the next chunk, perhaps with its content in `reader`; `None`: there are no more. `enlarge` is called before the
    /// content grows to so many bytes if that is more than a chunk.
    ///
    /// # Errors
    /// Reading the source failed; there are no more chunks then.
    fn next(&mut self, reader: &mut R, enlarge: &mut dyn FnMut(&mut R, usize)) -> Result<Option<Chunk>>;
}

/// What a reader needs of the pass while it reads one chunk.
pub(crate) trait Host<R> {
    /// Why the chunk is not read to its end.
    type Stop: From<Fatal> + From<Error>;

    /// Returns the state at the start of the chunk; waits until the chunk before has published it.
    ///
    /// # Errors
    /// The pass is being stopped.
    fn state(&mut self) -> Result<u64, Self::Stop>;

    /// Publishes the state at the end of the chunk. Once for each chunk.
    fn publish(&mut self, state: u64);

    /// Returns true if no other thread waits for the state: it can be published when the chunk has been read.
    fn is_alone(&self) -> bool;

    /// Called before the content grows to `bytes`. If that is much more than a chunk, waits until this chunk is at the head
    /// and exchanges `reader` for the one of the pass that may be large, which then has the same content.
    ///
    /// # Errors
    /// The pass is being stopped.
    fn enlarge(&mut self, reader: &mut R, bytes: usize) -> Result<(), Self::Stop>;
}

/// Takes the records of a chunk, in order.
pub(crate) trait Visit {
    /// Why it takes no more.
    type Stop: From<Fatal> + From<Error>;

    /// Takes a row.
    ///
    /// # Errors
    /// The chunk ends here.
    fn row<R: Row>(&mut self, row: &R) -> Result<(), Self::Stop>;

    /// Takes a record that could not be split into columns.
    ///
    /// # Errors
    /// The chunk ends here.
    fn malformed<R: Record>(&mut self, record: &R, error: RowError) -> Result<(), Self::Stop>;

    /// Takes note of an empty line.
    fn blank(&mut self);

    /// Takes note that the next record shows that files were joined into one.
    fn joined(&mut self);
}

/// Reads chunks, one after the other, its memory recycled.
pub(crate) trait Reader<F>: Send + Sized {
    /// Gets the content of a chunk and publishes the state after it (unless the thread is alone: then after reading).
    ///
    /// # Errors
    /// Reading the source failed, or the pass is being stopped.
    fn open<H: Host<Self>>(&mut self, format: &F, chunk: &Chunk, host: &mut H) -> Result<Extent, H::Stop>;

    /// Visits the records that start in `extent`. Returns the number of physical lines in it.
    ///
    /// # Errors
    /// A record that cannot be read, what the visitor says, or the pass is being stopped.
    fn read<V>(&mut self, format: &F, chunk: &Chunk, extent: &Extent, visit: &mut V) -> Result<u64, Stop<V>>
    where
        V: Visit + Host<Self, Stop = Stop<V>>;

    /// Takes over the content of another reader.
    fn copy_from(&mut self, other: &Self);

    /// Gives back the memory of a large record.
    fn shrink(&mut self);
}

/// Why a visitor takes no more.
pub(crate) type Stop<V> = <V as Visit>::Stop;
