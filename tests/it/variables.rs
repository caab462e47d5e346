//! Text keys of the destination that are variables of the environment.

use super::cli::Bed;
use super::cli_runs::Served;
use serde_json::Value;
use std::process::Command;

fn job(base: &str) -> String {
    format!(
        "source: {{ path: list.csv }}\nmap: {{ identity: id }}\ndestination:\n  platform: clevertap\n  region: {{ env: REGION }}\n  \
         account_id: {{ env: CT_ACCOUNT }}\n  passcode: {{ file: passcode.txt }}\n  segment: {{ env: SEGMENT }}\n  creator: \
         {{ env: CREATOR }}\n  email: {{ env: ADMIN }}\n  base_url: {base}\n"
    )
}

fn report(mut command: Command) -> (i32, Value) {
    let output = command.args(["--output", "json"]).output().unwrap();
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    crate::report_schema::validate(&object);
    (output.status.code().unwrap(), object)
}

const ALL: [(&str, &str); 5] = [
    ("REGION", "in1"),
    ("CT_ACCOUNT", "acc"),
    ("SEGMENT", "VIP {date}"),
    ("CREATOR", "Jane"),
    ("ADMIN", "jane@example.com"),
];

#[test]
fn a_variable_that_is_not_set_is_a_warning_of_check_and_an_error_of_run() {
    let bed = Bed::new(&job("http://127.0.0.1:1"), "id\n1\n");
    let (code, checked) = report(bed.command(&["check", "job.yaml"]));
    assert_eq!(code, 0, "{checked}");
    let warnings = checked["warnings"].to_string();
    for name in ["REGION", "SEGMENT", "CREATOR", "ADMIN", "the file passcode.txt is missing"] {
        assert!(warnings.contains(name), "{name}: {warnings}");
    }
    let (code, refused) = report(bed.command(&["run", "job.yaml"]));
    assert_eq!(code, 2, "{refused}");
    let places: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|error| error["line"].clone()).collect();
    assert_eq!(places, [5, 8, 9, 10], "{refused}");
    assert_eq!(refused["errors"][2]["message"], "destination.creator: the environment variable CREATOR is not set");
    // the form of a value that is set is checked
    let mut command = bed.command(&["check", "job.yaml"]);
    let (code, refused) = report({
        command.envs(ALL).env("ADMIN", "jane");
        command
    });
    assert_eq!((code, &refused["errors"][0]["line"]), (2, &Value::from(10)), "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("destination.email is not an e-mail address"));
}

#[test]
fn the_identity_of_a_job_uses_the_values_of_its_variables() {
    let served = Served::new(&[]);
    let bed = Bed::new(&job(&served.url()), "id\n1\n");
    std::fs::write(bed.path("passcode.txt"), "pass\n").unwrap();
    let with = |arguments: &[&str], segment: &str| {
        let mut command = bed.command(arguments);
        command.envs(ALL).env("SEGMENT", segment);
        report(command)
    };
    let (code, first) = with(&["run", "job.yaml"], "one");
    assert_eq!((code, first["status"].as_str()), (0, Some("done")), "{first}");
    assert_eq!(with(&["run", "job.yaml"], "two").0, 0, "another list");
    // the same list is the same job, whether its name is written or a variable
    let written = job(&served.url()).replace("{ env: SEGMENT }", "one");
    std::fs::write(bed.path("job.yaml"), written).unwrap();
    let (code, again) = with(&["run", "job.yaml", "--once", "x"], "two");
    assert_eq!(code, 12, "the platform has that list: {again}");
}
