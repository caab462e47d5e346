//! Makes text from other systems safe to display.
//!
//! C0 and C1 controls, DEL, bidirectional controls, line and paragraph separators and the byte order mark are escaped,
//! because a terminal would act on them or show the text in another order. Every text is displayed through one of these
//! functions; applying them twice is harmless.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Maximum number of bytes that [`printable`] keeps.
const MAX_SHOWN_BYTES: usize = 2048;

/// Returns a text from another system as one line that is safe for a terminal and a log, cut to 2,048 bytes.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= MAX_SHOWN_BYTES {
            out.push('…');
            break;
        }
        push(&mut out, c);
    }
    out
}

/// Returns a text as one line that is safe for a terminal and a log: escapes such as `\n`, `\u{1b}` and `\u{202e}`
/// replace the characters that they name.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_but(text, |_| false)
}

/// Like [`escaped`], but keeps line ends and tabs: for a text of several lines whose parts are safe already.
#[must_use]
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escaped_but(text, |c| matches!(c, '\n' | '\t'))
}

/// Returns an equivalent JSON text in which the characters that [`escaped`] escapes are written as in `\u202e`.
#[must_use]
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    // line ends and tabs can occur only between tokens, the other C0 controls nowhere
    let obeyed = |c: char| is_obeyed(c) && !matches!(c, '\n' | '\r' | '\t');
    if is_plain(json) || !json.chars().any(obeyed) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if obeyed(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn escaped_but(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    if is_plain(text) || !text.chars().any(|c| is_obeyed(c) && !kept(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if kept(c) { out.push(c) } else { push(&mut out, c) }
    }
    Cow::Owned(out)
}

fn push(out: &mut String, c: char) {
    if is_obeyed(c) {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether a terminal would act on a character, or show the text in another order or on another line because of it.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escaped("\u{1b}]0;x\u{7}\r\n\t\u{7f}\u{9b}"), "\\u{1b}]0;x\\u{7}\\r\\n\\t\\u{7f}\\u{9b}");
    }

    #[test]
    fn what_reorders_text_is_escaped() {
        for c in "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}"
            .chars()
        {
            let text = format!("a{c}b");
            for shown in [printable(&text), escaped(&text).into_owned(), escaped_lines(&text).into_owned()] {
                assert_eq!(shown, format!("a\\u{{{:x}}}b", u32::from(c)));
            }
            let json = serde_json::to_string(&text).unwrap();
            let shown = escaped_json(&json);
            assert!(!shown.contains(c), "{shown}");
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }

    #[test]
    fn what_is_plain_or_of_any_language_stays() {
        for text in ["plain", "grüße 日本語 \u{5d0}\u{5d1} 👩‍🚀", "a\\u{1b}"] {
            assert!(matches!(escaped(text), Cow::Borrowed(_)), "{text}");
            assert_eq!(printable(text), text);
            assert!(matches!(escaped_json(text), Cow::Borrowed(_)));
        }
        assert_eq!(escaped_lines("a\n\tb\r"), "a\n\tb\\r");
    }

    #[test]
    fn a_long_text_is_cut() {
        let shown = printable(&"x".repeat(9000));
        assert!(shown.ends_with("x…") && shown.len() == MAX_SHOWN_BYTES + 3);
    }
}
