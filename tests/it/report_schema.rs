//! Every report in these tests follows `listferry schema --report`.

use crate::schema::check;
use serde_json::{Value, json};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(listferry::job::report_schema);

/// Returns the first violation of the schema.
fn wrong(report: &Value) -> Option<String> {
    check(&SCHEMA, &SCHEMA, report, "report").err()
}

/// Validates the JSON output of a command, if it is a report or a list of reports.
#[track_caller]
pub(crate) fn validate(written: &Value) {
    match written {
        Value::Array(reports) => reports.iter().for_each(|report| validate(report)),
        // a preview has rows instead
        Value::Object(map) if map.contains_key("exit_code") && !map.contains_key("rows") => {
            if let Some(wrong) = wrong(written) {
                panic!("{wrong}: {written:#}");
            }
        }
        _ => {}
    }
}

/// [`validate`] for each line of an output that is a JSON object or array.
#[track_caller]
pub(crate) fn validate_lines(output: &str) {
    output.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|written| validate(&written));
}

/// A report of the library.
pub(crate) trait Valid {
    /// Validates it and returns it.
    #[track_caller]
    fn valid(self) -> Self;
}

impl Valid for listferry::job::Report {
    fn valid(self) -> Self {
        validate(&self.to_json());
        self
    }
}

fn report() -> Value {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list.csv"), "id\n1\n\"2\"x\n").unwrap();
    let job = listferry::job::Job::read(
        "source: { path: list.csv }\nmap: { identity: id }\nrejects: { max: 1 }\ndestination: { platform: clevertap, region: in1, \
         account_id: { env: A }, passcode: { env: B }, segment: VIP, creator: Jane, email: jane@example.com }\n",
        dir.path(),
        &[],
    )
    .unwrap();
    let mut env = listferry::job::Env::default();
    env.state_dir = Some(dir.path().join("state"));
    job.check(&env).to_json()
}

#[test]
fn a_wrong_report_does_not_follow_the_schema() {
    let good = report();
    assert_eq!(wrong(&good), None, "{good:#}");
    for (at, value) in [
        ("/status", json!("well")),
        ("/exit_code", json!(4)),
        ("/exit_code", json!("0")),
        ("/records/read", json!(-1)),
        ("/records/failed", json!("none")),
        ("/reject_reasons", json!({"bad_csv": 0})),
        ("/digest", json!("crc64nvme:1")),
        ("/digest", json!("abc")),
        ("/parts/0/remote_id", json!(5)),
        ("/parts/0", json!({"index": 0})),
        ("/started_at", json!("yesterday")),
        ("/error", json!({"kind": "odd", "message": "m", "hint": null})),
        ("/error", json!({"kind": "data", "message": "an error of a run that succeeded", "hint": null})),
        ("/warnings", json!([{"kind": "note", "message": "m"}])),
        ("/seconds/wait", json!(-0.5)),
        ("/sandbox", json!("no")),
        ("/platform_result", json!(null)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(at).unwrap_or_else(|| panic!("{at}: {good:#}")) = value.clone();
        assert!(wrong(&bad).is_some(), "the schema takes {value} at {at}");
    }
    for key in good.as_object().unwrap().keys() {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(key);
        assert!(wrong(&bad).is_some(), "the schema does not need {key}");
    }
    let mut bad = good.clone();
    bad["surprise"] = json!(1);
    assert!(wrong(&bad).is_some());
    // after a usage error only these two are certain
    let usage = json!({"exit_code": 2, "error": {"kind": "usage", "message": "m", "hint": null}});
    assert_eq!(wrong(&usage), None);
}

#[cfg(feature = "cli")]
#[test]
fn the_command_prints_the_schema() {
    let bed = crate::cli::Bed::new(crate::cli::CLEVERTAP, "id\n1\n");
    let output = bed.run(&["schema", "--report"]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), printed), (Some(0), SCHEMA.clone()));
}
