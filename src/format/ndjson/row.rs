//! A line as a row of the plan.

use super::walk::{Kind, Span};
use crate::buffer::Padded;
use crate::format::json::list;
use crate::format::json::string::{BadText, check_escapes, unescape};
use crate::format::text::{Region, row_of_region};
use crate::row::{CellError, CellKind, Needs, Record, RecordPlace, Row, Stored};
use std::borrow::Cow;

/// A line with the positions of its values.
pub(crate) struct NdjsonRow<'a, 's> {
    pub(super) region: &'a Region<'a>,
    pub(super) spans: &'s [Span],
    /// Start of the line in the region's input.
    pub(super) from: usize,
    pub(super) to: usize,
}

impl<'a> NdjsonRow<'a, '_> {
    /// Returns the value as in the source, a string without its quotes.
    fn raw(&self, column: usize) -> &'a [u8] {
        let Span { at, len, .. } = self.spans[column];
        &self.region.input.bytes()[at as usize..at as usize + len as usize]
    }
}

impl NdjsonRow<'_, '_> {
    /// Returns the value as it is in the source.
    fn valid_utf8(&self, column: usize) -> Result<&[u8], CellError> {
        let Span { at, len, .. } = self.spans[column];
        let raw = self.raw(column);
        if !self.region.is_clean_ascii(at as usize, len as usize) && simdutf8::basic::from_utf8(raw).is_err() {
            return Err(self.region.invalid(column));
        }
        Ok(raw)
    }
}

fn bad_text(why: BadText, column: usize) -> CellError {
    match why {
        BadText::Nul => CellError::nul(column),
        BadText::LoneSurrogate => CellError {
            code: "lone_surrogate",
            what: "half of a surrogate pair (\\ud800 to \\udfff)",
            column: Some(column),
        },
    }
}

impl Record for NdjsonRow<'_, '_> {
    fn place(&self) -> RecordPlace {
        self.region.place(self.from)
    }

    fn kept_bytes(&self) -> usize {
        self.to - self.from
    }

    fn keep(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.region.input.bytes()[self.from..self.to]);
    }
}

impl Row for NdjsonRow<'_, '_> {
    row_of_region!();

    /// The span of an array or object starts at the start of the line: the quote of its key ensures that the span is
    /// not plain.
    #[inline(always)]
    fn span(&self, column: usize) -> (usize, usize) {
        let Span { at, len, kind } = self.spans[column];
        let (at, len) = (at as usize, len as usize);
        match kind {
            Kind::Array | Kind::Object => (self.from, at + len - self.from),
            _ => (at, len),
        }
    }

    #[inline(never)]
    fn second_look(&self, at: usize, len: usize, needs: Needs) -> Option<(usize, usize)> {
        (self.region.is_clean(at, len) && self.region.is_valid(at, len, needs)).then_some((at, len))
    }

    fn append(&self, column: usize, text: &mut Vec<u8>) -> Result<(), CellError> {
        let raw = self.valid_utf8(column)?;
        match self.spans[column].kind {
            Kind::String => return unescape(raw, text).map_err(|why| bad_text(why, column)),
            Kind::Array | Kind::Object => check_escapes(raw).map_err(|why| bad_text(why, column))?,
            Kind::Bare | Kind::Null | Kind::Missing => {}
        }
        text.extend_from_slice(raw);
        Ok(())
    }

    fn stored(&self, column: usize) -> Result<Option<Stored<'_>>, CellError> {
        let raw = self.valid_utf8(column)?;
        let is_value = match self.spans[column].kind {
            Kind::String => memchr::memchr(b'\\', raw).is_none(),
            Kind::Bare => true,
            Kind::Array | Kind::Object | Kind::Null | Kind::Missing => false,
        };
        Ok(is_value.then_some(Stored::Value(raw)))
    }

    fn value(&self, column: usize) -> Cow<'_, [u8]> {
        let raw = self.raw(column);
        if self.spans[column].kind != Kind::String || memchr::memchr(b'\\', raw).is_none() {
            return Cow::Borrowed(raw);
        }
        let mut text = Vec::with_capacity(raw.len());
        // if the value is not valid, the part before the error is shown
        let _ = unescape(raw, &mut text);
        Cow::Owned(text)
    }

    #[inline(always)]
    fn kind(&self, column: usize) -> CellKind {
        match self.spans[column].kind {
            Kind::Object => CellKind::Json,
            Kind::Array if list::is_of_objects(self.raw(column)) => CellKind::Json,
            Kind::Array => CellKind::List,
            _ => CellKind::Text,
        }
    }

    fn elements(&self, column: usize, each: &mut dyn FnMut(&[u8])) -> Result<(), CellError> {
        let raw = self.raw(column);
        if simdutf8::basic::from_utf8(raw).is_err() {
            return Err(self.region.invalid(column));
        }
        list::elements(raw, each).map_err(|why| match why {
            list::BadElement::Text(why) => bad_text(why, column),
            list::BadElement::NotAValue => CellError {
                code: "list_element",
                what: "a list with a null, a list or an object in it",
                column: Some(column),
            },
        })
    }

    #[inline(always)]
    fn is_missing(&self, column: usize) -> bool {
        self.spans[column].kind == Kind::Missing
    }
}
