//! The rows of a block, as the plan reads them.

use super::kept;
use super::store::{Block, ColumnKind};
use crate::buffer::Padded;
use crate::format::chunk::Fatal;
use crate::format::json::list::{BadElement, elements};
use crate::format::reader::Visit;
use crate::format::text::{Places, Region, longer_than, row_of_region};
use crate::row::{CellError, CellKind, GroupRow, Needs, Record, RecordPlace, Row, Stored};
use crate::scan::{Boosted, Scanner};
use std::borrow::Cow;

/// Hint for a row that is too long.
const TOO_LONG: &str = "map other columns, or raise source.max_record_bytes";

/// The rows of a block that was finished.
pub(in crate::format) struct Rows<'b> {
    pub(in crate::format) block: &'b Block,
    pub(in crate::format) kinds: &'b [ColumnKind],
    /// Returns the place of a row, by its number in the block.
    pub(in crate::format) place: &'b dyn Fn(usize) -> GroupRow,
    /// Maximum length of a row.
    pub(in crate::format) longest: usize,
}

impl Rows<'_> {
    /// Visits all rows.
    ///
    /// # Errors
    /// The visitor stops, or a row is too long.
    pub(in crate::format) fn visit<V: Visit>(&self, scanner: &Scanner, visit: &mut V) -> Result<(), V::Stop> {
        let places = Places::new(0, None);
        let input = self.block.input();
        let region = Region::new(input, &self.block.tape, scanner.dialect(), (0, input.len()), &places);
        scanner.boost(Walk { rows: self, region: &region, visit })
    }
}

struct Walk<'w, V> {
    rows: &'w Rows<'w>,
    region: &'w Region<'w>,
    visit: &'w mut V,
}

impl<V: Visit> Boosted for Walk<'_, V> {
    type Output = Result<(), V::Stop>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Walk { rows, region, visit } = self;
        let may_be_long = rows.block.bytes() > rows.longest;
        for row in 0..rows.block.rows() {
            if may_be_long && rows.block.row_bytes(row) > rows.longest {
                let place = RecordPlace { row: Some((rows.place)(row)), ..RecordPlace::default() };
                let error = longer_than(rows.longest as u64, TOO_LONG);
                return Err(Fatal { error, place: Some(place) }.into());
            }
            visit.row(&BlockRow { region, rows, row })?;
        }
        Ok(())
    }
}

/// A row of a block.
#[derive(Clone, Copy)]
struct BlockRow<'a> {
    region: &'a Region<'a>,
    rows: &'a Rows<'a>,
    row: usize,
}

impl<'a> BlockRow<'a> {
    #[inline(always)]
    fn number(&self, column: usize) -> usize {
        self.rows.block.number(self.row, column)
    }

    /// Returns the value, without the quote of a marked one.
    fn raw(&self, column: usize) -> &'a [u8] {
        let (at, len) = self.span(column);
        let skip = usize::from(len > 0 && self.is_marked_value(column));
        &self.region.input.bytes()[at + skip..at + len]
    }

    fn is_marked_value(&self, column: usize) -> bool {
        self.rows.kinds[column] != ColumnKind::Value || self.rows.block.bad(self.number(column)).is_some()
    }

    /// Returns the value if it is valid.
    fn valid(&self, column: usize) -> Result<&'a [u8], CellError> {
        if let Some(bad) = self.rows.block.bad(self.number(column)) {
            return Err(CellError { code: bad.code, what: bad.what, column: Some(column) });
        }
        let raw = self.raw(column);
        if self.rows.kinds[column] != ColumnKind::Value {
            // the texts in it were validated when it was written
            return Ok(raw);
        }
        let (at, len) = self.span(column);
        if !self.region.is_clean_ascii(at, len) && simdutf8::basic::from_utf8(raw).is_err() {
            return Err(CellError::invalid_utf8(column));
        }
        if !self.region.is_clean(at, len) && memchr::memchr(0, raw).is_some() {
            return Err(CellError::nul(column));
        }
        Ok(raw)
    }
}

impl Record for BlockRow<'_> {
    fn place(&self) -> RecordPlace {
        RecordPlace { row: Some((self.rows.place)(self.row)), ..RecordPlace::default() }
    }

    fn kept_bytes(&self) -> usize {
        kept::bytes(self.rows.block.row_bytes(self.row), self.rows.block.columns())
    }

    fn keep(&self, into: &mut Vec<u8>) {
        for column in 0..self.rows.block.columns() {
            kept::push(into, self.rows.kinds[column] != ColumnKind::Value, self.raw(column));
        }
    }
}

impl Row for BlockRow<'_> {
    row_of_region!();

    #[inline(always)]
    fn span(&self, column: usize) -> (usize, usize) {
        let span = self.rows.block.spans[self.rows.block.number(self.row, column)];
        (span.at as usize, span.len as usize)
    }

    #[inline(never)]
    fn second_look(&self, at: usize, len: usize, needs: Needs) -> Option<(usize, usize)> {
        (self.region.is_clean(at, len) && self.region.is_valid(at, len, needs)).then_some((at, len))
    }

    fn append(&self, column: usize, text: &mut Vec<u8>) -> Result<(), CellError> {
        text.extend_from_slice(self.valid(column)?);
        Ok(())
    }

    #[inline(always)]
    fn kind(&self, column: usize) -> CellKind {
        match self.rows.kinds[column] {
            ColumnKind::Value => CellKind::Text,
            kind => match (self.span(column).1, kind) {
                (0, _) => CellKind::Text,
                // an empty list, after the quote of a marked value
                (3, ColumnKind::Objects) => CellKind::List,
                (_, ColumnKind::List) => CellKind::List,
                (_, _) => CellKind::Json,
            },
        }
    }

    fn elements(&self, column: usize, each: &mut dyn FnMut(&[u8])) -> Result<(), CellError> {
        elements(self.valid(column)?, each).map_err(|why| match why {
            // cannot be, since the texts were validated when they were written
            BadElement::Text(_) => CellError::nul(column),
            BadElement::NotAValue => CellError {
                code: "list_element",
                what: "a list with a null, a list or an object in it",
                column: Some(column),
            },
        })
    }

    fn stored(&self, column: usize) -> Result<Option<Stored<'_>>, CellError> {
        if self.rows.kinds[column] != ColumnKind::Value {
            return Ok(None);
        }
        self.valid(column).map(|value| Some(Stored::Value(value)))
    }

    fn value(&self, column: usize) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.raw(column))
    }
}
