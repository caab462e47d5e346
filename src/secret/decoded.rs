//! A text with layers of escaping removed, in which each byte knows the range of the original text that it came from.
//!
//! ASCII letters are lower-cased. Percent-encoding, the escapes of JSON, JavaScript, C and Rust, HTML and XML
//! references, and quoted-printable are decoded. Invalid escapes are kept as they are.

/// Bytes of a text, possibly decoded.
pub(super) struct Decoded {
    bytes: Vec<u8>,
    /// For each byte, start and end of its origin in the text; `None` if nothing has been decoded.
    origins: Option<Vec<(u32, u32)>>,
}

impl Decoded {
    /// Wraps a text without decoding anything.
    pub(super) fn of(text: &str) -> Decoded {
        Decoded { bytes: text.as_bytes().to_ascii_lowercase(), origins: None }
    }

    /// Wraps bytes that are in lower case already, without decoding anything.
    pub(super) fn of_lower(bytes: &[u8]) -> Decoded {
        Decoded { bytes: bytes.to_vec(), origins: None }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the range of the text that a range of these bytes came from.
    pub(super) fn range_in_text(&self, from: usize, to: usize) -> (usize, usize) {
        match &self.origins {
            None => (from, to),
            Some(origins) => (origins[from].0 as usize, origins[to - 1].1 as usize),
        }
    }

    /// Removes one layer of escaping; `None` if there is none.
    pub(super) fn next_layer(&self) -> Option<Decoded> {
        let bytes = &self.bytes;
        memchr::memchr3(b'%', b'\\', b'&', bytes).or_else(|| memchr::memchr(b'=', bytes))?;
        let mut next = Decoded { bytes: Vec::with_capacity(bytes.len()), origins: Some(Vec::new()) };
        let mut at = 0;
        let mut changed = false;
        while at < bytes.len() {
            let escape = escape(&bytes[at..]);
            let length = escape.as_ref().map_or(1, |(length, _)| *length);
            let (start, end) = self.range_in_text(at, at + length);
            match escape {
                Some((_, Meant::Char(c))) => {
                    next.push(c.to_ascii_lowercase().encode_utf8(&mut [0; 4]).as_bytes(), start, end);
                }
                Some((_, Meant::Byte(byte))) => next.push(&[byte.to_ascii_lowercase()], start, end),
                Some((_, Meant::Nothing)) => {}
                None => next.push(&bytes[at..=at], start, end),
            }
            changed |= length > 1;
            at += length;
        }
        changed.then_some(next)
    }

    fn push(&mut self, bytes: &[u8], start: usize, end: usize) {
        self.bytes.extend_from_slice(bytes);
        if let Some(origins) = &mut self.origins {
            // texts are far shorter than 4 GiB
            origins.extend(bytes.iter().map(|_| (start as u32, end as u32)));
        }
    }
}

/// The meaning of an escape.
pub(super) enum Meant {
    Char(char),
    Byte(u8),
    Nothing,
}

/// Parses the escape at the start of `bytes`; returns its length and meaning.
pub(super) fn escape(bytes: &[u8]) -> Option<(usize, Meant)> {
    let first = bytes.first()?;
    let rest = &bytes[1..];
    match first {
        b'%' if rest.first() == Some(&b'u') => {
            number(&rest[1..], 4, 16).and_then(char::from_u32).map(|c| (6, Meant::Char(c)))
        }
        b'%' => number(rest, 2, 16).map(|n| (3, Meant::Byte(n as u8))),
        b'=' if rest.first() == Some(&b'\n') => Some((2, Meant::Nothing)),
        b'=' if rest.starts_with(b"\r\n") => Some((3, Meant::Nothing)),
        b'=' => number(rest, 2, 16).map(|n| (3, Meant::Byte(n as u8))),
        b'\\' => backslash(rest).map(|(length, meant)| (length + 1, meant)),
        b'&' => reference(rest).map(|(length, c)| (length + 1, Meant::Char(c))),
        _ => None,
    }
}

/// Parses what follows a backslash.
fn backslash(rest: &[u8]) -> Option<(usize, Meant)> {
    let plain = |c: u8| Some((1, Meant::Byte(c)));
    match *rest.first()? {
        b'u' if rest.get(1) == Some(&b'{') => {
            let end = rest.iter().take(10).position(|byte| *byte == b'}')?;
            let c = number(&rest[2..], end.checked_sub(2)?, 16).and_then(char::from_u32)?;
            Some((end + 1, Meant::Char(c)))
        }
        b'u' => match number(&rest[1..], 4, 16) {
            Some(high @ 0xd800..0xdc00) if rest.get(5..7) == Some(b"\\u") => {
                let low = number(&rest[7..], 4, 16).filter(|low| (0xdc00..0xe000).contains(low))?;
                let c = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?;
                Some((11, Meant::Char(c)))
            }
            Some(n) => Some((5, Meant::Char(char::from_u32(n)?))),
            None => plain(b'u'),
        },
        b'x' => match number(&rest[1..], 2, 16) {
            Some(n) => Some((3, Meant::Byte(n as u8))),
            None => plain(b'x'),
        },
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'0'..=b'3' if number(rest, 3, 8).is_some() => number(rest, 3, 8).map(|n| (3, Meant::Byte(n as u8))),
        c @ 0..=0x7f => plain(c),
        _ => None,
    }
}

/// Parses an HTML or XML reference without its ampersand.
fn reference(rest: &[u8]) -> Option<(usize, char)> {
    let end = rest.iter().take(10).position(|byte| *byte == b';')?;
    let name = &rest[..end];
    let c = match name {
        [b'#', b'x', digits @ ..] => number(digits, digits.len(), 16).and_then(char::from_u32)?,
        [b'#', digits @ ..] => number(digits, digits.len(), 10).and_then(char::from_u32)?,
        _ => REFERENCES.iter().find(|(known, _)| known.as_bytes() == name)?.1,
    };
    Some((end + 1, c))
}

/// Named references of the printable ASCII characters.
const REFERENCES: [(&str, char); 31] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rbrack", ']'),
    ("hat", '^'),
    ("lowbar", '_'),
    ("grave", '`'),
    ("lbrace", '{'),
    ("vert", '|'),
    ("rbrace", '}'),
];

/// Parses a number of exactly `digits` digits.
fn number(bytes: &[u8], digits: usize, radix: u32) -> Option<u32> {
    let text = bytes.get(..digits).filter(|text| !text.is_empty() && text.len() <= 8)?;
    text.iter().try_fold(0u32, |n, byte| n.checked_mul(radix)?.checked_add(char::from(*byte).to_digit(radix)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<String> {
        Decoded::of(text).next_layer().map(|next| String::from_utf8_lossy(next.bytes()).into_owned())
    }

    #[test]
    fn each_kind_of_escape_is_understood() {
        for (text, want) in [
            ("a%2Fb%2fc", "a/b/c"),
            ("%u0061", "a"),
            (r#"\u0041\"\\\/\n"#, "a\"\\/\n"),
            (r"\ud83d\ude00", "😀"),
            (r"\u{1b}\x41\101", "\u{1b}aa"),
            ("&lt;&#65;&#x42;&amp;&AMP;", "<ab&&"),
            ("a=3Db=\r\nc", "a=bc"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(want), "{text}");
        }
        for text in ["plain", "100 %", "a=b", "a & b; c", "%", "\\", "%zz", "&#;", "&unknown;"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn the_place_in_the_text_is_known_through_two_layers() {
        let text = "x%2541y";
        let one = Decoded::of(text).next_layer().unwrap();
        let two = one.next_layer().unwrap();
        assert_eq!(two.bytes(), b"xay");
        assert_eq!(two.range_in_text(1, 2), (1, 6));
        assert_eq!(two.range_in_text(2, 3), (6, 7));
    }
}
