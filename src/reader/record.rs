//! One record as the scan left it: cell ends on a tape, masks of the bytes that need a second look.

use crate::buffer::Padded;
use crate::scan::{Dialect, Tape, any_bit, bits_from};
use std::borrow::Cow;
use std::cell::Cell;

/// A stretch of text with the records that the scan found in it.
pub(crate) struct Region<'a> {
    pub(crate) input: Padded<'a>,
    /// A bit for each byte of `input`: control character, DEL, `"`, `\`, the quote of the dialect, or `marked`.
    dirty: &'a [u8],
    /// The same, and for what is above 0x7F.
    odd: &'a [u8],
    pub(crate) dialect: Dialect,
    /// From the start of its first record to the end of its last one.
    text: (usize, usize),
    encoding: Cell<Encoding>,
    /// For each [`Needs`]: `dirty` or `odd`, whichever tells that a cell may be copied.
    plain: [Cell<&'a [u8]>; 4],
}

/// What is known of the bytes above 0x7F in a region.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// Nobody has asked.
    Unknown,
    Valid,
    /// Somewhere in it.
    Invalid,
}

/// What a cell has to be so that it can be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Utf8 = 0,
    /// UTF-8 without the control characters above DEL.
    NoControls = 1,
    Ascii = 2,
}

impl<'a> Region<'a> {
    pub(crate) fn new(input: Padded<'a>, tape: &'a Tape, dialect: Dialect, text: (usize, usize)) -> Region<'a> {
        let (dirty, odd) = (tape.dirty.bytes(), tape.odd.bytes());
        let plain = [odd; 4].map(Cell::new);
        Region { input, dirty, odd, dialect, text, encoding: Cell::new(Encoding::Unknown), plain }
    }

    /// Whether the region is valid UTF-8: judged once, as a whole, when the first cell wants to know. False says nothing of
    /// one cell.
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
}

/// A record of a delimited text, borrowed from the chunk it lies in. Structure (number of cells, quotes) has been
/// judged before anybody gets one.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub(crate) region: &'a Region<'a>,
    /// Position of the first byte of the first cell in the region's input.
    pub(crate) start: u32,
    /// For each cell, the position of the delimiter or line end behind it.
    pub(crate) ends: &'a [u32],
}

impl<'a> Record<'a> {
    /// The number of cells.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Never: a record has a cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The chunk that the positions of this record count in.
    #[inline(always)]
    #[must_use]
    pub fn input(&self) -> Padded<'a> {
        self.region.input
    }

    /// Position and length of a cell as it stands in the source, quotes included.
    #[inline(always)]
    #[must_use]
    pub fn span(&self, cell: usize) -> (usize, usize) {
        let end = self.ends[cell];
        let from = if cell == 0 { self.start } else { self.ends[cell - 1] + 1 };
        (from as usize, (end - from) as usize)
    }

    /// A cell as it stands in the source, quotes included.
    #[inline(always)]
    #[must_use]
    pub fn raw(&self, cell: usize) -> &'a [u8] {
        let (at, len) = self.span(cell);
        &self.region.input.bytes()[at..at + len]
    }

    /// True where no byte of the span is a control character (DEL included), a quote or a backslash: such a cell is unquoted
    /// and goes into JSON as it is.
    #[inline(always)]
    #[must_use]
    pub fn is_clean(&self, at: usize, len: usize) -> bool {
        !any_bit(self.region.dirty, at, len)
    }

    /// True where a span is clean and ASCII.
    #[inline(always)]
    #[must_use]
    pub fn is_clean_ascii(&self, at: usize, len: usize) -> bool {
        !any_bit(self.region.odd, at, len)
    }

    /// True where a cell may be copied as it stands: clean, and nothing above 0x7F that counts. False: look again.
    #[inline(always)]
    pub(crate) fn is_plain(&self, at: usize, len: usize, needs: Needs) -> bool {
        !any_bit(self.region.plain[needs as usize & 3].get(), at, len)
    }

    /// The same for a short cell; false for one of more than 57 bytes.
    #[inline(always)]
    pub(crate) fn is_short_and_plain(&self, at: usize, len: usize, needs: Needs) -> bool {
        len <= 57 && bits_from(self.region.plain[needs as usize & 3].get(), at) & ((1 << len) - 1) == 0
    }

    /// The span that may be copied where [`Record::is_plain`] said no: quotes around a clean value are left out, bytes above
    /// 0x7F are judged. `None`: there is none.
    #[inline(never)]
    pub(crate) fn second_look(&self, mut at: usize, mut len: usize, needs: Needs) -> Option<(usize, usize)> {
        let bytes = self.region.input.bytes();
        if let Some(quote) = self.region.dialect.quote
            && len > 2
            && bytes[at] == quote
            && bytes[at + len - 1] == quote
        {
            (at, len) = (at + 1, len - 2);
        }
        if !self.is_clean(at, len) {
            return None;
        }
        let fit = self.is_clean_ascii(at, len)
            || match needs {
                Needs::Utf8 => self.region.is_utf8() || simdutf8::basic::from_utf8(&bytes[at..at + len]).is_ok(),
                Needs::NoControls => self.region.is_utf8() && memchr::memchr(0xc2, &bytes[at..at + len]).is_none(),
                Needs::Ascii => false,
            };
        fit.then_some((at, len))
    }

    /// The value of a cell: quotes removed, doubled ones made single. Borrowed where nothing had to change.
    #[must_use]
    pub fn value(&self, cell: usize) -> Cow<'a, [u8]> {
        unquote(self.raw(cell), self.region.dialect.quote)
    }

    /// The whole record as it stands in the source, without its line end.
    #[inline(always)]
    #[must_use]
    pub fn raw_record(&self) -> &'a [u8] {
        let end = self.ends.last().copied().unwrap_or(self.start);
        &self.region.input.bytes()[self.start as usize..end as usize]
    }
}

/// A well-formed raw cell without its quotes, doubled quotes made single.
#[must_use]
pub fn unquote(raw: &[u8], quote: Option<u8>) -> Cow<'_, [u8]> {
    let Some(quote) = quote else { return Cow::Borrowed(raw) };
    if raw.first() != Some(&quote) {
        return Cow::Borrowed(raw);
    }
    let inner = if raw.len() >= 2 && raw.last() == Some(&quote) { &raw[1..raw.len() - 1] } else { &raw[1..] };
    let Some(first) = memchr::memchr(quote, inner) else { return Cow::Borrowed(inner) };
    let mut value = Vec::with_capacity(inner.len());
    let mut rest = inner;
    let mut next = first;
    loop {
        value.extend_from_slice(&rest[..=next]);
        rest = &rest[(next + 2).min(rest.len())..];
        match memchr::memchr(quote, rest) {
            Some(at) => next = at,
            None => break,
        }
    }
    value.extend_from_slice(rest);
    Cow::Owned(value)
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
