//! Headers that a signed URL demands: those that were signed have to be sent.

use super::Header;
use crate::secret::Secret;
use percent_encoding::percent_decode_str;

/// Headers that every request has anyway.
const SENT_ANYWAY: [&str; 2] = ["host", "content-length"];
/// The hash value for a body that is not signed.
const UNSIGNED: (&str, &str) = ("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
/// Azure stores no object without this header.
const BLOB_TYPE: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

/// Returns the headers that a signed URL (`X-Amz-SignedHeaders`, `X-Goog-SignedHeaders`) demands and that neither `given`
/// nor the client itself sends, in lower case and in order. Without them the storage refuses the request.
#[must_use]
pub fn missing_headers(url: &str, given: &[Header]) -> Vec<String> {
    let known = |name: &String| {
        SENT_ANYWAY.contains(&name.as_str())
            || name == UNSIGNED.0
            || given.iter().any(|header| header.name.eq_ignore_ascii_case(name))
    };
    signed_headers(url).into_iter().filter(|name| !known(name)).collect()
}

/// Returns headers that a URL needs and whose values are known. They are added to an upload unless the caller gave
/// them.
pub(super) fn needed_headers(url: &str, given: &[Header]) -> Vec<Header> {
    let mut needed = Vec::new();
    if signed_headers(url).iter().any(|name| name == UNSIGNED.0) {
        needed.push(UNSIGNED);
    }
    if is_azure(url) {
        needed.push(BLOB_TYPE);
    }
    let missing =
        needed.into_iter().filter(|(name, _)| !given.iter().any(|header| header.name.eq_ignore_ascii_case(name)));
    missing.map(|(name, value)| Header { name: name.to_owned(), value: Secret::new(value) }).collect()
}

fn signed_headers(url: &str) -> Vec<String> {
    let named = parameters(url).find(|(name, _)| {
        ["x-amz-signedheaders", "x-goog-signedheaders"].contains(&name.to_ascii_lowercase().as_str())
    });
    let Some((_, value)) = named else { return Vec::new() };
    let value = percent_decode_str(value).decode_utf8_lossy().to_ascii_lowercase();
    value.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Whether the URL is a shared access signature for a blob.
fn is_azure(url: &str) -> bool {
    let has = |wanted: &str| parameters(url).any(|(name, _)| name == wanted);
    has("sig") && has("sv") && (has("sr") || has("ss"))
}

fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = url.split('#').next().unwrap_or_default().split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str) -> Header {
        Header { name: name.to_owned(), value: Secret::new("x") }
    }

    #[test]
    fn a_signed_header_that_nobody_gives_is_named() {
        let url = "https://b/k?X-Amz-SignedHeaders=Content-Type%3Bhost%3Bx-amz-content-sha256%3bx-amz-meta-a&X-Amz-Signature=1#f";
        assert_eq!(missing_headers(url, &[]), ["content-type", "x-amz-meta-a"]);
        assert_eq!(missing_headers(url, &[header("Content-Type")]), ["x-amz-meta-a"]);
        assert!(missing_headers(url, &[header("Content-Type"), header("X-AMZ-Meta-A")]).is_empty());
        assert_eq!(missing_headers("https://b/k?X-Goog-SignedHeaders=host;content-md5", &[]), ["content-md5"]);
        // the older signature (SigV2) does not state what it covers
        assert!(missing_headers("https://b/k?AWSAccessKeyId=A&Signature=b&Expires=1", &[]).is_empty());
        assert!(missing_headers("https://b/k", &[]).is_empty());
    }

    #[test]
    fn what_azure_and_signed_hashes_need_is_known() {
        let names = |url: &str, given: &[Header]| -> Vec<String> {
            needed_headers(url, given)
                .into_iter()
                .map(|header| format!("{}: {}", header.name, header.value.expose()))
                .collect()
        };
        let azure = "https://a.blob.core.windows.net/c/b?sv=2024-11-04&sr=b&sp=cw&se=2026-12-01&sig=ab%3D";
        assert_eq!(names(azure, &[]), ["x-ms-blob-type: BlockBlob"]);
        assert!(names(azure, &[header("X-Ms-Blob-Type")]).is_empty());
        let hashed = "https://b/k?X-Amz-SignedHeaders=host%3Bx-amz-content-sha256";
        assert_eq!(names(hashed, &[]), ["x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        assert!(names("https://b/k?sig=1&sv=2", &[]).is_empty());
    }
}
