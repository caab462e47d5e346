//! A run that stopped, and a source or credentials that have changed when the job is run again: nothing is sent twice
//! or forgotten, and a run that has done nothing does not block the next.

use crate::kill::{ends, listferry};
use crate::scripted::{Does, Seen, Uploads, Vendor, activity, clevertap, localytics_status};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CLEVERTAP: &str = "map: { identity: id }\ndestination: { platform: clevertap, base_url: \"BASE\", account_id: { env: KEY }, \
                         passcode: { env: KEY }, segment: VIP, creator: Jane, email: jane@example.com }\n";

/// Parts of 200 rows, none of which may be sent twice.
pub(crate) const PROFILES: &str = "map: { customer_id: id, changes: [{ op: increment, attr: n, value: 1 }] }\ndestination: { platform: \
                        localytics-profiles, base_url: \"BASE\", org_id: 60, api_key: { env: KEY }, api_secret: { env: \
                        SECRET }, max_part_bytes: 20000 }\n";

fn write_job(dir: &Path, job: &str, base: &str) {
    let upload = "source: { path: list.csv }\nupload: { attempts: 1 }\nwait: 2s\n";
    std::fs::write(dir.join("job.yaml"), format!("{upload}{}", job.replace("BASE", base))).unwrap();
}

fn write_list(dir: &Path, rows: usize) {
    let list: String =
        std::iter::once("id,name\n".to_owned()).chain((0..rows).map(|i| format!("user-{i:06},x\n"))).collect();
    std::fs::write(dir.join("list.csv"), list).unwrap();
}

pub(crate) struct Bed {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) vendor: Vendor,
}

impl Bed {
    pub(crate) async fn new(
        job: &str,
        rows: usize,
        script: impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static,
    ) -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let vendor = Vendor::start(script, Arc::new(|_, _| true)).await;
        write_job(dir.path(), job, &vendor.base);
        write_list(dir.path(), rows);
        Bed { dir, vendor }
    }

    pub(crate) async fn go(&self, arguments: &[&str]) -> (i32, Value) {
        self.go_with("right", arguments).await
    }

    async fn go_with(&self, secret: &str, arguments: &[&str]) -> (i32, Value) {
        let mut command = listferry(self.dir.path(), &self.vendor.base, arguments);
        command.env("SECRET", secret).stderr(std::process::Stdio::null());
        let (code, output) = ends(command).await;
        (code, serde_json::from_str(&output).unwrap_or(Value::Null))
    }

    /// Returns exit code and status of the last run in `runs`.
    async fn last(&self) -> (Value, Value) {
        let (_, run) = self.go(&["runs", "last"]).await;
        let run = if run.is_array() { run[0].clone() } else { run };
        (run["exit_code"].clone(), run["status"].clone())
    }
}

/// CleverTap whose storage fails `puts` times, and whose last call gets no answer `lost` times.
fn failing(puts: usize, lost: usize) -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static {
    let (put, completed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    move |seen: &Seen, nth: usize, base: &str| {
        if seen.path().starts_with(clevertap::PUT) && put.fetch_add(1, Ordering::Relaxed) < puts {
            return Does::Answer(500, String::new());
        }
        if seen.path() == clevertap::COMPLETED && completed.fetch_add(1, Ordering::Relaxed) < lost {
            return Does::Close;
        }
        clevertap::answer(seen, nth, base)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_source_supersedes_a_run_of_which_nothing_was_accepted() {
    let bed = Bed::new(CLEVERTAP, 3, failing(1, 0)).await;
    assert_eq!(bed.go(&["run", "job.yaml"]).await.0, 20);
    write_list(bed.dir.path(), 4);
    let (code, report) = bed.go(&["run", "job.yaml"]).await;
    assert_eq!((code, &report["records"]["written"]), (0, &4.into()), "{report}");
    assert_eq!(report["warnings"][0]["kind"], "superseded", "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubt_is_settled_without_the_source_and_outlives_another_one() {
    for gone in [false, true] {
        let bed = Bed::new(CLEVERTAP, 3, failing(0, 1)).await;
        let (code, report) = bed.go(&["run", "job.yaml"]).await;
        assert!(code == 21 && report["error"]["message"].as_str().unwrap().contains("the list \"VIP\""), "{report}");
        match gone {
            true => std::fs::remove_file(bed.dir.path().join("list.csv")).unwrap(),
            false => write_list(bed.dir.path(), 4),
        }
        // no decision has been made yet
        assert_eq!(bed.go(&["run", "job.yaml"]).await.0, 21);
        assert_eq!(bed.go(&["resume", "last"]).await.0, 21);
        let (code, report) = bed.go(&["resume", "last", "--assume", "done"]).await;
        assert_eq!((code, &report["records"]["written"]), (0, &3.into()), "{report}");
        assert_eq!(bed.vendor.of(clevertap::COMPLETED).len(), 1, "{gone}");
    }
    let bed = Bed::new(CLEVERTAP, 3, failing(0, 1)).await;
    assert_eq!(bed.go(&["run", "job.yaml"]).await.0, 21);
    std::fs::remove_file(bed.dir.path().join("list.csv")).unwrap();
    assert_eq!(bed.go(&["resume", "last", "--assume", "repeat"]).await.0, 0);
    assert_eq!((bed.vendor.of(clevertap::COMPLETED).len(), bed.vendor.of(clevertap::PUT).len()), (2, 1));
}

/// Localytics that accepts uploads except where `wrong` returns an answer, and refuses any secret but the right one.
pub(crate) fn profiles(
    wrong: impl Fn(usize) -> Option<Does> + Send + Sync + 'static,
) -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync {
    let (tried, uploads) = (AtomicUsize::new(0), Uploads::default());
    move |seen: &Seen, _: usize, _: &str| {
        use base64::Engine as _;
        let right = base64::engine::general_purpose::STANDARD.encode("se-cret-key:right");
        if !seen.head.contains(&right) {
            return Does::Answer(401, "{}".to_owned());
        }
        if !seen.line.starts_with("POST") {
            let rows = activity(seen).map_or(0, |nth| uploads.records(nth));
            return Does::Answer(200, localytics_status("Completed", rows));
        }
        let nth = tried.fetch_add(1, Ordering::Relaxed);
        wrong(nth).unwrap_or_else(|| Does::Answer(202, format!(r#"{{"activity_id": "a-{}"}}"#, uploads.take(seen))))
    }
}

fn is_upload(bed: &Bed) -> usize {
    bed.vendor.of("POST /v1/imports/profiles/upload").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_in_between_repeat_no_part_that_was_taken() {
    let refused = |nth| (nth == 1).then(|| Does::Answer(401, "{}".to_owned()));
    let bed = Bed::new(PROFILES, 600, profiles(refused)).await;
    let (code, report) = bed.go(&["run", "job.yaml"]).await;
    assert_eq!((code, &report["status"]), (30, &"partial".into()), "{report}");
    let parts = report["parts"].as_array().unwrap().len();
    assert!(parts > 2, "{report}");
    // still wrong, at the first call that is left
    let (code, old) = bed.go_with("wrong", &["run", "job.yaml"]).await;
    assert_eq!(code, 30, "{old}");
    let before = is_upload(&bed);
    let (code, report) = bed.go(&["run", "job.yaml"]).await;
    assert_eq!(code, 0, "{report}");
    assert_eq!(is_upload(&bed) - before, parts - 1, "the first part was taken before");
    // or abandoned
    let refused = |nth| (nth == 1).then(|| Does::Answer(401, "{}".to_owned()));
    let bed = Bed::new(PROFILES, 600, profiles(refused)).await;
    let (code, old) = bed.go(&["run", "job.yaml"]).await;
    let id = old["run_id"].as_str().unwrap();
    assert_eq!((code, bed.go(&["runs", "close", id]).await.0), (30, 0), "{old}");
    assert_eq!(bed.go(&["run", "job.yaml"]).await.0, 0);
    let (code, report) = bed.go(&["resume", old["run_id"].as_str().unwrap()]).await;
    assert!(code == 2 && report["error"]["message"].as_str().unwrap().contains("abandoned"), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_source_between_parts_does_not_repeat_accepted_parts() {
    let fails = |nth| (nth == 1).then(|| Does::Answer(503, String::new()));
    let bed = Bed::new(PROFILES, 600, profiles(fails)).await;
    let (code, report) = bed.go(&["run", "job.yaml"]).await;
    assert_eq!((code, &report["status"]), (20, &"partial".into()), "{report}");
    let before = is_upload(&bed);
    write_list(bed.dir.path(), 700);
    for _ in 0..2 {
        let (code, report) = bed.go(&["run", "job.yaml"]).await;
        assert_eq!((code, &report["status"]), (23, &"blocked".into()), "{report}");
        assert_eq!(bed.last().await, (20.into(), "partial".into()));
    }
    assert_eq!(is_upload(&bed), before);
    // the source is put back, so it continues
    write_list(bed.dir.path(), 600);
    let (code, report) = bed.go(&["run", "job.yaml"]).await;
    assert_eq!(code, 0, "{report}");
    let parts = report["parts"].as_array().unwrap().len();
    assert_eq!(is_upload(&bed), parts + 1, "one of them failed");
    // or the run is abandoned: all parts anew
    let fails = |nth| (nth == 1).then(|| Does::Answer(503, String::new()));
    let bed = Bed::new(PROFILES, 600, profiles(fails)).await;
    assert_eq!(bed.go(&["run", "job.yaml"]).await.0, 20);
    write_list(bed.dir.path(), 700);
    let (_, old) = bed.go(&["run", "job.yaml"]).await;
    assert_eq!(bed.go(&["run", "job.yaml", "--new", old["run_id"].as_str().unwrap()]).await.0, 0);
    let (code, report) = bed.go(&["resume", old["run_id"].as_str().unwrap()]).await;
    assert!(code == 2 && report["error"]["message"].as_str().unwrap().contains("abandoned"), "{report}");
}

/// An unused import contains nothing, so the creation is repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_import_is_created_again_after_a_lost_answer() {
    const MEDIARITHMICS: &str = "map: { operation: { value: UPDATE }, user_account_id: id, segment_id: { value: 42 }, \
                                 expiration_duration: { value: 0 } }\ndestination: { platform: mediarithmics, base_url: \
                                 \"BASE\", datamart_id: 1234, token: { env: KEY }, import_name: spring }\n";
    let script = |seen: &Seen, nth: usize, _: &str| match (seen.line.starts_with("POST"), seen.path().ends_with("s")) {
        (true, true) if seen.path().ends_with("/document_imports") && nth < 2 => Does::Close,
        (true, _) if seen.path().ends_with("/document_imports") => {
            Does::Answer(200, r#"{"status": "ok", "data": {"id": "77"}}"#.to_owned())
        }
        (true, _) => Does::Answer(200, r#"{"status": "ok", "data": {"id": "5", "status": "PENDING"}}"#.to_owned()),
        _ => {
            let one = r#"{"id": "5", "status": "SUCCEEDED", "result": {"total_success": 3, "total_failure": 0}}"#;
            Does::Answer(200, format!(r#"{{"status": "ok", "total": 1, "data": [{one}]}}"#))
        }
    };
    let bed = Bed::new(MEDIARITHMICS, 3, script).await;
    for want in [20, 20, 0] {
        let (code, report) = bed.go(&["run", "job.yaml", "--set", "upload.attempts=1"]).await;
        assert_eq!(code, want, "{report}");
    }
}

/// The import was accepted but the answer lost: the list is served until it was fetched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_whose_import_is_assumed_is_served_until_it_was_pulled() {
    const YESMAIL: &str = "map: { id: id }\ndestination: { platform: yesmail, base_url: \"BASE\", list: members, api_user: { env: \
                           KEY }, api_key: { env: KEY }, host: { serve: { listen: '127.0.0.1:0' } } }\n";
    let uri = Arc::new(std::sync::Mutex::new(String::new()));
    let given = Arc::clone(&uri);
    let script = move |seen: &Seen, _: usize, _: &str| {
        if seen.line.starts_with("GET ") {
            return Does::Answer(404, String::new());
        }
        let request: Value = serde_json::from_slice(&seen.body).unwrap();
        request["source"]["uri"].as_str().unwrap().clone_into(&mut given.lock().unwrap());
        Does::Close
    };
    let bed = Bed::new(YESMAIL, 30_000, script).await;
    assert_eq!(bed.go(&["run", "job.yaml"]).await.0, 21);
    let (code, report) = bed.go(&["resume", "last", "--assume", "done", "--set", "wait=1s"]).await;
    assert_eq!(code, 22, "it was not fetched: {report}");
    let uri = uri.lock().unwrap().clone();
    let pull = tokio::task::spawn_blocking(move || {
        let whole = (0..200).find_map(|_| {
            let list = crate::kill_yesmail::pull(&uri, &crate::kill_yesmail::Killer::default());
            if list.is_none() {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            list
        });
        whole.expect("it is served")
    });
    let (code, report) = bed.go(&["resume", "last", "--set", "wait=1m"]).await;
    assert_eq!(code, 0, "{report}");
    let list = pull.await.unwrap();
    assert_eq!(report["bytes"]["body"], list.len(), "{report}");
    let imports = bed.vendor.seen.lock().unwrap().iter().filter(|seen| seen.line.starts_with("POST ")).count();
    assert_eq!(imports, 1, "the import was not asked for again");
}
