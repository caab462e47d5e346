//! Strings of JSON.

/// Returns the length of the escape at the start of `text`; `None` if it is not valid.
pub(in crate::format) fn escape_len(text: &[u8]) -> Option<usize> {
    match text.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Some(2),
        Some(b'u') if hex4(&text[2..]).is_some() => Some(6),
        _ => None,
    }
}

/// The reason why the text of a string is not valid although its grammar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum BadText {
    /// Half of a surrogate pair.
    LoneSurrogate,
    /// `\u0000`.
    Nul,
}

/// Appends the text of a string whose grammar is valid, without its quotes. UTF-8 is not validated.
pub(in crate::format) fn unescape(mut raw: &[u8], text: &mut Vec<u8>) -> Result<(), BadText> {
    while let Some(at) = memchr::memchr(b'\\', raw) {
        text.extend_from_slice(&raw[..at]);
        let (len, c) = match raw.get(at + 1) {
            Some(b'b') => (2, '\u{8}'),
            Some(b'f') => (2, '\u{c}'),
            Some(b'n') => (2, '\n'),
            Some(b'r') => (2, '\r'),
            Some(b't') => (2, '\t'),
            Some(b'u') => {
                let (len, c) = unicode(&raw[at + 2..])?;
                (len + 2, c)
            }
            other => (2, other.map_or('\\', |byte| char::from(*byte))),
        };
        text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        raw = &raw[(at + len).min(raw.len())..];
    }
    text.extend_from_slice(raw);
    Ok(())
}

/// Checks the escapes in all strings of a JSON text of valid grammar.
pub(in crate::format) fn check_escapes(mut json: &[u8]) -> Result<(), BadText> {
    while let Some(at) = memchr::memchr(b'\\', json) {
        let len = match json.get(at + 1) {
            Some(b'u') => unicode(&json[at + 2..])?.0 + 2,
            _ => 2,
        };
        json = &json[(at + len).min(json.len())..];
    }
    Ok(())
}

/// Returns the character of an escape and the length of the escape. The text starts after `\u`; a surrogate needs a
/// second escape.
fn unicode(text: &[u8]) -> Result<(usize, char), BadText> {
    let unit = hex4(text).ok_or(BadText::LoneSurrogate)?;
    if unit == 0 {
        return Err(BadText::Nul);
    }
    if let Some(c) = char::from_u32(unit) {
        return Ok((4, c));
    }
    let low = text[4..].strip_prefix(b"\\u").and_then(hex4).filter(|low| (0xdc00..0xe000).contains(low));
    match low {
        Some(low) if unit < 0xdc00 => {
            let c = char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
            c.map(|c| (10, c)).ok_or(BadText::LoneSurrogate)
        }
        _ => Err(BadText::LoneSurrogate),
    }
}

fn hex4(text: &[u8]) -> Option<u32> {
    text.get(..4)?.iter().try_fold(0, |n, byte| Some(n << 4 | char::from(*byte).to_digit(16)?))
}
