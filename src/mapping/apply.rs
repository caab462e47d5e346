//! The conversions of `apply`, on validated UTF-8. Each leaves its result in `text`; `spare` is lent memory.

use super::spec::Apply;
use sha2::Digest;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Applies one conversion; an empty text stays empty.
pub(super) fn apply(conversion: &Apply, text: &mut Vec<u8>, spare: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    match conversion {
        Apply::Trim => trim(text),
        Apply::Lower if text.is_ascii() => text.make_ascii_lowercase(),
        Apply::Upper if text.is_ascii() => text.make_ascii_uppercase(),
        Apply::Lower => replace_with(text, str::to_lowercase),
        Apply::Upper => replace_with(text, str::to_uppercase),
        Apply::Digits => text.retain(u8::is_ascii_digit),
        Apply::Nfc => {
            if !text.is_ascii() && is_nfc_quick(as_str(text).chars()) != IsNormalized::Yes {
                replace_with(text, |text| text.nfc().collect());
            }
        }
        Apply::Md5 => hex(&md5::Md5::digest(&*text), text),
        Apply::Sha1 => hex(&sha1::Sha1::digest(&*text), text),
        Apply::Sha256 => hex(&sha2::Sha256::digest(&*text), text),
        Apply::Replace(from, to) => replace(text, spare, from.as_bytes(), to.as_bytes()),
        Apply::Prefix(prefix) => {
            spare.clear();
            spare.extend_from_slice(prefix.as_bytes());
            spare.extend_from_slice(text);
            std::mem::swap(text, spare);
        }
        Apply::Truncate(limit) => {
            if text.len() > *limit
                && let Some((at, _)) = as_str(text).char_indices().nth(*limit)
            {
                text.truncate(at);
            }
        }
    }
}

/// The text; it was validated when the cell was read, and no conversion breaks it.
pub(super) fn as_str(text: &[u8]) -> &str {
    simdutf8::basic::from_utf8(text).unwrap_or_default()
}

fn trim(text: &mut Vec<u8>) {
    // most values have no white space at their ends, and these bytes are none in any alphabet
    if let (Some(b'!'..=b'~'), Some(b'!'..=b'~')) = (text.first(), text.last()) {
        return;
    }
    let trimmed = as_str(text).trim();
    if trimmed.len() < text.len() {
        let len = trimmed.len();
        let from = text.len() - as_str(text).trim_start().len();
        text.copy_within(from..from + len, 0);
        text.truncate(len);
    }
}

fn replace_with(text: &mut Vec<u8>, convert: impl Fn(&str) -> String) {
    *text = convert(as_str(text)).into_bytes();
}

/// In registers, since bytes that are written one by one and read as words at once stall the processor.
fn hex(digest: &[u8], text: &mut Vec<u8>) {
    const MOST: usize = 32;
    let mut bytes = [0u8; MOST];
    bytes[..digest.len()].copy_from_slice(digest);
    let mut digits = [0u8; 2 * MOST];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = byte >> 4;
        pair[1] = byte & 15;
    }
    for digit in &mut digits {
        *digit += b'0' + if *digit > 9 { b'a' - b'9' - 1 } else { 0 };
    }
    text.clear();
    text.extend_from_slice(&digits[..2 * digest.len()]);
}

fn replace(text: &mut Vec<u8>, spare: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let mut found = memchr::memmem::find_iter(text, from).peekable();
    if found.peek().is_none() {
        return;
    }
    spare.clear();
    let mut done = 0;
    for at in found {
        spare.extend_from_slice(&text[done..at]);
        spare.extend_from_slice(to);
        done = at + from.len();
    }
    spare.extend_from_slice(&text[done..]);
    std::mem::swap(text, spare);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(conversion: &Apply, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        apply(conversion, &mut bytes, &mut Vec::new());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn conversions_do_what_their_names_say() {
        assert_eq!(run(&Apply::Trim, "\u{a0}\t x y\u{3000}\u{85}"), "x y");
        assert_eq!(run(&Apply::Trim, " \u{2003} "), "");
        assert_eq!(run(&Apply::Lower, "ÄB İ"), "äb i\u{307}");
        assert_eq!(run(&Apply::Upper, "straße"), "STRASSE");
        assert_eq!(run(&Apply::Digits, "+49 (0) 171-٣"), "490171");
        assert_eq!(run(&Apply::Nfc, "e\u{301}"), "é");
        assert_eq!(run(&Apply::Truncate(2), "äöü"), "äö");
        assert_eq!(run(&Apply::Truncate(9), "äöü"), "äöü");
        assert_eq!(run(&Apply::Prefix("+".into()), "1"), "+1");
        assert_eq!(run(&Apply::Replace("aa".into(), "b".into()), "aaaaa"), "bba");
        // published test vectors
        assert_eq!(run(&Apply::Md5, "abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(run(&Apply::Sha1, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(run(&Apply::Sha256, "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn empty_stays_empty_so_that_a_blank_is_never_hashed() {
        for conversion in [Apply::Sha256, Apply::Md5, Apply::Sha1, Apply::Prefix("x".into())] {
            assert_eq!(run(&conversion, ""), "");
        }
    }

    proptest! {
        #[test]
        fn text_conversions_are_those_of_std(text in "(\\PC|[ \t]){0,40}", from in "[a-c]{1,2}", n in 1usize..20) {
            prop_assert_eq!(run(&Apply::Trim, &text), text.trim());
            prop_assert_eq!(run(&Apply::Lower, &text), text.to_lowercase());
            prop_assert_eq!(run(&Apply::Upper, &text), text.to_uppercase());
            prop_assert_eq!(run(&Apply::Truncate(n), &text), text.chars().take(n).collect::<String>());
            prop_assert_eq!(run(&Apply::Replace(from.clone(), "é".into()), &text), text.replace(&from, "é"));
            prop_assert_eq!(run(&Apply::Nfc, &text), text.nfc().collect::<String>());
        }
    }
}
