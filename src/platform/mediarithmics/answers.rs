//! Interprets the answers of mediarithmics: an envelope `{"status":"ok","data":…}`, read leniently.

use crate::calls::quoted_text;
use crate::calls::{Reply, count, quoted, read_json, shown, word};
use crate::error::{Error, Kind};
use crate::secret::printable;
use crate::transport::Answer;
use serde_json::{Value, json};

/// Classifies the answer to a creating call: success is a 2xx with an id in its data.
pub(super) fn classify_created(what: &str, answer: &Answer) -> Reply {
    if !(200..300).contains(&answer.status) {
        return Reply::by_status(what, answer);
    }
    let Some(value) = read_json(&answer.body) else {
        return unclear(what, answer, "an unreadable answer");
    };
    if value["status"].as_str().is_some_and(|status| status.eq_ignore_ascii_case("error")) {
        let says = word(&value["error"]).or_else(|| word(&value["message"])).unwrap_or_default();
        let says = if says.is_empty() { quoted(answer) } else { quoted_text(&says) };
        let error = Error::new(Kind::Refused, format!("{what}: refused: {says}")).with_answer(shown(answer));
        return Reply::Fail(
            error.with_hint("correct the destination or the map as mediarithmics says, then run the job again"),
        );
    }
    match word(&value["data"]["id"]) {
        Some(id) => Reply::Done(json!({"id": id})),
        None => unclear(what, answer, "an answer without an id"),
    }
}

fn unclear(what: &str, answer: &Answer, how: &str) -> Reply {
    Reply::Unclear(Error::new(Kind::Transient, format!("{what}: status {} with {how}", answer.status)))
}

/// The state of an execution in the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Final; contains what is kept of it.
    Ended(Value),
    /// Not yet final.
    Running(String),
    /// An undocumented word.
    Unknown(String),
    /// Not on this page.
    NotHere {
        /// The total number of executions, if the answer contains it.
        total: Option<u64>,
        /// The number of executions on this page.
        listed: u64,
    },
}

/// Returns the ids of the executions on a page of the list.
pub(super) fn ids(page: &[u8]) -> Option<Vec<String>> {
    let value = read_json(page)?;
    Some(value["data"].as_array()?.iter().filter_map(|execution| word(&execution["id"])).collect())
}

/// Searches a page of the list for an execution.
pub(super) fn find(page: &[u8], id: &str) -> Option<Found> {
    let value = read_json(page)?;
    let list = value["data"].as_array()?;
    let Some(execution) = list.iter().find(|execution| word(&execution["id"]).as_deref() == Some(id)) else {
        return Some(Found::NotHere { total: count(&value["total"]), listed: list.len() as u64 });
    };
    let status = execution["status"].as_str().unwrap_or_default().trim().to_ascii_uppercase();
    Some(match status.as_str() {
        "SUCCEEDED" | "SUCCESS" | "FAILED" | "CANCELED" | "CANCELLED" => Found::Ended(json!({
            "id": id,
            "status": status,
            "total_success": counter(&execution["result"]["total_success"]),
            "total_failure": counter(&execution["result"]["total_failure"]),
            "error_file_uri": word(&execution["result"]["error_file_uri"]),
            "message": word(&execution["error"]["message"]).or_else(|| word(&execution["error"])),
        })),
        "PENDING" | "RUNNING" => Found::Running(status),
        _ => Found::Unknown(printable(&status)),
    })
}

/// Returns a counter as a number, or unchanged if it is unreadable.
fn counter(value: &Value) -> Value {
    count(value).map_or_else(|| value.clone(), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_creation_needs_an_id() {
        for body in [r#"{"status":"ok","data":{"id":"7"}}"#, r#"{"data":{"id":7,"new":1}}"#] {
            let Reply::Done(value) = classify_created("x", &answer(200, body)) else { panic!("{body}") };
            assert_eq!(value["id"], "7");
        }
        for body in ["", "ok", "{}", r#"{"status":"ok","data":{}}"#, r#"{"data":{"id":"7"#] {
            assert!(matches!(classify_created("x", &answer(200, body)), Reply::Unclear(_)), "{body}");
        }
        let refused = classify_created("x", &answer(200, r#"{"status":"error","error":"no\u001b such"}"#));
        let Reply::Fail(error) = refused else { panic!() };
        assert!(error.message().contains("no\\u{1b} such") && error.hint().is_some());
        assert!(matches!(classify_created("x", &answer(503, "")), Reply::Retry(_)));
        assert!(matches!(classify_created("x", &answer(500, "")), Reply::Unclear(_)));
        assert!(matches!(classify_created("x", &answer(400, "")), Reply::Fail(_)));
    }

    #[test]
    fn an_execution_is_found_by_its_id() {
        let page = br#"{"total":2,"data":[{"id":"2","status":"RUNNING"},{"id":1,"status":"Succeeded","result":{"total_success":"9","total_failure":1,"error_file_uri":"mics://e"}}]}"#;
        assert_eq!(find(page, "2"), Some(Found::Running("RUNNING".to_owned())));
        let Some(Found::Ended(value)) = find(page, "1") else { panic!() };
        assert_eq!((&value["total_success"], &value["total_failure"]), (&json!(9), &json!(1)));
        let weird = br#"{"data":[{"id":"3","status":"we\u001bird"},{"id":4}]}"#;
        assert_eq!(find(weird, "3"), Some(Found::Unknown("WE\\u{1b}IRD".to_owned())));
        assert_eq!(find(weird, "4"), Some(Found::Unknown(String::new())));
        assert_eq!(find(page, "3"), Some(Found::NotHere { total: Some(2), listed: 2 }));
        assert_eq!(find(b"<html>", "3"), None);
        assert_eq!((ids(page), ids(b"<html>")), (Some(vec!["2".to_owned(), "1".to_owned()]), None));
    }
}
