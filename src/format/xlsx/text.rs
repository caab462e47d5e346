//! Texts of cells: line ends as XML defines them, and `_xHHHH_` for characters that XML cannot hold.

/// Appends text as it is between tags; a line end of several bytes is one `\n`.
pub(super) fn push_raw(into: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = memchr::memchr(b'\r', text) {
        into.extend_from_slice(&text[..at]);
        into.push(b'\n');
        text = text[at + 1..].strip_prefix(b"\n").unwrap_or(&text[at + 1..]);
    }
    into.extend_from_slice(text);
}

/// Appends a character.
pub(super) fn push_char(into: &mut Vec<u8>, c: char) {
    into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Appends a text with each `_xHHHH_` as the UTF-16 unit that it means. Half of a surrogate pair becomes bytes that are
/// not valid UTF-8, so that its row is rejected.
pub(super) fn push_unescaped(into: &mut Vec<u8>, mut text: &[u8]) {
    let finder = || memchr::memmem::find(text, b"_x");
    let Some(mut at) = finder() else { return into.extend_from_slice(text) };
    loop {
        into.extend_from_slice(&text[..at]);
        text = &text[at..];
        match unit(text) {
            None => {
                into.push(text[0]);
                text = &text[1..];
            }
            Some(high @ 0xd800..0xdc00) => {
                let low = unit(&text[ESCAPE_BYTES..]).filter(|low| (0xdc00..0xe000).contains(low));
                match low {
                    Some(low) => {
                        let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        push_char(into, char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                        text = &text[2 * ESCAPE_BYTES..];
                    }
                    None => {
                        push_half(into, high);
                        text = &text[ESCAPE_BYTES..];
                    }
                }
            }
            Some(unit) => {
                match char::from_u32(unit) {
                    Some(c) => push_char(into, c),
                    None => push_half(into, unit),
                }
                text = &text[ESCAPE_BYTES..];
            }
        }
        match memchr::memmem::find(text, b"_x") {
            Some(next) => at = next,
            None => return into.extend_from_slice(text),
        }
    }
}

/// Length of `_xHHHH_`.
const ESCAPE_BYTES: usize = 7;

/// Returns the unit that a text starts with as an escape.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.get(..ESCAPE_BYTES)?.strip_prefix(b"_x")?.strip_suffix(b"_")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// Appends half of a surrogate pair in three bytes, as UTF-8 would have it if it allowed that.
fn push_half(into: &mut Vec<u8>, unit: u32) {
    into.extend_from_slice(&[0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_the_characters_that_they_mean() {
        for (written, want) in [
            ("", &b""[..]),
            ("plain _ text_x", b"plain _ text_x"),
            ("a_x000D__x000a_b", b"a\r\nb"),
            ("_x005F_x0041_", b"_x0041_"),
            ("_x0041", b"_x0041"),
            ("_x004g_", b"_x004g_"),
            ("__x0041_", b"_A"),
            ("_x_x0041_", b"_xA"),
            ("_xD83D__xDE00_!", "\u{1f600}!".as_bytes()),
            ("_x0000_", b"\0"),
            ("_xFFFE_", "\u{fffe}".as_bytes()),
            ("_xD83D_x", b"\xed\xa0\xbdx"),
            ("_xDE00_", b"\xed\xb8\x80"),
        ] {
            let mut text = Vec::new();
            push_unescaped(&mut text, written.as_bytes());
            assert_eq!(text, want, "{written}");
        }
    }

    #[test]
    fn line_ends_are_one_character() {
        let mut text = b"-".to_vec();
        push_raw(&mut text, b"a\r\nb\rc\nd\r\r\n");
        assert_eq!(text, b"-a\nb\nc\nd\n\n");
    }
}
