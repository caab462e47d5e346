//! The bytes of an input: read by position, so that what is not needed is left out, or as they come.

use super::compact::{Compact, Piece};
use super::damage::{cut_off, damaged};
use crate::error::Result;
use crate::source::{Input, into_error};
use arrow_buffer::{Buffer, MutableBuffer};
use std::io::{ErrorKind, Read};

/// The first bytes of a file; a stream starts with a message.
pub(super) const MAGIC: &[u8; 8] = b"ARROW1\0\0";
/// The start of a message.
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];

/// Size of the steps in which a stream is read, since its lengths cannot be checked before.
const STEP: usize = 1 << 20;

/// Returns true if a content that starts with these bytes looks like Arrow.
#[cfg(feature = "jobs")]
pub(super) fn looks_like(first: &[u8]) -> bool {
    // a stream: the length of a message, then the offset of its root, which is small
    let is_stream = match first {
        [0xff, 0xff, 0xff, 0xff, len @ .., _] if len.len() >= 8 => {
            len[0] % 8 == 0 && len[3] == 0 && (4..64).contains(&len[4]) && len[5..8] == [0; 3]
        }
        _ => false,
    };
    first.starts_with(MAGIC) || is_stream
}

/// The content of an input from a position on.
pub(super) struct Content<'i> {
    input: &'i Input,
    /// `None`: read by position.
    stream: Option<Box<dyn Read + Send>>,
    at: u64,
    spare: Spare,
}

/// The memory of the last bodies, used again once their arrays are gone: memory that one thread allocates and another
/// frees, over and over in sizes that differ, grows.
#[derive(Default)]
struct Spare(Vec<Buffer>);

impl Spare {
    /// Number of bodies that are kept.
    const KEPT: usize = 3;

    /// Returns memory for `len` bytes, which may contain old ones.
    fn take(&mut self, len: usize) -> MutableBuffer {
        for at in 0..self.0.len() {
            match self.0.swap_remove(at).into_mutable() {
                Ok(buffer) if buffer.capacity() >= len => return buffer,
                // too small; the slot is free for a larger one
                Ok(_) => return MutableBuffer::from_len_zeroed(len + len / 8),
                Err(shared) => {
                    self.0.push(shared);
                    let last = self.0.len() - 1;
                    self.0.swap(at, last);
                }
            }
        }
        MutableBuffer::from_len_zeroed(len + len / 8)
    }

    /// Returns a body, and remembers its memory.
    fn lend(&mut self, buffer: MutableBuffer) -> Buffer {
        let buffer = Buffer::from(buffer);
        if self.0.len() >= Spare::KEPT {
            self.0.remove(0);
        }
        self.0.push(buffer.clone());
        buffer
    }
}

impl<'i> Content<'i> {
    /// Opens an input at its start; `threads` may decompress it.
    pub(super) fn open(input: &'i Input, threads: usize) -> Result<Content<'i>> {
        let stream = if input.is_plain() { None } else { Some(input.open_stream_beside(threads)?) };
        Ok(Content { input, stream, at: 0, spare: Spare::default() })
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Moves to a position, if the input is read by position.
    pub(super) fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// Reads as much of `buf` as there is.
    pub(super) fn fill(&mut self, buf: &mut [u8]) -> Result<usize> {
        let mut have = 0;
        while have < buf.len() {
            let rest = &mut buf[have..];
            let read = match &mut self.stream {
                Some(stream) => stream.read(rest),
                None => self.input.read_at(rest, self.at),
            };
            match read {
                Ok(0) => break,
                Ok(n) => {
                    have += n;
                    self.at += n as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(into_error(error, &format!("reading {}", self.input.name()))),
            }
        }
        Ok(have)
    }

    /// Reads `len` bytes.
    ///
    /// # Errors
    /// `Data`: there are fewer.
    pub(super) fn read(&mut self, len: usize) -> Result<Vec<u8>> {
        self.check(len as u64)?;
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let from = bytes.len();
            bytes.resize(len.min(from + STEP), 0);
            if self.fill(&mut bytes[from..])? < bytes.len() - from {
                return Err(cut_off());
            }
        }
        Ok(bytes)
    }

    /// Checks a length against what is left, if that is known.
    fn check(&self, len: u64) -> Result<()> {
        let left = self.input.stored_bytes().saturating_sub(self.at);
        if self.stream.is_none() && len > left { Err(cut_off()) } else { Ok(()) }
    }

    /// Reads what is wanted of the body of a message, which has `len` bytes, into a buffer after the metadata.
    pub(super) fn body(&mut self, metadata: &[u8], len: u64, wanted: &Compact) -> Result<Buffer> {
        self.check(len)?;
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| damaged("a batch has an impossible length"));
        let (head, whole) = (metadata.len(), size(wanted.len)?);
        // the lengths of a stream are not known to be true before it was read
        let first = if self.stream.is_none() { whole } else { whole.min(STEP) };
        let mut buffer = self.spare.take(head + first);
        buffer.clear();
        buffer.extend_from_slice(metadata);
        let mut done = 0;
        for Piece { stored, to } in &wanted.pieces {
            self.skip(stored.start - done)?;
            done = stored.end;
            let start = head + size(*to)?;
            buffer.resize(start, 0);
            let end = start + size(stored.end - stored.start)?;
            while buffer.len() < end {
                let from = buffer.len();
                buffer.resize(end.min(from + STEP), 0);
                if self.fill(&mut buffer.as_slice_mut()[from..])? < buffer.len() - from {
                    return Err(cut_off());
                }
            }
        }
        self.skip(len - done)?;
        Ok(self.spare.lend(buffer))
    }

    /// Skips `len` bytes.
    pub(super) fn skip(&mut self, len: u64) -> Result<()> {
        self.check(len)?;
        if self.stream.is_none() {
            self.at += len;
            return Ok(());
        }
        let mut left = len;
        let mut scratch = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(STEP)];
        while left > 0 {
            let want = scratch.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = self.fill(&mut scratch[..want])?;
            if n == 0 {
                return Err(cut_off());
            }
            left -= n as u64;
        }
        Ok(())
    }

    /// Reads to the end of a stream, so that damage at its end is found.
    pub(super) fn finish(&mut self) -> Result<()> {
        let mut scratch = vec![0; 64 << 10];
        while self.stream.is_some() && self.fill(&mut scratch)? > 0 {}
        Ok(())
    }
}
