//! Reads one chunk of text: gets its bytes, finds its seams, and visits its records.
//!
//! A chunk of a plain input is a cell of the grid, and its records are those that start between its *seams*: the first line end at
//! or after the start of the cell, and that of the next cell. What crosses a seam is a state (CSV: whether the line end is inside
//! of a quoted cell). [`TextReader::open`] finds the seams and publishes the state at the second one before anything is
//! converted, so that the threads do not wait for each other; a thread that is alone publishes it when it knows it anyway.
//!
//! The record that crosses the second seam belongs to this chunk and continues after the bytes read so far. So
//! [`TextReader::read`] visits the complete records; if a record is open at the end, `from` moves to its start (`from`
//! and `places` change together, and `limit` is relative to `from`), more bytes are read, and the kernel starts again
//! at this record in state 0. The loop ends because a record longer than `source.max_record_bytes` ends the pass.

use super::bytes::{ChunkBytes, first_read, next_want};
use super::region::Places;
use super::rules::{Stretch, Text};
use crate::error::Result;
use crate::format::chunk::{Chunk, Extent, Fatal};
use crate::format::reader::{Host, Reader, Stop, Visit};
use crate::row::RecordPlace;
use crate::scan::count_lines;

/// Reads chunks of text.
pub(crate) struct TextReader<F: Text> {
    pub(super) bytes: ChunkBytes,
    /// Lengths of the lines in the source, if the text was transcoded.
    pub(super) lengths: Option<Vec<u8>>,
    kernel: F::Kernel,
    chunk_bytes: usize,
}

impl<F: Text> TextReader<F> {
    pub(crate) fn new(format: &F, marked: Option<u8>, chunk_bytes: usize) -> TextReader<F> {
        TextReader { bytes: ChunkBytes::default(), lengths: None, kernel: format.kernel(marked), chunk_bytes }
    }

    /// Reads until the buffer has at least `want` bytes of the chunk or the input ends.
    fn extend(&mut self, format: &F, chunk: &Chunk, want: usize) -> Result<()> {
        self.bytes.read_plain(&format.source().inputs()[chunk.input], chunk.offset, want)
    }

    /// Finds the seams of a chunk of a plain input, and the state at them.
    fn seams<H: Host<Self>>(&mut self, format: &F, chunk: &Chunk, host: &mut H) -> Result<Extent, H::Stop> {
        let cell = self.chunk_bytes;
        self.extend(format, chunk, first_read(cell))?;
        let from = if chunk.index == 0 { Some(0) } else { self.line_end(format, chunk, 0..cell, host)? };
        let Some(from) = from else {
            // no line ends in this cell, so its seam is that of the next cell
            let state = host.state()?;
            host.publish(state);
            return Ok(Extent { from: 0, to: 0, state });
        };
        let max = usize::try_from(format.max_record_bytes()).unwrap_or(usize::MAX);
        // if there is no line end, either the input ends or the record is too long, which the kernel detects
        let to = self.line_end(format, chunk, cell..cell.saturating_add(max).saturating_add(1), host)?;
        let to = to.unwrap_or(self.bytes.filled()).max(from);
        if !F::HAS_STATE {
            host.publish(0);
            return Ok(Extent { from, to, state: 0 });
        }
        if host.is_alone() {
            // no thread waits for the state at the next seam, and reading the chunk determines it
            let state = host.state()?;
            if from == to {
                host.publish(state);
            }
            return Ok(Extent { from, to, state });
        }
        let from_outside = format.state_after(self.bytes.view(from, to), 0);
        let state = host.state()?;
        let after = if state == 0 { from_outside } else { format.state_after(self.bytes.view(from, to), state) };
        host.publish(after);
        Ok(Extent { from, to, state })
    }

    /// Returns the position after the first line end in `range`, reading up to the end of the range if necessary;
    /// `None` if there is no line end.
    fn line_end<H: Host<Self>>(
        &mut self,
        format: &F,
        chunk: &Chunk,
        range: std::ops::Range<usize>,
        host: &mut H,
    ) -> Result<Option<usize>, H::Stop> {
        let (mut from, to) = (range.start, range.end);
        loop {
            let upto = self.bytes.filled().min(to);
            let text = self.bytes.bytes().get(from..upto);
            if let Some(at) = text.and_then(|text| memchr::memchr2(b'\n', b'\r', text)) {
                let at = from + at;
                if self.bytes.bytes()[at] == b'\r' {
                    if at + 1 == self.bytes.filled() && !self.bytes.ended {
                        self.extend(format, chunk, at + 2)?;
                    }
                    if self.bytes.bytes().get(at + 1) == Some(&b'\n') {
                        return Ok(Some(at + 2));
                    }
                }
                return Ok(Some(at + 1));
            }
            if self.bytes.ended || self.bytes.filled() >= to {
                return Ok(None);
            }
            from = from.max(upto);
            let filled = self.bytes.filled();
            let want = next_want(filled).min(to.max(filled + 1));
            host.enlarge(self, want)?;
            self.extend(format, chunk, want)?;
        }
    }

    /// Returns the error for a record that does not end within the maximum length or the input.
    #[cold]
    fn never_ends(&self, format: &F, start: usize, inside: bool, place: RecordPlace) -> Fatal {
        let record = &self.bytes.bytes()[start..];
        let (error, blamed) = format.never_ends(record, inside, self.bytes.ended);
        let line = place.line.map(|line| line + count_lines(&record[..blamed]));
        Fatal { error, place: Some(RecordPlace { line, ..place }) }
    }
}

impl<F: Text> Reader<F> for TextReader<F> {
    fn open<H: Host<Self>>(&mut self, format: &F, chunk: &Chunk, host: &mut H) -> Result<Extent, H::Stop> {
        if !chunk.is_held {
            return self.seams(format, chunk, host);
        }
        host.publish(0);
        Ok(Extent { from: 0, to: self.bytes.filled(), state: 0 })
    }

    fn read<V>(&mut self, format: &F, chunk: &Chunk, extent: &Extent, visit: &mut V) -> Result<u64, Stop<V>>
    where
        V: Visit + Host<Self, Stop = Stop<V>>,
    {
        let lengths = self.lengths.take();
        let places = Places::new(chunk.offset + extent.from as u64, lengths.as_deref());
        let (mut from, mut state) = (extent.from, extent.state);
        let (mut limit, mut lines) = (extent.to - extent.from, 0);
        let max = format.max_record_bytes();
        loop {
            let text = self.bytes.view(from, self.bytes.filled());
            let (ended, follows) = (self.bytes.ended, chunk.is_held && !self.bytes.ended);
            let stretch = Stretch { text, limit, state, ended, follows, places: &places };
            let end = F::run(&mut self.kernel, &stretch, visit)?;
            lines += end.lines;
            let Some(open) = end.open else {
                if F::HAS_STATE && !chunk.is_held && visit.is_alone() {
                    visit.publish(end.state);
                }
                return Ok(lines);
            };
            // the record that crosses the seam continues after the bytes read so far
            let held = (self.bytes.filled() - from - open) as u64;
            if self.bytes.ended || held > max {
                let place = places.of(self.bytes.view(from, self.bytes.filled()).bytes(), open);
                return Err(self.never_ends(format, from + open, end.inside, place).into());
            }
            places.rebase(open, lines);
            from += open;
            limit -= open;
            state = 0;
            // at most the length of the longest record
            let most = from.saturating_add(max as usize).saturating_add(1).max(self.bytes.filled() + 1);
            let want = (from + next_want(held as usize)).max(self.bytes.filled() + (16 << 10)).min(most);
            visit.enlarge(self, want)?;
            self.extend(format, chunk, want)?;
        }
    }

    fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    fn copy_from(&mut self, other: &Self) {
        self.bytes.copy_from(&other.bytes);
        self.lengths.clone_from(&other.lengths);
    }

    fn shrink(&mut self) {
        self.bytes.shrink(self.chunk_bytes);
    }
}
