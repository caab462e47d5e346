//! Finds boundaries at which a compressed file can be split: after whole zstd frames, and after gzip members that state
//! their length (the `BC` field of bgzip).
//!
//! A boundary is a guess that decoding verifies: a piece that does not decode to exactly its end is decoded again, in
//! one go with everything after it. Other gzip members have no known end before they are decoded, and a frame or member
//! that needs much memory is not decoded beside others: from such a place on, the file is one piece.

use super::{Compression, ReadAt};
use std::sync::Arc;

/// Small frames and members are joined up to this size.
const PIECE_BYTES: u64 = if cfg!(fuzzing) { 64 } else { 256 << 10 };

/// Maximum size of a frame whose end is searched.
const MOST_FRAME_BYTES: u64 = 16 << 20;

/// A run of stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Whole frames or members, presumably.
    Some { start: u64, end: u64 },
    /// Everything from here on, in one go.
    Rest { start: u64 },
}

/// Finds the pieces one after another.
pub(super) struct Pieces {
    data: Arc<dyn ReadAt>,
    compression: Compression,
    size: u64,
    at: u64,
    /// Maximum zstd window of a piece.
    most_window: u64,
    ended: bool,
}

impl Pieces {
    pub(super) fn new(data: Arc<dyn ReadAt>, compression: Compression, size: u64, most_window: u64) -> Pieces {
        Pieces { data, compression, size, at: 0, most_window, ended: false }
    }

    /// Stops the search: there are no more pieces.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    fn end_of_one(&self, start: u64) -> Option<u64> {
        let end = match self.compression {
            Compression::Gzip => self.end_of_member(start),
            Compression::Zstd => self.end_of_frame(start),
            _ => None,
        }?;
        (end <= self.size).then_some(end)
    }

    fn end_of_member(&self, start: u64) -> Option<u64> {
        // bgzip's field comes first; a later field is found if this buffer contains it
        let mut head = [0; 64];
        let head = self.read(&mut head, start)?;
        let (fixed, rest) = head.split_at_checked(12)?;
        if fixed[..3] != [0x1f, 0x8b, 8] || fixed[3] & 4 == 0 {
            return None;
        }
        let extra = usize::from(u16::from_le_bytes([fixed[10], fixed[11]]));
        let mut fields = &rest[..extra.min(rest.len())];
        loop {
            let (field, after) = fields.split_at_checked(4)?;
            let (value, after) = after.split_at_checked(usize::from(u16::from_le_bytes([field[2], field[3]])))?;
            if let ([b'B', b'C', ..], &[low, high]) = (field, value) {
                return Some(start + u64::from(u16::from_le_bytes([low, high])) + 1);
            }
            fields = after;
        }
    }

    /// Finds the end of a frame (RFC 8878, 3.1): a header, then blocks that state their length and whether another one
    /// follows.
    fn end_of_frame(&self, start: u64) -> Option<u64> {
        let mut head = [0; 18];
        let head = self.read(&mut head, start)?;
        let magic = u32::from_le_bytes(head.first_chunk().copied()?);
        if magic & 0xffff_fff0 == 0x184d_2a50 {
            let size = u32::from_le_bytes(head.get(4..8)?.first_chunk().copied()?);
            return Some(start + 8 + u64::from(size));
        }
        if magic != 0xfd2f_b528 {
            return None;
        }
        let descriptor = *head.get(4)?;
        let single_segment = descriptor >> 5 & 1;
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let content_size = match descriptor >> 6 {
            0 => usize::from(single_segment),
            log => 1 << log,
        };
        let window_byte = usize::from(1 - single_segment);
        let size_at = 5 + window_byte + dictionary;
        let window = if single_segment == 1 {
            let mut size = [0; 8];
            size[..content_size].copy_from_slice(head.get(size_at..size_at + content_size)?);
            u64::from_le_bytes(size) + if content_size == 2 { 256 } else { 0 }
        } else {
            let byte = *head.get(5)?;
            let base = 1 << (10 + (byte >> 3));
            base + base / 8 * u64::from(byte & 7)
        };
        if window > self.most_window || dictionary > 0 {
            return None;
        }
        let mut at = start + (size_at + content_size) as u64;
        loop {
            let mut block = [0; 3];
            let [a, b, c] = *self.read(&mut block, at)? else { return None };
            let block = u32::from_le_bytes([a, b, c, 0]);
            let stored = match block >> 1 & 3 {
                1 => 1,
                _ => u64::from(block >> 3),
            };
            at += 3 + stored;
            if block & 1 == 1 {
                return Some(at + 4 * u64::from(descriptor >> 2 & 1));
            }
            if at - start > MOST_FRAME_BYTES {
                return None;
            }
        }
    }

    /// Reads up to `buf.len()` bytes at `at`; `None` on a read error, which the decoder will report.
    fn read<'b>(&self, buf: &'b mut [u8], at: u64) -> Option<&'b [u8]> {
        let mut have = 0;
        while have < buf.len() && at + (have as u64) < self.size {
            match self.data.read_at(&mut buf[have..], at + have as u64) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(&buf[..have])
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.ended || self.at >= self.size {
            return None;
        }
        let start = self.at;
        while self.at - start < PIECE_BYTES && self.at < self.size {
            match self.end_of_one(self.at) {
                Some(end) => self.at = end,
                None if self.at > start => break,
                None => {
                    self.ended = true;
                    return Some(Piece::Rest { start });
                }
            }
        }
        Some(Piece::Some { start, end: self.at })
    }
}
