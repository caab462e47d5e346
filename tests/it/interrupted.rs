//! Ctrl-C and SIGTERM: the last line on stderr says what was sent and which command continues.

use crate::cli::{Bed, CLEVERTAP};
use crate::cli_runs::Served;
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROFILES: &str = "source: { path: list.csv }\nmap: { customer_id: id, changes: [ { op: increment, attr: n, value: 1 } ] }\n\
                        destination: { platform: localytics-profiles, org_id: 60, api_key: { env: CT_ACCOUNT }, \
                        api_secret: { env: CT_PASSCODE }, base_url: \"BASE\" }\n";

/// Starts a command, sends it SIGINT once `ready`, and returns what it wrote.
fn interrupted(mut command: Command, ready: impl Fn() -> bool) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !ready() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came so far");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
    // a pipe that is closed would end the source
    let _stdin = child.stdin.take();
    child.wait_with_output().unwrap()
}

fn with_secrets(mut command: Command) -> Command {
    command.env("CT_ACCOUNT", "acc").env("CT_PASSCODE", "pass");
    command
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
}

/// Runs the command that follows the last `: ` of a line.
fn typed(bed: &Bed, line: &str) -> Value {
    let (_, command) = line.rsplit_once(": ").unwrap();
    assert!(command.starts_with(env!("CARGO_BIN_EXE_listferry")), "{command}");
    let mut again = with_secrets(Command::new("sh"));
    again.args(["-c", &format!("{command} --output json")]).current_dir(bed.path(""));
    again.env("LISTFERRY_STATE_DIR", bed.path("state")).stderr(Stdio::null());
    serde_json::from_slice(&again.output().unwrap().stdout).unwrap()
}

fn large() -> String {
    std::iter::once("id,x\n".to_owned()).chain((0..900_000).map(|i| format!("{i},a\n"))).collect()
}

#[test]
fn an_interrupted_upload_names_the_command_that_continues_it() {
    let served = Served::new(&["put-stall"]);
    let job = format!("{CLEVERTAP}  base_url: {}\n", served.url());
    let bed = Bed::new(&job, large());
    let output = interrupted(with_secrets(bed.command(&["run", "job.yaml"])), || {
        served.received().iter().any(|entry| entry["path"].as_str().is_some_and(|path| path.contains("url")))
    });
    let (line, text) = (last_line(&output), String::from_utf8_lossy(&output.stdout).into_owned());
    assert_eq!(output.status.code(), Some(130), "{line}");
    assert!(line.starts_with("stopped: the platform has not accepted the list yet; to continue: "), "{line}");
    assert!(text.contains(line.trim_start_matches("stopped: ")), "the report says it, too: {text}");
    let report = typed(&bed, &line);
    assert_eq!((&report["exit_code"], &report["continued"]), (&0.into(), &true.into()), "{report}");
}

#[test]
fn an_interrupted_first_pass_says_that_nothing_was_sent() {
    let served = Served::new(&[]);
    let bed = Bed::new(&format!("{CLEVERTAP}  base_url: {}\n", served.url()), "id,x\n1,a\n");
    let mut command = with_secrets(bed.command(&["run", "job.yaml", "--set", "source.path=-", "--set", "name=it's"]));
    command.stdin(Stdio::piped());
    // nothing is written to the pipe, so the first pass waits
    let output = interrupted(command, || bed.path("state/state.db").exists());
    let line = last_line(&output);
    assert_eq!(output.status.code(), Some(130), "{line}");
    assert!(line.starts_with("stopped: nothing was sent; to start over: "), "{line}");
    assert!(line.ends_with("run job.yaml --set source.path=- --set 'name=it'\\''s'"), "{line}");
    assert!(served.received().is_empty());
}

#[test]
fn an_interrupted_wait_says_that_all_was_accepted() {
    let served = Served::new(&["pending=1000"]);
    let bed = Bed::new(&PROFILES.replace("BASE", &served.url()), "id,x\n1,a\n");
    let mut command = with_secrets(bed.command(&["run", "job.yaml", "--state-dir", "other state"]));
    let output =
        interrupted(command_json(&mut command), || served.received().iter().any(|entry| entry["method"] == "GET"));
    let line = last_line(&output);
    assert_eq!(output.status.code(), Some(130), "{line}");
    assert!(line.starts_with("stopped: all of the list was accepted, but there is no verdict yet; to continue: "));
    assert!(line.ends_with("--state-dir 'other state'"), "{line}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(line.ends_with(report["error"]["hint"].as_str().unwrap()), "{report}");
}

fn command_json(command: &mut Command) -> Command {
    let mut json = Command::new(command.get_program());
    json.args(command.get_args()).args(["--output", "json"]).current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => json.env(name, value),
            None => json.env_remove(name),
        };
    }
    json
}

#[test]
fn a_warning_does_not_push_the_decision_from_the_first_line() {
    let served = Served::new(&["completed-503"]);
    let job = CLEVERTAP.replace("{ env: CT_PASSCODE }", "canary-passcode");
    let bed = Bed::new(&format!("{job}  base_url: {}\nupload: {{ attempts: 1 }}\n", served.url()), "id,x\n1,a\n");
    let run = || {
        let output = with_secrets(bed.command(&["run", "job.yaml"])).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run().0, Some(20));
    // touched: the first pass decides, and may have warnings of its own
    std::fs::write(bed.path("list.csv"), "id,x\n1,a\n").unwrap();
    let (code, said) = run();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.lines().next().unwrap().starts_with("continuing run "), "{said}");
    assert!(said.contains("is written in the job file in plain text"), "{said}");
}
