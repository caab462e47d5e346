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
        return shown.to_owned();
    };
    let rest = &shown[scheme + 3..];
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}{path}", &shown[..scheme])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_loses_its_query_and_its_user() {
        assert_eq!(redacted_url("https://u:p@h.example:8/a/b?X-Amz-Signature=1#f"), "https://h.example:8/a/b");
        assert_eq!(redacted_url("ftp://u:p%40@h/x"), "ftp://h/x");
        assert_eq!(redacted_url("nothing"), "nothing");
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }
}
