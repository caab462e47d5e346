//! Finds complete secrets in a text whose escapes can be read in several ways.
//!
//! Decoding a whole text ([`super::decoded`]) starts at its beginning, so an escape that begins before a secret may
//! swallow the secret's first bytes: `=4` before `4F…`, or a backslash before a backslash. Here every byte of a secret
//! is matched either by the byte itself or by an escape that begins exactly there, so the preceding text does not
//! matter. All secrets are matched in one pass, as in an automaton whose state is the number of bytes matched.

use super::decoded::{Decoded, Meant, escape};
use std::collections::BTreeMap;

/// Maximum number of layers of escaping around one byte.
const MAX_LAYERS: usize = 3;
/// Maximum number of bytes of text examined for one nested escape.
const MAX_ESCAPE_BYTES: usize = 128;

/// The secrets to find.
pub(super) struct Whole {
    secrets: Vec<Wanted>,
    /// For each byte, the secrets that begin with it.
    by_first: Vec<Vec<u32>>,
}

struct Wanted {
    /// In lower case.
    bytes: Box<[u8]>,
    strong: bool,
}

/// A secret of which some bytes have been matched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    secret: u32,
    matched: u32,
    from: usize,
}

impl Default for Whole {
    fn default() -> Self {
        Whole { secrets: Vec::new(), by_first: vec![Vec::new(); 256] }
    }
}

impl Whole {
    /// Adds a secret in lower case. `strong`: ordinary text does not contain it by chance.
    pub(super) fn add(&mut self, lower: &[u8], strong: bool) {
        if let Some(first) = lower.first() {
            self.by_first[usize::from(*first)].push(self.secrets.len() as u32);
            self.secrets.push(Wanted { bytes: lower.into(), strong });
        }
    }

    /// Adds the ranges of all secrets in `text` to `ranges`; `text` is in lower case. Skips a text without escapes,
    /// which the faster search handles.
    pub(super) fn find(&self, text: &[u8], strong: bool, ranges: &mut Vec<(usize, usize)>) {
        if self.secrets.is_empty() || !text.iter().any(|byte| begins_escape(*byte)) {
            return;
        }
        let mut search = Search { whole: self, strong, waiting: BTreeMap::new(), ranges };
        for at in 0..text.len() {
            let mut here = search.waiting.remove(&at).unwrap_or_default();
            here.sort_unstable();
            // of several matches of equal length, keep the one that began first
            here.dedup_by_key(|one| (one.secret, one.matched));
            search.read(at, &here, &text[at..=at], at + 1);
            if begins_escape(text[at]) {
                each_escape(text, at, &mut |meant, end| match meant {
                    Meant::Char(c) => {
                        search.read(at, &here, c.to_ascii_lowercase().encode_utf8(&mut [0; 4]).as_bytes(), end);
                    }
                    Meant::Byte(byte) => search.read(at, &here, &[byte.to_ascii_lowercase()], end),
                    Meant::Nothing => search.waiting.entry(end).or_default().extend(&here),
                });
            }
        }
    }
}

struct Search<'s> {
    whole: &'s Whole,
    strong: bool,
    /// The matches that continue at a position of the text.
    waiting: BTreeMap<usize, Vec<Match>>,
    ranges: &'s mut Vec<(usize, usize)>,
}

impl Search<'_> {
    /// Continues the matches at `at`, and starts new ones there, with the text up to `end` read as `bytes`.
    fn read(&mut self, at: usize, here: &[Match], bytes: &[u8], end: usize) {
        let fresh = &self.whole.by_first[usize::from(bytes[0])];
        let fresh = fresh.iter().map(|secret| Match { secret: *secret, matched: 0, from: at });
        for found in here.iter().copied().chain(fresh) {
            let wanted = &self.whole.secrets[found.secret as usize];
            let rest = &wanted.bytes[found.matched as usize..];
            if (self.strong && !wanted.strong) || !rest.starts_with(bytes) {
                continue;
            }
            if rest.len() == bytes.len() {
                self.ranges.push((found.from, end));
            } else {
                let matched = found.matched + bytes.len() as u32;
                self.waiting.entry(end).or_default().push(Match { matched, ..found });
            }
        }
    }
}

fn begins_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'=')
}

/// Calls `each` with the meaning of the text at `at` for each number of layers, and with the end of the text read.
fn each_escape(text: &[u8], at: usize, each: &mut dyn FnMut(Meant, usize)) {
    let end = text.len().min(at + MAX_ESCAPE_BYTES);
    let mut layer = Decoded::of_lower(&text[at..end]);
    for _ in 0..MAX_LAYERS {
        if let Some((length, meant)) = escape(layer.bytes()) {
            each(meant, at + layer.range_in_text(0, length).1);
        }
        match layer.next_layer() {
            Some(next) if next.bytes().first().is_some_and(|byte| begins_escape(*byte)) => layer = next,
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(secret: &str, text: &str) -> Vec<String> {
        let mut whole = Whole::default();
        whole.add(secret.to_ascii_lowercase().as_bytes(), true);
        let mut ranges = Vec::new();
        whole.find(text.to_ascii_lowercase().as_bytes(), false, &mut ranges);
        ranges.into_iter().map(|(from, to)| text[from..to].to_owned()).collect()
    }

    #[test]
    fn the_text_before_a_secret_does_not_hide_it() {
        for (secret, form) in [("44pass", "44pass"), ("4\\pa\"ss", r#"4\\pa\"ss"#), ("amp;x%41", "%61mp%3bx%2541")] {
            for before in ["", "=", "=4", "%", "%4", "\\", "\\\\", "\\u00", "&#", "&", "%25", "%5c", "\\u005c"] {
                let text = format!("x = {before}{form}");
                assert!(found(secret, &text).iter().any(|one| one.ends_with(form)), "{secret} in {text}");
            }
        }
    }

    #[test]
    fn each_byte_may_be_escaped_in_its_own_way() {
        let text = r"k%45y\u002b&#x41;%2542%25%34%33d=3D=
1";
        assert_eq!(found("key+abcd=1", text), [text]);
        assert_eq!(found("key+abcd=2", text), [""; 0]);
        assert_eq!(found("%41", "%2541 %%34%31"), ["%2541", "%%34%31"]);
        assert_eq!(found("a1", "%%34%31%31"), ["%%34%31%31"]);
    }

    #[test]
    fn a_text_of_nothing_but_escapes_is_searched() {
        let mut whole = Whole::default();
        (5..9).for_each(|length| whole.add("%".repeat(length).as_bytes(), true));
        let mut ranges = Vec::new();
        whole.find("%25".repeat(500).as_bytes(), false, &mut ranges);
        assert!(ranges.contains(&(0, 15)) && ranges.contains(&(1485, 1500)), "{}", ranges.len());
    }
}
