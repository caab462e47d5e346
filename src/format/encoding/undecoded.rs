//! Bytes that could not be decoded, in a text that is UTF-8 otherwise.
//!
//! Each becomes three bytes that UTF-8 never contains in this order: `FF`, and its halves in two bytes from `80` to `8F`.
//! They reject the value, are not a delimiter in any dialect, and can be turned back.

use std::borrow::Cow;

/// The first byte of a mark.
const MARK: u8 = 0xff;

/// Returns the three bytes for a byte.
pub(super) fn mark(byte: u8) -> [u8; 3] {
    [MARK, 0x80 | byte >> 4, 0x80 | byte & 15]
}

/// A part of a text.
pub(super) enum Part<'t> {
    /// Text in UTF-8.
    Text(&'t str),
    /// A byte that could not be decoded.
    Byte(u8),
}

/// Returns the parts of a text.
pub(super) fn parts(text: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if let [MARK, high, low, after @ ..] = rest {
            rest = after;
            return Some(Part::Byte(high << 4 | low & 15));
        }
        let end = memchr::memchr(MARK, rest).filter(|end| *end > 0).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after;
        // the decoder writes nothing else
        (!text.is_empty()).then(|| Part::Text(std::str::from_utf8(text).unwrap_or_default()))
    })
}

/// Returns a text for people, with `\xff` and the like for bytes that could not be decoded.
pub(in crate::format) fn shown(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if memchr::memchr(MARK, &text).is_none() {
        return text;
    }
    let of = |part: Part<'_>| match part {
        Part::Text(text) => text.to_owned(),
        Part::Byte(byte) => format!("\\x{byte:02x}"),
    };
    parts(&text).map(of).collect::<String>().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_can_be_turned_back_and_is_not_utf8() {
        for byte in 0..=255u8 {
            let text = [b"a".as_slice(), &mark(byte), "é".as_bytes()].concat();
            assert!(std::str::from_utf8(&mark(byte)).is_err() && !mark(byte).iter().any(u8::is_ascii));
            assert!(
                matches!(parts(&text).collect::<Vec<_>>()[..], [Part::Text("a"), Part::Byte(b), Part::Text("é")] if b == byte)
            );
            assert_eq!(&*shown(text.into()), format!("a\\x{byte:02x}é").as_bytes());
        }
    }
}
