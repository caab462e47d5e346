//! The bytes that a request asks for: `Range`, `If-Range`, `If-Match`, `If-None-Match` (RFC 9110, sections 13 and 14).

use std::ops::Range;

/// The result of evaluating the conditions and the range of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Status 200.
    Whole,
    /// Status 206.
    Part(Range<u64>),
    /// Status 304.
    NotModified,
    /// Status 412.
    Failed,
    /// Status 416.
    Unsatisfiable,
}

/// The relevant headers; several of one name are joined by a comma.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions<'h> {
    pub(super) if_match: Option<&'h str>,
    pub(super) if_none_match: Option<&'h str>,
    pub(super) if_range: Option<&'h str>,
    /// For GET only.
    pub(super) range: Option<&'h str>,
}

impl Conditions<'_> {
    /// Evaluates them for content of `length` bytes with the strong tag `etag` (quotes included).
    pub(super) fn evaluate(&self, etag: &str, length: u64) -> Wanted {
        if self.if_match.is_some_and(|list| !lists(list, etag, false)) {
            return Wanted::Failed;
        }
        if self.if_none_match.is_some_and(|list| lists(list, etag, true)) {
            return Wanted::NotModified;
        }
        // a date never matches, since there is no Last-Modified
        if self.if_range.is_some_and(|tag| tag.trim() != etag) {
            return Wanted::Whole;
        }
        self.range.map_or(Wanted::Whole, |range| single(range, length))
    }
}

/// Whether a list of tags, or `*`, contains the tag.
fn lists(list: &str, etag: &str, weak: bool) -> bool {
    list.trim() == "*"
        || list.split(',').map(str::trim).any(|tag| match (weak, tag.strip_prefix("W/")) {
            (true, Some(tag)) => tag == etag,
            _ => tag == etag,
        })
}

/// Parses one range of bytes. Several ranges, another unit or an invalid value are ignored, as the RFC allows.
fn single(range: &str, length: u64) -> Wanted {
    let Some((unit, range)) = range.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Whole };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Wanted::Whole;
    }
    // a number beyond 64 bits is beyond the end too
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Wanted::Whole,
        (true, false) => match number(last).min(length) {
            0 => Wanted::Unsatisfiable,
            suffix => Wanted::Part(length - suffix..length),
        },
        (false, _) if !last.is_empty() && number(last) < number(first) => Wanted::Whole,
        (false, _) if number(first) >= length => Wanted::Unsatisfiable,
        (false, true) => Wanted::Part(number(first)..length),
        (false, false) => Wanted::Part(number(first)..number(last).saturating_add(1).min(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        // the table of rclone's "serve http" tests and edge cases
        let part = |range: Range<u64>| Wanted::Part(range);
        for (range, want) in [
            ("bytes=2-5", part(2..6)),
            ("bytes=3-", part(3..10)),
            ("bytes=-4", part(6..10)),
            ("bytes=0-0", part(0..1)),
            ("bytes=9-9", part(9..10)),
            ("bytes=0-9", part(0..10)),
            ("bytes=0-99", part(0..10)),
            ("bytes=-99", part(0..10)),
            ("BYTES=1-1", part(1..2)),
            ("bytes=5-18446744073709551615", part(5..10)),
            ("bytes=5-99999999999999999999999", part(5..10)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-12", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=1-2,4-5", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("items=1-2", Wanted::Whole),
        ] {
            let conditions = Conditions { range: Some(range), ..Conditions::default() };
            assert_eq!(conditions.evaluate("\"t\"", 10), want, "{range}");
        }
    }

    #[test]
    fn conditions_come_before_the_range() {
        let of = |if_match, if_none_match, if_range| Conditions {
            if_match,
            if_none_match,
            if_range,
            range: Some("bytes=1-1"),
        };
        let evaluate = |conditions: Conditions<'_>| conditions.evaluate("\"t\"", 10);
        assert_eq!(evaluate(of(Some("\"u\", \"t\""), None, None)), Wanted::Part(1..2));
        assert_eq!(evaluate(of(Some("*"), None, None)), Wanted::Part(1..2));
        assert_eq!(evaluate(of(Some("W/\"t\""), None, None)), Wanted::Failed);
        assert_eq!(evaluate(of(Some("\"u\""), None, None)), Wanted::Failed);
        assert_eq!(evaluate(of(None, Some("\"t\""), None)), Wanted::NotModified);
        assert_eq!(evaluate(of(None, Some("W/\"t\""), None)), Wanted::NotModified);
        assert_eq!(evaluate(of(None, Some("*"), None)), Wanted::NotModified);
        assert_eq!(evaluate(of(None, Some("\"u\""), None)), Wanted::Part(1..2));
        assert_eq!(evaluate(of(None, None, Some("\"t\""))), Wanted::Part(1..2));
        assert_eq!(evaluate(of(None, None, Some("W/\"t\""))), Wanted::Whole);
        assert_eq!(evaluate(of(None, None, Some("Sat, 21 Nov 2026 01:00:00 GMT"))), Wanted::Whole);
    }
}
