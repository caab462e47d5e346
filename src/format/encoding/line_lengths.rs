//! The lengths of the lines of a text before it was transcoded, which give the position of a record by the number of its
//! line.
//!
//! A length is a number of seven bits a byte, so they never need more room than the text itself.

use crate::source::Encoding;

/// Lengths of lines with their line ends, in the order of the source.
#[derive(Default)]
pub(in crate::format) struct LineLengths {
    coded: Vec<u8>,
    /// Bytes of the line under way.
    partial: u64,
    /// True if the last character was a CR, which ends a line unless an LF follows.
    after_cr: bool,
}

impl LineLengths {
    /// Adds bytes of the source; in UTF-16 whole units.
    pub(super) fn add(&mut self, bytes: &[u8], encoding: Encoding) {
        if encoding.is_utf16() {
            let unit = if encoding.is_big_endian() { u16::from_be_bytes } else { u16::from_le_bytes };
            let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
            units.enumerate().for_each(|(at, unit)| {
                if self.after_cr || unit == 0x0a || unit == 0x0d {
                    let so_far = 2 * at as u64;
                    self.character(unit, 2, so_far);
                }
            });
            self.settle(bytes.len() as u64);
            return;
        }
        let mut at = 0;
        while at < bytes.len() {
            let next = if self.after_cr { Some(0) } else { memchr::memchr2(b'\n', b'\r', &bytes[at..]) };
            let Some(next) = next else { break };
            at += next;
            self.character(bytes[at].into(), 1, at as u64);
            at += 1;
        }
        self.settle(bytes.len() as u64);
    }

    /// Adds a character at `at` of the bytes being added. `partial` is relative to their start, so it may be below 0.
    fn character(&mut self, unit: u16, width: u64, at: u64) {
        let after_cr = std::mem::take(&mut self.after_cr);
        if after_cr && unit != 0x0a {
            self.end_line(at);
        }
        match unit {
            0x0a => self.end_line(at + width),
            0x0d => self.after_cr = true,
            _ => {}
        }
    }

    /// Ends the line at `at` of the bytes being added.
    fn end_line(&mut self, at: u64) {
        let mut length = self.partial.wrapping_add(at);
        self.partial = at.wrapping_neg();
        while length >= 0x80 {
            self.coded.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.coded.push(length as u8);
    }

    /// Makes `partial` a length again after `bytes` were added.
    fn settle(&mut self, bytes: u64) {
        self.partial = self.partial.wrapping_add(bytes);
    }

    /// Ends the last line if a CR ends it.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.after_cr) {
            self.end_line(0);
        }
    }

    /// Removes the first `lines` lines into `into`; returns the number of their bytes.
    pub(in crate::format) fn take(&mut self, lines: u64, into: &mut Vec<u8>) -> u64 {
        let (at, bytes) = skip(&self.coded, 0, lines);
        into.clear();
        into.extend_from_slice(&self.coded[..at]);
        self.coded.drain(..at);
        bytes
    }

    /// Returns the number of bytes of the first `lines` lines.
    pub(in crate::format) fn bytes_of(&self, lines: u64) -> u64 {
        skip(&self.coded, 0, lines).1
    }
}

/// Skips lines in coded lengths from `at` on; returns the position after them and the number of their bytes.
pub(in crate::format) fn skip(coded: &[u8], mut at: usize, lines: u64) -> (usize, u64) {
    let mut bytes = 0u64;
    for _ in 0..lines {
        let mut shift = 0;
        while let Some(&part) = coded.get(at) {
            at += 1;
            bytes += u64::from(part & 0x7f) << shift;
            shift += 7;
            if part < 0x80 {
                break;
            }
        }
    }
    (at, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lengths_are_those_of_the_lines_whatever_the_pieces(
            text in "[a\n\r]{0,40}|[a-c]{0,300}\r\n[a\n]{0,200}", cuts in proptest::collection::vec(1usize..9, 1..80),
            label in prop_oneof![Just("latin1"), Just("utf-16le"), Just("utf-16be")],
        ) {
            let encoding = Encoding::for_label(label).unwrap();
            let stored: Vec<u8> = match label {
                "latin1" => text.clone().into_bytes(),
                "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                _ => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            };
            let width = stored.len().checked_div(text.len()).unwrap_or(1);
            let mut lengths = LineLengths::default();
            let (mut rest, mut cuts) = (&stored[..], cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((cuts.next().unwrap() * width).min(rest.len()));
                lengths.add(piece, encoding);
                rest = after;
            }
            lengths.end();
            let lines = crate::scan::count_lines(text.as_bytes());
            let mut want = 0;
            for n in 0..=lines {
                let start = (0..=text.len()).find(|&at| {
                    let is_inside = at > 0 && text.as_bytes()[at - 1] == b'\r' && text.as_bytes().get(at) == Some(&b'\n');
                    !is_inside && crate::scan::count_lines(&text.as_bytes()[..at]) == n
                });
                want = start.map_or(want, |start| start * width);
                prop_assert_eq!(lengths.bytes_of(n), want as u64);
            }
            let mut taken = Vec::new();
            let half = lengths.take(lines / 2, &mut taken);
            prop_assert_eq!(half + lengths.bytes_of(lines - lines / 2), want as u64);
            prop_assert_eq!(skip(&taken, 0, lines / 2), (taken.len(), half));
        }
    }
}
