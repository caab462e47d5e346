//! Validators: the headers that distinguish one version of a file from another.

use crate::transport::StreamAnswer;
use std::time::Duration;

/// A date is exact only if the file was not changed within this time before the response.
const DATE_IS_EXACT_AFTER: Duration = Duration::from_secs(60);

/// Distinguishes the versions of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::origin) enum Validator {
    /// A strong entity tag, with its quotes.
    Tag(String),
    /// The time of the last change, as the server writes it.
    Date(String),
}

impl Validator {
    /// Returns the validator of a response: a strong entity tag, or a date that is exact. `None` if it has neither.
    pub(super) fn of(answer: &StreamAnswer) -> Option<Validator> {
        Validator::read(answer.header("etag"), answer.header("last-modified"), answer.header("date"))
    }

    fn read(tag: Option<&str>, modified: Option<&str>, date: Option<&str>) -> Option<Validator> {
        if let Some(tag) = tag.map(str::trim).filter(|tag| is_strong(tag)) {
            return Some(Validator::Tag(tag.to_owned()));
        }
        let modified = modified?.trim();
        let (at, now) = (httpdate::parse_http_date(modified).ok()?, httpdate::parse_http_date(date?.trim()).ok()?);
        let is_exact = now.duration_since(at).is_ok_and(|age| age >= DATE_IS_EXACT_AFTER);
        is_exact.then(|| Validator::Date(modified.to_owned()))
    }

    /// Returns the entity tag that a listing names; `None` if it is weak.
    #[cfg(feature = "store")]
    pub(in crate::origin) fn of_tag(tag: &str) -> Option<Validator> {
        let tag = if tag.starts_with("W/") { tag.to_owned() } else { format!("\"{}\"", unquoted(tag)) };
        is_strong(&tag).then_some(Validator::Tag(tag))
    }

    /// Returns the header of a request that is refused if the file has changed.
    pub(in crate::origin) fn condition(&self) -> (&'static str, &str) {
        match self {
            Validator::Tag(tag) => ("If-Match", tag),
            Validator::Date(date) => ("If-Unmodified-Since", date),
        }
    }

    /// Compares the validator with that of a later response; `None` if the response has none of this kind.
    pub(super) fn is_of(&self, answer: &StreamAnswer) -> Option<bool> {
        match self {
            Validator::Tag(tag) => answer.header("etag").map(|other| unquoted(other) == unquoted(tag)),
            Validator::Date(date) => answer.header("last-modified").map(|other| other.trim() == date),
        }
    }

    /// Returns the validator as the version of the file.
    pub(super) fn text(&self) -> &str {
        match self {
            Validator::Tag(text) | Validator::Date(text) => text,
        }
    }
}

/// Returns an entity tag without its quotes, which some listings leave out.
fn unquoted(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

/// Whether an entity tag is strong and well-formed; it is sent back in a header.
fn is_strong(tag: &str) -> bool {
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    inner.is_some_and(|inner| inner.bytes().all(|byte| byte > b' ' && byte != b'"' && byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_tag_and_a_fresh_date_are_not_validators() {
        let (now, old) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:48:37 GMT");
        let fresh = "Sun, 06 Nov 1994 08:48:38 GMT";
        let tag = |text: &str| Some(Validator::Tag(text.to_owned()));
        let date = Some(Validator::Date(old.to_owned()));
        assert_eq!(Validator::read(Some(" \"a-1\" "), Some(old), Some(now)), tag("\"a-1\""));
        assert_eq!(Validator::read(Some("W/\"a\""), Some(old), Some(now)), date);
        for weak in ["W/\"a\"", "\"", "a", "\"a\"b\"", "\"a b\"", ""] {
            assert_eq!(Validator::read(Some(weak), None, Some(now)), None, "{weak}");
        }
        for (modified, date) in [
            (Some(fresh), Some(now)),
            (Some(old), None),
            (None, Some(now)),
            (Some("soon"), Some(now)),
            (Some(now), Some(old)),
        ] {
            assert_eq!(Validator::read(None, modified, date), None, "{modified:?} {date:?}");
        }
    }
}
