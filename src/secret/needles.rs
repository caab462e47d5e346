//! Finds secrets in a text, in any common encoding.
//!
//! A text is searched as it is and with each of its first layers of escaping removed ([`super::decoded`]). Each of
//! these layers is searched twice: byte by byte, and as its *bones*, which are its letters and digits alone. White
//! space, line ends, quotes or any other separator therefore cannot hide a secret, and both alphabets of base64 look
//! the same. For each secret the search looks for several *forms*: the text itself, its hex digits, and the part of its
//! base64 that does not depend on the neighbouring bytes, at each of the three alignments. [`super::whole`] finds a
//! complete secret whose bytes are escaped one by one, whatever escapes precede it.
//!
//! Part of a form is enough: `least` consecutive bytes. Of each form, every `least - WINDOW + 1`-th window of
//! [`WINDOW`] bytes is indexed, so any `least` consecutive bytes contain at least one indexed window.

use super::decoded::Decoded;
use super::whole::Whole;
use std::borrow::Cow;
use std::collections::HashMap;

/// Number of bytes compared at once.
const WINDOW: usize = 5;
/// Minimum length of a secret that is searched as a form; shorter ones are hidden only as separate words.
const SHORTEST_FORM: usize = WINDOW;
/// Minimum length at which a secret of only lower-case letters is hidden in messages of our own; a shorter one may be
/// an ordinary word.
const SHORTEST_WORDLIKE: usize = 12;
/// Minimum number of letters and digits for the search in the bones.
const SHORTEST_BONES: usize = 8;
/// Number of consecutive base64 characters that reveal a secret.
const BASE64_PART: usize = 8;
/// Number of consecutive hex digits that reveal a secret.
const HEX_PART: usize = 16;
/// Maximum number of layers of escaping to remove.
const MAX_LAYERS: usize = 4;

const MASK: u64 = (1 << (8 * WINDOW)) - 1;

/// The index of all secrets to find.
#[derive(Default)]
pub(super) struct Needles {
    plain: Index,
    bones: Index,
    whole: Whole,
    /// Secrets of three or four characters that are not ordinary words.
    words: Vec<Box<str>>,
}

/// One encoding of one secret.
struct Form {
    bytes: Box<[u8]>,
    least: usize,
    base64: bool,
    strong: bool,
}

#[derive(Default)]
struct Index {
    forms: Vec<Form>,
    windows: HashMap<u64, Vec<(u32, u32)>>,
    /// A Bloom filter with one bit for each hash of a window; most of a text is skipped by it.
    filter: Vec<u64>,
}

/// A matching range of the searched bytes.
struct Found {
    from: usize,
    to: usize,
    base64: bool,
}

impl Needles {
    pub(super) fn of<'s>(secrets: impl Iterator<Item = &'s str>) -> Needles {
        let mut needles = Needles::default();
        for secret in secrets {
            needles.add(secret);
        }
        needles
    }

    fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST_FORM {
            // `user` and `key` are words of ordinary messages
            if secret.chars().count() > 2 && !secret.bytes().all(|byte| byte.is_ascii_lowercase()) {
                self.words.push(secret.into());
            }
            return;
        }
        let strong = secret.len() >= SHORTEST_WORDLIKE || !secret.bytes().all(|byte| byte.is_ascii_lowercase());
        let lower = secret.as_bytes().to_ascii_lowercase();
        let length = lower.len();
        let least = if is_random(secret) { (length / 2).clamp(8, 16) } else { length };
        let bones = bones(&lower).0;
        self.whole.add(&lower, strong);
        self.plain.add(Form { bytes: lower.into(), least, base64: false, strong });
        if bones.len() >= SHORTEST_BONES {
            let least = bones.len();
            self.bones.add(Form { bytes: bones.into(), least, base64: false, strong });
        }
        let hex: Vec<u8> = secret.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
        let least = hex.len().min(HEX_PART);
        self.bones.add(Form { bytes: hex.into(), least, base64: false, strong });
        for before in 0..3 {
            let bytes = base64_bones(secret.as_bytes(), before);
            if bytes.len() >= SHORTEST_FORM {
                let least = bytes.len().min(BASE64_PART);
                self.bones.add(Form { bytes: bytes.into(), least, base64: true, strong });
            }
        }
    }

    /// Returns the text with `***` in place of each secret. If `strong`, keeps secrets that ordinary text may contain
    /// by chance.
    pub(super) fn hide<'t>(&self, text: &'t str, strong: bool) -> Cow<'t, str> {
        let mut ranges = Vec::new();
        let mut layer = Decoded::of(text);
        self.whole.find(layer.bytes(), strong, &mut ranges);
        for _ in 0..MAX_LAYERS {
            self.search(&layer, strong, &mut ranges);
            match layer.next_layer() {
                Some(next) => layer = next,
                None => break,
            }
        }
        if !strong {
            for word in &self.words {
                let found = text.match_indices(&**word).map(|(at, _)| (at, at + word.len()));
                ranges.extend(found.filter(|(from, to)| stands_alone(text, *from, *to)));
            }
        }
        if ranges.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(starred(text, ranges))
    }

    fn search(&self, layer: &Decoded, strong: bool, ranges: &mut Vec<(usize, usize)>) {
        let mut found = Vec::new();
        self.plain.find(layer.bytes(), strong, &mut found);
        ranges.extend(found.drain(..).map(|run| layer.range_in_text(run.from, run.to)));
        let (bones, places) = bones(layer.bytes());
        self.bones.find(&bones, strong, &mut found);
        for run in found {
            let (mut from, mut to) = (places[run.from] as usize, places[run.to - 1] as usize + 1);
            if run.base64 {
                // the neighbouring characters contain some of its bits
                (from, to) = widened(layer.bytes(), from, to);
            }
            ranges.push(layer.range_in_text(from, to));
        }
    }
}

impl Index {
    fn add(&mut self, form: Form) {
        if self.filter.is_empty() {
            self.filter = vec![0; 1 << 10];
        }
        let at = self.forms.len() as u32;
        let stride = form.least - WINDOW + 1;
        for (position, window) in form.bytes.windows(WINDOW).enumerate().step_by(stride) {
            let key = window.iter().fold(0, |key, byte| key << 8 | u64::from(*byte));
            self.windows.entry(key).or_default().push((at, position as u32));
            let bit = hash(key);
            self.filter[bit / 64] |= 1 << (bit % 64);
        }
        self.forms.push(form);
    }

    fn find(&self, text: &[u8], strong: bool, found: &mut Vec<Found>) {
        if self.forms.is_empty() {
            return;
        }
        // the last run of each form: where the form would begin in the text, and where the run ends
        let mut last: HashMap<u32, (isize, usize)> = HashMap::new();
        let mut key = 0;
        for (at, byte) in text.iter().enumerate() {
            key = (key << 8 | u64::from(*byte)) & MASK;
            let bit = hash(key);
            if self.filter[bit / 64] & 1 << (bit % 64) == 0 || at + 1 < WINDOW {
                continue;
            }
            let begin = at + 1 - WINDOW;
            for &(index, position) in self.windows.get(&key).into_iter().flatten() {
                let form = &self.forms[index as usize];
                let diagonal = begin as isize - position as isize;
                let seen = last.get(&index).is_some_and(|(known, end)| *known == diagonal && begin < *end);
                if seen || (strong && !form.strong) {
                    continue;
                }
                let (from, to) = form.run(text, begin, position as usize);
                last.insert(index, (diagonal, to));
                if to - from >= form.least {
                    found.push(Found { from, to, base64: form.base64 });
                }
            }
        }
    }
}

impl Form {
    /// Extends a match at `at` to the largest range of `text` that equals the form around `position`.
    fn run(&self, text: &[u8], at: usize, position: usize) -> (usize, usize) {
        let back = text[..at].iter().rev().zip(self.bytes[..position].iter().rev()).take_while(|(a, b)| a == b).count();
        let on = text[at..].iter().zip(&self.bytes[position..]).take_while(|(a, b)| a == b).count();
        (at - back, at + on)
    }
}

fn hash(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

/// Whether a secret looks random, so that a part of it is not a word of other texts.
fn is_random(secret: &str) -> bool {
    let has = |what: fn(&u8) -> bool| secret.bytes().any(|byte| what(&byte));
    let token = secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte));
    secret.len() >= 10 && token && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

/// Returns the letters and digits of a text and the position of each. Non-ASCII characters count as letters, except for
/// invisible characters and general punctuation.
fn bones(bytes: &[u8]) -> (Vec<u8>, Vec<u32>) {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut places = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let ignored = match (byte, bytes.get(at + 1)) {
            (0xe2, Some(0x80 | 0x81)) | (0xef, Some(0xbb)) => 3,
            (0xc2, Some(0xa0 | 0xad)) => 2,
            _ => 0,
        };
        if ignored == 0 && (byte.is_ascii_alphanumeric() || byte >= 0x80) {
            kept.push(byte);
            places.push(at as u32);
        }
        at += ignored.max(1);
    }
    (kept, places)
}

/// Returns the bones of those base64 characters of a text that do not depend on the `before` bytes that precede it, nor
/// on what follows.
fn base64_bones(secret: &[u8], before: usize) -> Vec<u8> {
    use base64::Engine as _;
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret);
    let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&bytes).to_ascii_lowercase();
    let certain = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
    bones(text.as_bytes().get(certain).unwrap_or_default()).0
}

fn widened(text: &[u8], from: usize, to: usize) -> (usize, usize) {
    let of_base64 = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    let before = text[..from].iter().rev().take(3).take_while(of_base64).count();
    let after = text[to..].iter().take(3).take_while(of_base64).count();
    (from - before, to + after)
}

fn stands_alone(text: &str, from: usize, to: usize) -> bool {
    let before = text[..from].chars().next_back();
    let after = text[to..].chars().next();
    [before, after].into_iter().flatten().all(|c| !c.is_alphanumeric())
}

/// Replaces each of the ranges by `***`; adjoining ranges become one.
fn starred(text: &str, mut ranges: Vec<(usize, usize)>) -> String {
    ranges.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (from, to) in ranges {
        if to <= at {
            continue;
        }
        let from = text.floor_char_boundary(from);
        let to = text.ceil_char_boundary(to);
        if from > at || at == 0 {
            out.push_str(&text[at..from.max(at)]);
            out.push_str("***");
        }
        at = to;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    const SECRET: &str = "Canary>pass?4711/x\"y";

    fn hidden(text: &str) -> String {
        Needles::of([SECRET].into_iter()).hide(text, false).into_owned()
    }

    fn percent(text: &str, upper: bool) -> String {
        text.bytes().map(|byte| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") }).collect()
    }

    #[test]
    fn a_secret_is_hidden_in_each_encoding() {
        let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        let spaced: String = SECRET.bytes().map(|byte| format!("{byte:02X}:")).collect();
        let unicode: String = SECRET.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let entities: String = SECRET.chars().map(|c| format!("&#{};", u32::from(c))).collect();
        let json = serde_json::to_string(SECRET).unwrap();
        let encodings = [
            SECRET.to_owned(),
            SECRET.to_uppercase(),
            percent(SECRET, true),
            percent(SECRET, false),
            percent(&percent(SECRET, true), false),
            json[1..json.len() - 1].to_owned(),
            serde_json::to_string(&json).unwrap().replace("\"\\\"", "").replace("\\\"\"", ""),
            unicode.clone(),
            percent(&unicode, true),
            entities,
            SECRET.replace('>', "&gt;").replace('"', "&quot;"),
            hex.to_uppercase(),
            hex,
            spaced,
            SECRET.replace("pass", "pa\r\n  ss"),
            SECRET.chars().map(|c| format!("{c} ")).collect(),
            SECRET.replace("pass", "pa\" + \"ss"),
            SECRET.replace("pass", "pa\u{200b}ss"),
        ];
        for encoded in encodings {
            let text = format!("before {encoded} after");
            let shown = hidden(&text);
            assert!(shown.starts_with("before ***") && shown.ends_with(" after"), "{text}\n{shown}");
            assert!(!shown.contains("4711") && shown.len() < 25, "{text}\n{shown}");
        }
    }

    #[test]
    fn a_secret_that_holds_an_escape_is_hidden_in_an_escaped_text() {
        for secret in ["tok\\ %4F.|@b", "k\\ %4F."] {
            let needles = Needles::of([secret].into_iter());
            let json = serde_json::to_string(secret).expect("text");
            let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for form in [secret, &json[1..json.len() - 1], &percent, &percent.replace('%', "%25")] {
                let shown = needles.hide(form, false);
                assert!(!shown.contains("4F") && shown.contains("***"), "{form}: {shown}");
            }
        }
    }

    #[test]
    fn base64_is_hidden_at_each_alignment_and_in_parts() {
        for before in ["", "u", "us", "user:", "user1:", "user12:"] {
            for after in ["", ":", "::", ":user"] {
                let pair = format!("{before}{SECRET}{after}");
                for text in [STANDARD.encode(&pair), URL_SAFE_NO_PAD.encode(&pair)] {
                    let shown = hidden(&format!("[{text}]"));
                    let left: String = shown.split("***").map(|part| part.trim_matches(['[', ']', '='])).collect();
                    assert!(shown.contains("***") && left.len() <= 14, "{text}: {shown}");
                    let lines: Vec<_> = text.as_bytes().chunks(7).map(String::from_utf8_lossy).collect();
                    assert!(hidden(&lines.join("\r\n ")).contains("***"), "{lines:?}");
                }
            }
        }
        let whole = STANDARD.encode(SECRET);
        for from in (0..whole.len() - 12).step_by(3) {
            let part = &whole[from..from + 12];
            assert!(hidden(&format!("key {part}…")).starts_with("key ***"), "{part}");
        }
    }

    #[test]
    fn a_part_of_a_random_secret_is_hidden_and_words_are_not() {
        let needles = Needles::of(["ab12cd34ef56ab78cd90", "marketing@example.com", "spring campaign"].into_iter());
        let hide = |text: &str| needles.hide(text, false).into_owned();
        assert_eq!(hide("key 12cd34ef56ab… is wrong"), "key ***… is wrong");
        for text in ["ann@example.com is not a member", "the campaign of spring", "marketing"] {
            assert_eq!(hide(text), text);
        }
        assert_eq!(hide("Marketing@Example.com said spring+campaign"), "*** said ***");
    }

    #[test]
    fn short_secrets_are_hidden_as_words() {
        let needles = Needles::of(["a", "pw", "key", "K3y", "1234", "hunte"].into_iter());
        let hide = |text: &str| needles.hide(text, false).into_owned();
        assert_eq!(hide("a pw for key K3y \"1234\" and 12345, monK3y"), "a pw for key *** \"***\" and 12345, monK3y");
        assert_eq!(hide("dXNlcjpodW50ZQ=="), "dXNl***");
        assert_eq!(needles.hide("key 1234 hunte", true), "key 1234 hunte");
        assert_eq!(Needles::of(["hunt2"].into_iter()).hide("hunt2", true), "***");
    }

    #[test]
    fn runs_that_overlap_are_one_and_the_rest_stays() {
        let needles = Needles::of(["abcde12345", "12345fghij"].into_iter());
        assert_eq!(needles.hide("\u{e4}abcde12345fghij\u{e4}abcde12345", false), "\u{e4}***\u{e4}***");
        assert!(matches!(needles.hide("nothing of it", false), Cow::Borrowed(_)));
        assert!(matches!(Needles::default().hide("abcde12345", false), Cow::Borrowed(_)));
    }
}
