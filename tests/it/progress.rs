//! Lines of a command at work: one for each stage and call, progress, and events of the log.

use super::cli::Bed;
use super::cli_runs::{Served, bed};
use serde_json::Value;

/// Runs the job; returns its exit code and what it wrote to stderr.
fn said(bed: &Bed, more: &[&str]) -> (Option<i32>, String) {
    let mut command = bed.command(&[&["run", "job.yaml"], more].concat());
    let output = command.env("CT_ACCOUNT", "acc").env("CT_PASSCODE", "pass").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn events(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn each_stage_and_call_is_a_line_at_v() {
    let served = Served::new(&["put-503"]);
    let bed = bed(&served, "id\n1\n2\n");
    let (code, text) = said(&bed, &["-v"]);
    assert_eq!(code, Some(0), "{text}");
    for wanted in [
        "checked in 0.",
        "2 records, 22 bytes in 1 part, 0 rejected",
        "POST get-url/0: 200 in 0.",
        "PUT part 1/1, 22 bytes: 503 in 0.",
        "PUT part 1/1, 22 bytes: 200 in 0.",
        "POST completed/0: 200 in 0.",
        "sent in ",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains('?'), "no address, whose query is a secret: {text}");
    let (code, text) = said(&bed, &["--set", "name=quiet", "--set", "destination.segment=B"]);
    assert_eq!((code, &*text), (Some(0), ""), "nothing without -v");
}

#[test]
fn calls_are_events_with_run_step_and_part() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id\n1\n2\n");
    let (code, text) = said(&bed, &["-v", "--log-format", "json"]);
    assert_eq!(code, Some(0), "{text}");
    let events = events(&text);
    let put = events.iter().map(|event| &event["fields"]).find(|fields| fields["step"] == "put/0").unwrap();
    assert_eq!(put["part"], 1, "{put}");
    assert!(
        put["run"].as_str().unwrap().starts_with("20")
            && put["message"].as_str().unwrap().starts_with("PUT part 1/1, 22 bytes: 200"),
        "{put}"
    );
    assert!(events.iter().any(|event| event["fields"]["stage"] == "check"), "{text}");
}

#[test]
fn progress_is_lines_without_a_terminal_and_events_in_a_json_log() {
    let served = Served::new(&[]);
    // few long rows, which a busy machine converts in time
    let bed = bed(&served, "id\n".to_owned() + &format!("{}\n", "1".repeat(999)).repeat(8_000));
    let slow = ["--set", "upload.max_rate=1MB", "--progress", "always"];
    let (code, text) = said(&bed, &slow);
    assert_eq!(code, Some(0), "{text}");
    let is_sending = |line: &&str| line.starts_with("pass 2 of 2, ") && line.ends_with(" left");
    let line = text.lines().rfind(is_sending).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(" MB of 8.0 MB, ") && line.contains("B/s, 0"), "{line}");
    assert!(!text.contains('\r') && !text.contains('\x1b'), "{text:?}");
    let other = ["--log-format", "json", "--set", "name=other", "--set", "destination.segment=B"];
    let (code, text) = said(&bed, &[&slow[..], &other].concat());
    assert_eq!(code, Some(0), "{text}");
    let events = events(&text);
    let sending = events.iter().rfind(|event| event["fields"]["stage"] == "send").unwrap_or_else(|| panic!("{text}"));
    let fields = &sending["fields"];
    let known = (&sending["level"], &fields["whole_bytes"], &fields["parts"]);
    assert_eq!(known, (&"INFO".into(), &8_016_014.into(), &1.into()), "{sending}");
    let number = |key: &str| fields[key].as_u64().unwrap();
    assert!(number("done_bytes") > 1_000_000 && number("bytes_per_second") > 10_000, "{sending}");
    std::fs::write(bed.path("list.csv"), "id\n1\n").unwrap();
    for off in [&["--progress", "never"][..], &["--progress", "always", "-q"], &[]] {
        let more = ["--set", "name=third", "--set", "destination.replace=true"];
        let (code, text) = said(&bed, &[&more[..], off].concat());
        assert_eq!((code, &*text), (Some(0), ""), "{off:?}");
    }
}

#[test]
fn what_becomes_of_an_open_run_is_an_event_of_a_json_log() {
    let served = Served::new(&["put-503"]);
    let bed = bed(&served, "id\n1\n2\n");
    assert_eq!(said(&bed, &["--set", "upload.attempts=1"]).0, Some(20));
    let (code, text) = said(&bed, &["--log-format", "json", "-q"]);
    assert_eq!(code, Some(0), "{text}");
    let message = events(&text)[0]["fields"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("continuing run "), "{message}");
}
