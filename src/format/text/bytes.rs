//! The bytes of a chunk of text.

use crate::buffer::{Padded, SLACK};
use crate::error::{Error, Kind, Result};
use crate::source::{self, Input};
use std::io::{ErrorKind, Read};

/// From here on a record is read in smaller steps: what was read beyond it is memory.
const LARGE_STEP: usize = 2 << 20;

/// Read past the end of a chunk at once, for the record that crosses it.
const OVERLAP: usize = 4 << 10;

/// The bytes of a chunk with slack after them; recycled.
#[derive(Default)]
pub(super) struct ChunkBytes {
    bytes: Vec<u8>,
    filled: usize,
    /// Whether nothing follows what is filled.
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

    /// Empties it for the next chunk.
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
            // not twice as much, as it would be by itself: what is asked for grows in steps already
            self.bytes.reserve_exact(want - self.bytes.len());
            self.bytes.resize(want, 0);
        }
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

    /// Gives back what a record made it grow to.
    pub(super) fn shrink(&mut self, usual: usize) {
        if self.bytes.len() > 4 * usual + OVERLAP + SLACK {
            self.bytes = Vec::new();
            self.filled = 0;
        }
    }

    /// Reads a plain input until `want` bytes from `offset` on are there or the input ends.
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

    /// Reads a stream until there are `want` bytes or it ends.
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

/// An input that ends before its size.
pub(super) fn shrunk(input: &Input) -> Error {
    match input.verify_unchanged() {
        Err(error) => error,
        Ok(()) => Error::new(Kind::SourceChanged, format!("{} ended before its size", input.name())),
    }
}

/// How much to read of a record that has no end within `held` bytes: twice as much, and of a large one half as much again.
pub(super) fn next_want(held: usize) -> usize {
    if held < LARGE_STEP { held * 2 } else { held + held / 2 }
}

/// How much of a plain chunk is read at first.
pub(super) fn first_read(cell: usize) -> usize {
    cell + OVERLAP.min(cell.max(64))
}
