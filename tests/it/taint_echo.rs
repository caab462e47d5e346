//! Secrets as canaries, how hostile servers repeat them, and how they are found again. Shares no code with the client.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Secrets of a job; those generated or received in a run are added as a server receives or sends them.
#[derive(Clone, Default)]
pub(crate) struct Canaries {
    declared: Arc<Mutex<BTreeSet<String>>>,
    drawn: Arc<Mutex<BTreeSet<String>>>,
    /// Messages quote the beginning of a server's text, so each text begins with another encoding.
    said: Arc<AtomicUsize>,
}

impl Canaries {
    pub(crate) fn of(secrets: &[&str]) -> Canaries {
        let canaries = Canaries::default();
        canaries.declared.lock().unwrap().extend(secrets.iter().map(|&secret| secret.to_owned()));
        canaries
    }

    pub(crate) fn add(&self, secret: &str) {
        self.drawn.lock().unwrap().insert(secret.to_owned());
    }

    /// Forgets the secrets of a run, since another run generates its own.
    pub(crate) fn forget_drawn(&self) {
        self.drawn.lock().unwrap().clear();
    }

    fn all(&self) -> Vec<String> {
        let (declared, drawn) = (self.declared.lock().unwrap(), self.drawn.lock().unwrap());
        declared.iter().chain(drawn.iter()).cloned().collect()
    }

    /// Returns all secrets in all encodings, with terminal escapes in between.
    pub(crate) fn echo(&self) -> String {
        let all = self.all();
        let mut said: Vec<String> = all.iter().flat_map(|secret| encodings(secret)).collect();
        for pair in all.windows(2) {
            for text in [format!("{}:{}", pair[0], pair[1]), format!("{}:{}", pair[1], pair[0])] {
                said.extend([STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text), text]);
            }
        }
        let first = self.said.fetch_add(5, Ordering::SeqCst) % said.len();
        said.rotate_left(first);
        said.join(" \u{1b}]0;x\u{7}\u{202e}\u{9b} ")
    }

    /// Returns the nth encoding alone, for servers with short texts.
    pub(crate) fn one(&self, n: usize) -> String {
        let said: Vec<String> = self.all().iter().flat_map(|secret| encodings(secret)).collect();
        format!("wrong {} \u{1b}]0;x\u{7}\u{202e}", said[n % said.len()])
    }

    /// Returns where a text reveals a secret.
    pub(crate) fn found(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let bones: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        let mut found = Vec::new();
        for secret in self.all() {
            let lower = secret.to_ascii_lowercase();
            let plain_bones: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
            let mut marks: Vec<String> = encodings(&secret).into_iter().map(|mark| mark.to_ascii_lowercase()).collect();
            marks.push(lower);
            for mark in marks.iter().filter(|mark| text.contains(mark.as_str())) {
                found.push(format!("{place}: {secret} as {mark}"));
            }
            if bones.contains(&plain_bones) {
                found.push(format!("{place}: the letters of {secret}"));
            }
            for mark in base64_parts(&secret).iter().filter(|mark| bones.contains(mark.as_str())) {
                found.push(format!("{place}: {secret} in base64, part {mark}"));
            }
        }
        found
    }

    /// Like [`Canaries::found`], in each file under a directory.
    pub(crate) fn found_under(&self, dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => found.extend(self.found_under(&path)),
                false => found.extend(self.found(&path.display().to_string(), &std::fs::read(&path).unwrap())),
            }
        }
        found
    }
}

/// Returns the terminal control characters in an output; JSON may contain them only escaped.
pub(crate) fn obeyed(bytes: &[u8]) -> Vec<char> {
    let text = String::from_utf8_lossy(bytes);
    let is = |c: &char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
    };
    text.chars().filter(is).collect()
}

fn encodings(secret: &str) -> Vec<String> {
    let bytes = |form: fn(u8) -> String| secret.bytes().map(form).collect::<String>();
    let json = serde_json::to_string(secret).unwrap();
    let once = bytes(|b| format!("%{b:02X}"));
    vec![
        secret.to_owned(),
        secret.to_uppercase(),
        once.clone(),
        bytes(|b| format!("%{b:02x}")),
        once.replace('%', "%25"),
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string(),
        json.trim_matches('"').to_owned(),
        secret.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        secret.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect(),
        secret.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        bytes(|b| format!("{b:02x}")),
        bytes(|b| format!("{b:02X}")),
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
        STANDARD_NO_PAD.encode(format!("u:{secret}")),
        URL_SAFE_NO_PAD.encode(format!("us:{secret}:x")),
        STANDARD.encode(format!("user:{secret}")),
    ]
    .into_iter()
    .chain(splits(secret))
    .collect()
}

/// Splits a secret by white space, line ends and quotes.
fn splits(secret: &str) -> Vec<String> {
    let between = |text: &str| secret.chars().map(|c| c.to_string()).collect::<Vec<_>>().join(text);
    let half = secret.len() / 2;
    let mut said = vec![between(" "), between("\r\n\t"), between("\" \"")];
    if secret.is_char_boundary(half) {
        said.push(format!("{}\n{}", &secret[..half], &secret[half..]));
        said.push(format!("{}\" + \"{}", &secret[..half], &secret[half..]));
    }
    said
}

/// Returns the letters and digits of twelve consecutive base64 characters that a secret has at any alignment.
fn base64_parts(secret: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for before in 0..3 {
        let text = STANDARD_NO_PAD.encode([&b"???"[..before], secret.as_bytes()].concat());
        let certain = &text.as_bytes()[(before * 8).div_ceil(6)..(before + secret.len()) * 8 / 6];
        let bones: String = certain.iter().map(|byte| char::from(*byte)).filter(char::is_ascii_alphanumeric).collect();
        let bones = bones.to_ascii_lowercase();
        parts.extend((0..bones.len().saturating_sub(11)).map(|at| bones[at..at + 12].to_owned()));
    }
    parts
}

#[test]
fn the_finder_finds_each_echo() {
    let canaries = Canaries::of(&["Kan4ri>pass?7391/x"]);
    for said in encodings("Kan4ri>pass?7391/x") {
        assert!(!canaries.found("here", format!("<{said}>").as_bytes()).is_empty(), "{said}");
    }
    assert!(canaries.found("here", b"nothing of it, *** and kan4ri").is_empty());
    assert_eq!(obeyed("a\u{1b}\u{202e}\n".as_bytes()), ['\u{1b}', '\u{202e}']);
}
