//! Bodies with the buffers of mapped columns alone. The positions in the batch are changed to match, and other buffers are empty.
//!
//! A writer may put all rows into one batch, so what is not mapped must not take memory.

use super::damage::damaged;
use super::layout::Stored;
use crate::error::Result;
use arrow_ipc::root_as_message;
use std::ops::Range;

/// Alignment of a body in memory, and of its buffers if the writer aligned them.
const ALIGNMENT: u64 = 64;
/// Size of an entry of the list of buffers: offset and length, eight bytes each.
const ENTRY_BYTES: usize = 16;

/// A part of a body that is read, in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) stored: Range<u64>,
    /// Position in the compact body.
    pub(super) to: u64,
}

/// The parts of a body that are read.
pub(super) struct Compact {
    /// In their order in the body.
    pub(super) pieces: Vec<Piece>,
    /// Length of the compact body.
    pub(super) len: u64,
    /// The places of the buffers in the compact body.
    pub(super) buffers: Vec<Range<u64>>,
}

impl Compact {
    /// Keeps a whole body.
    pub(super) fn whole(len: u64, stored: &[Stored]) -> Compact {
        let pieces = vec![Piece { stored: 0..len, to: 0 }];
        Compact { pieces, len, buffers: stored.iter().map(|stored| stored.range.clone()).collect() }
    }

    /// Keeps the wanted buffers of a batch, and changes its message, which is at `prefix` in `metadata`. In memory the
    /// body follows the metadata.
    pub(super) fn wanted(stored: &[Stored], metadata: &mut [u8], prefix: usize) -> Result<Compact> {
        let pieces = pieces(stored, metadata.len() as u64);
        let mut buffers = Vec::new();
        let list = list(metadata, prefix, stored.len()).ok_or_else(|| damaged("a batch is not valid"))?;
        for (stored, entry) in stored.iter().zip(metadata[list].chunks_exact_mut(ENTRY_BYTES)) {
            let moved = if stored.is_wanted { moved(&pieces, &stored.range) } else { 0..0 };
            entry[..8].copy_from_slice(&moved.start.to_le_bytes());
            entry[8..].copy_from_slice(&(moved.end - moved.start).to_le_bytes());
            buffers.push(moved);
        }
        let len = pieces.last().map_or(0, |last| last.to + last.stored.end - last.stored.start);
        Ok(Compact { pieces, len, buffers })
    }
}

/// Returns the pieces that have the wanted buffers. In memory they are aligned as in the body.
fn pieces(stored: &[Stored], before: u64) -> Vec<Piece> {
    let ranges = stored.iter().filter(|stored| stored.is_wanted && !stored.range.is_empty());
    let mut ranges: Vec<Range<u64>> = ranges.map(|stored| stored.range.clone()).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut at = 0;
    for range in ranges {
        match pieces.last_mut() {
            // padding is read too, and bytes that buffers share once
            Some(last) if range.start <= last.stored.end + ALIGNMENT => {
                last.stored.end = last.stored.end.max(range.end);
                at = last.to + last.stored.end - last.stored.start;
            }
            _ => {
                let skew = (before + at) % ALIGNMENT;
                let to = at + (range.start % ALIGNMENT + ALIGNMENT - skew) % ALIGNMENT;
                at = to + range.end - range.start;
                pieces.push(Piece { stored: range, to });
            }
        }
    }
    pieces
}

/// Returns the place of a buffer in the compact body.
fn moved(pieces: &[Piece], range: &Range<u64>) -> Range<u64> {
    let after = pieces.partition_point(|piece| piece.stored.start <= range.start);
    match after.checked_sub(1).map(|at| &pieces[at]) {
        Some(piece) if range.end <= piece.stored.end => {
            let start = piece.to + range.start - piece.stored.start;
            start..start + range.end - range.start
        }
        // only empty buffers are in no piece
        _ => 0..0,
    }
}

/// Returns the place of the list of buffers in the metadata of a batch.
fn list(metadata: &[u8], prefix: usize, buffers: usize) -> Option<Range<usize>> {
    if buffers == 0 {
        return Some(0..0);
    }
    let message = root_as_message(&metadata[prefix..]).ok()?;
    let list = message.header_as_record_batch()?.buffers()?.bytes();
    let start = list.as_ptr().addr().checked_sub(metadata.as_ptr().addr())?;
    (list.len() == buffers * ENTRY_BYTES).then_some(start..start + list.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(range: Range<u64>, is_wanted: bool) -> Stored {
        Stored { range, is_wanted }
    }

    #[test]
    fn pieces_are_what_is_wanted_aligned_as_before() {
        let all = [
            stored(0..0, true),
            stored(64..100, true),
            stored(128..5_000, false),
            stored(5_056..6_000, false),
            stored(6_016..6_024, true),
            stored(6_020..6_100, true),
            stored(6_136..6_140, true),
        ];
        let pieces = pieces(&all, 200);
        let want = [Piece { stored: 64..100, to: 56 }, Piece { stored: 6_016..6_140, to: 120 }];
        assert_eq!(pieces, want);
        assert_eq!(moved(&pieces, &(6_020..6_100)), 124..204);
        assert_eq!(moved(&pieces, &(0..0)), 0..0);
        assert_eq!(moved(&pieces, &(7_000..7_000)), 0..0);
    }
}
