//! The files of a state directory: how long they are kept.

use super::cli::Bed;
use super::cli_runs::{Served, bed, run};
use serde_json::Value;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

const LENIENT: [&str; 2] = ["--set", "rejects.max=5"];

/// Runs a job of this name for a list of this name, with a rejected row; returns its id.
fn done(bed: &Bed, name: &str, more: &[&str]) -> String {
    let (name, list) = (format!("name={name}"), format!("destination.segment={name}"));
    let arguments = ["run", "job.yaml", "--set", &name, "--set", &list, "--set", "destination.replace=true"];
    let (code, report) = run(bed, &[&arguments[..], &LENIENT, more].concat());
    assert_eq!(code, 0, "{report}");
    report["run_id"].as_str().unwrap().to_owned()
}

fn prune(bed: &Bed, more: &[&str]) -> Value {
    let output = bed.run(&[&["runs", "prune", "--output", "json"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn names(bed: &Bed, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(bed.path(folder)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn rejected_rows_are_kept_as_long_as_their_own_job_says() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id,x\n1,a\n2\n");
    let short = done(&bed, "short", &["--set", "state.keep_rejects=0s"]);
    std::thread::sleep(Duration::from_millis(5));
    let long = done(&bed, "long", &[]);
    // the run of another job has swept
    assert_eq!(names(&bed, "state/rejects"), [format!("{long}.csv"), format!("{long}.rows")]);
    let gone = bed.run(&["rejects", &short]);
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(gone.status.code() == Some(1) && said.contains("state.keep_rejects"), "{said}");
    assert_eq!(run(&bed, &["runs", &short]).1["records"]["rejected"], 1, "the report stays");
    assert!(String::from_utf8_lossy(&bed.run(&["rejects", &long]).stdout).contains(",ragged,"));
}

/// The paths of the rows are recorded as absolute ones, and were compared with the directory as given.
#[test]
fn rejected_rows_are_pruned_in_a_state_directory_of_any_spelling() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id,x\n1,a\n2\n");
    let here = ["--state-dir", "st"];
    let first = done(&bed, "vip", &here);
    let last = done(&bed, "vip", &here);
    std::fs::write(bed.path("st/rejects").join(format!("{first}.again.csv")), "left by a killed process").unwrap();
    std::thread::sleep(Duration::from_millis(5));
    let pruned = prune(&bed, &["--older-than", "0s", "--state-dir", "st"]);
    assert_eq!((&pruned["runs"], &pruned["files"]), (&1.into(), &3.into()), "{pruned}");
    assert_eq!(names(&bed, "st/rejects"), [format!("{last}.csv"), format!("{last}.rows")]);
}

#[test]
fn rejected_rows_that_no_run_owns_are_deleted_after_a_month() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id,x\n1,a\n2\n");
    assert_eq!(bed.run(&["check", "job.yaml"]).status.code(), Some(10));
    let age = |name: &str, days: u64| {
        let path = bed.path("state/rejects").join(name);
        std::fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(SystemTime::now() - Duration::from_secs(days * 86_400))
            .unwrap();
    };
    age("job.check.csv", 29);
    done(&bed, "other", &["--set", "destination.segment=one"]);
    assert!(names(&bed, "state/rejects").contains(&"job.check.csv".to_owned()));
    age("job.check.csv", 31);
    std::fs::write(bed.path("state/rejects/notes.txt"), "mine").unwrap();
    age("notes.txt", 31);
    let pruned = prune(&bed, &[]);
    assert_eq!((pruned["runs"].as_u64(), pruned["files"].as_u64()), (Some(0), Some(1)), "{pruned}");
    assert_eq!(
        names(&bed, "state/rejects").len(),
        3,
        "those of the run, and what is not ours: {:?}",
        names(&bed, "state/rejects")
    );
    let left = &pruned["left"];
    assert!(
        left["runs"] == 1 && left["rejects_bytes"].as_u64() > Some(100) && left["record_bytes"].as_u64() > Some(4096),
        "{left}"
    );
}

/// Pipes a list into a run; returns its exit code and report.
fn piped(bed: &Bed, arguments: &[&str], list: &str) -> (i32, Value) {
    let mut command = bed.command(
        &[arguments, &["--output", "json", "--set", "source.path=-", "--set", "state.keep_spool=0s"]].concat(),
    );
    command
        .env("CT_ACCOUNT", "acc")
        .env("CT_PASSCODE", "pass")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // a resumed run does not read the pipe
    let _ = child.stdin.take().unwrap().write_all(list.as_bytes());
    let output = child.wait_with_output().unwrap();
    let object = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), object)
}

#[test]
fn an_expired_copy_leaves_its_run_to_be_closed_or_continued_with_the_same_list() {
    let list = "id\n1\n2\n";
    for ending in ["same", "close", "other"] {
        let served = Served::new(&["put-503"]);
        let bed = bed(&served, "");
        let (code, open) = piped(&bed, &["run", "job.yaml", "--set", "upload.attempts=1"], list);
        assert_eq!((code, open["open"].as_bool()), (20, Some(true)), "{open}");
        let id = open["run_id"].as_str().unwrap();
        assert_eq!(names(&bed, "state/spool").len(), 1);
        std::thread::sleep(Duration::from_millis(5));
        let pruned = prune(&bed, &[]);
        assert_eq!((pruned["runs"].as_u64(), pruned["files"].as_u64()), (Some(0), Some(1)), "{pruned}");
        assert_eq!(names(&bed, "state/spool"), Vec::<String>::new());
        let (code, blocked) = piped(&bed, &["resume", id], list);
        let said = blocked["error"]["message"].as_str().unwrap();
        assert!(code == 23 && said.contains("state.keep_spool"), "{blocked}");
        assert_eq!(blocked["open"], true, "{blocked}");
        match ending {
            "same" => {
                let (code, again) = piped(&bed, &["run", "job.yaml"], list);
                assert_eq!((code, &again["run_id"]), (0, &open["run_id"]), "{again}");
            }
            "close" => {
                assert_eq!(bed.run(&["runs", "close", id]).status.code(), Some(0));
                assert_eq!(run(&bed, &["runs", id]).1["status"], "abandoned");
            }
            _ => {
                let (_, other) = piped(&bed, &["run", "job.yaml"], "id\n1\n2\n3\n");
                assert_ne!(other["run_id"], open["run_id"], "{other}");
            }
        }
    }
}

#[test]
fn locks_of_jobs_without_runs_are_removed_and_no_other() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id,x\n1,a\n2\n");
    done(&bed, "kept", &[]);
    let locks = |bed: &Bed| names(bed, "state").into_iter().filter(|name| name.ends_with(".lock")).count();
    let kept = locks(&bed);
    for name in ["one", "two"] {
        std::fs::write(bed.path("state").join(format!("{name}.lock")), "").unwrap();
    }
    let held = std::fs::File::open(bed.path("state/two.lock")).unwrap();
    held.lock().unwrap();
    let pruned = prune(&bed, &[]);
    assert!(pruned["locks"].as_u64() >= Some(1), "{pruned}");
    assert_eq!(locks(&bed), kept + 1);
    assert!(bed.path("state/two.lock").exists() && !bed.path("state/one.lock").exists());
    drop(held);
    done(&bed, "kept", &[]);
}

#[test]
fn leftovers_of_killed_sandbox_runs_are_removed() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id,x\n1,a\n");
    let tmp = bed.path("tmp");
    std::fs::create_dir_all(tmp.join("listferry-tmp-sandbox-1-2/rejects")).unwrap();
    std::fs::write(tmp.join("listferry-tmp-sandbox-1-2/rejects/x.csv"), "id\n").unwrap();
    std::fs::create_dir(tmp.join("listferry-tmp-sandbox-9-9")).unwrap();
    std::fs::write(tmp.join("listferry-rejects-1.csv"), "id\n").unwrap();
    std::fs::write(tmp.join("mine.csv"), "id\n").unwrap();
    let old = SystemTime::now() - Duration::from_secs(8 * 86_400);
    for name in ["listferry-tmp-sandbox-1-2", "listferry-rejects-1.csv", "mine.csv"] {
        std::fs::File::open(tmp.join(name)).unwrap().set_modified(old).unwrap();
    }
    let output = bed.command(&["run", "job.yaml", "--sandbox", "-q"]).env("TMPDIR", &tmp).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(names(&bed, "tmp"), ["listferry-tmp-sandbox-9-9", "mine.csv"]);
}

#[test]
fn the_list_of_runs_ends_with_the_size_of_the_state() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id,x\n1,a\n2\n");
    done(&bed, "a", &[]);
    let said = |arguments: &[&str]| String::from_utf8(bed.run(arguments).stderr).unwrap();
    let text = said(&["runs"]);
    assert!(text.starts_with("1 run, ") && text.contains(" of rejected rows, 0 bytes of copies"), "{text}");
    assert_eq!(said(&["runs", "-q"]), "");
    assert_eq!(said(&["runs", "--job", "a"]), "");
    assert!(
        String::from_utf8(bed.run(&["runs", "prune"]).stdout)
            .unwrap()
            .starts_with("0 runs deleted, 0 files with 0 bytes; left: 1 run, ")
    );
}
