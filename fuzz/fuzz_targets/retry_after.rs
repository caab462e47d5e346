//! `Retry-After` is parsed as in RFC 9110: seconds, or a date in one of three forms compared with the response's own
//! date. Any other value is ignored, and the delay is at most ten years.
#![no_main]

use libfuzzer_sys::fuzz_target;
use listferry::transport::Answer;
use std::time::Duration;

const LONGEST: u64 = 10 * 365 * 86_400;

fn read(headers: &[(&str, &str)]) -> Option<Duration> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer { status: 503, headers, body: Vec::new() }.retry_after()
}

/// Formats a date in one of the three forms, by chrono.
fn date(seconds: i64, form: u8) -> String {
    let at = chrono::DateTime::from_timestamp(seconds, 0).expect("within the calendar");
    let form = match form % 3 {
        0 => "%a, %d %b %Y %H:%M:%S GMT",
        1 => "%A, %d-%b-%y %H:%M:%S GMT",
        _ => "%a %b %e %H:%M:%S %Y",
    };
    at.format(form).to_string()
}

fuzz_target!(|data: &[u8]| {
    let [mode, rest @ ..] = data else { return };
    if mode & 1 == 0 {
        let Ok(text) = std::str::from_utf8(rest) else { return };
        let found = read(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", text)]);
        let digits = text.trim();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds = digits.bytes().fold(0u64, |n, digit| (n * 10 + u64::from(digit - b'0')).min(LONGEST));
            assert_eq!(found, Some(Duration::from_secs(seconds)), "{text:?}");
        } else if let Some(found) = found {
            assert!(found <= Duration::from_secs(LONGEST));
            // a date has at least the two digits of a day, and a time
            assert!(digits.len() >= 24 && digits.is_ascii(), "{text:?} taken for a date");
            assert!(digits.bytes().filter(u8::is_ascii_digit).count() >= 9, "{text:?} taken for a date");
        }
        return;
    }
    let [form, a, b, c, d, e, f, g, h, ..] = rest else { return };
    // two-digit years mean 1970 to 2069: every form can express these moments
    let second = |bytes: [u8; 4]| i64::from(u32::from_le_bytes(bytes) % 3_155_760_000);
    let (now, until) = (second([*a, *b, *c, *d]), second([*e, *f, *g, *h]));
    let (now_text, until_text) = (date(now, *form), date(until, form / 3));
    let expected = u64::try_from(until - now).unwrap_or(0).min(LONGEST);
    let found = read(&[("date", &now_text), ("retry-after", &until_text)]);
    assert_eq!(found, Some(Duration::from_secs(expected)), "{until_text} at {now_text}");
    // one character more, less or different makes it another date or an invalid one: never a panic, and never more than
    // ten years
    let mut spoilt = until_text.into_bytes();
    let at = usize::from(form / 9) % spoilt.len();
    spoilt[at] = rest.get(9).copied().unwrap_or(b' ') & 0x7f;
    let spoilt = String::from_utf8(spoilt).expect("ASCII");
    assert!(read(&[("retry-after", &spoilt)]).unwrap_or_default() <= Duration::from_secs(LONGEST));
});
