//! Chunks of a source: their numbers, their bounds, and the errors that end them.

use crate::error::Error;
use crate::row::RecordPlace;

/// The number of a chunk in its source and the state at its start: everything that a pass needs in order to start
/// there. A checkpoint stores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkId {
    /// Index into the inputs of the source.
    pub(crate) input: usize,
    /// Number of the chunk in the input, from 0.
    pub(crate) index: u64,
    /// State at its start, as published by the chunk before it.
    pub(crate) state: u64,
}

/// A chunk that a thread has claimed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// Index into the inputs of the source.
    pub(crate) input: usize,
    /// Number of the chunk in the input, from 0.
    pub(crate) index: u64,
    /// Start of the chunk in the input, in units of the format (text: bytes of decompressed content).
    pub(crate) offset: u64,
    /// True if the reader already has the content.
    pub(crate) is_held: bool,
}

/// The part of a reader's content that belongs to its chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Start, in units of the format.
    pub(crate) from: usize,
    /// End.
    pub(crate) to: usize,
    /// State at the start.
    pub(crate) state: u64,
}

impl Extent {
    /// Returns true if no record starts in the chunk.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to
    }
}

/// An error that ends a pass at a record that cannot be read.
#[derive(Debug)]
pub(crate) struct Fatal {
    /// The error, without the place.
    pub(crate) error: Error,
    /// The place of the record if a record is the cause: the one after the last that was visited.
    pub(crate) place: Option<RecordPlace>,
}

impl From<Error> for Fatal {
    fn from(error: Error) -> Fatal {
        Fatal { error, place: None }
    }
}
