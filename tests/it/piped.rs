//! Lists that come through a pipe: signals while it is silent, copies of it, and runs stopped before it was read
//! completely.

use super::cli::{Bed, CLEVERTAP};
use serde_json::Value;
use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A job whose platform is not reachable, so that nothing is contacted.
fn bed() -> Bed {
    let job = CLEVERTAP.replace("list.csv", "\"-\"");
    let bed = Bed::new(&format!("{job}  base_url: http://127.0.0.1:1\nupload: {{ attempts: 1 }}\n"), "");
    std::fs::create_dir(bed.path("tmp")).unwrap();
    bed
}

fn start(bed: &Bed, arguments: &[&str]) -> Child {
    let mut command = bed.command(arguments);
    command.env("CT_ACCOUNT", "a").env("CT_PASSCODE", "p").env("TMPDIR", bed.path("tmp"));
    command.args(["--output", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Pipes a list into a command.
fn pipe(bed: &Bed, arguments: &[&str], list: &str) -> (i32, Value) {
    let mut child = start(bed, arguments);
    // a resumed run may read its copy instead of the pipe
    let _ = child.stdin.take().unwrap().write_all(list.as_bytes());
    ended(child)
}

fn ended(child: Child) -> (i32, Value) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = if stdout.is_empty() { &stderr } else { &stdout };
    let object = serde_json::from_slice(text).unwrap_or_else(|error| {
        panic!("{error}: {status} {:?} {:?}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
    });
    (status.code().unwrap(), object)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the names of the files in a folder and below.
fn files(bed: &Bed, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(bed.path(folder)).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() { found.extend(files(bed, &name)) } else { found.push(name) }
    }
    found
}

/// Sends a signal once the process handles it, so that it is not simply killed.
#[cfg(target_os = "linux")]
fn signal(child: &Child, name: &str, bit: u64) {
    let status = format!("/proc/{}/status", child.id());
    until("the signal is caught", || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (bit - 1)) != 0
    });
    assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_while_the_pipe_is_silent_stops_cleanly() {
    let commands: [&[&str]; 6] = [
        &["check", "job.yaml"],
        &["convert", "job.yaml", "-o", "out.csv"],
        &["convert", "job.yaml"],
        &["preview", "job.yaml"],
        &["run", "job.yaml"],
        &["run", "job.yaml", "--sandbox"],
    ];
    for (at, arguments) in commands.into_iter().enumerate() {
        let bed = bed();
        let mut child = start(&bed, arguments);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"id\n1\n").unwrap();
        if arguments == ["run", "job.yaml"] {
            // in the middle of the copy
            until("it is begun", || files(&bed, "state/spool").len() == 1);
        }
        let (name, bit, code) = if at % 2 == 0 { ("INT", 2, 130) } else { ("TERM", 15, 143) };
        signal(&child, name, bit);
        let began = Instant::now();
        let (got, report) = ended(child);
        assert_eq!((got, report["status"].as_str()), (code, Some("interrupted")), "{arguments:?}: {report}");
        assert!(began.elapsed() < Duration::from_secs(10), "{arguments:?}");
        assert!(report["error"]["message"].as_str().unwrap().contains("stopped before"), "{arguments:?}: {report}");
        let mut left = files(&bed, "tmp");
        left.extend(files(&bed, "state/spool"));
        left.extend(files(&bed, ".").into_iter().filter(|name| name.ends_with(".part")));
        assert_eq!(left, [""; 0], "{arguments:?}");
        drop(stdin);
    }
}

/// The output of the process is not read, so it cannot end cleanly, but it says so.
#[cfg(target_os = "linux")]
#[test]
fn a_command_that_does_not_stop_in_time_is_stopped_and_says_so() {
    let bed = bed();
    let list: String = std::iter::once("id\n".to_owned()).chain((0..400_000).map(|row| format!("{row}\n"))).collect();
    std::fs::write(bed.path("list.csv"), list).unwrap();
    let mut child = start(&bed, &["convert", "job.yaml", "--set", "source.path=list.csv"]);
    let mut stdout = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut stdout, &mut [0; 100]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, "INT", 2);
    let (code, report) = ended(child);
    assert_eq!((code, report["status"].as_str()), (130, Some("interrupted")), "{report}");
}

#[test]
fn a_run_stopped_before_its_pipe_was_copied_needs_the_pipe_again() {
    let bed = bed();
    let mut child = start(&bed, &["run", "job.yaml"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"id\n1\n").unwrap();
    until("half a copy is there", || files(&bed, "state/spool").len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(files(&bed, "state/spool").len(), 1);
    let (code, report) = pipe(&bed, &["resume", "last"], "");
    assert_eq!(code, 2, "{report}");
    let said = format!("{}", report["error"]);
    assert!(said.contains("came through a pipe") && said.contains("pipe the list into `run` again"), "{said}");
    assert_eq!(bed.json(&["runs", "last"]).1["status"], "interrupted");
    // an empty pipe is not an empty list
    let (code, report) = pipe(&bed, &["run", "job.yaml"], "");
    assert_eq!(code, 10, "{report}");
    assert_eq!(files(&bed, "state/spool"), [""; 0]);
    let (code, report) = pipe(&bed, &["run", "job.yaml"], "id\n1\n2\n");
    assert_eq!((code, report["records"]["written"].as_u64()), (20, Some(2)), "{report}");
    assert_eq!(bed.json(&["runs"]).1.as_array().unwrap().len(), 3);
}

#[test]
fn a_run_that_contacted_no_platform_leaves_nothing() {
    let bed = bed();
    for list in ["id\n1\n2\n", "id\n3\n"] {
        assert_eq!(pipe(&bed, &["run", "job.yaml"], list).0, 20);
        assert_eq!(files(&bed, "state/spool"), [""; 0], "the connection was refused: nothing is open");
    }
    let (code, report) = pipe(&bed, &["resume", "last"], "");
    assert_eq!((code, report["records"]["written"].as_u64()), (20, Some(1)), "its stored report: {report}");
}

#[test]
fn two_passes_over_a_pipe_need_no_writable_state() {
    let yesmail = "source: { path: \"-\" }\nmap: { id: id }\ndestination: { platform: yesmail, list: l, api_user: { env: U }, \
                   api_key: { env: K }, host: { uri: \"https://h/l\" } }\n";
    let bed = bed();
    std::fs::write(bed.path("yesmail.yaml"), yesmail).unwrap();
    for arguments in [&["check", "job.yaml"], &["convert", "yesmail.yaml"]] {
        for home in [true, false] {
            let mut command = bed.command(arguments);
            command.env("TMPDIR", bed.path("tmp")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            match home {
                true => command.env("LISTFERRY_STATE_DIR", "/proc/nowhere"),
                false => command.env_remove("LISTFERRY_STATE_DIR").env_remove("HOME").env_remove("XDG_STATE_HOME"),
            };
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(b"id\n1\n2 \n").unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            if arguments[0] == "convert" {
                assert_eq!(String::from_utf8_lossy(&output.stdout), "id\n1\n2 \n");
            }
            assert_eq!(files(&bed, "tmp"), [""; 0]);
        }
    }
}
