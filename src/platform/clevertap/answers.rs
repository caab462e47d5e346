//! Interprets the answers of CleverTap and its storage, as documented and as seen.

use super::lenient::straightened;
use crate::calls::{Reply, quoted, read_json, shown};
use crate::error::{Error, Kind};
use crate::transport::Answer;
use serde_json::{Map, Value, json};

/// Classifies the answer to the request for a URL; the value is `{"url": …}`.
pub(super) fn url(answer: &Answer) -> Reply {
    let what = "asking CleverTap for an upload URL";
    let later = |text: &str| text.to_ascii_lowercase().contains("come back later");
    let Some(says) = Says::read(answer) else {
        // documented: one line of plain text instead of JSON
        if later(&String::from_utf8_lossy(&answer.body)) && !matches!(answer.status, 401 | 403) {
            return Reply::Retry(passing(what, &quoted(answer), answer));
        }
        return match answer.status {
            200..=299 => Reply::Unclear(passing(what, &format!("invalid JSON: {}", quoted(answer)), answer)),
            _ => Reply::by_status(what, answer),
        };
    };
    if let (200..=299, false, Some(url)) = (answer.status, says.failed(), says.text("presigneds3url")) {
        if url.trim_start().starts_with("https://") || url.trim_start().starts_with("http://") {
            return Reply::Done(json!({ "url": url.trim() }));
        }
        let error = Error::new(Kind::Refused, format!("{what}: the answer contains an invalid URL"));
        return Reply::Fail(
            error.with_hint(
                "check destination.region or base_url, and a proxy on the way; else ask CleverTap's support",
            ),
        );
    }
    let error = says.error();
    match answer.status {
        _ if later(&error) => Reply::Retry(passing(what, &error, answer)),
        200..=299 if says.failed() => Reply::Fail(refusal(what, answer, &says)),
        200..=299 => Reply::Unclear(passing(what, "success without a URL", answer)),
        _ => Reply::by_status_saying(what, answer, &error),
    }
}

/// Classifies the answer of the storage to the PUT.
pub(super) fn put(answer: &Answer) -> Reply {
    let what = "the PUT to the storage";
    let text = String::from_utf8_lossy(&answer.body);
    let code = element(&text, "Code").unwrap_or_default();
    let message = element(&text, "Message").unwrap_or_default();
    // the rest of S3's XML contains the signature and what was signed
    let says = match (code, message) {
        ("", "") if text.contains('<') => String::new(),
        ("", "") => quoted(answer),
        _ => format!("{code}: {message}"),
    };
    match answer.status {
        200..=299 if code.is_empty() => Reply::Done(json!({ "etag": answer.header("etag") })),
        200..=299 => Reply::Unclear(passing(what, &says, answer)),
        400 if matches!(code, "RequestTimeout" | "IncompleteBody" | "BadDigest") => {
            Reply::Unclear(passing(what, &says, answer))
        }
        // another operation on the same object is under way
        409 if matches!(code, "OperationAborted" | "ConditionalRequestConflict") => {
            Reply::Retry(passing(what, &says, answer))
        }
        403 if code == "RequestTimeTooSkewed" => Reply::Fail(
            Error::new(Kind::Credentials, format!("{what}: refused with status 403: {says}"))
                .with_hint("the clock of this machine or of the storage is wrong"),
        ),
        403 => Reply::Fail(
            Error::new(Kind::Credentials, format!("{what}: refused with status 403: {says}"))
                .with_hint("CleverTap signed the URL; ask its support, or look for a proxy that alters requests"),
        ),
        _ => Reply::by_status_saying(what, answer, &says),
    }
}

/// Whether the storage says that the URL has expired.
pub(super) fn url_expired(answer: &Answer) -> bool {
    let text = String::from_utf8_lossy(&answer.body);
    let code = element(&text, "Code").unwrap_or_default();
    match answer.status {
        400 | 403 if matches!(code, "ExpiredToken" | "TokenRefreshRequired") => true,
        403 => element(&text, "Message").unwrap_or(&text).to_ascii_lowercase().contains("expired"),
        _ => false,
    }
}

/// Classifies the answer to "completed"; the value is `{"segment_id": …}`. `again`: the user ordered the call a second
/// time after its first answer was lost.
pub(super) fn completed(answer: &Answer, again: bool) -> Reply {
    let what = "telling CleverTap that the list is complete";
    let Some(says) = Says::read(answer) else {
        return match answer.status {
            // after a creating call, the meaning of such an answer is unknown
            200..=299 => Reply::Unclear(passing(what, &format!("invalid JSON: {}", quoted(answer)), answer)),
            _ => Reply::by_status(what, answer),
        };
    };
    let id = says.get("segmentid").filter(|id| id.as_str().is_none_or(|id| !id.trim().is_empty()));
    if let (200..=299, false, Some(id)) = (answer.status, says.failed(), id) {
        return Reply::Done(json!({ "segment_id": id }));
    }
    let error = says.error();
    let lower = says.reason();
    if again && lower.contains("previously used url") {
        return Reply::Done(json!({ "segment_id": null, "confirmed": "the URL had been used by the first call" }));
    }
    // the documented refusals are final, with any status code
    let known = ["invalid url", "mandatory", "valid admin", "previously used url", "duplicate"];
    if answer.status != 429 && known.iter().any(|text| lower.contains(text)) {
        return Reply::Fail(refusal(what, answer, &says).into_kind(Kind::Refused));
    }
    match answer.status {
        200..=299 if says.failed() => Reply::Fail(refusal(what, answer, &says)),
        200..=299 => Reply::Unclear(passing(what, "success without a segment id", answer)),
        _ => Reply::by_status_saying(what, answer, &error),
    }
}

fn passing(what: &str, says: &str, answer: &Answer) -> Error {
    let error = Error::new(Kind::Transient, format!("{what}: answered with status {}: {says}", answer.status));
    match answer.retry_after() {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

/// Returns the error for a `fail` with a status that does not classify it.
fn refusal(what: &str, answer: &Answer, says: &Says) -> Error {
    let text = says.error();
    let lower = says.reason();
    let code = says.get("code").and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
    let account = ["passcode", "account id", "unauthori", "credential"].iter().any(|word| lower.contains(word));
    let error = format!("{what}: refused with status {}: {text}", answer.status);
    if account || matches!(code, Some(401 | 403)) {
        return Error::new(Kind::Credentials, error)
            .with_hint("check destination.account_id, passcode and region")
            .with_answer(shown(answer));
    }
    let hint = match lower {
        text if text.contains("valid admin") => {
            "destination.email must be the e-mail address of an admin of the account"
        }
        text if text.contains("previously used url") => {
            "the upload URL was used before; abandon the run with `listferry runs close`, and run the job again"
        }
        text if text.contains("duplicate") => "choose another destination.segment, or set destination.replace: true",
        _ => "correct the destination as CleverTap's message says, and run the job again",
    };
    Error::new(Kind::Refused, error).with_hint(hint).with_answer(shown(answer))
}

/// A JSON answer, its keys without case, spaces and underscores.
struct Says {
    keys: Map<String, Value>,
}

impl Says {
    fn read(answer: &Answer) -> Option<Says> {
        let text = String::from_utf8_lossy(&answer.body);
        let text = text.trim_start_matches('\u{feff}');
        let value = read_json(text.as_bytes()).or_else(|| read_json(straightened(text).as_bytes()))?;
        let keys = value.as_object()?.iter();
        let plain =
            |key: &str| key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        Some(Says { keys: keys.map(|(key, value)| (plain(key), value.clone())).collect() })
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Returns true unless the status is `success`, or if there is an error without a status.
    fn failed(&self) -> bool {
        match self.text("status") {
            Some(status) => !status.trim().eq_ignore_ascii_case("success"),
            None => self.get("error").is_some(),
        }
    }

    /// Returns the vendor's message and code, in lower case; a refusal is recognised by either.
    fn reason(&self) -> String {
        let code = self.get("code").and_then(Value::as_str).unwrap_or_default();
        format!("{} {code}", self.error()).to_ascii_lowercase()
    }

    /// Returns the vendor's message, or its code if there is no message.
    fn error(&self) -> String {
        let said = ["error", "message", "errormessage", "reason", "code"].iter().find_map(|key| self.get(key));
        match said {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "no reason given".to_owned(),
        }
    }
}

/// Returns the text of the first XML element with this name; good enough for S3's flat errors.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let open = format!("<{name}>");
    let from = text.find(&open)? + open.len();
    let to = from + text[from..].find("</")?;
    Some(text[from..to].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    fn class(reply: &Reply) -> &'static str {
        match reply {
            Reply::Done(_) => "done",
            Reply::Retry(_) => "retry",
            Reply::Strange(_) => "strange",
            Reply::Unclear(_) => "unclear",
            Reply::Fail(error) => error.kind().name(),
        }
    }

    #[test]
    fn the_request_for_a_url_has_these_answers() {
        for (status, body, want) in [
            (200, r#"{"presignedS3URL":"https://s/k?X=1","expiry":"7 May, 01:29 PM","status":"success"}"#, "done"),
            (200, r#"{ "presignedS3URL ": "https://s/k", "status" : "Success",}"#, "done"),
            (200, r#"{"presignedS3URL":"ftp://s/k","status":"success"}"#, "refused"),
            (200, "URL not generated, Please come back later", "retry"),
            (400, "URL not generated, Please come back later", "retry"),
            (500, "URL not generated, Please come back later", "retry"),
            (200, r#"{"status":"fail","error":"URL not generated, Please come back later"}"#, "retry"),
            (200, r#"{"status":"success"}"#, "unclear"),
            (200, "<html>welcome</html>", "unclear"),
            (200, r#"{"status":"fail","Error":"no such feature"}"#, "refused"),
            (200, r#"{"status":"fail","error":"Invalid Passcode"}"#, "credentials"),
            (200, r#"{"status":"fail","error":"no","code":401}"#, "credentials"),
            (401, r#"{"status":"fail","error":"Unauthorized","code":401}"#, "credentials"),
            (403, "", "credentials"),
            (429, "", "retry"),
            (503, r#"{"status":"fail","error":"busy"}"#, "retry"),
            (500, r#"{"status":"fail"}"#, "unclear"),
            (404, "", "refused"),
            (302, "", "refused"),
        ] {
            assert_eq!(class(&url(&answer(status, body))), want, "{status} {body}");
        }
    }

    #[test]
    fn the_storage_has_these_answers() {
        let xml = |code: &str, message: &str| {
            format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message><StringToSign>AWS4 deadbeef</StringToSign></Error>"
            )
        };
        for (status, body, want, expired) in [
            (200, String::new(), "done", false),
            (204, String::new(), "done", false),
            (200, xml("InternalError", "We encountered an internal error."), "unclear", false),
            (403, xml("AccessDenied", "Request has expired"), "credentials", true),
            (400, xml("ExpiredToken", "The provided token has expired."), "refused", true),
            (403, xml("SignatureDoesNotMatch", "The request signature we calculated"), "credentials", false),
            (403, xml("RequestTimeTooSkewed", "The difference is too large"), "credentials", false),
            (400, xml("RequestTimeout", "Your socket connection"), "unclear", false),
            (400, xml("EntityTooLarge", "Your proposed upload exceeds"), "refused", false),
            (409, xml("OperationAborted", "A conflicting conditional operation"), "retry", false),
            (409, xml("InvalidBucketState", "no"), "refused", false),
            (503, xml("SlowDown", "Please reduce your request rate."), "retry", false),
            (500, xml("InternalError", "again"), "unclear", false),
            (501, xml("NotImplemented", "chunked"), "refused", false),
        ] {
            let answer = answer(status, &body);
            assert_eq!((class(&put(&answer)), url_expired(&answer)), (want, expired), "{status} {body}");
        }
    }

    #[test]
    fn the_signature_is_not_quoted() {
        let body =
            "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><StringToSign>secret</StringToSign></Error>";
        let Reply::Fail(error) = put(&answer(403, body)) else { panic!("must fail") };
        assert!(error.message().contains("SignatureDoesNotMatch: no") && !error.message().contains("secret"));
    }

    #[test]
    fn completed_has_these_answers() {
        for (status, body, want) in [
            (200, r#"{"Segment ID": 1598345958, "status": "success"}"#, "done"),
            (200, r#"{"segment_id ": "1598345958", "Status": "SUCCESS"}"#, "done"),
            (200, r#"{"Segment ID": " ", "status": "success"}"#, "unclear"),
            (200, "{\"status\": \"fail\", \"Error\": \u{201c}Invalid URL\u{201d}}", "refused"),
            (200, "{\n\"status\": \"fail\",\n\"Error\": βInvalid URLβ\n}", "refused"),
            (500, "{\"status\": \"fail\", \"Error\": βInvalid URLβ}", "refused"),
            (200, r#"{"status":"fail","code":"duplicate_name","error":"A list of that name exists"}"#, "refused"),
            (500, r#"{"status":"fail","code":"duplicate_name"}"#, "refused"),
            (
                200,
                r#"{"status":"fail","Error":"name, email ID,filename,creator and pre-signed url are mandatory"}"#,
                "refused",
            ),
            (
                401,
                r#"{"status":"fail","Error":"email id is either not in the right format or does not belong to a valid admin"}"#,
                "refused",
            ),
            (500, r#"{"status":"fail","error":"Invalid URL"}"#, "refused"),
            (
                200,
                r#"{"status":"fail","Error":"New file referencing a previously used URL. Please change URL"}"#,
                "refused",
            ),
            (200, r#"{"status":"fail","error":"duplicate_name"}"#, "refused"),
            (401, r#"{"status":"fail","error":"Unauthorized"}"#, "credentials"),
            (200, r#"{"status":"success"}"#, "unclear"),
            (200, "OK", "unclear"),
            (500, "", "unclear"),
            (502, "<html>", "unclear"),
            (503, "", "retry"),
            (429, r#"{"status":"fail","error":"Too many"}"#, "retry"),
            (400, "no", "refused"),
        ] {
            assert_eq!(class(&completed(&answer(status, body), false)), want, "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_by_code_or_in_broken_quotes_says_what_to_do() {
        for (status, body, hint, words) in [
            (200, r#"{"status":"fail","code":"duplicate_name","error":"It exists"}"#, "replace: true", "It exists"),
            (409, r#"{"status":"fail","code":"duplicate_name"}"#, "replace: true", "duplicate_name"),
            (
                200,
                "{\n\"status\": \"fail\",\n\"Error\": βemail id is either not in the right format or does not belong to a valid adminβ\n}",
                "destination.email",
                "a valid admin",
            ),
        ] {
            let Reply::Fail(error) = completed(&answer(status, body), false) else { panic!("must fail: {body}") };
            assert!(error.hint().is_some_and(|text| text.contains(hint)), "{body}: {error}");
            assert!(error.message().ends_with(words), "{body}: {error}");
            assert_eq!(error.answer().map(|shown| &shown["status"]), Some(&json!(status)), "for platform_result");
        }
    }

    #[test]
    fn a_used_url_confirms_the_first_call_only_after_own_doubt() {
        let used =
            answer(200, r#"{"status":"fail","Error":"New file referencing a previously used URL. Please change URL"}"#);
        assert_eq!(class(&completed(&used, true)), "done");
        assert_eq!(class(&completed(&used, false)), "refused");
    }

    #[test]
    fn the_segment_id_comes_as_it_is() {
        let Reply::Done(value) = completed(&answer(200, r#"{"Segment ID":1598345958,"status":"success"}"#), false)
        else {
            panic!("must be done")
        };
        assert_eq!(value, json!({"segment_id": 1_598_345_958}));
        // an id is never rounded
        let long = r#"{"Segment ID":12345678901234567890123,"status":"success"}"#;
        let Reply::Done(value) = completed(&answer(200, long), false) else { panic!("must be done") };
        assert_eq!(value, json!({"segment_id": "12345678901234567890123"}));
    }
}
