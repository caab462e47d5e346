//! One row after the scan: cell ends on a tape, and masks of the bytes that need a second look.

use crate::buffer::Padded;
use crate::format::text::{Region, row_of_region};
use crate::row::{CellError, Needs, Record, RecordPlace, Row, Stored};
use std::borrow::Cow;

/// A record of delimited text, borrowed from its chunk. Its structure (number of cells, quotes) has been validated.
#[derive(Clone, Copy)]
pub(crate) struct CsvRow<'a> {
    pub(super) region: &'a Region<'a>,
    /// Position of the first byte of the first cell in the region's input.
    pub(super) start: u32,
    /// For each cell, the position of the delimiter or line end after it.
    pub(super) ends: &'a [u32],
}

impl<'a> CsvRow<'a> {
    /// Returns the raw text of a cell, quotes included.
    fn raw(&self, column: usize) -> &'a [u8] {
        let (at, len) = self.span(column);
        &self.region.input.bytes()[at..at + len]
    }

    /// Validates a cell; true if it is clean, so that it is its own value.
    fn validate(&self, column: usize) -> Result<bool, CellError> {
        self.validate_span(column, self.span(column))
    }

    /// Validates a part of a cell.
    pub(super) fn validate_span(&self, column: usize, (at, len): (usize, usize)) -> Result<bool, CellError> {
        let raw = &self.region.input.bytes()[at..at + len];
        if !self.region.is_clean_ascii(at, len) && simdutf8::basic::from_utf8(raw).is_err() {
            return Err(self.region.invalid(column));
        }
        let is_clean = self.region.is_clean(at, len);
        if !is_clean && memchr::memchr(0, raw).is_some() {
            return Err(CellError::nul(column));
        }
        Ok(is_clean)
    }

    /// Returns the raw text of the record, without its line end.
    fn text(&self) -> &'a [u8] {
        let end = self.ends.last().copied().unwrap_or(self.start);
        &self.region.input.bytes()[self.start as usize..end as usize]
    }
}

impl Record for CsvRow<'_> {
    fn place(&self) -> RecordPlace {
        self.region.place(self.start as usize)
    }

    fn kept_bytes(&self) -> usize {
        self.text().len()
    }

    fn keep(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.text());
    }
}

impl Row for CsvRow<'_> {
    row_of_region!();

    #[inline(always)]
    fn span(&self, column: usize) -> (usize, usize) {
        let end = self.ends[column];
        let from = if column == 0 { self.start } else { self.ends[column - 1] + 1 };
        (from as usize, (end - from) as usize)
    }

    #[inline(never)]
    fn second_look(&self, mut at: usize, mut len: usize, needs: Needs) -> Option<(usize, usize)> {
        let bytes = self.region.input.bytes();
        if let Some(quote) = self.region.dialect.quote
            && len > 2
            && bytes[at] == quote
            && bytes[at + len - 1] == quote
        {
            (at, len) = (at + 1, len - 2);
        }
        (self.region.is_clean(at, len) && self.region.is_valid(at, len, needs)).then_some((at, len))
    }

    fn append(&self, column: usize, text: &mut Vec<u8>) -> Result<(), CellError> {
        if self.validate(column)? {
            text.extend_from_slice(self.raw(column));
        } else {
            append_unquoted(self.raw(column), self.region.dialect.quote, text);
        }
        Ok(())
    }

    fn stored(&self, column: usize) -> Result<Option<Stored<'_>>, CellError> {
        let raw = self.raw(column);
        if self.validate(column)? {
            return Ok(Some(Stored::Value(raw)));
        }
        Ok(match inside(raw, self.region.dialect.quote) {
            None => Some(Stored::Value(raw)),
            Some((inner, quote)) if memchr::memchr(quote, inner).is_none() => Some(Stored::Value(inner)),
            Some((_, b'"')) => Some(Stored::Quoted(raw)),
            Some(_) => None,
        })
    }

    fn value(&self, column: usize) -> Cow<'_, [u8]> {
        unquote(self.raw(column), self.region.dialect.quote)
    }
}

/// The inside of a well-formed raw cell and the quote that is doubled in it; `None`: the cell is not quoted.
pub(super) fn inside(raw: &[u8], quote: Option<u8>) -> Option<(&[u8], u8)> {
    let quote = quote?;
    let inner = raw.strip_prefix(&[quote])?;
    Some((inner.strip_suffix(&[quote]).unwrap_or(inner), quote))
}

/// Appends a well-formed raw cell without its quotes, doubled ones made single.
fn append_unquoted(raw: &[u8], quote: Option<u8>, text: &mut Vec<u8>) {
    let Some((mut rest, quote)) = inside(raw, quote) else { return text.extend_from_slice(raw) };
    while let Some(at) = memchr::memchr(quote, rest) {
        text.extend_from_slice(&rest[..=at]);
        rest = &rest[(at + 2).min(rest.len())..];
    }
    text.extend_from_slice(rest);
}

/// A well-formed raw cell without its quotes, doubled ones made single. Borrowed if nothing had to change.
pub(super) fn unquote(raw: &[u8], quote: Option<u8>) -> Cow<'_, [u8]> {
    match inside(raw, quote) {
        None => Cow::Borrowed(raw),
        Some((inner, quote)) if memchr::memchr(quote, inner).is_none() => Cow::Borrowed(inner),
        Some(_) => {
            let mut value = Vec::with_capacity(raw.len());
            append_unquoted(raw, quote, &mut value);
            Cow::Owned(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_removed() {
        for (raw, value) in [
            (&b"a"[..], &b"a"[..]),
            (b"\"a\"", b"a"),
            (b"\"\"", b""),
            (b"\"a\"\"b\"", b"a\"b"),
            (b"\"\"\"\"", b"\""),
            (b"\"a\"\"\"", b"a\""),
            (b"\"\"\"a\"\"\"\"\"", b"\"a\"\""),
            (b"a\"b", b"a\"b"),
        ] {
            assert_eq!(&*unquote(raw, Some(b'"')), value);
        }
    }
}
