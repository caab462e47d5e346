//! The answer to an upload, and the status of its import.

use super::account::Account;
use super::tolerant;
use crate::calls::{Call, Remote, Reply, RetrySafety, Waiting, count, expired, quoted, word};
use crate::error::{Error, Kind, Result};
use crate::platform::{Counts, PartEnd};
use crate::secret::printable;
use crate::transport::Answer;
use crate::warning::{Warning, WarningKind};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Classifies the answer to an upload: any 2xx with an activity id is success, whatever else it contains.
pub(super) fn classify_upload(what: &str, answer: &Answer) -> Reply {
    if !(200..300).contains(&answer.status) {
        return Reply::by_status(what, answer);
    }
    match tolerant::read(&answer.body).as_ref().and_then(|value| word(&value["activity_id"])) {
        Some(id) => Reply::Done(json!({ "activity_id": id })),
        None => Reply::Unclear(Error::new(
            Kind::Transient,
            format!("{what}: answered with status {} but without a readable activity id", answer.status),
        )),
    }
}

/// The end of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) end: PartEnd,
    /// Localytics' counts.
    pub(super) counts: Counts,
    /// The reason of a failure, as answered.
    pub(super) reason: Option<String>,
    /// Address of the list of failed rows, as answered: with or without scheme, perhaps with a signature.
    pub(super) error_log: Option<String>,
    /// The answer for the report, without the signature of `error_log`.
    pub(super) shown: Value,
}

/// The counters of profiles and of audiences.
const IMPORTED: [&str; 2] = ["successful_imports", "successful_lines"];
const FAILED: [&str; 2] = ["failed_imports", "failed_lines"];

impl Ended {
    fn read(value: &Value) -> Ended {
        let status = value["status"].as_str().unwrap_or_default();
        let counter = |names: [&str; 2]| names.iter().find_map(|name| count(&value["upload_statistics"][*name]));
        let error_log = word(&value["error_log"]);
        let mut shown = value.as_object().cloned().unwrap_or_default();
        if let Some(url) = &error_log {
            shown.insert("error_log".to_owned(), crate::secret::redacted_url(url).into());
        }
        Ended {
            end: match expired(value) {
                true => PartEnd::Expired,
                false if status.trim().eq_ignore_ascii_case("completed") => PartEnd::Imported,
                false => PartEnd::Failed,
            },
            counts: Counts { imported: counter(IMPORTED), failed: counter(FAILED), ignored: None },
            reason: word(&value["error_reason"]),
            error_log,
            shown: Value::Object(shown),
        }
    }

    /// Returns a warning if counters are missing or unreadable.
    fn no_counts(&self) -> Option<Warning> {
        let statistics = &self.shown["upload_statistics"];
        let unreadable = IMPORTED.iter().chain(&FAILED).find(|name| {
            let value = &statistics[**name];
            !value.is_null() && count(value).is_none()
        });
        let message = match (self.end, unreadable, self.counts) {
            (PartEnd::Expired, ..) => return None,
            (_, Some(name), _) => format!("Localytics' counter {name} cannot be read"),
            (PartEnd::Imported, None, Counts { imported: None, failed: None, .. }) => {
                "Localytics reports completion without any counts".to_owned()
            }
            _ => return None,
        };
        let hint = "the number of imported rows is unknown: look at the import in the Localytics dashboard";
        Some(Warning::new(WarningKind::NoCounts, message).with_hint(hint))
    }

    /// Describes counters that contradict each other. This is only a note, since the vendor's own samples do not add
    /// up.
    fn doubts(&self) -> Option<String> {
        let (done, failed) = (self.counts.imported?, self.counts.failed?);
        let total = count(&self.shown["upload_statistics"]["total_number_of_imports"])?;
        (done.checked_add(failed) != Some(total))
            .then(|| format!("Localytics' counts do not add up: {done} successful and {failed} failed of {total}"))
    }
}

/// Polls until the import of a part has ended. `path` precedes the activity id.
pub(super) async fn wait(
    account: &Account,
    remote: &Remote<'_>,
    part: usize,
    path: &str,
    id: &str,
    waiting: Waiting,
) -> Result<Ended> {
    let id = percent_encoding::utf8_percent_encode(id, super::PATH_PART);
    let request = account.request("GET", &format!("{path}{id}"));
    let limit = account.quota("status", 60, Duration::from_secs(60));
    let step = format!("status/{part}");
    let operation = Call::new(step.as_str(), RetrySafety::Always).with_quota(limit);
    let mut ended = Ended::read(&remote.poll(&operation, &request, waiting, &judge_status).await?);
    if let Some(reason) = &mut ended.reason {
        *reason = remote.said(reason);
        ended.shown["error_reason"] = json!(reason);
    }
    // the journal drops the signature; the log is fetched with the URL in memory
    if ended.error_log.is_some() && ended.shown["error_log"] != json!(ended.error_log) {
        remote.record(&step, &ended.shown)?;
    }
    if let Some(warning) = ended.no_counts() {
        remote.warn(&warning)?;
    }
    if let Some(text) = ended.doubts() {
        remote.note(&text)?;
    }
    Ok(ended)
}

fn judge_status(answer: &Answer) -> Reply {
    const WHAT: &str = "Localytics import status";
    if !(200..300).contains(&answer.status) {
        return Reply::by_status(WHAT, answer);
    }
    let not_yet = |text: String| Error::new(Kind::Pending, text);
    let Some(value) = tolerant::read(&answer.body) else {
        return Reply::Strange(not_yet(format!("{WHAT}: the answer cannot be read: {}", quoted(answer))));
    };
    let status = value["status"].as_str().unwrap_or_default().trim().to_owned();
    match status.to_ascii_lowercase().as_str() {
        "completed" | "failed" => Reply::Done(lean(value)),
        "pending" | "running" => Reply::Retry(not_yet(format!("{WHAT}: {status}"))),
        _ => Reply::Strange(not_yet(format!("{WHAT}: unknown word \"{}\"", printable(&status)))),
    }
}

/// Returns the documented keys of a final status.
fn lean(value: Value) -> Value {
    const KEYS: [&str; 9] = [
        "status",
        "upload_statistics",
        "error_log",
        "error_reason",
        "target",
        "scope",
        "scopet",
        "app_uuid",
        "created_at",
    ];
    let Value::Object(map) = value else { return Value::Null };
    let kept = map.into_iter().filter(|(key, value)| KEYS.contains(&key.as_str()) && !value.is_null());
    Value::Object(kept.collect::<Map<String, Value>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn an_upload_is_taken_by_any_2xx_with_an_activity_id() {
        for (status, body) in [(202, r#"{"activity_id": "a-1"}"#), (200, r#"{“activity_id”:“a-1”,}"#)] {
            let Reply::Done(value) = classify_upload("x", &answer(status, body)) else { panic!("{body}") };
            assert_eq!(value["activity_id"], "a-1");
        }
        for body in ["", "ok", "{}", r#"{"activity_id": ""#, r#"{"activity_id": null}"#] {
            assert!(matches!(classify_upload("x", &answer(202, body)), Reply::Unclear(_)), "{body}");
        }
        assert!(matches!(classify_upload("x", &answer(429, "")), Reply::Retry(_)));
        assert!(matches!(classify_upload("x", &answer(404, "")), Reply::Fail(_)));
    }

    #[test]
    fn an_unknown_word_is_asked_about_again_and_noted() {
        for (body, noted) in [
            (r#"{"status":"Pending"}"#, false),
            (r#"{"status": "Running" ... }"#, false),
            (r#"{"status":"Paused"}"#, true),
            ("not json", true),
            (r#"{"state":"x"}"#, true),
        ] {
            let strange = match judge_status(&answer(200, body)) {
                Reply::Retry(_) => false,
                Reply::Strange(_) => true,
                other => panic!("{other:?}"),
            };
            assert_eq!(strange, noted, "{body}");
        }
    }

    #[test]
    fn the_end_is_read_from_both_samples() {
        let read = |body: &str| match judge_status(&answer(200, body)) {
            Reply::Done(value) => Ended::read(&value),
            other => panic!("{other:?}"),
        };
        let profiles = read(
            r#"{ "status": "Completed", "error_log": "h/e.json?X-Amz-Signature=zz", "scopet": {"org_id": 1234}, "upload_statistics": { "successful_imports": 99, "parsed_imports": 99, "failed_imports": 1, "total_number_of_imports": 100, } }"#,
        );
        assert!(profiles.end == PartEnd::Imported && profiles.doubts().is_none() && profiles.no_counts().is_none());
        assert_eq!(profiles.counts, Counts { imported: Some(99), failed: Some(1), ignored: None });
        assert!(profiles.error_log.as_deref().unwrap().contains("zz"));
        assert!(!profiles.shown.to_string().contains("zz"));
        let audience = read(
            r#"{"status":"Completed","app_uuid":"abcde","upload_statistics":{"total_lines":"1","audience_id":"999","audience_list_id":"3","failed_lines":"3","successful_lines":"500"}}"#,
        );
        assert_eq!(
            (audience.counts, &audience.shown["upload_statistics"]["audience_list_id"]),
            (Counts { imported: Some(500), failed: Some(3), ignored: None }, &json!("3"))
        );
        assert_eq!(read(r#"{"status":" failed "}"#).end, PartEnd::Failed);
        let bare = read(r#"{"status":"Completed","error_reason":null}"#);
        assert!(bare.counts == Counts::default() && bare.reason.is_none());
    }

    #[test]
    fn counters_that_are_missing_or_unreadable_are_a_warning() {
        let warned = |statistics: &str| {
            let body = format!(r#"{{"status":"Completed","upload_statistics":{statistics}}}"#);
            let Reply::Done(value) = judge_status(&answer(200, &body)) else { panic!("{body}") };
            let ended = Ended::read(&value);
            (ended.counts.failed, ended.no_counts().map(|warning| warning.kind))
        };
        for statistics in ["null", "{}", "[]", r#"{"total_number_of_imports": 5}"#] {
            assert_eq!(warned(statistics), (None, Some(WarningKind::NoCounts)), "{statistics}");
        }
        assert_eq!(warned(r#"{"failed_imports": 1.0}"#), (Some(1), None), "an integral form is a counter");
        assert_eq!(warned(r#"{"failed_imports": "1,000"}"#), (Some(1000), None));
        let unreadable = r#"{"successful_imports": 5, "failed_imports": 1e3}"#;
        assert_eq!(warned(unreadable), (None, Some(WarningKind::NoCounts)));
    }
}
