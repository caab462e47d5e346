//! One line.

use crate::buffer::Padded;
use crate::format::text::Region;
use crate::row::{CellError, Needs, Record, RecordPlace, Row};
use std::borrow::Cow;

/// A line, borrowed from its chunk.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(super) region: &'a Region<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Line<'a> {
    fn text(&self) -> &'a [u8] {
        &self.region.input.bytes()[self.start..self.end]
    }
}

impl Record for Line<'_> {
    fn place(&self) -> RecordPlace {
        self.region.place(self.start)
    }

    fn kept_bytes(&self) -> usize {
        self.end - self.start
    }

    fn keep(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.text());
    }
}

impl Row for Line<'_> {
    #[inline(always)]
    fn input(&self) -> Padded<'_> {
        self.region.input
    }

    #[inline(always)]
    fn span(&self, _column: usize) -> (usize, usize) {
        (self.start, self.end - self.start)
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

    fn second_look(&self, at: usize, len: usize, needs: Needs) -> Option<(usize, usize)> {
        (self.region.is_clean(at, len) && self.region.is_valid(at, len, needs)).then_some((at, len))
    }

    fn append(&self, column: usize, text: &mut Vec<u8>) -> Result<(), CellError> {
        let line = self.text();
        if simdutf8::basic::from_utf8(line).is_err() {
            return Err(CellError::invalid_utf8(column));
        }
        if memchr::memchr(0, line).is_some() {
            return Err(CellError::nul(column));
        }
        text.extend_from_slice(line);
        Ok(())
    }

    fn value(&self, _column: usize) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.text())
    }
}
