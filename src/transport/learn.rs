//! Learns the secrets in a request, because servers quote requests in their responses.

use super::Request;
use crate::secret::Taint;

/// Headers whose values are public, or the beginnings of their names.
const OPEN_HEADERS: [&str; 11] = [
    "content-",
    "accept",
    "cache-control",
    "user-agent",
    "if-",
    "range",
    "x-ms-blob-",
    "x-ms-version",
    "x-amz-checksum-",
    "x-amz-acl",
    // the name of the cloud
    "metadata-flavor",
];
/// Maximum size of a body to search; a larger one is a list, not the body of a small call.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Adds the secrets of a request: the values of its headers except public ones, user-info and query of its URL, and
/// those of the URLs in its body.
pub(crate) fn learn(taint: &Taint, request: &Request) {
    for header in &request.headers {
        let name = header.name.to_ascii_lowercase();
        if !OPEN_HEADERS.iter().any(|open| name.starts_with(open)) {
            taint.learn_header(header.value.expose());
        }
    }
    taint.learn_url(request.url.expose().trim(), request.supplied_by.is_some());
    let body = request.body.as_deref().filter(|body| body.len() <= MAX_BODY_BYTES && contains(body, b"://"));
    if let Some(tree) = body.and_then(|body| serde_json::from_slice(body).ok()) {
        taint.learn_urls(&tree);
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use base64::Engine as _;

    #[test]
    fn what_a_platform_quotes_back_is_hidden() {
        let basic = base64::engine::general_purpose::STANDARD.encode("apiuser:hunter2");
        let request = Request::new("PUT", Secret::new("https://h/x?X-Amz-Signature=abcdef123"))
            .header("Authorization", &format!("Basic {basic}"))
            .header("X-CleverTap-Passcode", "pass\"code")
            .header("Content-Type", "text/plain")
            .body(r#"{"uri": "ftp://ftpuser:ftpword@h/x"}"#);
        let taint = Taint::default();
        learn(&taint, &request);
        for secret in [basic.as_str(), "hunter2", "apiuser", "abcdef123", r#"pass\"code"#, "ftpword"] {
            assert_eq!(taint.text(&format!("<{secret}>")), "<***>", "{secret}");
        }
        assert_eq!(taint.text("text/plain"), "text/plain");
    }
}
