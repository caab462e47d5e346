//! Storage with presigned URLs: issues and verifies signature version 4, and refuses what S3 refuses, with S3's XML.

use super::State;
use super::clevertap::Csv;
use super::digest::hex;
use super::http::{Answer, Head, Received, cut, declared, header, random};
use super::rows::Lines;
use chrono::{DateTime, NaiveDateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io;
use std::time::Duration;

const ACCESS_KEY: &str = "AKIASANDBOX";
const SECRET_KEY: &str = "sandbox/secret/for/loopback/only";
const REGION: &str = "us-east-1";
/// Maximum size of an object in one PUT.
const MOST: u64 = 5 << 30;

/// Returns a presigned URL for a PUT, and its path.
pub(super) fn presign(base: &str, account: &str, lifetime: Duration, issued: DateTime<Utc>) -> (String, String) {
    let host = base.trim_start_matches("http://");
    let account: String = account.chars().filter(char::is_ascii_alphanumeric).collect();
    let path = format!("/_s3/custom-lists/{account}/{}.csv", random());
    let date = issued.format("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{}/{REGION}/s3/aws4_request", &date[..8]);
    let credential = format!("{ACCESS_KEY}/{scope}").replace('/', "%2F");
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}&X-Amz-Expires={}&X-Amz-SignedHeaders=host",
        lifetime.as_secs()
    );
    let request = canonical_request("PUT", &path, &query, &format!("host:{host}\n"), "host");
    let signature = sign(SECRET_KEY, &request, &date, &scope);
    (format!("{base}{path}?{query}&X-Amz-Signature={signature}"), path)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC accepts keys of any length
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The characters that SigV4 does not encode.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const IN_PATH: AsciiSet = UNRESERVED.remove(b'/');

/// Decodes percent-codes and encodes them again in the form that is signed.
fn canonical(text: &str, keep: &'static AsciiSet) -> String {
    utf8_percent_encode(&percent_decode_str(text).decode_utf8_lossy(), keep).to_string()
}

/// Returns the request in the form that is signed: the query sorted and without its signature. `headers` are lines,
/// `signed` their names.
fn canonical_request(method: &str, path: &str, query: &str, headers: &str, signed: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.starts_with("X-Amz-Signature="))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (canonical(name, &UNRESERVED), canonical(value, &UNRESERVED)))
        .collect();
    pairs.sort_unstable();
    let query: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let path = canonical(path, &IN_PATH);
    format!("{method}\n{path}\n{}\n{headers}\n{signed}\nUNSIGNED-PAYLOAD", query.join("&"))
}

/// Returns the signature of a canonical request.
fn sign(secret: &str, canonical_request: &str, date: &str, scope: &str) -> String {
    let digest = hex(&Sha256::digest(canonical_request.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        key = mac(&key, part);
    }
    hex(&mac(&key, &to_sign))
}

fn refuse(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{}</RequestId></Error>",
        &random()[..16]
    );
    Answer::new(status, "application/xml", body).header("connection", "close")
}

/// Returns the refusal of an invalid presigned request, or `None`.
fn validate(head: &Head) -> Option<Answer> {
    let query = head.uri.query().unwrap_or_default();
    let get = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let (Some(date), Some(expires), Some(signed), Some(signature), Some(credential)) = (
        get("X-Amz-Date"),
        get("X-Amz-Expires"),
        get("X-Amz-SignedHeaders"),
        get("X-Amz-Signature"),
        get("X-Amz-Credential"),
    ) else {
        return Some(refuse(403, "AccessDenied", "Access Denied"));
    };
    let issued = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").ok().map(|time| time.and_utc());
    let (Some(issued), Ok(expires)) = (issued, expires.parse::<i64>()) else {
        return Some(refuse(400, "AuthorizationQueryParametersError", "X-Amz-Date or X-Amz-Expires is invalid"));
    };
    if get("X-Amz-Algorithm") != Some("AWS4-HMAC-SHA256") {
        return Some(refuse(400, "AuthorizationQueryParametersError", "X-Amz-Algorithm is not AWS4-HMAC-SHA256"));
    }
    let credential = percent_decode_str(credential).decode_utf8_lossy();
    let (key, scope) = credential.split_once('/').unwrap_or((&*credential, ""));
    if key != ACCESS_KEY {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        return Some(refuse(403, "InvalidAccessKeyId", message));
    }
    if scope != format!("{}/{REGION}/s3/aws4_request", date.get(..8).unwrap_or_default()) {
        return Some(refuse(400, "AuthorizationQueryParametersError", "Error parsing the X-Amz-Credential parameter"));
    }
    let signed = percent_decode_str(signed).decode_utf8_lossy();
    let mut lines = String::new();
    for name in signed.split(';') {
        lines.push_str(&format!("{name}:{}\n", header(head, name).unwrap_or_default().trim()));
    }
    let request = canonical_request(head.method.as_str(), head.uri.path(), query, &lines, &signed);
    if sign(SECRET_KEY, &request, date, scope) != signature || !signed.split(';').any(|name| name == "host") {
        let message = "The request signature we calculated does not match the signature you provided.";
        return Some(refuse(403, "SignatureDoesNotMatch", message));
    }
    if Utc::now().signed_duration_since(issued).num_seconds() > expires {
        return Some(refuse(403, "AccessDenied", "Request has expired"));
    }
    let unsigned = head.headers.keys().any(|name| {
        (name.as_str().starts_with("x-amz-") || name == "authorization")
            && !signed.split(';').any(|s| s == name.as_str())
    });
    if unsigned {
        let message = "There were headers present in the request which were not signed";
        return Some(refuse(403, "AccessDenied", message));
    }
    if head.headers.contains_key("transfer-encoding") {
        let message = "A header you provided implies functionality that is not implemented: Transfer-Encoding";
        return Some(refuse(501, "NotImplemented", message));
    }
    match declared(head) {
        None => Some(refuse(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")),
        Some(length) if length > MOST => {
            Some(refuse(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"))
        }
        Some(_) => None,
    }
}

pub(super) async fn serve(state: &State, head: &Head, body: &mut Received<'_>) -> io::Result<Answer> {
    if head.method != "PUT" {
        return Ok(refuse(405, "MethodNotAllowed", "The specified method is not allowed against this resource."));
    }
    if let Some(refusal) = validate(head) {
        return Ok(refusal);
    }
    let faults = &state.faults;
    if faults.take("put-503") {
        return Ok(refuse(503, "SlowDown", "Please reduce your request rate."));
    }
    if faults.take("put-307") {
        let again = format!("{}{}", state.base, head.uri);
        return Ok(refuse(307, "TemporaryRedirect", "Please re-send this request.").header("location", again));
    }
    if faults.take("early-2xx") {
        return Ok(Answer::text(200, ""));
    }
    if faults.take("put-stall") {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    if faults.take("put-403-early") {
        body.some(64 << 10).await?;
        return Ok(refuse(403, "AccessDenied", "Access Denied"));
    }
    if faults.take("put-reset") {
        body.some(64 << 10).await?;
        return cut();
    }
    let mut md5 = Md5::new();
    let mut lines = Lines::default();
    let mut csv = Csv::default();
    while let Some(data) = body.next().await? {
        md5.update(&data);
        lines.feed(&data, |line| csv.line(line));
    }
    csv.end(lines.rest());
    body.note("records", json!(csv.records()));
    if let Some(wrong) = csv.wrong() {
        body.note("wrong", json!(wrong));
    }
    state.clevertap.stored(head.uri.path(), body.digest(), body.received(), csv);
    if faults.take("put-lost") {
        return cut();
    }
    Ok(Answer::text(200, "").header("etag", format!("\"{}\"", hex(&md5.finalize()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_documented_example() {
        // the GET example of the S3 documentation, with its published key
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0\
                     &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                     &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host";
        let request = canonical_request("GET", "/test.txt", query, "host:examplebucket.s3.amazonaws.com\n", "host");
        let scope = "20130524/us-east-1/s3/aws4_request";
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let signature = sign(secret, &request, "20130524T000000Z", scope);
        assert_eq!(signature, "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    }
}
