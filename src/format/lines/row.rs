//! One line.

use crate::buffer::Padded;
use crate::format::text::{Region, row_of_region};
use crate::row::{CellError, Needs, Record, RecordPlace, Row, Stored};
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

impl Line<'_> {
    /// Returns the value.
    fn valid(&self, column: usize) -> Result<&[u8], CellError> {
        let line = self.text();
        if simdutf8::basic::from_utf8(line).is_err() {
            return Err(self.region.invalid(column));
        }
        if memchr::memchr(0, line).is_some() {
            return Err(CellError::nul(column));
        }
        Ok(line)
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
    row_of_region!();

    #[inline(always)]
    fn span(&self, _column: usize) -> (usize, usize) {
        (self.start, self.end - self.start)
    }

    fn second_look(&self, at: usize, len: usize, needs: Needs) -> Option<(usize, usize)> {
        (self.region.is_clean(at, len) && self.region.is_valid(at, len, needs)).then_some((at, len))
    }

    fn append(&self, column: usize, text: &mut Vec<u8>) -> Result<(), CellError> {
        text.extend_from_slice(self.valid(column)?);
        Ok(())
    }

    fn stored(&self, column: usize) -> Result<Option<Stored<'_>>, CellError> {
        self.valid(column).map(|line| Some(Stored::Value(line)))
    }

    fn value(&self, _column: usize) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.text())
    }
}
