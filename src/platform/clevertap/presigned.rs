//! Reads the properties of a presigned URL.

use chrono::NaiveDateTime;
use std::time::{Duration, SystemTime};

/// Lifetime of a URL that does not state it.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Returns the URL's expiry: by SigV4's date and seconds, by SigV2's epoch, otherwise 24 h after it was requested.
pub(super) fn expires(url: &str, issued: SystemTime) -> SystemTime {
    let by_v4 = || {
        let begin = NaiveDateTime::parse_from_str(&query(url, "X-Amz-Date")?, "%Y%m%dT%H%M%SZ").ok()?.and_utc();
        let begin = Duration::from_secs(u64::try_from(begin.timestamp()).ok()?);
        begin.checked_add(Duration::from_secs(query(url, "X-Amz-Expires")?.parse().ok()?))
    };
    let by_v2 = || Some(Duration::from_secs(query(url, "Expires")?.parse().ok()?));
    let since = by_v4().or_else(by_v2);
    since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)).unwrap_or(issued + LIFE)
}

/// Whether a header was signed and must therefore be sent.
pub(super) fn signs(url: &str, header: &str) -> bool {
    query(url, "X-Amz-SignedHeaders")
        .is_some_and(|names| names.split(';').any(|name| name.eq_ignore_ascii_case(header)))
}

/// Returns the first value of a parameter, decoded.
fn query(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_url_is_read_from_it() {
        let issued = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let at = |url| expires(url, issued).duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        assert_eq!(at("https://s/k?X-Amz-Date=20150830T123600Z&X-Amz-Expires=60"), 1_440_938_220);
        assert_eq!(at("https://s/k?AWSAccessKeyId=x&Expires=1440938161&Signature=y"), 1_440_938_161);
        assert_eq!(at("https://s/k"), 1_000 + 86_400);
        assert_eq!(at("https://s/k?X-Amz-Date=soon&X-Amz-Expires=60"), 1_000 + 86_400);
    }

    #[test]
    fn signed_headers_are_found() {
        let url = "https://s/k?X-Amz-SignedHeaders=content-type%3Bhost&x=1";
        assert!(signs(url, "Content-Type") && signs(url, "host") && !signs(url, "type"));
        assert!(!signs("https://s/k", "content-type"));
    }
}
