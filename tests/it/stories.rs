//! Several runs of one job on the real binary: numbered stories, and the rows of the table in `job/decide.rs` in which
//! platforms differ. Every vendor is a script that records what it received.

use crate::kill::{ends, listferry};
use crate::scripted::{Does, Seen, Uploads, Vendor, activity, clevertap, localytics_status, mediarithmics};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) const CLEVERTAP: &str = "map: { identity: id }\ndestination: { platform: clevertap, base_url: \"BASE\", account_id: { env: KEY }, \
                         passcode: { env: KEY }, segment: \"VIP {date}\", creator: Jane, email: jane@example.com }\n";

pub(crate) const INCREMENTS: &str = "map: { customer_id: id, changes: [{ op: increment, attr: n, value: 1 }] }\n";
pub(crate) const ASSIGNS: &str = "map: { customer_id: id, changes: [{ op: assign, attr: name, column: name }] }\n";
pub(crate) const PROFILES: &str = "destination: { platform: localytics-profiles, base_url: \"BASE\", org_id: 60, api_key: { env: KEY }, \
                        api_secret: { env: KEY }, max_part_bytes: 20000 }\n";

pub(crate) const MEDIARITHMICS: &str = "map: { operation: { value: UPDATE }, user_account_id: id, segment_id: { value: 42 }, \
                             expiration_duration: { value: 0 } }\ndestination: { platform: mediarithmics, base_url: \"BASE\", \
                             datamart_id: 1234, token: { env: KEY }, import_name: spring, max_part_bytes: 30kB }\n";

pub(crate) const YESMAIL: &str = "map: { id: id }\ndestination: { platform: yesmail, base_url: \"BASE\", list: members, api_user: { env: KEY \
                       }, api_key: { env: KEY }, host: { put: { url: { env: PUT_URL }, fetch_url: \"https://h/list.csv\" } } }\n";

pub(crate) struct Bed {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) vendor: Vendor,
}

/// The result of a command.
pub(crate) struct Came {
    pub(crate) code: i32,
    pub(crate) report: Value,
    /// The first line on stderr.
    pub(crate) first: String,
}

impl Bed {
    pub(crate) async fn new(job: &str, script: impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static) -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let vendor = Vendor::start(script, Arc::new(|_, _| true)).await;
        let top = "source: { path: list.csv }\nupload: { attempts: 1 }\nwait: 1s\n";
        std::fs::write(dir.path().join("job.yaml"), format!("{top}{}", job.replace("BASE", &vendor.base))).unwrap();
        let bed = Bed { dir, vendor };
        bed.list("user", 600);
        bed
    }

    pub(crate) fn list(&self, name: &str, rows: usize) {
        let list: String =
            std::iter::once("id,name\n".to_owned()).chain((0..rows).map(|i| format!("{name}-{i:06},x\n"))).collect();
        std::fs::write(self.dir.path().join("list.csv"), list).unwrap();
    }

    pub(crate) async fn go(&self, arguments: &[&str]) -> Came {
        self.came(listferry(self.dir.path(), &self.vendor.base, arguments)).await
    }

    /// Runs a command and returns its result.
    pub(crate) async fn came(&self, mut command: std::process::Command) -> Came {
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        crate::report_schema::validate_lines(&out);
        let object = out.lines().next().or(err.lines().last()).unwrap_or_default();
        Came {
            code: output.status.code().unwrap_or(-1),
            report: serde_json::from_str(object).unwrap_or_else(|error| panic!("{error}: {out}{err}")),
            first: err.lines().next().unwrap_or_default().to_owned(),
        }
    }

    pub(crate) async fn run(&self, more: &[&str]) -> Came {
        self.go(&[&["run", "job.yaml"], more].concat()).await
    }

    /// Returns the recorded runs, oldest first.
    pub(crate) async fn runs(&self) -> Vec<Value> {
        let listed = ends(listferry(self.dir.path(), &self.vendor.base, &["runs"])).await.1;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        listed.as_array().unwrap().iter().map(|run| run["status"].clone()).collect()
    }

    pub(crate) fn uploads(&self) -> usize {
        self.vendor.of("POST /v1/imports/profiles/upload").len()
    }
}

/// Two time zones in which it is never the same day.
pub(crate) const MONDAY: [&str; 2] = ["--set", "timezone=Etc/GMT+12"];
pub(crate) const TUESDAY: [&str; 2] = ["--set", "timezone=Pacific/Kiritimati"];

/// CleverTap whose last call fails `times` times, or gets no answer if `lost`.
pub(crate) fn completed(times: usize, lost: bool) -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static {
    let failed = AtomicUsize::new(0);
    move |seen: &Seen, nth: usize, base: &str| {
        if seen.path() == clevertap::COMPLETED && failed.fetch_add(1, Ordering::Relaxed) < times {
            return if lost { Does::Close } else { Does::Answer(503, String::new()) };
        }
        clevertap::answer(seen, nth, base)
    }
}

/// Localytics, whose nth upload is answered by `upload` and whose status by `status`.
pub(crate) fn localytics(
    upload: impl Fn(usize) -> Option<u16> + Send + Sync + 'static,
    status: impl Fn() -> (u16, &'static str) + Send + Sync + 'static,
) -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static {
    let (tried, uploads) = (AtomicUsize::new(0), Uploads::default());
    move |seen: &Seen, _: usize, _: &str| {
        if seen.line.starts_with("POST") {
            return match upload(tried.fetch_add(1, Ordering::Relaxed)) {
                Some(status) => Does::Answer(status, "{}".to_owned()),
                None => Does::Answer(202, format!(r#"{{"activity_id": "a-{}"}}"#, uploads.take(seen))),
            };
        }
        let (code, word) = status();
        Does::Answer(code, localytics_status(word, activity(seen).map_or(0, |nth| uploads.records(nth))))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_01_a_refused_connection_leaves_nothing_open() {
    let bed = Bed::new(CLEVERTAP, clevertap::answer).await;
    let unreachable = ["--set", "destination.base_url=http://127.0.0.1:1"];
    let first = bed.run(&unreachable).await;
    assert_eq!((first.code, &first.report["open"]), (20, &json!(false)), "{}", first.report);
    let second = bed.run(&unreachable).await;
    assert_eq!((second.code, &second.report["continued"]), (20, &json!(false)), "{}", second.report);
    assert_ne!(first.report["run_id"], second.report["run_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_02_a_name_of_another_day_supersedes_what_was_not_accepted() {
    let bed = Bed::new(CLEVERTAP, completed(1, false)).await;
    let monday = bed.run(&MONDAY).await;
    assert_eq!((monday.code, &monday.report["open"]), (20, &json!(true)), "{}", monday.report);
    let tuesday = bed.run(&TUESDAY).await;
    assert_eq!((tuesday.code, &tuesday.report["continued"]), (0, &json!(false)), "{}", tuesday.report);
    assert!(tuesday.first.contains("superseded"), "{}", tuesday.first);
    assert_eq!(bed.runs().await, ["superseded", "done"]);
    assert_eq!(bed.vendor.of(clevertap::PUT).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_day_continues_and_does_not_send_the_body_again() {
    let bed = Bed::new(CLEVERTAP, completed(1, false)).await;
    assert_eq!(bed.run(&[]).await.code, 20);
    // touched, with the same bytes
    bed.list("user", 600);
    let again = bed.run(&["-q", "--set", "wait=2s", "--set", "rejects.max=3"]).await;
    assert_eq!((again.code, &again.report["continued"]), (0, &json!(true)), "{}", again.report);
    assert!(again.first.contains("continuing run"), "{}", again.first);
    assert_eq!(bed.vendor.of(clevertap::PUT).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_04_a_doubt_blocks_its_own_name_only() {
    let bed = Bed::new(CLEVERTAP, completed(1, true)).await;
    assert_eq!(bed.run(&MONDAY).await.code, 21);
    assert_eq!(bed.run(&MONDAY).await.code, 21);
    let tuesday = bed.run(&TUESDAY).await;
    assert_eq!(tuesday.code, 0, "{}", tuesday.report);
    assert_eq!(bed.runs().await, ["unknown", "done"], "the doubt stays listed");
    assert_eq!(bed.run(&MONDAY).await.code, 21, "and is not forgotten");
    assert_eq!(bed.vendor.of(clevertap::COMPLETED).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_05_new_rows_after_a_pending_verdict_are_a_new_run() {
    // a verdict comes within the wait
    let done = Arc::new(AtomicBool::new(false));
    let verdict = Arc::clone(&done);
    let status = move || (200, if verdict.load(Ordering::Relaxed) { "Completed" } else { "Running" });
    let bed = Bed::new(&format!("{ASSIGNS}{PROFILES}"), localytics(|_| None, status)).await;
    bed.list("user", 100);
    assert_eq!(bed.run(&[]).await.code, 22);
    done.store(true, Ordering::Relaxed);
    bed.list("other", 100);
    let tuesday = bed.run(&[]).await;
    assert_eq!((tuesday.code, bed.uploads()), (0, 2), "{}", tuesday.report);
    assert_eq!(bed.runs().await, ["done", "done"]);
    // none comes: an assignment that overtakes the other would change the result, an increment would not
    for (map, code, uploads) in [(ASSIGNS, 22, 1), (INCREMENTS, 22, 2)] {
        let bed = Bed::new(&format!("{map}{PROFILES}"), localytics(|_| None, || (200, "Running"))).await;
        bed.list("user", 100);
        assert_eq!(bed.run(&[]).await.code, 22);
        bed.list("other", 100);
        let tuesday = bed.run(&[]).await;
        assert_eq!((tuesday.code, bed.uploads()), (code, uploads), "{map}{}", tuesday.report);
        let first = if uploads == 2 { "superseded" } else { "pending" };
        assert_eq!(bed.runs().await[0], first, "{map}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_a_later_one_settles_keeps_its_job_and_times() {
    let done = Arc::new(AtomicBool::new(false));
    let verdict = Arc::clone(&done);
    let status = move || (200, if verdict.load(Ordering::Relaxed) { "Completed" } else { "Running" });
    let bed = Bed::new(&format!("{ASSIGNS}{PROFILES}"), localytics(|_| None, status)).await;
    bed.list("user", 100);
    let monday = bed.run(&[]).await;
    assert_eq!(monday.code, 22, "{}", monday.report);
    done.store(true, Ordering::Relaxed);
    bed.list("other", 100);
    let tuesday = bed.run(&[]).await;
    assert_eq!(tuesday.code, 0, "{}", tuesday.report);
    let listed = ends(listferry(bed.dir.path(), &bed.vendor.base, &["runs"])).await.1;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let settled = &listed[0];
    assert_eq!((&settled["run_id"], &settled["status"]), (&monday.report["run_id"], &json!("done")), "{settled}");
    for key in ["job", "job_file"] {
        assert_eq!(settled[key], monday.report[key], "{key}: {settled}");
    }
    let time = |key: &str| settled[key].as_str().unwrap_or_else(|| panic!("no {key}: {settled}")).to_owned();
    assert!(time("started_at") <= time("ended_at"), "{settled}");
    assert!(time("started_at").as_str() <= monday.report["ended_at"].as_str().unwrap(), "{settled}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_07_the_rest_is_cut_anew_and_no_part_is_repeated() {
    let bed = Bed::new(
        &format!("{INCREMENTS}{PROFILES}"),
        localytics(|nth| (nth == 1).then_some(413), || (200, "Completed")),
    )
    .await;
    let first = bed.run(&[]).await;
    assert_eq!((first.code, &first.report["status"], &first.report["open"]), (12, &json!("partial"), &json!(true)));
    let second = bed.run(&["--set", "destination.max_part_bytes=8000"]).await;
    assert_eq!((second.code, &second.report["continued"]), (0, &json!(true)), "{}", second.report);
    let sent: Vec<String> = bed.vendor.of("POST /v1/imports/profiles/upload").iter().map(lines).collect();
    // every record was accepted once: the second upload is the refused one
    let accepted = [&sent[..1], &sent[2..]].concat().concat();
    let mut ids: Vec<&str> = accepted.lines().collect();
    assert_eq!(ids.len(), 600);
    ids.dedup();
    assert_eq!(ids.len(), 600, "no record twice");
}

/// A part in doubt keeps its bounds, because an assumption about it is about the records that were sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_part_size_loses_and_repeats_nothing_of_a_part_in_doubt() {
    for size in ["8000", "30000"] {
        let lost = AtomicUsize::new(0);
        let well = localytics(|_| None, || (200, "Completed"));
        let script = move |seen: &Seen, nth: usize, base: &str| {
            if seen.line.starts_with("POST") && lost.fetch_add(1, Ordering::Relaxed) == 1 {
                return Does::Close;
            }
            well(seen, nth, base)
        };
        let bed = Bed::new(&format!("{INCREMENTS}{PROFILES}"), script).await;
        assert_eq!(bed.run(&[]).await.code, 21);
        let smaller = format!("destination.max_part_bytes={size}");
        let resumed = bed.go(&["resume", "last", "--assume", "done", "--set", &smaller]).await;
        assert_eq!(resumed.code, 0, "{}", resumed.report);
        let sent: Vec<String> = bed.vendor.of("POST /v1/imports/profiles/upload").iter().map(lines).collect();
        let all = sent.concat();
        let mut ids: Vec<&str> = all.lines().collect();
        ids.dedup();
        assert_eq!((all.lines().count(), ids.len()), (600, 600), "{size}");
    }
}

/// Returns the lines of the list in a multipart body.
fn lines(seen: &Seen) -> String {
    let text = String::from_utf8_lossy(&seen.body);
    text.lines().filter(|line| line.starts_with("{\"customer_id\"")).fold(String::new(), |all, line| all + line + "\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_source_blocks_a_run_whose_parts_must_not_be_repeated() {
    let bed = Bed::new(
        &format!("{INCREMENTS}{PROFILES}"),
        localytics(|nth| (nth == 1).then_some(503), || (200, "Completed")),
    )
    .await;
    assert_eq!(bed.run(&[]).await.code, 20);
    let before = bed.uploads();
    bed.list("user", 700);
    let blocked = bed.run(&[]).await;
    assert_eq!((blocked.code, &blocked.report["status"]), (23, &json!("blocked")), "{}", blocked.report);
    let said = blocked.report["error"].to_string();
    let id = blocked.report["run_id"].as_str().unwrap();
    assert!(said.contains("the source has changed") && said.contains(&format!("runs close {id}")), "{said}");
    let changed = bed.run(&["--set", "where=[{column: name, equals: x}]"]).await;
    assert_eq!(changed.code, 23, "{}", changed.report);
    assert!(changed.report["error"].to_string().contains("`where`"), "{}", changed.report);
    assert_eq!(bed.uploads(), before, "nothing was sent");
    // the list is put back, so it continues with the second part
    bed.list("user", 600);
    let resumed = bed.go(&["resume", id]).await;
    assert_eq!(resumed.code, 0, "{}", resumed.report);
    let ids: Vec<String> = bed.vendor.of("POST /v1/imports/profiles/upload").iter().map(lines).collect();
    assert_eq!([&ids[..1], &ids[2..]].concat().concat().lines().count(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_09_parts_that_may_be_repeated_are_superseded_with_a_warning() {
    let (executions, well) = (AtomicUsize::new(0), mediarithmics());
    let script = move |seen: &Seen, before: usize, base: &str| {
        let execution = seen.line.starts_with("POST") && seen.path().ends_with("/executions");
        match execution && executions.fetch_add(1, Ordering::Relaxed) == 1 {
            true => Does::Answer(503, String::new()),
            false => well(seen, before, base),
        }
    };
    let bed = Bed::new(MEDIARITHMICS, script).await;
    let first = bed.run(&[]).await;
    assert_eq!((first.code, &first.report["status"]), (20, &json!("partial")), "{}", first.report);
    bed.list("other", 600);
    let second = bed.run(&[]).await;
    assert_eq!((second.code, &second.report["continued"]), (0, &json!(false)), "{}", second.report);
    assert!(second.report["warnings"].to_string().contains("superseded"), "{}", second.report);
    assert_eq!(bed.runs().await, ["superseded", "done"]);
    let old = bed.go(&["runs", first.report["run_id"].as_str().unwrap()]).await.report;
    assert_eq!((&old["exit_code"], &old["open"]), (&json!(20), &json!(false)), "it was not done: {old}");
}

/// A command's key belongs to its own list: an older run that it asks for a verdict does not get the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_not_given_to_the_run_that_is_settled_first() {
    let done = Arc::new(AtomicBool::new(false));
    let (verdict, refuse) = (Arc::clone(&done), Arc::clone(&done));
    let status = move || (200, if verdict.load(Ordering::Relaxed) { "Completed" } else { "Running" });
    let upload = move |nth| (nth == 1 && refuse.load(Ordering::Relaxed)).then_some(413);
    let bed = Bed::new(&format!("{ASSIGNS}{PROFILES}"), localytics(upload, status)).await;
    bed.list("user", 100);
    assert_eq!(bed.run(&[]).await.code, 22);
    done.store(true, Ordering::Relaxed);
    bed.list("other", 100);
    // the old run is settled and the new list refused, so nothing was sent under this key
    assert_eq!(bed.run(&["--once", "dag-1"]).await.code, 12);
    let again = bed.run(&["--once", "dag-1"]).await;
    assert_eq!((again.code, &again.report["continued"]), (0, &json!(false)), "{}", again.report);
    assert_eq!(bed.uploads(), 3, "the new list was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_12_a_file_that_may_still_be_fetched_is_not_overwritten() {
    let ended = Arc::new(AtomicBool::new(false));
    let verdict = Arc::clone(&ended);
    let script = move |seen: &Seen, _: usize, _: &str| match seen.line.split(' ').next() {
        Some("PUT") => Does::Answer(200, String::new()),
        Some("POST") => Does::Answer(202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned()),
        _ if seen.path().contains("import") || seen.path().contains("t-1") => {
            let state = if verdict.load(Ordering::Relaxed) { "completed" } else { "running" };
            Does::Answer(200, format!(r#"{{"id": "t-1", "state": "{state}"}}"#))
        }
        _ => Does::Answer(200, "{}".to_owned()),
    };
    let bed = Bed::new(YESMAIL, script).await;
    assert_eq!(bed.run(&[]).await.code, 22);
    bed.list("other", 600);
    let blocked = bed.run(&[]).await;
    assert_eq!(blocked.code, 23, "{}", blocked.report);
    assert_eq!(bed.vendor.of("PUT /store/").len(), 1, "the file was not overwritten");
    ended.store(true, Ordering::Relaxed);
    let second = bed.run(&[]).await;
    assert_eq!((second.code, bed.vendor.of("PUT /store/").len()), (0, 2), "{}", second.report);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_16_a_report_that_could_not_be_written_is_given_again() {
    let bed = Bed::new(CLEVERTAP, clevertap::answer).await;
    for _ in 0..2 {
        let mut command = listferry(bed.dir.path(), &bed.vendor.base, &["run", "job.yaml"]);
        command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(command.status().unwrap().code(), Some(1));
    }
    assert_eq!(bed.vendor.of(clevertap::PUT).len(), 1, "the second gave the report of the first");
    let again = bed.run(&[]).await;
    assert_eq!((again.code, &again.report["continued"]), (0, &json!(true)), "{}", again.report);
    assert!(again.first.contains("its report was not written"), "{}", again.first);
    assert_eq!(bed.vendor.of(clevertap::PUT).len(), 1);
    // this time it was written, so the next is a new run
    assert_eq!(bed.run(&[]).await.report["continued"], false);
    // another list does not get the old report
    let mut command = listferry(bed.dir.path(), &bed.vendor.base, &["run", "job.yaml"]);
    command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let _ = command.status().unwrap();
    let sent = bed.vendor.of(clevertap::PUT).len();
    bed.list("other", 10);
    let other = bed.run(&[]).await;
    assert_eq!((&other.report["continued"], bed.vendor.of(clevertap::PUT).len()), (&json!(false), sent + 1));
    assert!(other.first.contains("could not be written"), "{}", other.first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_17_a_closed_pipe_counts_as_written() {
    let bed = Bed::new(CLEVERTAP, clevertap::answer).await;
    for sent in 1..=2 {
        let mut command = listferry(bed.dir.path(), &bed.vendor.base, &["run", "job.yaml"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert_eq!(bed.vendor.of(clevertap::PUT).len(), sent, "no replay");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_18_a_key_is_sent_once() {
    let bed = Bed::new(CLEVERTAP, clevertap::answer).await;
    let first = bed.run(&["--once", "dag-1"]).await;
    assert_eq!(first.code, 0, "{}", first.report);
    bed.list("other", 10);
    let again = bed.run(&["--once", "dag-1"]).await;
    assert_eq!((again.code, &again.report["continued"]), (0, &json!(true)), "{}", again.report);
    assert_eq!(again.report["run_id"], first.report["run_id"]);
    assert_eq!(bed.vendor.of(clevertap::PUT).len(), 1);
    let empty = bed.run(&["--once", ""]).await;
    assert_eq!(empty.code, 2, "an unset variable is not a key: {}", empty.report);
    assert_eq!(bed.run(&["--once", "dag-2"]).await.report["continued"], false);
    assert_eq!(bed.vendor.of(clevertap::PUT).len(), 2);
}

/// The operator abandons the run in the way, and the scheduler's retry of the same task still sends nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_and_an_abandoned_run_go_together() {
    let bed = Bed::new(CLEVERTAP, completed(1, true)).await;
    let first = bed.run(&[]).await;
    assert_eq!(first.code, 21, "{}", first.report);
    let id = first.report["run_id"].as_str().unwrap();
    let both = ["--once", "dag-1", "--new", id];
    let sent = bed.run(&both).await;
    assert_eq!((sent.code, &sent.report["continued"]), (0, &json!(false)), "{}", sent.report);
    assert_eq!(bed.runs().await, ["abandoned", "done"]);
    let again = bed.run(&both).await;
    assert_eq!((again.code, &again.report["run_id"]), (0, &sent.report["run_id"]), "{}", again.report);
    assert_eq!(bed.vendor.of(clevertap::COMPLETED).len(), 2, "nothing is sent again");
    // another key: no run is in the way any more
    assert_eq!(bed.run(&["--once", "dag-2", "--new", id]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_19_a_required_state_must_be_there() {
    let bed = Bed::new(CLEVERTAP, clevertap::answer).await;
    let require = ["--set", "state.require=true"];
    let refused = bed.run(&require).await;
    assert_eq!(refused.code, 3, "{}", refused.report);
    assert!(bed.vendor.seen.lock().unwrap().is_empty());
    let (code, _) = ends(listferry(bed.dir.path(), &bed.vendor.base, &["runs", "init"])).await;
    assert_eq!((code, bed.run(&require).await.code), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_28_and_29_a_typo_blocks_nothing_and_paths_are_jobs() {
    let bed = Bed::new(CLEVERTAP, clevertap::answer).await;
    assert_eq!(bed.run(&["--set", "source.path=lits.csv"]).await.code, 1);
    assert_eq!(bed.run(&[]).await.code, 0);
    let bed = Bed::new(CLEVERTAP, completed(usize::MAX, true)).await;
    let copy = |name: &str| {
        let dir = bed.dir.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        for file in ["job.yaml", "list.csv"] {
            std::fs::copy(bed.dir.path().join(file), dir.join(file)).unwrap();
        }
        Path::new(name).join("job.yaml").to_string_lossy().into_owned()
    };
    let (german, french) = (copy("de"), copy("fr"));
    for job in [&german, &french] {
        assert_eq!(bed.go(&["run", job]).await.code, 21);
    }
    assert_eq!(bed.vendor.of(clevertap::COMPLETED).len(), 2, "two jobs");
    assert_eq!(bed.go(&["run", &german]).await.code, 21);
    assert_eq!(bed.vendor.of(clevertap::COMPLETED).len(), 2, "each in doubt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_after_acceptance_is_a_refusal() {
    for status in [404, 400, 410, 302, 501, 500] {
        let bed = Bed::new(&format!("{INCREMENTS}{PROFILES}"), localytics(|_| None, move || (status, "Gone"))).await;
        bed.list("user", 10);
        for _ in 0..2 {
            let came = bed.run(&[]).await;
            assert!(matches!(came.code, 20 | 22), "{status}: {}", came.report);
            assert_eq!(bed.uploads(), 1, "{status}: sent once");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_decides_nothing() {
    let bed = Bed::new(CLEVERTAP, completed(1, true)).await;
    assert_eq!(bed.run(&[]).await.code, 21);
    for (name, value) in
        [("ASSUME", "repeat"), ("NEW", "true"), ("DRY_RUN", "true"), ("SANDBOX", "true"), ("ONCE", "x")]
    {
        let mut command = listferry(bed.dir.path(), &bed.vendor.base, &["run", "job.yaml"]);
        command.env(format!("LISTFERRY_{name}"), value);
        assert_eq!(ends(command).await.0, 21, "{name}");
    }
    let mut command = listferry(bed.dir.path(), &bed.vendor.base, &["resume", "last"]);
    command.env("LISTFERRY_ASSUME", "repeat");
    assert_eq!(ends(command).await.0, 21);
    assert_eq!(bed.vendor.of(clevertap::COMPLETED).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_state_is_never_taken_for_a_new_one() {
    let bed = Bed::new(CLEVERTAP, completed(1, true)).await;
    assert_eq!(bed.run(&[]).await.code, 21);
    let state = bed.dir.path().join("state/state.db");
    let good = std::fs::read(&state).unwrap();
    for damage in [&b""[..], b"x"] {
        std::fs::write(&state, damage).unwrap();
        let came = bed.run(&[]).await;
        assert_eq!(came.code, 3, "{}", came.report);
    }
    std::fs::remove_file(&state).unwrap();
    let came = bed.run(&[]).await;
    assert!(came.code == 3 && came.report["error"].to_string().contains("runs init --force"), "{}", came.report);
    assert_eq!(bed.vendor.of(clevertap::COMPLETED).len(), 1, "nothing was sent");
    std::fs::write(&state, good).unwrap();
    assert_eq!(bed.run(&[]).await.code, 21);
}
