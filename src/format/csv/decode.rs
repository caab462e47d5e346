//! Raw cells as values: without quotes and escapes.

use super::row::{inside, unquote};
use crate::format::escape::pieces;
use std::borrow::Cow;

/// Returns the value of a raw cell, quoted or with escapes. Borrowed if nothing had to change.
pub(super) fn decoded(raw: &[u8], quote: Option<u8>, escape: bool) -> Cow<'_, [u8]> {
    if escape { unescape(inside(raw, quote).map_or(raw, |(inner, _)| inner)) } else { unquote(raw, quote) }
}

/// Returns the value of a text with escapes; borrowed if there are none.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut value = Vec::with_capacity(text.len());
    pieces(text).for_each(|piece| value.extend_from_slice(piece));
    Cow::Owned(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_stands_for_a_control_character_or_the_byte_itself() {
        for (text, value) in [
            (&b""[..], &b""[..]),
            (b"plain", b"plain"),
            (b"a\\tb\\nc\\rd\\be\\ff\\vg\\0", b"a\tb\nc\rd\x08e\x0cf\x0bg\0"),
            (b"\\\\", b"\\"),
            (b"\\\\n", b"\\n"),
            (b"\\,\\\"\\x\\N\\\n", b",\"xN\n"),
            (b"\\", b"\\"),
            (b"a\\", b"a\\"),
            (b"\\\xc3\xa9", b"\xc3\xa9"),
        ] {
            assert_eq!(&*unescape(text), value, "{text:?}");
        }
    }
}
