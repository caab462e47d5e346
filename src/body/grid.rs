//! The chunk grid: which piece of which input comes next, and its bytes.
//!
//! Plain inputs are cut every `chunk_bytes` after the header; the seam of a chunk is the first line end at or behind its
//! start, so cuts depend on the input alone. Streams are taken by whoever claims the next chunk (with several threads they are
//! decompressed beside) and cut behind the last record end, so theirs always start outside quotes.

use crate::buffer::{Padded, SLACK};
use crate::error::{Error, Result};
use crate::reader::Table;
use crate::source::{self, Input};
use std::io::{ErrorKind, Read};

/// From here on a record is read in smaller steps: what was read beyond it is memory.
const LARGE_STEP: usize = 2 << 20;

/// Read past the end of a chunk at once, for the record that crosses it.
const OVERLAP: usize = 4 << 10;

/// Where a pass starts, and where it could start again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) input: usize,
    pub(crate) chunk: u64,
    /// Whether a quoted cell is open at the seam.
    pub(crate) inside: bool,
}

/// A claimed piece of the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// In the pass, from 0.
    pub(crate) seq: u64,
    pub(crate) input: usize,
    /// In the input, from 0.
    pub(crate) index: u64,
    /// Offset in the decompressed content of the first byte in the buffer.
    pub(crate) offset: u64,
    pub(crate) kind: ChunkKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    /// To be read by position: the grid cell's size.
    Plain { cell: usize },
    /// Already in the buffer; whole records only, unless the input ended within one.
    Stream,
}

/// Bytes of a chunk with slack behind them; recycled.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    /// Whether nothing follows what is filled.
    pub(crate) ended: bool,
}

impl Buffer {
    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    pub(crate) fn view(&self, from: usize, to: usize) -> Padded<'_> {
        Padded::new(&self.bytes, from, to.min(self.filled))
    }

    fn room(&mut self, bytes: usize) {
        let want = bytes + SLACK;
        if self.bytes.len() < want {
            // not twice as much, as it would be by itself: what is asked for grows in steps already
            self.bytes.reserve_exact(want - self.bytes.len());
            self.bytes.resize(want, 0);
        }
    }

    /// Takes over what another holds.
    pub(crate) fn copy_from(&mut self, other: &Buffer) {
        self.room(other.filled);
        self.bytes[..other.filled].copy_from_slice(other.bytes());
        (self.filled, self.ended) = (other.filled, other.ended);
    }

    /// Gives back what a record made it grow to.
    pub(crate) fn shrink(&mut self, usual: usize) {
        if self.bytes.len() > 4 * usual + OVERLAP + SLACK {
            self.bytes = Vec::new();
            self.filled = 0;
        }
    }

    /// Reads a plain input until `want` bytes from `offset` on are there or it ends at `len`.
    pub(crate) fn read_plain(&mut self, input: &Input, offset: u64, len: u64, want: usize) -> Result<()> {
        let left = len.saturating_sub(offset);
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
}

fn shrunk(input: &Input) -> Error {
    match input.verify_unchanged() {
        Err(error) => error,
        Ok(()) => Error::new(crate::Kind::SourceChanged, format!("{} ended before its size", input.name())),
    }
}

/// Makes place for a large record in a buffer, once the chunk with that number is at the head.
pub(crate) type Enlarge<'e> = dyn FnMut(u64, &mut Buffer) + 'e;

/// Hands out the chunks of a pass in order.
pub(crate) struct Grid<'a> {
    table: &'a Table,
    chunk_bytes: usize,
    /// Of those that convert; as many may decompress.
    threads: usize,
    next_seq: u64,
    input: usize,
    index: u64,
    stream: Option<Stream>,
}

struct Stream {
    reader: Box<dyn Read + Send>,
    /// Offset of the next byte to hand out.
    offset: u64,
    /// Read, but behind the last record end of the chunk before.
    left: Vec<u8>,
    ended: bool,
}

impl<'a> Grid<'a> {
    pub(crate) fn new(table: &'a Table, chunk_bytes: usize, threads: usize, mark: Mark) -> Grid<'a> {
        let chunk_bytes = chunk_bytes.max(1);
        Grid { table, chunk_bytes, threads, next_seq: 0, input: mark.input, index: mark.chunk, stream: None }
    }

    /// The size of an input's grid cell.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// The next chunk; those of streams with their bytes in `buffer`. `None`: no more.
    ///
    /// `enlarge` is called with the number of the chunk before the buffer becomes [large](is_large).
    pub(crate) fn claim(&mut self, buffer: &mut Buffer, enlarge: &mut Enlarge<'_>) -> Result<Option<Chunk>> {
        buffer.filled = 0;
        buffer.ended = false;
        loop {
            let Some(input) = self.table.source().inputs().get(self.input) else { return Ok(None) };
            let start = self.table.start_of(self.input).byte;
            if input.is_plain() {
                let offset = start + self.index * self.chunk_bytes as u64;
                let len = input.stored_bytes();
                if offset < len {
                    let cell = self.chunk_bytes;
                    return Ok(Some(self.hand_out(offset, ChunkKind::Plain { cell })));
                }
            } else {
                let skip = if self.stream.is_none() { std::mem::take(&mut self.index) } else { 0 };
                if self.stream.is_none() {
                    self.stream = Some(Stream::open(input, start, self.threads)?);
                }
                let mut skipped = 0;
                while let Some(stream) = &mut self.stream {
                    let mut enlarge = |buffer: &mut Buffer| enlarge(self.next_seq, buffer);
                    let filled = stream.fill(self.table, input, self.chunk_bytes, buffer, &mut enlarge)?;
                    let Some(offset) = filled else { break };
                    if skipped < skip {
                        skipped += 1;
                        self.index += 1;
                        continue;
                    }
                    return Ok(Some(self.hand_out(offset, ChunkKind::Stream)));
                }
                self.stream = None;
            }
            input.verify_end()?;
            self.input += 1;
            self.index = 0;
        }
    }

    /// A chunk to report at that the next one could not be claimed; ends the grid.
    pub(crate) fn fail(&mut self) -> Chunk {
        let chunk = self.hand_out(0, ChunkKind::Stream);
        self.input = usize::MAX;
        chunk
    }

    fn hand_out(&mut self, offset: u64, kind: ChunkKind) -> Chunk {
        let chunk = Chunk { seq: self.next_seq, input: self.input, index: self.index, offset, kind };
        self.next_seq += 1;
        self.index += 1;
        chunk
    }
}

impl Stream {
    fn open(input: &Input, start: u64, threads: usize) -> Result<Stream> {
        let mut reader = input.open_stream_beside(threads)?;
        let mut skip = start;
        let mut scratch = vec![0; 8 << 10];
        while skip > 0 {
            let want = usize::try_from(skip).unwrap_or(usize::MAX).min(scratch.len());
            match reader.read(&mut scratch[..want]) {
                Ok(0) => return Err(shrunk(input)),
                Ok(n) => skip -= n as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(source::into_error(error, &format!("reading {}", input.name()))),
            }
        }
        Ok(Stream { reader, offset: start, left: Vec::new(), ended: false })
    }

    /// Whole records, about `chunk_bytes` of them, or one that is larger. `None`: the stream has ended.
    fn fill(
        &mut self,
        table: &Table,
        input: &Input,
        chunk_bytes: usize,
        buffer: &mut Buffer,
        enlarge: &mut dyn FnMut(&mut Buffer),
    ) -> Result<Option<u64>> {
        buffer.filled = 0;
        buffer.room(self.left.len().max(chunk_bytes) + 1);
        buffer.bytes[..self.left.len()].copy_from_slice(&self.left);
        buffer.filled = self.left.len();
        self.left.clear();
        self.left.shrink_to(chunk_bytes);
        let mut want = chunk_bytes;
        let most = usize::try_from(table.options().max_record_bytes).unwrap_or(usize::MAX).saturating_add(chunk_bytes);
        loop {
            self.read_to(input, want, buffer)?;
            if buffer.filled == 0 {
                return Ok(None);
            }
            let offset = self.offset;
            if self.ended {
                self.offset += buffer.filled as u64;
                buffer.ended = true;
                return Ok(Some(offset));
            }
            // a CR at the very end may be half of a CRLF
            let judged = buffer.filled - usize::from(buffer.bytes().last() == Some(&b'\r'));
            let survey = table.scanner().survey(buffer.view(0, judged), false);
            if let Some(end) = survey.last_end {
                let cut = end + 1;
                self.left.extend_from_slice(&buffer.bytes[cut..buffer.filled]);
                buffer.filled = cut;
                self.offset += cut as u64;
                return Ok(Some(offset));
            }
            if buffer.filled > most {
                // no record end within the bound: the kernel says which record it is
                self.offset += buffer.filled as u64;
                return Ok(Some(offset));
            }
            want = next_want(buffer.filled).clamp(64, most.saturating_add(1));
            if is_large(want, chunk_bytes) {
                enlarge(buffer);
            }
        }
    }

    fn read_to(&mut self, input: &Input, want: usize, buffer: &mut Buffer) -> Result<()> {
        buffer.room(want.max(buffer.filled));
        while buffer.filled < want && !self.ended {
            match self.reader.read(&mut buffer.bytes[buffer.filled..want]) {
                Ok(0) => self.ended = true,
                Ok(n) => buffer.filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(source::into_error(error, &format!("reading {}", input.name()))),
            }
        }
        Ok(())
    }
}

/// How much there is to be of a record that has no end within `held` bytes: twice as much, and of a large one half as much
/// again.
pub(crate) fn next_want(held: usize) -> usize {
    if held < LARGE_STEP { held * 2 } else { held + held / 2 }
}

/// Whether that is much more than a chunk: only the thread at the head may hold so much.
pub(crate) fn is_large(bytes: usize, cell: usize) -> bool {
    bytes > 2 * cell + (1 << 20)
}

/// How much of a plain chunk is read at first.
pub(crate) fn first_read(cell: usize) -> usize {
    cell + OVERLAP.min(cell.max(64))
}
