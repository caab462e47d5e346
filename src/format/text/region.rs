//! A stretch of text after the scan: masks of the bytes that need a second look, and the places of its records.

use crate::buffer::Padded;
use crate::format::encoding::skip;
use crate::row::{CellError, Needs, Record, RecordPlace};
use crate::scan::{Dialect, Tape, any_bit, bits_from, count_lines};
use std::cell::Cell;

/// The places of the records of a chunk, to be requested in the order of the source. Lines are counted only up to the
/// requested records.
pub(crate) struct Places<'l> {
    /// Offset of the text in the decompressed content.
    origin: Cell<u64>,
    /// Physical lines of the chunk in `text[..counted]` and before the text.
    lines: Cell<u64>,
    counted: Cell<usize>,
    /// Of a text that was transcoded.
    source: Option<SourceLines<'l>>,
}

/// The lines of a chunk as they are in the source; `lines` of them have `bytes`, and their lengths end at `at`.
struct SourceLines<'l> {
    lengths: &'l [u8],
    at: Cell<usize>,
    lines: Cell<u64>,
    bytes: Cell<u64>,
}

impl<'l> Places<'l> {
    /// Creates the places for a text at offset `origin`, which is the start of the chunk. `lengths` are those of its lines
    /// in the source, if it was transcoded.
    pub(in crate::format) fn new(origin: u64, lengths: Option<&'l [u8]>) -> Places<'l> {
        let source = lengths.map(|lengths| SourceLines {
            lengths,
            at: Cell::default(),
            lines: Cell::default(),
            bytes: Cell::default(),
        });
        Places { origin: Cell::new(origin), lines: Cell::new(0), counted: Cell::new(0), source }
    }

    /// Moves the start of the text `by` bytes forward; `lines` is the number of physical lines of the chunk before the
    /// new start.
    pub(super) fn rebase(&self, by: usize, lines: u64) {
        if self.source.is_none() {
            self.origin.set(self.origin.get() + by as u64);
        }
        self.lines.set(lines);
        self.counted.set(0);
    }

    /// Returns the place of the record at `start`.
    pub(crate) fn of(&self, text: &[u8], start: usize) -> RecordPlace {
        self.lines.set(self.lines.get() + count_lines(&text[self.counted.get()..start]));
        self.counted.set(start);
        let lines = self.lines.get();
        let byte = match &self.source {
            None => start as u64,
            Some(source) => source.byte(lines),
        };
        RecordPlace { line: Some(lines), byte: Some(self.origin.get() + byte), row: None }
    }

    /// Returns true if the text was transcoded.
    pub(crate) fn are_transcoded(&self) -> bool {
        self.source.is_some()
    }
}

impl SourceLines<'_> {
    /// Returns the position after the first `lines` lines.
    fn byte(&self, lines: u64) -> u64 {
        let (at, bytes) = skip(self.lengths, self.at.get(), lines - self.lines.get());
        self.at.set(at);
        self.lines.set(lines);
        self.bytes.set(self.bytes.get() + bytes);
        self.bytes.get()
    }
}

/// A stretch of text with the records that the scan found in it.
pub(crate) struct Region<'a> {
    pub(crate) input: Padded<'a>,
    /// A bit for each byte of `input`: control character, DEL, `"`, `\`, the quote of the dialect, or `marked`.
    dirty: &'a [u8],
    /// The bits of `dirty`, and one for each byte above 0x7F.
    odd: &'a [u8],
    pub(crate) dialect: Dialect,
    /// Start of the first record and end of the last one.
    text: (usize, usize),
    encoding: Cell<Encoding>,
    /// For each [`Needs`], the mask to test before a cell is copied: `dirty` or `odd`.
    plain: [Cell<&'a [u8]>; 4],
    places: &'a Places<'a>,
}

/// Whether the bytes above 0x7F in a region are valid.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// Not validated yet.
    Unknown,
    Valid,
    /// Invalid at one place at least.
    Invalid,
}

impl<'a> Region<'a> {
    pub(crate) fn new(
        input: Padded<'a>,
        tape: &'a Tape,
        dialect: Dialect,
        text: (usize, usize),
        places: &'a Places<'a>,
    ) -> Region<'a> {
        let (dirty, odd) = (tape.dirty.bytes(), tape.odd.bytes());
        let plain = [odd; 4].map(Cell::new);
        Region { input, dirty, odd, dialect, text, encoding: Cell::new(Encoding::Unknown), plain, places }
    }

    /// Returns true if the region is valid UTF-8; the whole region is validated when the first cell asks. False does
    /// not mean that a certain cell is invalid.
    fn is_utf8(&self) -> bool {
        if self.encoding.get() == Encoding::Unknown {
            let text = &self.input.bytes()[self.text.0..self.text.1];
            if simdutf8::basic::from_utf8(text).is_ok() {
                self.encoding.set(Encoding::Valid);
                self.plain[Needs::Utf8 as usize].set(self.dirty);
                // U+0080 to U+009F all start with this byte
                if memchr::memchr(0xc2, text).is_none() {
                    self.plain[Needs::NoControls as usize].set(self.dirty);
                }
            } else {
                self.encoding.set(Encoding::Invalid);
            }
        }
        self.encoding.get() == Encoding::Valid
    }

    /// Returns true if no byte of the span is a control character (DEL included), a quote or a backslash; such a cell
    /// is not quoted and can be copied into JSON.
    #[inline(always)]
    pub(crate) fn is_clean(&self, at: usize, len: usize) -> bool {
        !any_bit(self.dirty, at, len)
    }

    /// Returns true if a span is clean and ASCII.
    #[inline(always)]
    pub(crate) fn is_clean_ascii(&self, at: usize, len: usize) -> bool {
        !any_bit(self.odd, at, len)
    }

    /// See [`crate::row::Row::is_plain`].
    #[inline(always)]
    pub(crate) fn is_plain(&self, at: usize, len: usize, needs: Needs) -> bool {
        !any_bit(self.plain[needs as usize & 3].get(), at, len)
    }

    /// [`Region::is_plain`] for a short cell; false if the cell is longer than 57 bytes.
    #[inline(always)]
    pub(crate) fn is_short_and_plain(&self, at: usize, len: usize, needs: Needs) -> bool {
        len <= 57 && bits_from(self.plain[needs as usize & 3].get(), at) & ((1 << len) - 1) == 0
    }

    /// Returns true if a clean span is as valid as `needs` requires.
    pub(crate) fn is_valid(&self, at: usize, len: usize, needs: Needs) -> bool {
        let text = || &self.input.bytes()[at..at + len];
        self.is_clean_ascii(at, len)
            || match needs {
                Needs::Utf8 => self.is_utf8() || simdutf8::basic::from_utf8(text()).is_ok(),
                Needs::NoControls => self.is_utf8() && memchr::memchr(0xc2, text()).is_none(),
                Needs::Ascii => false,
            }
    }

    /// Returns the error for a cell that is not valid text.
    #[cold]
    pub(crate) fn invalid(&self, column: usize) -> CellError {
        if !self.places.are_transcoded() {
            return CellError::invalid_utf8(column);
        }
        let what = "bytes that are not valid in the encoding of the source";
        CellError { code: "undecodable", what, column: Some(column) }
    }

    /// Returns the place of the record at `start`.
    pub(crate) fn place(&self, start: usize) -> RecordPlace {
        self.places.of(self.input.bytes(), start)
    }
}

/// The methods of [`crate::row::Row`] that all rows of text have in common, for a row with a field `region`.
macro_rules! row_of_region {
    () => {
        #[inline(always)]
        fn input(&self) -> Padded<'_> {
            self.region.input
        }

        #[inline(always)]
        fn is_marked(&self, byte: u8) -> bool {
            byte == self.region.dialect.marked
        }

        #[inline(always)]
        fn is_plain(&self, at: usize, len: usize, needs: Needs) -> bool {
            self.region.is_plain(at, len, needs)
        }

        #[inline(always)]
        fn is_short_and_plain(&self, at: usize, len: usize, needs: Needs) -> bool {
            self.region.is_short_and_plain(at, len, needs)
        }
    };
}
pub(crate) use row_of_region;

/// A record that could not be split into columns.
pub(crate) struct Unsplit<'a> {
    pub(crate) region: &'a Region<'a>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Record for Unsplit<'_> {
    fn place(&self) -> RecordPlace {
        self.region.place(self.start)
    }

    fn kept_bytes(&self) -> usize {
        self.end - self.start
    }

    fn keep(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.region.input.bytes()[self.start..self.end]);
    }
}
