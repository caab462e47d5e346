//! JSON Schema of the report.

use super::report::Status;
use crate::error::Kind;
use crate::warning::WarningKind;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Returns the JSON Schema (2020-12) of the report: the output of `--output json`, and each element of `runs --output
/// json`.
///
/// ```
/// let schema = listferry::job::report_schema();
/// assert_eq!(schema["properties"]["records"]["type"], "object");
/// ```
#[must_use]
pub fn report_schema() -> Value {
    let mut schema = object(&[
        ("run_id", text("The id of the run; null if none was started.", true)),
        ("command", text("The command: run, check, convert, …", false)),
        ("platform", text("The destination's platform.", true)),
        ("status", one_of("How the command ended; null if nothing was tried.", statuses())),
        ("exit_code", one_of("The exit code of the process; null while it runs.", exit_codes())),
        ("job", text("The name of the job.", true)),
        ("job_file", text("The job file, absolute; null if the job was not read from a file.", true)),
        ("started_at", moment("When the command started.")),
        ("ended_at", moment("When the command ended.")),
        ("version", text("The version of listferry.", false)),
        ("sandbox", flag("The platform was the sandbox.")),
        ("continued", flag("An earlier run was continued, or this is its stored report.")),
        ("unchanged", flag("The list was that of the last done run, and was not sent again.")),
        ("open", flag("The run has not ended: the next run of the job has to take account of it.")),
        ("records", records()),
        ("reject_reasons", counts_by_code()),
        (
            "bytes",
            object(&[
                ("source", count("Bytes of the source, as stored.")),
                ("body", count("Bytes of all parts, without framing.")),
            ]),
        ),
        ("digest", digest()),
        ("parts", list("The parts in order.", part())),
        ("platform_result", json!({ "description": "The platform's response.", "type": "object" })),
        ("rejects_file", text("The file of the rejected rows, absolute.", true)),
        ("error", error()),
        ("errors", list("All errors that were found together, in the order of their places.", found())),
        ("warnings", list("Findings that deserve attention but fail nothing.", warning())),
        ("seconds", object(&[("measure", seconds()), ("upload", seconds()), ("wait", seconds())])),
        ("peak_rss_bytes", count("Greatest resident memory of the process; 0 if unknown.")),
    ]);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "listferry report".into();
    // after a usage error only these two are certain
    let all = std::mem::replace(&mut schema["required"], json!(["exit_code", "error"]));
    let of = |code: Value, then: Value| json!({ "if": { "properties": { "exit_code": code }, "required": ["exit_code"] }, "then": then });
    let others: Vec<Value> = exit_codes().into_iter().filter(|code| *code != Kind::Usage.exit_code()).collect();
    let succeeded = json!({ "properties": { "error": { "type": "null" } } });
    schema["allOf"] =
        json!([of(json!({ "enum": others }), json!({ "required": all })), of(json!({ "const": 0 }), succeeded)]);
    schema
}

/// A mapping with exactly these keys.
fn object(keys: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = keys.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn records() -> Value {
    let theirs = |doc| json!({ "description": doc, "type": ["integer", "null"], "minimum": 0 });
    object(&[
        ("read", count("Records of the source: written + filtered + rejected.")),
        ("written", count("Records in the output.")),
        ("filtered", count("Records left out by where or by the platform's row.")),
        ("rejected", count("Records that are not valid.")),
        ("failed", theirs("Rows that the platform refused, as it counts them; null if it gives no counts.")),
        ("ignored", theirs("Rows that the platform ignored, as it counts them; null if it gives no counts.")),
        ("unaccounted", theirs("Rows that were sent and are in none of the platform's counts; null if it gives none.")),
    ])
}

fn part() -> Value {
    object(&[
        ("index", count("From 0.")),
        ("bytes", count("Number of content bytes.")),
        ("records", count("Number of records.")),
        ("attempts", count("How often sending its body was started.")),
        ("remote_id", json!({ "description": "The platform's id of the part.", "type": ["string", "null"] })),
    ])
}

fn found() -> Value {
    let kinds = Kind::ALL.iter().map(|kind| Value::from(kind.name())).collect();
    let number = |doc: &str| json!({ "description": doc, "type": ["integer", "null"], "minimum": 1 });
    object(&[
        ("kind", one_of("The kind of error.", kinds)),
        ("message", text("What is wrong.", false)),
        ("hint", text("What to do.", true)),
        ("file", text("The file: the job file, or one of the source.", true)),
        ("line", number("The line, from 1.")),
        ("column", number("The character in the line, from 1; for job files only.")),
    ])
}

fn error() -> Value {
    let kinds = Kind::ALL.iter().map(|kind| Value::from(kind.name())).collect();
    let mut error = object(&[
        ("kind", one_of("The kind of error.", kinds)),
        ("message", text("What is wrong, and where.", false)),
        ("hint", text("What to do.", true)),
    ]);
    error["type"] = json!(["object", "null"]);
    error
}

fn warning() -> Value {
    let kinds = WarningKind::ALL.iter().map(|kind| Value::from(kind.name())).collect();
    let number = |doc| json!({ "description": doc, "type": ["integer", "null"], "minimum": 0 });
    object(&[
        ("kind", one_of("The kind of warning.", kinds)),
        ("message", text("The finding, for people.", false)),
        ("column", text("The source column.", true)),
        ("count", number("Number of records, values or rows affected.")),
        ("first_record", number("The first such record in its file, from 1 without the header.")),
        ("hint", text("What to do.", true)),
    ])
}

fn statuses() -> Vec<Value> {
    let listed = ["running", "superseded", "abandoned"];
    Status::ALL.iter().map(|status| status.name()).chain(listed).map(Value::from).chain([Value::Null]).collect()
}

fn exit_codes() -> Vec<Value> {
    let codes: BTreeSet<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).chain([0]).collect();
    codes.into_iter().map(Value::from).chain([Value::Null]).collect()
}

fn counts_by_code() -> Value {
    json!({
        "description": "Rejected records by code.",
        "type": "object",
        "additionalProperties": { "type": "integer", "minimum": 1 },
    })
}

fn digest() -> Value {
    json!({
        "description": "CRC-64/NVME of the output of all parts in order.",
        "type": ["string", "null"],
        "pattern": "^crc64nvme:[0-9a-f]{16}$",
    })
}

fn moment(doc: &str) -> Value {
    json!({ "description": doc, "type": ["string", "null"], "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$" })
}

fn text(doc: &str, nullable: bool) -> Value {
    json!({ "description": doc, "type": if nullable { json!(["string", "null"]) } else { json!("string") } })
}

fn one_of(doc: &str, values: Vec<Value>) -> Value {
    json!({ "description": doc, "enum": values })
}

fn flag(doc: &str) -> Value {
    json!({ "description": doc, "type": "boolean" })
}

fn count(doc: &str) -> Value {
    json!({ "description": doc, "type": "integer", "minimum": 0 })
}

fn seconds() -> Value {
    json!({ "type": "number", "minimum": 0 })
}

fn list(doc: &str, items: Value) -> Value {
    json!({ "description": doc, "type": "array", "items": items })
}
