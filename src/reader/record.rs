//! One record as the scan left it: cell ends on a tape, masks of the bytes that need a second look.

use crate::scan::{Padded, Word};
use std::borrow::Cow;

/// A record of a delimited text, borrowed from the chunk it lies in. Structure (number of cells, quotes) has been
/// judged before anybody gets one.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub(crate) input: Padded<'a>,
    /// Position of the first byte of the first cell in `input`.
    pub(crate) start: u32,
    /// For each cell, the position of the delimiter or line end behind it.
    pub(crate) ends: &'a [u32],
    /// Bits for each byte of `input`: control character, DEL, `"`, `\`, the quote of the dialect, or `marked`; above 0x7F.
    pub(crate) words: &'a [Word],
    /// False: no byte above 0x7F anywhere near.
    pub(crate) any_high: bool,
    /// Between the cells of the source.
    pub(crate) delimiter: u8,
    /// The byte that `dirty` has bits for beside the usual ones.
    pub(crate) marked: u8,
    /// The quote of the dialect.
    pub(crate) quote: Option<u8>,
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
        self.input
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
        &self.input.bytes()[at..at + len]
    }

    /// True where no byte of the span is a control character (DEL included), a quote or a backslash: such a cell is unquoted
    /// and goes into JSON as it is.
    #[inline(always)]
    #[must_use]
    pub fn is_clean(&self, at: usize, len: usize) -> bool {
        !any_bit(self.words, |word| word.dirty, at, len)
    }

    /// True where all bytes of the span are ASCII.
    #[inline(always)]
    #[must_use]
    pub fn is_ascii(&self, at: usize, len: usize) -> bool {
        !self.any_high || !any_bit(self.words, |word| word.high, at, len)
    }

    /// The value of a cell: quotes removed, doubled ones made single. Borrowed where nothing had to change.
    #[must_use]
    pub fn value(&self, cell: usize) -> Cow<'a, [u8]> {
        unquote(self.raw(cell), self.quote)
    }

    /// The whole record as it stands in the source, without its line end.
    #[must_use]
    pub fn raw_record(&self) -> &'a [u8] {
        let end = self.ends.last().copied().unwrap_or(self.start);
        &self.input.bytes()[self.start as usize..end as usize]
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
