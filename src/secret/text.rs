//! A secret text, and the way to display a URL.

use std::fmt;

/// A secret text. `Debug` and `Display` show `***`; only [`Secret::expose`] gives access.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<Box<str>>) -> Secret {
        Secret(text.into())
    }

    /// Returns the text itself. Only for building the request that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Returns a URL as it may be shown: scheme, host, port and path, without user-info, query and fragment.
#[must_use]
pub fn redacted_url(url: &str) -> String {
    let cut = url.find(['?', '#']).unwrap_or(url.len());
    let shown = &url[..cut];
    let Some(scheme) = shown.find("://") else {
        return match shown.rsplit_once('@') {
            Some((_, host)) if has_user_info(shown) => format!("***@{host}"),
            _ => shown.to_owned(),
        };
    };
    let rest = &shown[scheme + 3..];
    // a slash in a password ends the host too early, and leaves a port that is none
    let has_port = |authority: &str| {
        let after_host = &authority[authority.rfind(']').unwrap_or(0)..];
        after_host.split_once(':').is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let authority_end = match (rest.find('/').unwrap_or(rest.len()), rest.rfind('@')) {
        (end, Some(at)) if end < at && !has_port(&rest[..end]) => at + rest[at..].find('/').unwrap_or(rest.len() - at),
        (end, _) => end,
    };
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}{path}", &shown[..scheme])
}

/// Whether a text that is not a URL begins like one with user-info: `user:password@host`.
#[must_use]
pub(crate) fn has_user_info(text: &str) -> bool {
    text.split_once('@').is_some_and(|(before, _)| before.contains(':'))
}

/// Returns the key of a mapping as it may be shown. Neither a colon nor an equals sign is in a key of ours: what
/// follows may be a secret that was written in the wrong place.
#[must_use]
#[cfg_attr(not(feature = "upload"), allow(dead_code, reason = "only jobs have keys"))]
pub(crate) fn shown_key(key: &str) -> String {
    match key.find([':', '=']) {
        Some(end) => format!("{}…", super::printable(&key[..end])),
        None => super::printable(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_loses_its_query_and_its_user() {
        assert_eq!(redacted_url("https://u:p@h.example:8/a/b?X-Amz-Signature=1#f"), "https://h.example:8/a/b");
        assert_eq!(redacted_url("ftp://u:p%40@h/x"), "ftp://h/x");
        assert_eq!(redacted_url("nothing"), "nothing");
        assert_eq!(redacted_url("http://u:hunter2/@127.0.0.1:8/x"), "http://127.0.0.1:8/x");
        assert_eq!(redacted_url("http://[::1]:8/a@b"), "http://[::1]:8/a@b");
        assert_eq!(redacted_url("https://h/a:b@c"), "https://h/a:b@c");
        for odd in ["u:hunter2@h:8", "//u:hunter2@h/x", "http:/u:hunter2@h/x", "http:u:hunter2@h/x"] {
            assert!(!redacted_url(odd).contains("hunter2"), "{odd}");
        }
    }

    #[test]
    fn a_value_in_a_key_is_not_shown() {
        for (key, shown) in
            [("delimeter", "delimeter"), ("passcode: hunter2", "passcode…"), ("a=hunter2", "a…"), ("a b", "a b")]
        {
            assert_eq!(shown_key(key), shown);
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }
}
