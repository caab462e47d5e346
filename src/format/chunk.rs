//! Chunks as the body knows them: which one, where it ends, and how it can fail.

use crate::error::Error;
use crate::row::RecordPlace;

/// Which chunk of a source, with all that a pass needs in order to start there. Plain data: a checkpoint keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkId {
    /// Index into the inputs of the source.
    pub(crate) input: usize,
    /// In the input, from 0.
    pub(crate) index: u64,
    /// State at its start, as the chunk before published it.
    pub(crate) state: u64,
}

/// A chunk that a thread has claimed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// Index into the inputs of the source.
    pub(crate) input: usize,
    /// In the input, from 0.
    pub(crate) index: u64,
    /// Where it starts in the input, in the format's own measure (text: bytes of decompressed content).
    pub(crate) offset: u64,
    /// Whether the reader has its content already.
    pub(crate) is_held: bool,
}

/// What of the content that a reader has is its chunk's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Its start, in the format's own measure.
    pub(crate) from: usize,
    /// Its end.
    pub(crate) to: usize,
    /// State at its start.
    pub(crate) state: u64,
}

impl Extent {
    /// Returns true if no record starts in the chunk.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to
    }
}

/// What ends a pass at a record that cannot be read.
#[derive(Debug)]
pub(crate) struct Fatal {
    /// Without its place.
    pub(crate) error: Error,
    /// The place of the record, if one is to blame: the one after the last that was visited.
    pub(crate) place: Option<RecordPlace>,
}

impl From<Error> for Fatal {
    fn from(error: Error) -> Fatal {
        Fatal { error, place: None }
    }
}
