//! The conversions of `apply`, on validated UTF-8. Each leaves its result in `text`; `spare` is reusable memory.

use super::spec::{Apply, Hash};
use sha2::Digest;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The reason why a conversion rejects a text: the code, and the reason in words.
pub(super) type Refused = (&'static str, &'static str);

/// Applies one conversion; an empty text stays empty.
pub(super) fn apply(conversion: &Apply, text: &mut Vec<u8>, spare: &mut Vec<u8>) -> Result<(), Refused> {
    if text.is_empty() {
        return Ok(());
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
        Apply::Hash { hash, unless_hashed: true } if is_digest(text, *hash) => text.make_ascii_lowercase(),
        Apply::Hash { hash: Hash::Md5, .. } => hex(&md5::Md5::digest(&*text), text),
        Apply::Hash { hash: Hash::Sha1, .. } => hex(&sha1::Sha1::digest(&*text), text),
        Apply::Hash { hash: Hash::Sha256, .. } => hex(&sha2::Sha256::digest(&*text), text),
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
        Apply::Values(table) => match table.get(text) {
            Some(to) => {
                spare.clear();
                spare.extend_from_slice(to);
                std::mem::swap(text, spare);
            }
            None => return Err(("not_in_values", "not one of the values that the map lists")),
        },
        // a list has been joined before; a single text stays
        Apply::Join(_) => {}
        Apply::StripInvisible if text.is_ascii() => {}
        Apply::StripInvisible => {
            replace_with(text, |text| text.chars().filter(|c| !is_invisible(*c)).collect());
        }
    }
    Ok(())
}

/// Returns true for a text of exactly as many hex digits as the hash has.
pub(super) fn is_digest(text: &[u8], hash: Hash) -> bool {
    text.len() == hash.hex_digits() && text.iter().all(u8::is_ascii_hexdigit)
}

/// Whether a character is a zero-width or bidirectional control, the byte order mark, or the soft hyphen.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
    )
}

/// Returns the text, which was validated when the cell was read; conversions keep it valid.
pub(super) fn as_str(text: &[u8]) -> &str {
    simdutf8::basic::from_utf8(text).unwrap_or_default()
}

fn trim(text: &mut Vec<u8>) {
    // most values have no white space at their ends, and these bytes are not white space in any alphabet
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

/// writes whole words, since reading bytes as words right after writing them one by one stalls the processor
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
    use super::super::spec::{Otherwise, ValueTable};
    use super::*;
    use proptest::prelude::*;

    fn run(conversion: &Apply, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        apply(conversion, &mut bytes, &mut Vec::new()).unwrap();
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
        assert_eq!(run(&hash(Hash::Md5), "abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(run(&hash(Hash::Sha1), "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(run(&hash(Hash::Sha256), "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    fn hash(hash: Hash) -> Apply {
        Apply::Hash { hash, unless_hashed: false }
    }

    #[test]
    fn a_value_that_is_hashed_already_is_kept_in_lower_case() {
        let digest = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        let unless = |hash| Apply::Hash { hash, unless_hashed: true };
        assert_eq!(run(&unless(Hash::Sha256), digest), digest.to_lowercase());
        assert_eq!(run(&unless(Hash::Md5), "900150983CD24fb0d6963f7d28e17f72"), "900150983cd24fb0d6963f7d28e17f72");
        let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
        assert_eq!(run(&unless(Hash::Sha1), sha1), sha1);
        // the digest of another hash, one digit too few, or another letter is not this hash
        let other = format!("g{}", &sha1[1..]);
        for (kind, text) in
            [(Hash::Md5, digest), (Hash::Sha256, &digest[1..]), (Hash::Sha1, &other), (Hash::Md5, "abc")]
        {
            assert_eq!(run(&unless(kind), text), run(&hash(kind), text));
        }
    }

    #[test]
    fn values_are_replaced_whole_and_the_others_by_the_rule() {
        let table = |otherwise| {
            let pairs = [("ja", "1"), ("nein", ""), ("j", "x")].map(|(a, b)| (a.to_owned(), b.to_owned()));
            Apply::Values(ValueTable::new(pairs, otherwise))
        };
        for (otherwise, want) in [(Otherwise::Keep, "JA"), (Otherwise::Empty, "")] {
            assert_eq!(run(&table(otherwise), "ja"), "1");
            assert_eq!(run(&table(otherwise), "nein"), "");
            assert_eq!(run(&table(otherwise), "JA"), want);
            assert_eq!(run(&table(otherwise), ""), "");
        }
        let mut text = b"jaj".to_vec();
        let refused = apply(&table(Otherwise::Reject), &mut text, &mut Vec::new()).unwrap_err();
        assert_eq!(refused.0, "not_in_values");
        assert_eq!(run(&table(Otherwise::Reject), "ja"), "1");
    }

    #[test]
    fn invisible_characters_are_taken_out() {
        let text = "\u{feff}a\u{200b}n\u{200d}n\u{ad}\u{202e}@\u{2066}x\u{2069}\u{2060}.de\u{61c}";
        assert_eq!(run(&Apply::StripInvisible, text), "ann@x.de");
        assert_eq!(run(&Apply::StripInvisible, "a b\u{a0}ä\u{3000}\t"), "a b\u{a0}ä\u{3000}\t");
        assert_eq!(run(&Apply::StripInvisible, "\u{200b}"), "");
    }

    #[test]
    fn empty_stays_empty_so_that_a_blank_is_never_hashed() {
        for conversion in
            [hash(Hash::Sha256), hash(Hash::Md5), hash(Hash::Sha1), Apply::Prefix("x".into()), Apply::StripInvisible]
        {
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
