//! Whole runs of the binary against the sandbox: exit codes, what is stored, what is sent again.

use super::cli::{Bed, CLEVERTAP};
use listferry::sandbox::{Fault, Options, Sandbox};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LIST: &str = "id,x\n1,a\n2,b\n3,c\n";

/// The sandbox of a test, with its own runtime.
pub(crate) struct Served {
    // dropped before the runtime
    sandbox: Option<Sandbox>,
    runtime: tokio::runtime::Runtime,
}

impl Served {
    pub(crate) fn new(faults: &[&str]) -> Served {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut options = Options::default();
        options.faults = faults.iter().map(|fault| Fault::parse(fault).unwrap()).collect();
        let sandbox = runtime.block_on(Sandbox::start("127.0.0.1:0".parse().unwrap(), options)).unwrap();
        Served { sandbox: Some(sandbox), runtime }
    }

    pub(crate) fn url(&self) -> String {
        self.sandbox.as_ref().unwrap().url()
    }

    /// Returns method and path of the requests received.
    pub(crate) fn received(&self) -> Vec<Value> {
        self.sandbox.as_ref().unwrap().ledger().iter().map(|entry| serde_json::to_value(entry).unwrap()).collect()
    }

    fn count(&self, method: &str, path: &str) -> usize {
        let fits = |entry: &&Value| {
            entry["method"] == method && entry["path"].as_str().is_some_and(|found| found.contains(path))
        };
        self.received().iter().filter(fits).count()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _in = self.runtime.enter();
        drop(self.sandbox.take());
    }
}

pub(crate) fn bed(served: &Served, list: impl AsRef<[u8]>) -> Bed {
    Bed::new(
        &format!("{CLEVERTAP}  base_url: {}\nupload: {{ attempts: 2, connect_timeout: 2s }}\n", served.url()),
        list,
    )
}

fn with_secrets(mut command: Command) -> Command {
    command.env("CT_ACCOUNT", "acc").env("CT_PASSCODE", "pass");
    command
}

pub(crate) fn run(bed: &Bed, arguments: &[&str]) -> (i32, Value) {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--output", "json"]);
    let output = with_secrets(bed.command(&arguments)).output().unwrap();
    let object: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {:?} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    });
    crate::report_schema::validate(&object);
    (output.status.code().unwrap(), object)
}

#[test]
fn a_run_ends_done_with_the_platform_s_response() {
    let served = Served::new(&[]);
    let bed = bed(&served, LIST);
    let (code, report) = run(&bed, &["run", "job.yaml"]);
    assert_eq!((code, report["status"].as_str()), (0, Some("done")), "{report}");
    assert_eq!(report["platform_result"]["verdict"], "by e-mail");
    assert_eq!(report["parts"][0]["attempts"], 1);
    assert_eq!(report["records"]["written"], 3);
    let (_, check) = run(&bed, &["check", "job.yaml"]);
    assert_eq!(check["digest"], report["digest"]);
    let put = served.received().into_iter().find(|entry| entry["method"] == "PUT").unwrap();
    assert_eq!(
        (put["length"].as_u64(), put["complete"].as_bool()),
        (report["bytes"]["body"].as_u64(), Some(true)),
        "{put}"
    );
    assert_eq!(put["digest"], report["digest"], "{put}");
}

#[test]
fn past_runs_are_listed_oldest_first_and_run_anew_when_they_ended() {
    let served = Served::new(&[]);
    let bed = bed(&served, LIST);
    assert_eq!(run(&bed, &["runs"]).1, serde_json::json!([]));
    let ids: Vec<Value> = (0..2)
        .map(|i| {
            let segment = format!("destination.filename=f{i}.csv");
            run(&bed, &["run", "job.yaml", "--set", &segment, "--set", "destination.replace=true"]).1["run_id"].clone()
        })
        .collect();
    assert_ne!(ids[0], ids[1]);
    let (_, runs) = run(&bed, &["runs"]);
    assert_eq!(runs.as_array().unwrap().iter().map(|run| run["run_id"].clone()).collect::<Vec<_>>(), ids);
    assert_eq!(run(&bed, &["runs", "last"]).1["run_id"], ids[1]);
    assert_eq!(run(&bed, &["runs", "job.yaml"]).1["run_id"], ids[1]);
    assert_eq!(run(&bed, &["runs", ids[0].as_str().unwrap()]).1["status"], "done");
    assert_eq!(run(&bed, &["runs", "nothing"]).0, 2);
    let (code, again) = run(&bed, &["resume", "last"]);
    assert_eq!(
        (code, &again["run_id"], again["status"].as_str()),
        (0, &ids[1], Some("done")),
        "an ended run is its report"
    );
    assert_eq!(served.count("PUT", ""), 2);
}

#[test]
fn an_unfinished_run_goes_on_where_it_stopped() {
    let served = Served::new(&["completed-503"]);
    let bed = bed(&served, LIST);
    let (code, report) = run(&bed, &["run", "job.yaml", "--set", "upload.attempts=1"]);
    assert_eq!((code, report["status"].as_str()), (20, Some("failed")), "{report}");
    assert_eq!(served.count("PUT", ""), 1);
    let (_, listed) = run(&bed, &["runs", "last"]);
    assert_eq!(listed["exit_code"], 20);
    let (code, report) = run(&bed, &["run", "job.yaml", "--set", "upload.attempts=3"]);
    assert_eq!((code, &report["run_id"]), (0, &listed["run_id"]), "{report}");
    assert_eq!(served.count("PUT", ""), 1, "what arrived is not sent again");
}

#[test]
fn a_call_in_doubt_is_never_repeated_by_itself() {
    for (assume, code, calls) in [("done", 0, 1), ("repeat", 12, 2)] {
        let served = Served::new(&["completed-lost"]);
        let bed = bed(&served, LIST);
        let (first, report) = run(&bed, &["run", "job.yaml"]);
        assert_eq!((first, report["status"].as_str()), (21, Some("unknown")), "{report}");
        for command in [&["run", "job.yaml"][..], &["resume", "last"]] {
            let (again, report) = run(&bed, command);
            assert_eq!((again, report["status"].as_str()), (21, Some("unknown")), "{report}");
        }
        assert_eq!(served.count("POST", "completed"), 1, "nothing is sent while in doubt");
        let (last, report) = run(&bed, &["resume", "job.yaml", "--assume", assume]);
        assert!(last == code || last == 0, "{assume}: {report}");
        assert_eq!(served.count("POST", "completed"), calls, "{assume}: {report}");
    }
}

#[test]
fn new_abandons_exactly_the_run_that_is_named() {
    let served = Served::new(&["completed-lost"]);
    let bed = bed(&served, LIST);
    let (code, report) = run(&bed, &["run", "job.yaml", "--new", "20260101-000000-abcdef"]);
    assert!(code == 2 && report["error"]["message"].as_str().unwrap().contains("in the way"), "{report}");
    let (_, first) = run(&bed, &["run", "job.yaml"]);
    let id = first["run_id"].as_str().unwrap();
    let (code, report) = run(&bed, &["run", "job.yaml", "--new", "20260101-000000-abcdef"]);
    assert!(code == 2 && report["error"]["message"].as_str().unwrap().contains(id), "{report}");
    let second = ["run", "job.yaml", "--new", id, "--set", "destination.filename=other.csv"];
    let mut command = with_secrets(bed.command(&second));
    let output = command.args(["--output", "json", "-q"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.lines().next().unwrap().contains(&format!("run {id} of ")) && said.contains("job.yaml"), "{said}");
    let second: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(first["run_id"], second["run_id"]);
    assert_eq!(run(&bed, &["runs", id]).1["status"], "abandoned");
}

#[test]
fn wrong_credentials_are_30_and_a_refusal_is_12() {
    let served = Served::new(&[]);
    let bed = bed(&served, LIST);
    let mut command = bed.command(&["run", "job.yaml", "--output", "json"]);
    let output = command.env("CT_ACCOUNT", "wrong").env("CT_PASSCODE", "wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(30), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(run(&bed, &["run", "job.yaml"]).0, 0);
    let (code, report) = run(&bed, &["run", "job.yaml"]);
    assert_eq!((code, report["status"].as_str()), (12, Some("failed")), "the name is taken: {report}");
}

#[test]
fn nothing_is_contacted_where_the_data_are_not_fit() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id,x\n1,a\n2\n");
    let (code, report) = run(&bed, &["run", "job.yaml"]);
    assert_eq!((code, report["status"].as_str()), (10, Some("rejected")));
    assert!(served.received().is_empty());
    let output = bed.run(&["rejects", report["run_id"].as_str().unwrap()]);
    let rows = String::from_utf8(output.stdout).unwrap();
    assert!(
        rows.starts_with("id,x,_stage,_file,_record,_line,_byte,_place,_column,_code,_reason,_raw\n,,local,"),
        "{rows}"
    );
    assert!(rows.ends_with(",2,3,9,,,ragged,1 cells where the header has 2,2\n"), "{rows}");
    let (code, report) = run(&bed, &["run", "job.yaml", "--set", "map.identity=nope"]);
    assert_eq!((code, &report["run_id"]), (2, &Value::Null), "{report}");
    assert_eq!(run(&bed, &["runs"]).1.as_array().unwrap().len(), 1, "exit code 2 stores no run");
}

#[test]
fn change_against_the_last_done_run_is_guarded() {
    let served = Served::new(&[]);
    let bed = bed(&served, LIST);
    let arguments = ["run", "job.yaml", "--set", "destination.replace=true"];
    assert_eq!(run(&bed, &arguments).0, 0);
    std::fs::write(bed.path("list.csv"), "id,x\n1,a\n").unwrap();
    let mut guarded = arguments.to_vec();
    guarded.extend(["--set", "source.expect.max_change_percent=50"]);
    assert_eq!(run(&bed, &guarded).0, 10);
    // commands that only look migrate it too, and change nothing else
    let names = || {
        let entries = std::fs::read_dir(bed.path("state")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    for look in [&["check", "job.yaml"][..], &["run", "--dry-run", "job.yaml"]] {
        let (code, report) = run(&bed, &[look, &guarded[2..]].concat());
        assert_eq!(code, 10, "{report}");
        assert!(report["error"]["message"].as_str().unwrap().contains("the last done run had 3"), "{report}");
    }
    assert_eq!(names(), before);
    // without the account the job cannot be identified
    let output = bed.run(&[&["check", "job.yaml"], &guarded[2..]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("max_change_percent is not applied here") && said.contains("CT_ACCOUNT"), "{said}");
    std::fs::write(bed.path("list.csv"), "id,x\n1,a\n2,b\n").unwrap();
    assert_eq!(run(&bed, &guarded).0, 0);
    let other = ["--state-dir", "elsewhere"];
    assert_eq!(run(&bed, &[&["check", "job.yaml"], &guarded[2..], &other].concat()).0, 0, "there was no run");
    assert!(!bed.path("elsewhere").exists());
}

#[test]
fn j17_signals_stop_cleanly_and_the_run_goes_on_later() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let served = Served::new(&["put-stall"]);
        let list: String =
            std::iter::once("id,x\n".to_owned()).chain((0..900_000).map(|i| format!("{i},a\n"))).collect();
        let bed = bed(&served, &list);
        let arguments = ["run", "job.yaml", "--output", "json"];
        let child =
            with_secrets(bed.command(&arguments)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        while served.count("POST", "url") == 0 {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(300));
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let (output, took) = wait(child);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(took < Duration::from_secs(10), "{took:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((report["status"].as_str(), report["exit_code"].as_i64()), (Some("interrupted"), Some(code.into())));
        assert_eq!(run(&bed, &["runs", "last"]).1["exit_code"], code);
        let (end, report) = run(&bed, &["run", "job.yaml"]);
        assert_eq!(end, 0, "{report}");
    }
}

fn wait(child: Child) -> (std::process::Output, Duration) {
    let began = Instant::now();
    (child.wait_with_output().unwrap(), began.elapsed())
}

#[test]
fn one_job_runs_once_at_a_time() {
    let served = Served::new(&["put-stall"]);
    let list: String = std::iter::once("id,x\n".to_owned()).chain((0..900_000).map(|i| format!("{i},a\n"))).collect();
    let bed = bed(&served, &list);
    let mut first =
        with_secrets(bed.command(&["run", "job.yaml"])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while served.count("POST", "url") == 0 && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, report) = run(&bed, &["run", "job.yaml"]);
    assert_eq!(run(&bed, &["runs", "last"]).1["status"], "running");
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(code, 3, "{report}");
    assert_eq!(run(&bed, &["runs", "last"]).1["status"], "interrupted");
}

#[test]
fn run_with_the_sandbox_needs_nothing() {
    let bed = Bed::new(CLEVERTAP, LIST);
    let (code, report) = bed.json(&["run", "job.yaml", "--sandbox"]);
    assert_eq!((code, report["status"].as_str()), (0, Some("done")), "{report}");
    assert!(!bed.path("state").exists(), "its state is its own");
    assert_eq!(bed.json(&["run", "job.yaml", "--sandbox", "--fault", "nonsense"]).0, 2);
    assert_eq!(bed.json(&["run", "job.yaml", "--sandbox", "--fault", "completed-fail-200"]).0, 12);
}

/// The state of such a run is gone with it, so no hint refers to it.
#[test]
fn a_run_in_the_sandbox_names_only_what_is_left_of_it() {
    let bed = Bed::new(CLEVERTAP, "id,x\n1,a\n\"2\"x,b\n");
    let said = |report: &Value| report["error"]["hint"].as_str().unwrap().to_owned();
    let file = |report: &Value| report["rejects_file"].as_str().unwrap().to_owned();
    let (code, report) = bed.json(&["run", "job.yaml", "--sandbox"]);
    let kept = file(&report);
    assert_eq!((code, report["status"].as_str()), (10, Some("rejected")), "{report}");
    assert!(said(&report).contains(&kept), "{report}");
    assert!(std::fs::read_to_string(&kept).unwrap().contains("text_after_quote"));
    std::fs::remove_file(kept).unwrap();

    let less = ["--set", "rejects.max=1", "--set", "upload.attempts=1"];
    let (code, report) =
        bed.json(&[&["run", "job.yaml", "--sandbox", "--fault", "completed-lost"], &less[..]].concat());
    assert_eq!((code, report["status"].as_str()), (21, Some("unknown")), "{report}");
    assert!(said(&report).starts_with("run it again"), "{report}");
    std::fs::remove_file(file(&report)).unwrap();

    let job = "source: { path: list.csv }\nmap: { customer_id: id, changes: [ { op: delete, attr: x } ] }\n\
               destination: { platform: localytics-profiles, org_id: 60, api_key: { env: K }, api_secret: { env: S } }\n";
    let bed = Bed::new(job, LIST);
    let (code, report) = bed.json(&["run", "job.yaml", "--sandbox", "--fault", "reject-every=3"]);
    let kept = file(&report);
    assert_eq!((code, report["status"].as_str()), (11, Some("partial")), "{report}");
    assert!(said(&report).contains(&kept) && !said(&report).contains("listferry rejects"), "{report}");
    assert!(report["error"]["message"].as_str().unwrap().contains("refused 1 row,"), "{report}");
    std::fs::remove_file(kept).unwrap();
}

/// The first command that most users try.
#[test]
fn every_example_runs_in_the_sandbox() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let bed = Bed::new(CLEVERTAP, LIST);
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(&examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            let (code, report) = bed.json(&["run", path.to_str().unwrap(), "--sandbox"]);
            assert_eq!((code, report["status"].as_str()), (0, Some("done")), "{}: {report}", path.display());
            assert!(report["records"]["written"].as_u64() > Some(0), "{report}");
            assert!(!report["platform_result"].as_object().unwrap().is_empty(), "{report}");
            seen.push(report["platform"].as_str().unwrap().to_owned());
        }
    }
    seen.sort();
    assert_eq!(seen.len(), 10);
    seen.dedup();
    let all = ["clevertap", "localytics-audience", "localytics-profiles", "mediarithmics", "yesmail"];
    assert_eq!(seen, all);
}

/// Rows that the platform refused come back as the user's own, from the state, although the source is gone.
#[test]
fn rows_that_the_platform_refused_come_back() {
    let served = Served::new(&["reject-every=3"]);
    let job = format!(
        "source: {{ path: list.csv }}\nmap: {{ customer_id: id, changes: [ {{ op: delete, attr: x }} ] }}\n\
         destination: {{ platform: localytics-profiles, org_id: 60, api_key: {{ env: CT_ACCOUNT }}, \
         api_secret: {{ env: CT_PASSCODE }}, base_url: \"{}\" }}\n",
        served.url()
    );
    let bed = Bed::new(&job, "id,x\n1,a\n2,b\n3,\"c, d\"\n4,e\n");
    let (code, report) = run(&bed, &["run", "job.yaml"]);
    assert_eq!(code, 11, "{report}");
    let more = ["--set", "rejects.max_remote=1", "--set", "rejects.file=mine.csv"];
    let (code, report) = run(&bed, &[&["run", "job.yaml"][..], &more].concat());
    assert_eq!((code, report["status"].as_str()), (0, Some("done")), "{report}");
    std::fs::remove_file(bed.path("list.csv")).unwrap();
    let rows = String::from_utf8(bed.run(&["rejects", "last"]).stdout).unwrap();
    assert!(rows.contains("\n3,\"c, d\",platform,"), "{rows}");
    assert_eq!(rows.lines().count(), 2, "{rows}");
    assert_eq!(std::fs::read_to_string(bed.path("mine.csv")).unwrap(), rows);
}

/// Data from a pipe is kept as long as the run can be resumed, and no longer.
#[test]
fn a_spool_lives_as_long_as_its_run() {
    for (second, puts) in [("id\n7\n", 2), ("id\n1\n2\n", 1)] {
        let served = Served::new(&["completed-503"]);
        let bed = bed(&served, "");
        let spooled = || std::fs::read_dir(bed.path("state").join("spool")).unwrap().count();
        let piped = |arguments: &[&str], list: &str| {
            let mut child = with_secrets(bed.command(arguments))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), list.as_bytes());
            child.wait_with_output().unwrap()
        };
        let first = ["run", "job.yaml", "--set", "source.path=-", "--set", "upload.attempts=1"];
        assert_eq!(piped(&first, "id\n1\n2\n").status.code(), Some(20));
        assert_eq!(spooled(), 1);
        // other rows are a new run, the same ones continue where the first run stopped
        let output = piped(&["run", "job.yaml", "--set", "source.path=-"], second);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(spooled(), 0);
        assert_eq!(served.count("PUT", ""), puts);
    }
}

#[test]
fn the_sandbox_fetches_by_ftp_what_was_sent_by_ftp() {
    let served = Served::new(&["pull-cut"]);
    let ftp = served.runtime.block_on(crate::ftp::Ftp::start(std::sync::Arc::new(|_| true)));
    let job = format!(
        "source: {{ path: list.csv }}\nmap: {{ id: id, note: x }}\ndestination: {{ platform: yesmail, base_url: \"{}\", list: \
         members, api_user: {{ env: CT_ACCOUNT }}, api_key: {{ env: CT_PASSCODE }}, host: {{ ftp: {{ url: \
         \"ftp://ann:pw@{}/dir/list.csv\" }} }} }}\n",
        served.url(),
        ftp.address
    );
    let (code, report) = run(&Bed::new(&job, LIST), &["run", "job.yaml"]);
    assert_eq!((code, report["status"].as_str()), (0, Some("done")), "{report}");
    assert_eq!(ftp.files.lock().unwrap()["dir/list.csv"], b"id\tnote\n1\ta\n2\tb\n3\tc\n");
    let pulls: Vec<Value> = served.received().into_iter().filter(|entry| entry["platform"] == "yesmail-pull").collect();
    // the first was cut on demand, the second is complete
    let whole: Vec<_> = pulls.iter().map(|pull| pull["complete"].as_bool()).collect();
    assert_eq!(whole, [Some(false), Some(true)], "{pulls:?}");
    assert_eq!(pulls[1]["digest"], report["digest"], "{pulls:?}");
}

#[test]
fn a_half_spooled_file_of_a_killed_run_is_swept_one_in_use_is_not() {
    let served = Served::new(&["completed-503"]);
    let bed = bed(&served, LIST);
    // an open run keeps its spool; the other job has another name
    let failing = ["run", "job.yaml", "--set", "source.path=-", "--set", "upload.attempts=1", "--set", "name=other"];
    let mut command = with_secrets(bed.command(&failing));
    let output = command.stdin(std::fs::File::open(bed.path("list.csv")).unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(20), "{}", String::from_utf8_lossy(&output.stderr));
    let dir = bed.path("state").join("spool");
    let names = || {
        let entries = std::fs::read_dir(&dir).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let in_use = names();
    assert_eq!(in_use.len(), 1);
    for name in ["spool-1-5167-0", ".apsis.1-5167.part", "notes.txt", "spool-1-5168-0"] {
        std::fs::write(dir.join(name), "half").unwrap();
    }
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(8 * 86_400);
    for name in names().iter().filter(|name| *name != "spool-1-5168-0") {
        std::fs::File::options().write(true).open(dir.join(name)).unwrap().set_modified(long_ago).unwrap();
    }
    assert_eq!(run(&bed, &["run", "job.yaml"]).0, 0);
    let mut want = in_use;
    want.extend(["notes.txt", "spool-1-5168-0"].map(str::to_owned));
    assert_eq!(names(), want);
}

/// The state contains everything that `resume` needs, but no secrets, on whatever level they were set.
#[test]
fn no_secret_of_an_override_gets_into_the_state() {
    let served = Served::new(&[]);
    let job = format!(
        "source: {{ path: list.csv }}\nmap: {{ id: id }}\ndestination: {{ platform: yesmail, base_url: \"{}\", list: \
         members, api_user: {{ env: CT_ACCOUNT }}, api_key: {{ env: CT_PASSCODE }} }}\nupload: {{ attempts: 1 }}\n",
        served.url()
    );
    for host in [
        "destination.host={put: {url: 'http://127.0.0.1:1/x?sig=canary', fetch_url: 'https://u:canary@h.example/x'}}",
        "destination.host.put={url: 'http://127.0.0.1:1/x?sig=canary', fetch_url: 'https://h.example/x?sig=canary'}",
        "destination.host.ftp={url: 'ftp://u:canary@127.0.0.1:1/x'}",
        "destination.host.ftp={url: 'ftp://u@127.0.0.1:1/x', password: canary}",
    ] {
        let bed = Bed::new(&job, LIST);
        let respond = "destination.response_uri=https://u:canary@h.example/?key=canary";
        let (code, report) = run(&bed, &["run", "job.yaml", "--set", "wait=1m", "--set", host, "--set", respond]);
        assert_eq!(code, 20, "{report}");
        let mut kept = String::new();
        for entry in std::fs::read_dir(bed.path("state")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                kept += &String::from_utf8_lossy(&std::fs::read(path).unwrap());
            }
        }
        assert!(kept.contains("wait=1m") && !kept.contains("canary"), "{host}");
    }
}
