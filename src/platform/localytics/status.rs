//! The answer to an upload, and the status of what became of it.

use super::account::Account;
use super::tolerant;
use crate::calls::scrub::said;
use crate::calls::{Call, Remote, Reply, RetrySafety, Waiting, quoted};
use crate::error::{Error, Kind, Result};
use crate::secret::printable;
use crate::transport::Answer;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Judges the answer to an upload: any 2xx that carries an activity id is success, whatever else it says.
pub(super) fn judge_upload(what: &str, answer: &Answer) -> Reply {
    if !(200..300).contains(&answer.status) {
        return Reply::by_status(what, answer);
    }
    match tolerant::read(&answer.body).as_ref().and_then(|value| tolerant::word(&value["activity_id"])) {
        Some(id) => Reply::Done(json!({ "activity_id": id })),
        None => Reply::Unclear(Error::new(
            Kind::Transient,
            format!("{what}: answered with status {} but without an activity id that can be read", answer.status),
        )),
    }
}

/// How an import ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// False: `Failed`.
    pub(super) completed: bool,
    /// Rows that Localytics says failed; `None`: it does not say.
    pub(super) failed_rows: Option<u64>,
    /// Why it failed, as answered.
    pub(super) reason: Option<String>,
    /// Where the failed rows are told, as answered: with or without scheme, perhaps with a signature.
    pub(super) error_log: Option<String>,
    /// What was answered, for the report; the signature of `error_log` cut.
    pub(super) shown: Value,
}

impl Ended {
    fn read(value: &Value) -> Ended {
        let status = value["status"].as_str().unwrap_or_default();
        let statistics = &value["upload_statistics"];
        let failed = ["failed_imports", "failed_lines"].iter().find_map(|key| tolerant::count(&statistics[*key]));
        let error_log = tolerant::word(&value["error_log"]);
        let mut shown = value.as_object().cloned().unwrap_or_default();
        if let Some(url) = &error_log {
            shown.insert("error_log".to_owned(), crate::secret::redacted_url(url).into());
        }
        Ended {
            completed: status.trim().eq_ignore_ascii_case("completed"),
            failed_rows: failed,
            reason: tolerant::word(&value["error_reason"]),
            error_log,
            shown: Value::Object(shown),
        }
    }

    /// Counters that contradict each other, in words. The vendor's own samples do not add up, so it is no more than a word.
    pub(super) fn doubts(&self) -> Option<String> {
        let statistics = &self.shown["upload_statistics"];
        if self.completed && !statistics.is_object() {
            return Some("Localytics reports completion without any counts".to_owned());
        }
        let count = |key: &str| tolerant::count(&statistics[key]);
        let (done, failed) = (count("successful_imports")?, count("failed_imports")?);
        let total = count("total_number_of_imports")?;
        (done + failed != total)
            .then(|| format!("Localytics' counts do not add up: {done} successful and {failed} failed of {total}"))
    }
}

/// Asks until the import of a part has ended. `path` is before the activity id.
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
        *reason = said(&request, reason);
        ended.shown["error_reason"] = json!(reason);
    }
    // the journal forgets the signature; the log is fetched with what is in memory
    if ended.error_log.is_some() && ended.shown["error_log"] != json!(ended.error_log) {
        remote.record(&step, &ended.shown)?;
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
    let word = value["status"].as_str().unwrap_or_default().trim().to_owned();
    match word.to_ascii_lowercase().as_str() {
        "completed" | "failed" => Reply::Done(lean(value)),
        "pending" | "running" => Reply::Retry(not_yet(format!("{WHAT}: {word}"))),
        _ => Reply::Strange(not_yet(format!("{WHAT}: unknown word \"{}\"", printable(&word)))),
    }
}

/// What is kept of a final status: the documented keys, not all that came.
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
            let Reply::Done(value) = judge_upload("x", &answer(status, body)) else { panic!("{body}") };
            assert_eq!(value["activity_id"], "a-1");
        }
        for body in ["", "ok", "{}", r#"{"activity_id": ""#, r#"{"activity_id": null}"#] {
            assert!(matches!(judge_upload("x", &answer(202, body)), Reply::Unclear(_)), "{body}");
        }
        assert!(matches!(judge_upload("x", &answer(429, "")), Reply::Retry(_)));
        assert!(matches!(judge_upload("x", &answer(404, "")), Reply::Fail(_)));
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
        assert!(profiles.completed && profiles.failed_rows == Some(1) && profiles.doubts().is_none());
        assert!(profiles.error_log.as_deref().unwrap().contains("zz"));
        assert!(!profiles.shown.to_string().contains("zz"));
        let audience = read(
            r#"{"status":"Completed","app_uuid":"abcde","upload_statistics":{"total_lines":"1","audience_id":"999","audience_list_id":"3","failed_lines":"3","successful_lines":"500"}}"#,
        );
        assert_eq!(
            (audience.failed_rows, &audience.shown["upload_statistics"]["audience_list_id"]),
            (Some(3), &json!("3"))
        );
        assert!(!read(r#"{"status":" failed "}"#).completed);
        let bare = read(r#"{"status":"Completed","error_reason":null}"#);
        assert!(bare.doubts().is_some() && bare.failed_rows.is_none() && bare.reason.is_none());
    }
}
