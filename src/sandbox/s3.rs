//! Storage behind presigned URLs: signature version 4 issued and verified, and what S3 refuses refused with S3's XML.

use super::State;
use super::clevertap::Csv;
use super::digest::hex;
use super::http::{Answer, Head, Received, cut, declared, header, random};
use super::rows::Lines;
use chrono::{DateTime, NaiveDateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io;
use std::time::Duration;

const ACCESS_KEY: &str = "AKIASANDBOX";
const SECRET_KEY: &str = "sandbox/secret/for/loopback/only";
const REGION: &str = "us-east-1";
/// The largest object of one PUT.
const MOST: u64 = 5 << 30;

/// A presigned URL for a PUT, and its path.
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
    let signature = sign(&path, &query, &format!("host:{host}\n"), "host", &date, &scope);
    (format!("{base}{path}?{query}&X-Amz-Signature={signature}"), path)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The signature over path, query (signature left out), signed headers.
fn sign(path: &str, query: &str, headers: &str, signed: &str, date: &str, scope: &str) -> String {
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    pairs.sort_unstable();
    let canonical = format!("PUT\n{path}\n{}\n{headers}\n{signed}\nUNSIGNED-PAYLOAD", pairs.join("&"));
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
    let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
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

/// What is wrong with a presigned request; `None`: nothing.
fn judge(head: &Head) -> Option<Answer> {
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
    let credential = credential.replace("%2F", "/");
    let scope = credential.split_once('/').map_or("", |(_, scope)| scope);
    let mut canonical = String::new();
    for name in signed.replace("%3B", ";").split(';') {
        canonical.push_str(&format!("{name}:{}\n", header(head, name).unwrap_or_default().trim()));
    }
    if sign(head.uri.path(), query, &canonical, signed, date, scope) != signature {
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
    if let Some(refusal) = judge(head) {
        return Ok(refusal);
    }
    let faults = &state.faults;
    if faults.take("put-503") {
        return Ok(refuse(503, "SlowDown", "Please reduce your request rate."));
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
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_vec();
        for part in ["20130524", "us-east-1", "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        let to_sign = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04";
        assert_eq!(hex(&mac(&key, to_sign)), "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    }
}
