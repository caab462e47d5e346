//! One row of a dialect with escapes or texts that mean empty.

use super::decode::decoded;
use super::nulls::Nulls;
use super::row::CsvRow;
use crate::buffer::Padded;
use crate::format::text::{Region, row_of_region};
use crate::row::{CellError, Needs, Record, RecordPlace, Row, Stored};
use std::borrow::Cow;

/// A record of a special dialect. An empty span stands for a cell that means empty, so the plan sees no other cells.
#[derive(Clone, Copy)]
pub(super) struct DialectRow<'d, 'a> {
    pub(super) region: &'a Region<'a>,
    pub(super) row: CsvRow<'a>,
    pub(super) nulls: &'d Nulls,
    pub(super) escape: bool,
}

impl<'a> DialectRow<'_, 'a> {
    fn raw(&self, column: usize) -> &'a [u8] {
        let (at, len) = self.span(column);
        &self.region.input.bytes()[at..at + len]
    }

    /// Returns the value of a raw cell that may be escaped or quoted.
    fn decoded(&self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        decoded(raw, self.region.dialect.quote, self.escape)
    }
}

impl Record for DialectRow<'_, '_> {
    fn place(&self) -> RecordPlace {
        self.row.place()
    }

    fn kept_bytes(&self) -> usize {
        self.row.kept_bytes()
    }

    fn keep(&self, into: &mut Vec<u8>) {
        self.row.keep(into);
    }
}

impl Row for DialectRow<'_, '_> {
    row_of_region!();

    #[inline]
    fn span(&self, column: usize) -> (usize, usize) {
        let (at, len) = self.row.span(column);
        let is_null = self.nulls.contain(&self.region.input.bytes()[at..at + len]);
        (at, if is_null { 0 } else { len })
    }

    fn second_look(&self, at: usize, len: usize, needs: Needs) -> Option<(usize, usize)> {
        self.row.second_look(at, len, needs)
    }

    fn append(&self, column: usize, text: &mut Vec<u8>) -> Result<(), CellError> {
        let (raw, from) = (self.raw(column), text.len());
        self.row.validate_span(column, self.span(column))?;
        text.extend_from_slice(&self.decoded(raw));
        // an escape may stand for a NUL
        if self.escape && memchr::memchr(0, &text[from..]).is_some() {
            return Err(CellError::nul(column));
        }
        Ok(())
    }

    fn stored(&self, column: usize) -> Result<Option<Stored<'_>>, CellError> {
        let raw = self.raw(column);
        if self.row.validate_span(column, self.span(column))? {
            return Ok(Some(Stored::Value(raw)));
        }
        if !self.escape {
            return if raw.is_empty() { Ok(Some(Stored::Value(raw))) } else { self.row.stored(column) };
        }
        Ok(match self.decoded(raw) {
            Cow::Borrowed(value) => Some(Stored::Value(value)),
            Cow::Owned(_) => None,
        })
    }

    fn value(&self, column: usize) -> Cow<'_, [u8]> {
        self.decoded(self.raw(column))
    }
}
