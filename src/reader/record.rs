//! One record as the scan left it: cell ends on a tape, masks of the bytes that need a second look.

use crate::scan::{Dialect, Padded, Word};
use std::borrow::Cow;
use std::cell::Cell;

/// A stretch of text with the records that the scan found in it.
pub(crate) struct Region<'a> {
    pub(crate) input: Padded<'a>,
    /// Bits for each byte of `input`: control character, DEL, `"`, `\`, the quote of the dialect, or `marked`; above 0x7F.
    pub(crate) words: &'a [Word],
    pub(crate) dialect: Dialect,
    /// From the start of its first record to the end of its last one.
    pub(crate) text: (usize, usize),
    encoding: Cell<Encoding>,
    /// For each [`Needs`]: the bits of `high` that count.
    counts: [Cell<u64>; 4],
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
    pub(crate) fn new(input: Padded<'a>, words: &'a [Word], dialect: Dialect, text: (usize, usize)) -> Region<'a> {
        Region {
            input,
            words,
            dialect,
            text,
            encoding: Cell::new(Encoding::Unknown),
            counts: [const { Cell::new(!0) }; 4],
        }
    }

    /// Whether the region is valid UTF-8: judged once, as a whole, when the first cell wants to know. False says nothing of
    /// one cell.
    fn is_utf8(&self) -> bool {
        if self.encoding.get() == Encoding::Unknown {
            let text = &self.input.bytes()[self.text.0..self.text.1];
            if simdutf8::basic::from_utf8(text).is_ok() {
                // U+0080 to U+009F all start with this byte
                let controls = if memchr::memchr(0xc2, text).is_some() { !0 } else { 0 };
                self.encoding.set(Encoding::Valid);
                self.counts[Needs::Utf8 as usize].set(0);
                self.counts[Needs::NoControls as usize].set(controls);
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
        let from = if cell == 0 { self.start } else { self.ends[cell - 1] + 1 };
        (from as usize, (self.ends[cell] - from) as usize)
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
        !any_bit(self.region.words, |word| word.dirty, at, len)
    }

    /// True where all bytes of the span are ASCII.
    #[inline(always)]
    #[must_use]
    pub fn is_ascii(&self, at: usize, len: usize) -> bool {
        !any_bit(self.region.words, |word| word.high, at, len)
    }

    /// True where a cell may be copied as it stands: clean, and nothing above 0x7F that counts. False: look again.
    #[inline(always)]
    pub(crate) fn is_plain(&self, at: usize, len: usize, needs: Needs) -> bool {
        let counts = self.region.counts[needs as usize & 3].get();
        !any_bit(self.region.words, |word| word.dirty | (word.high & counts), at, len)
    }

    /// The same for a cell shorter than 64 bytes, which costs less.
    #[inline(always)]
    pub(crate) fn is_short_and_plain(&self, at: usize, len: usize, needs: Needs) -> bool {
        let counts = self.region.counts[needs as usize & 3].get();
        let of = |word: &Word| word.dirty | (word.high & counts);
        let pair = &self.region.words[at >> 6..(at >> 6) + 2];
        let bits = (of(&pair[0]) >> (at & 63)) | ((of(&pair[1]) << 1) << (63 - (at & 63)));
        len < 64 && bits & ((1u64 << (len & 63)) - 1) == 0
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
        let fit = self.is_ascii(at, len)
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

/// True where a bit of `at .. at + len` is set. `words` must reach one word past the span.
#[inline(always)]
fn any_bit(words: &[Word], of: impl Fn(&Word) -> u64, at: usize, len: usize) -> bool {
    let shift = at & 63;
    if len <= 64 {
        let pair = &words[at >> 6..(at >> 6) + 2];
        let bits = (of(&pair[0]) >> shift) | ((of(&pair[1]) << 1) << (63 - shift));
        let mask = if len == 64 { !0 } else { (1u64 << len) - 1 };
        return bits & mask != 0;
    }
    any_bit_long(words, of, at, len)
}

#[inline(never)]
fn any_bit_long(words: &[Word], of: impl Fn(&Word) -> u64, at: usize, len: usize) -> bool {
    let (first, last) = (at >> 6, (at + len - 1) >> 6);
    if of(&words[first]) >> (at & 63) != 0 {
        return true;
    }
    if words[first + 1..last].iter().any(|word| of(word) != 0) {
        return true;
    }
    of(&words[last]) << (63 - ((at + len - 1) & 63)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn any_bit_is_any(words in proptest::collection::vec(prop_oneof![Just(0u64), any::<u64>(), (0u32..64).prop_map(|b| 1 << b)], 6), at in 0usize..320, len in 0usize..320) {
            let len = len.min(320 - at);
            let naive = (at..at + len).any(|i| words[i >> 6] >> (i & 63) & 1 == 1);
            let words: Vec<Word> = words.iter().map(|&dirty| Word { dirty, high: 0 }).collect();
            prop_assert_eq!(any_bit(&words, |word| word.dirty, at, len), naive);
        }
    }
}
