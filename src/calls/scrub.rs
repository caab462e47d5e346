//! Keeps what a request held secret out of the errors about it: platforms quote requests in their answers.

use super::reply::quoted_text;
use crate::error::Error;
use crate::transport::Request;
use base64::Engine as _;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::borrow::Cow;

/// The secrets of one request.
pub(crate) struct Scrub {
    secrets: Vec<String>,
}

/// Shorter values are no secrets but words; hiding them would garble messages.
const SHORTEST_SECRET: usize = 5;

/// Headers whose values everybody may know.
const OPEN_HEADERS: [&str; 5] = ["content-type", "accept", "cache-control", "user-agent", "content-disposition"];

impl Scrub {
    pub(crate) fn of(request: &Request) -> Scrub {
        let mut secrets = Vec::new();
        for header in &request.headers {
            if OPEN_HEADERS.contains(&header.name.to_ascii_lowercase().as_str()) {
                continue;
            }
            let value = header.value.expose();
            secrets.push(value.to_owned());
            if let Some((_, token)) = value.split_once(' ') {
                secrets.push(token.to_owned());
                let pair = base64::engine::general_purpose::STANDARD.decode(token).ok();
                if let Some(pair) = pair.and_then(|pair| String::from_utf8(pair).ok()) {
                    secrets.extend(pair.splitn(2, ':').map(str::to_owned));
                }
            }
        }
        let url = request.url.expose();
        if let Some((user_info, _)) = url.split_once("://").and_then(|(_, rest)| {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit_once('@')
        }) {
            // what goes out is Basic, of the decoded pair
            let pair: Vec<u8> = percent_decode_str(user_info).collect();
            secrets.push(base64::engine::general_purpose::STANDARD.encode(pair));
            secrets.push(user_info.to_owned());
            secrets.extend(user_info.splitn(2, ':').map(str::to_owned));
        }
        if let Some((_, query)) = url.split_once('?') {
            secrets.push(query.to_owned());
            // a signature may be quoted alone
            secrets.extend(query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned()));
        }
        // a platform quotes what it decoded, and as JSON
        for i in 0..secrets.len() {
            secrets.extend(percent_decode_str(&secrets[i]).decode_utf8().map(Cow::into_owned));
        }
        for i in 0..secrets.len() {
            let quoted = Value::from(secrets[i].as_str()).to_string();
            secrets.push(quoted[1..quoted.len() - 1].to_owned());
        }
        secrets.sort();
        secrets.dedup();
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        // the longest first: a part must not break the whole
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Scrub { secrets }
    }

    /// The error without the secrets and without queries of URLs.
    pub(crate) fn error(&self, error: Error) -> Error {
        error.map_text(|text| self.text(text))
    }

    /// A text of the other side, likewise.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut out = without_queries(text);
        for secret in &self.secrets {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), "***");
            }
        }
        out
    }
}

/// What a platform answered to `request`, as a message may quote it: one line, printable, cut, without the secrets.
pub(crate) fn said(request: &Request, text: &str) -> String {
    quoted_text(&Scrub::of(request).text(text))
}

/// Cuts the query and user-info from each URL in a text.
fn without_queries(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let end =
            at + rest[at..].find(|c: char| c.is_whitespace() || "\"'<>)]}".contains(c)).unwrap_or(rest.len() - at);
        let start = rest[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |i| i + 1);
        // the character before a scheme may be wide
        let start = (start..=at).find(|i| rest.is_char_boundary(*i)).unwrap_or(at);
        out.push_str(&rest[..start]);
        let url = &rest[start..end];
        let shown = crate::secret::redacted_url(url);
        out.push_str(&shown);
        if url.contains('?') {
            out.push_str("?***");
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::secret::Secret;

    #[test]
    fn what_a_platform_quotes_back_is_hidden() {
        let basic = base64::engine::general_purpose::STANDARD.encode("apiuser:hunter2");
        let request = Request::new("PUT", Secret::new("https://h/x?X-Amz-Signature=abcdef123"))
            .header("Authorization", &format!("Basic {basic}"));
        let text =
            format!("no: {basic} hunter2 apiuser abcdef123 \u{e4}https://u:p@h/x?X-Amz-Signature=zz, https://h/y");
        let error = Scrub::of(&request).error(Error::new(Kind::Refused, text.clone()).with_hint(text));
        let shown = format!("{error:?}");
        for secret in [basic.as_str(), "hunter2", "apiuser", "abcdef123", "u:p", "zz"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("https://h/y") && shown.contains("https://h/x?***"), "{shown}");
    }
    #[test]
    fn a_secret_quoted_as_json_or_decoded_is_hidden() {
        let request = Request::new("GET", Secret::new("https://api%20user:hunt%22er@h/x?sig=ab%2Fcdef"))
            .header("X-CleverTap-Passcode", "pass\"code");
        let text = r#"{"seen": "pass\"code", "user": "api user", "word": "hunt\"er", "sig": "ab/cdef"}"#;
        let error = Scrub::of(&request).error(Error::new(Kind::Refused, text));
        assert_eq!(error.message(), r#"{"seen": "***", "user": "***", "word": "***", "sig": "***"}"#);
        let basic = base64::engine::general_purpose::STANDARD.encode("api user:hunt\"er");
        let error = Scrub::of(&request).error(Error::new(Kind::Refused, basic));
        assert_eq!(error.message(), "***");
    }
}
