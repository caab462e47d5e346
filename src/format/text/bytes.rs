//! The bytes of a chunk of text.

use crate::buffer::{Padded, SLACK};
use crate::error::{Error, Kind, Result};
use crate::source::{self, Input};
use std::io::{ErrorKind, Read};

/// Size from which the steps of reading a record become smaller, because bytes read beyond its end only cost memory.
const LARGE_STEP: usize = 2 << 20;

/// Number of bytes to read beyond the end of a chunk, for the record that crosses it.
const OVERLAP: usize = 4 << 10;

/// The bytes of a chunk with slack after them; reused between chunks.
#[derive(Default)]
pub(super) struct ChunkBytes {
    bytes: Vec<u8>,
    filled: usize,
    /// True if the input ends with these bytes.
    pub(super) ended: bool,
}

impl ChunkBytes {
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    pub(super) fn view(&self, from: usize, to: usize) -> Padded<'_> {
        Padded::new(&self.bytes, from, to.min(self.filled))
    }

    /// Empties the buffer for the next chunk.
    pub(super) fn clear(&mut self) {
        self.filled = 0;
        self.ended = false;
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.filled = self.filled.min(len);
    }

    pub(super) fn room(&mut self, bytes: usize) {
        let want = bytes + SLACK;
        if self.bytes.len() < want {
            // exactly, since callers already ask for sizes that grow in steps
            self.bytes.reserve_exact(want - self.bytes.len());
            self.bytes.resize(want, 0);
        }
    }

    /// Reserves room for `bytes`, so that the content need not move while it grows up to that.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes.saturating_sub(self.bytes.len()));
    }

    /// Starts anew with these bytes.
    pub(super) fn start_with(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.filled = bytes.len();
    }

    /// Takes over what another one has.
    pub(super) fn copy_from(&mut self, other: &ChunkBytes) {
        self.start_with(other.bytes());
        self.ended = other.ended;
    }

    /// Frees the memory that a large record needed.
    pub(super) fn shrink(&mut self, usual: usize) {
        if self.bytes.len() > 4 * usual + OVERLAP + SLACK {
            self.bytes = Vec::new();
            self.filled = 0;
        }
    }

    /// Reads a plain input until the buffer has `want` bytes from `offset` on or the input ends.
    pub(super) fn read_plain(&mut self, input: &Input, offset: u64, want: usize) -> Result<()> {
        let left = input.stored_bytes().saturating_sub(offset);
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(want);
        self.room(want);
        while self.filled < want {
            match input.read_at(&mut self.bytes[self.filled..want], offset + self.filled as u64) {
                Ok(0) => return Err(shrunk(input)),
                Ok(n) => self.filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(source::into_error(error, &format!("reading {}", input.name()))),
            }
        }
        self.ended = want as u64 == left;
        Ok(())
    }

    /// Reads a stream until the buffer has `want` bytes or the stream ends.
    pub(super) fn read_stream(&mut self, input: &Input, stream: &mut dyn Read, want: usize) -> Result<()> {
        self.room(want.max(self.filled));
        while self.filled < want && !self.ended {
            match stream.read(&mut self.bytes[self.filled..want]) {
                Ok(0) => self.ended = true,
                Ok(n) => self.filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(source::into_error(error, &format!("reading {}", input.name()))),
            }
        }
        Ok(())
    }
}

/// Returns the error for an input that ends before its size.
pub(super) fn shrunk(input: &Input) -> Error {
    match input.verify_unchanged() {
        Err(error) => error,
        Ok(()) => Error::new(Kind::SourceChanged, format!("{} ended before its size", input.name())),
    }
}

/// Returns how many bytes to read of a record that does not end within `held` bytes: twice as many, or 1.5 times as
/// many if it is large.
pub(super) fn next_want(held: usize) -> usize {
    if held < LARGE_STEP { held * 2 } else { held + held / 2 }
}

/// Returns how many bytes of a plain chunk to read first.
pub(super) fn first_read(cell: usize) -> usize {
    cell + OVERLAP.min(cell.max(64))
}
