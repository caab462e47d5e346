//! Which streams the binary writes to, and what it takes from variables.

use super::cli::{Bed, CLEVERTAP};
use super::cli_runs::{Served, run};
use serde_json::Value;
use std::process::Stdio;

const LIST: &str = "id,x\n1,a\n2,b\n";

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn early_errors_are_not_written_into_the_data() {
    let bed = Bed::new(CLEVERTAP, LIST);
    for arguments in [
        &["convert", "gone.yaml"][..],
        &["convert", "job.yaml", "-o", "-", "--set", "sorce.path=x"],
        &["convert", "job.yaml", "--nope"],
        &["export", "job.yaml"],
        &["export", "gone.yaml", "--out-file=/dev/stdout"],
        &["rejects", "last"],
        &["rejects"],
    ] {
        let output = bed.run(&[arguments, &["--output", "json"]].concat());
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{arguments:?}");
        let object: Value =
            serde_json::from_slice(&output.stderr).unwrap_or_else(|error| panic!("{error}: {arguments:?}"));
        assert_eq!(object["error"]["kind"], "usage", "{object}");
    }
    // if the data has its own file, stdout is free for the report
    for arguments in [&["convert", "gone.yaml", "-o", "x"][..], &["export", "job.yaml", "-o", "x"]] {
        let (code, object) = bed.json(arguments);
        assert_eq!((code, object["error"]["kind"].as_str()), (2, Some("usage")), "{object}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_at_stdout_is_reported_and_not_a_success() {
    let bed = Bed::new(CLEVERTAP, LIST);
    let bad = ["check", "job.yaml", "-q", "--set", "map.identity=x", "--set", "where=[{column: id, equals: '7'}]"];
    for (arguments, code) in [
        (&["schema"][..], 1),
        (&["--help"], 1),
        (&["runs", "--output", "json"], 1),
        (&["preview", "job.yaml"], 1),
        (&["preview", "job.yaml", "--output", "json"], 1),
        (&["check", "job.yaml", "-q"], 1),
        (&["run", "job.yaml", "--sandbox"], 1),
        (&["run", "--sandbox", "--fault", "help", "job.yaml"], 1),
        (&["convert", "job.yaml", "-o", "out.csv"], 1),
        (&["convert", "job.yaml"], 1),
        (&bad, 10),
        (&["check", "gone.yaml", "--output", "json"], 2),
        (&["check", "--nope", "--output", "json"], 2),
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = bed.command(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        let said =
            ["No space left", "cannot be read", "unexpected argument"].map(|text| stderr(&output).contains(text));
        assert!(said.contains(&true), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_reader_of_rejects_may_go_early() {
    let list: String = std::iter::once("id,x\n".to_owned()).chain((0..3000).map(|i| format!("\"{i}\"x,b\n"))).collect();
    let bed = Bed::new(CLEVERTAP, list);
    assert_eq!(run(&bed, &["run", "job.yaml"]).0, 10);
    let mut child = bed.command(&["rejects", "last"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let bed = Bed::new(CLEVERTAP, LIST);
    let names = [
        "SET",
        "OUTPUT",
        "PROGRESS",
        "LOG_FORMAT",
        "QUIET",
        "VERBOSE",
        "THREADS",
        "SHOW_VALUES",
        "ROWS",
        "OUT_FILE",
        "FAULT",
        "SANDBOX",
        "NEW",
        "DRY_RUN",
        "ASSUME",
        "LISTEN",
        "YES",
    ];
    for arguments in [&["preview", "job.yaml"][..], &["convert", "job.yaml"], &["run", "job.yaml", "--sandbox"]] {
        let mut command = bed.command(arguments);
        command.envs(names.map(|name| (format!("LISTFERRY_{name}"), "")));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
    let home = tempfile::tempdir().unwrap();
    let mut command = bed.command(&["runs"]);
    let output = command.env("LISTFERRY_STATE_DIR", "").env("XDG_STATE_HOME", home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(home.path().join("listferry").exists());
}

#[test]
fn a_variable_with_a_wrong_value_is_named() {
    let bed = Bed::new(CLEVERTAP, LIST);
    for (name, value) in [
        ("LISTFERRY_THREADS", "many"),
        ("LISTFERRY_VERBOSE", "maybe"),
        ("LISTFERRY_QUIET", "maybe"),
        ("LISTFERRY_ROWS", "-1"),
        ("LISTFERRY_PROGRESS", "often"),
    ] {
        let output = bed.command(&["preview", "job.yaml"]).env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
        let output = bed.command(&["preview", "job.yaml", "--output=json"]).env(name, value).output().unwrap();
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(object["error"]["hint"].as_str().unwrap().contains(name), "{object}");
    }
    for (name, value) in [("LISTFERRY_VERBOSE", "true"), ("LISTFERRY_VERBOSE", "2"), ("LISTFERRY_QUIET", "yes")] {
        let output = bed.command(&["preview", "job.yaml"]).env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
    }
    // the flag is to blame if it was given
    let mut command = bed.command(&["preview", "job.yaml", "--threads", "many"]);
    let output = command.env("LISTFERRY_THREADS", "many").output().unwrap();
    assert!(!stderr(&output).contains("LISTFERRY_THREADS"), "{}", stderr(&output));
}

#[test]
fn a_fault_is_for_the_sandbox_alone() {
    let served = Served::new(&[]);
    let bed = Bed::new(&format!("{CLEVERTAP}  base_url: {}\n", served.url()), LIST);
    for arguments in [
        &["run", "job.yaml", "--fault", "put-503"][..],
        &["run", "job.yaml", "--fault", "nonsense"],
        &["run", "job.yaml", "--dry-run", "--fault", "put-503"],
    ] {
        let (code, report) = run(&bed, arguments);
        assert_eq!(code, 2, "{report}");
        assert!(report["error"]["message"].as_str().unwrap().contains("--sandbox"), "{report}");
    }
    let mut command = bed.command(&["run", "job.yaml"]);
    assert_eq!(served.received().len(), 0);
    // decisions are typed: a variable does not decide
    let output =
        command.env("CT_ACCOUNT", "a").env("CT_PASSCODE", "p").env("LISTFERRY_FAULT", "put-503").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(bed.run(&["run", "job.yaml", "--fault", "help"]).status.code(), Some(0));
}

#[test]
fn an_export_reports_with_the_keys_of_the_contract() {
    let served = Served::new(&[]);
    let job = format!(
        "source: {{ apsis: {{ report: segments, client_id: {{ env: CT_ACCOUNT }}, client_secret: {{ env: CT_PASSCODE }}, \
         request: {{}}, base_url: \"{}\" }} }}\n",
        served.url()
    );
    let bed = Bed::new(&job, "");
    let (_, check) = bed.json(&["check", "job.yaml"]);
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (code, report) = run(&bed, &["export", "job.yaml", "-o", "out.csv"]);
    assert_eq!((code, report["status"].as_str()), (0, Some("done")), "{report}");
    assert_eq!((keys(&report), report["platform"].as_str()), (keys(&check), Some("apsis")), "{report}");
    assert_eq!(report["bytes"]["body"].as_u64(), Some(std::fs::metadata(bed.path("out.csv")).unwrap().len()));
    assert!(report["bytes"]["source"].as_u64() > Some(0), "{report}");
    let mut command = bed.command(&["export", "job.yaml", "--output", "json"]);
    let output = command.env("CT_ACCOUNT", "acc").env("CT_PASSCODE", "pass").output().unwrap();
    assert_eq!(output.stdout, std::fs::read(bed.path("out.csv")).unwrap());
    let object: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(object["bytes"], report["bytes"]);
}

#[test]
fn a_missing_column_is_reported_with_its_file() {
    let bed = Bed::new(&CLEVERTAP.replace("id }", "id, type: x }"), LIST);
    for (set, want) in [
        ("map.identity=nope", "--set map.identity: map.identity: there is no column \"nope\" in list.csv"),
        (
            "where=[{column: nope, empty: true}]",
            "--set where: where[0].column: there is no column \"nope\" in list.csv",
        ),
    ] {
        let (code, report) = bed.json(&["check", "job.yaml", "--set", set]);
        assert_eq!((code, report["error"]["message"].as_str()), (2, Some(want)), "{report}");
        assert_eq!(report["error"]["hint"], "the header has: id, x");
    }
}

#[test]
fn an_export_that_cannot_connect_says_what_to_do() {
    let job = "source: { apsis: { report: segments, client_id: { env: CT_ACCOUNT }, client_secret: { env: CT_PASSCODE }, \
               request: {}, base_url: \"http://127.0.0.1:1\" } }\nupload: { attempts: 1 }\n";
    let (code, report) = run(&Bed::new(job, ""), &["export", "job.yaml", "-o", "out.csv"]);
    assert_eq!((code, report["platform"].as_str()), (20, Some("apsis")), "{report}");
    assert_eq!(report["error"]["hint"], "given up after 1 attempt; run it again");
}

#[test]
fn one_sentence_names_the_call_and_the_platform_s_answer() {
    let bed = Bed::new(CLEVERTAP, LIST);
    for (fault, want) in [
        ("url-500", "asking CleverTap for an upload URL: failed with status 500"),
        ("put-503", "the PUT to the storage: put off with status 503: SlowDown: "),
        ("completed-fail-200", "telling CleverTap that the list is complete: refused with status 200: "),
    ] {
        let fault = format!("{fault}=9");
        let (_, report) = bed.json(&["run", "job.yaml", "--sandbox", "--set", "upload.attempts=1", "--fault", &fault]);
        let said = report["error"]["message"].as_str().unwrap();
        assert!(said.contains(want) && !said.contains(",:"), "{fault}: {said}");
    }
}
