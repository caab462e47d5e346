//! No secret of a request remains in an error, whatever a platform quotes of the request, in any encoding.
#![no_main]

use base64::Engine as _;
use libfuzzer_sys::fuzz_target;
use listferry::transport::Request;
use listferry::{Error, Kind, Secret};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Minimum length of a secret; shorter ones are words.
const SHORTEST: usize = 5;

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Returns ways in which a server may repeat a text, besides those of a URL and of JSON.
fn sayings(text: &str) -> Vec<String> {
    let bytes = |form: fn(u8) -> String| text.bytes().map(form).collect::<String>();
    let engine = base64::engine::general_purpose::STANDARD;
    vec![
        bytes(|byte| format!("%{byte:02x}")),
        bytes(|byte| format!("%{byte:02X}")).replace('%', "%25"),
        bytes(|byte| format!("{byte:02X}")),
        text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        text.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect(),
        engine.encode(text),
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text),
    ]
}

fuzz_target!(|data: &str| {
    // secrets are one line, do not contain their replacement, and are not part of another one's mark
    let mut pieces = data.split('\n');
    let mut secret = || {
        let text = pieces.next().unwrap_or_default();
        text.chars().filter(|c| !c.is_control() && *c != '*').collect::<String>()
    };
    let (kind, user, word, token, signature) = (secret(), secret().replace(':', ""), secret(), secret(), secret());
    let (word, token) = (word.trim().to_owned(), token.trim().to_owned());
    let kind = kind.bytes().fold(0, |kind: u8, byte| kind.wrapping_mul(31) ^ byte);
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{word}"));
    let mut url = "https://".to_owned();
    if kind & 1 != 0 {
        url.push_str(&format!("{}:{}@", encoded(&user), encoded(&word)));
    }
    url.push_str("h.example/path");
    if kind & 2 != 0 {
        url.push_str(&format!("?X-Sig={}&k=v", encoded(&signature)));
    }
    let mut request = Request::new("PUT", Secret::new(url.clone())).header("Content-Type", "text/plain");
    if kind & 4 != 0 {
        request = request.header("Authorization", &format!("Basic {pair}"));
    }
    if kind & 8 != 0 {
        request = request.header("Authorization", &format!("Bearer {token}"));
    }
    if kind & 16 != 0 {
        request = request.header("X-CleverTap-Passcode", &token);
    }
    let mut secrets = Vec::new();
    if kind & 5 != 0 {
        secrets.extend([user.clone(), word.clone(), pair.clone()]);
    }
    if kind & 1 != 0 {
        secrets.extend([encoded(&user), encoded(&word)]);
    }
    if kind & 2 != 0 {
        secrets.extend([signature.clone(), encoded(&signature)]);
    }
    if kind & 24 != 0 {
        secrets.push(token.clone());
    }
    // a shorter text is a word in any form
    let is_word = |text: &str| text.trim().chars().count() < SHORTEST;
    let short: Vec<String> =
        [&user, &word, &token, &signature].into_iter().filter(|text| is_word(text)).map(|text| encoded(text)).collect();
    secrets.retain(|secret| !is_word(secret) && !short.contains(secret));
    // the forms that a platform writes: unchanged, as JSON, in a URL
    let json = |text: &str| {
        let quoted = serde_json::to_string(text).expect("text");
        quoted[1..quoted.len() - 1].to_owned()
    };
    let mut forms: Vec<String> = secrets.iter().flat_map(|secret| [secret.clone(), json(secret)]).collect();
    // a shorter text is not a secret in other forms
    forms.extend(secrets.iter().filter(|secret| secret.trim().len() >= 8).flat_map(|secret| sayings(secret.trim())));
    let mut text = String::new();
    for (i, words) in pieces.enumerate() {
        text.push_str(words);
        let Some(form) = forms.get((i + usize::from(kind)) % forms.len().max(1)) else { continue };
        match words.len() % 4 {
            0 => text.push_str(form),
            1 => text.push_str(&format!("\"{form}\"")),
            2 => text.push_str(&format!("{url}&x={form}")),
            _ => text.push_str(&format!(" https://{form}@h/x?{form}")),
        }
    }
    let error = Error::new(Kind::Refused, text.clone()).with_hint(text);
    let error = listferry::calls::scrubbed(&request, error);
    for shown in [error.message(), error.hint().unwrap_or_default()] {
        for form in forms.iter().filter(|form| form.len() >= SHORTEST) {
            assert!(!shown.contains(form.as_str()), "{form:?} in {shown:?}");
        }
    }
});
