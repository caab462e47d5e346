//! Stories of daily use on the real binary: files exported anew, releases, upgrades, keys that change.

use crate::kill::listferry;
use crate::scripted::{self, Does, Seen, clevertap};
use crate::stories::{
    ASSIGNS, Bed, CLEVERTAP, Came, INCREMENTS, MEDIARITHMICS, MONDAY, PROFILES, TUESDAY, YESMAIL, completed, localytics,
};
use serde_json::json;
use sha2::Digest as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs the job with a list in its standard input.
async fn piped(bed: &Bed, list: &str, more: &[&str]) -> Came {
    let path = bed.dir.path().join("piped.csv");
    std::fs::write(&path, list).unwrap();
    let mut command =
        listferry(bed.dir.path(), &bed.vendor.base, &[&["run", "job.yaml", "--set", "source.path=-"], more].concat());
    let mut from = std::process::Command::new("cat").arg(&path).stdout(Stdio::piped()).spawn().unwrap();
    command.stdin(from.stdout.take().unwrap());
    let came = bed.came(command).await;
    from.wait().unwrap();
    came
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_03_a_file_exported_anew_supersedes_what_was_not_accepted() {
    let bed = Bed::new(CLEVERTAP, completed(1, false)).await;
    assert_eq!(bed.run(&MONDAY).await.code, 20);
    bed.list("other", 600);
    let tuesday = bed.run(&TUESDAY).await;
    assert_eq!((tuesday.code, &tuesday.report["continued"]), (0, &json!(false)), "{}", tuesday.report);
    assert_eq!(bed.runs().await, ["superseded", "done"]);
    assert_eq!(bed.vendor.of(clevertap::PUT).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_06_too_many_parts_for_the_quota_are_refused_before_the_first() {
    let bed = Bed::new(&format!("{INCREMENTS}{PROFILES}"), localytics(|_| None, || (200, "Completed"))).await;
    bed.list("user", 2800);
    for command in ["check", "run"] {
        let refused = bed.go(&[command, "job.yaml"]).await;
        let said = refused.report["error"].to_string();
        assert!(refused.code == 10 && said.contains("max_part_bytes: "), "{command}: {}", refused.report);
    }
    assert_eq!(bed.uploads(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_08_a_second_list_of_that_name_is_made_only_if_asked_for() {
    const AUDIENCE: &str = "map: { customer_id: id }\ndestination: { platform: localytics-audience, base_url: \"BASE\", app_id: a, \
                            audience_name: n, api_key: { env: KEY }, api_secret: { env: KEY } }\n";
    let (created, well) = (AtomicUsize::new(0), scripted::localytics());
    let script = move |seen: &Seen, nth: usize, base: &str| {
        if seen.path().contains("/list/app/") && created.load(Ordering::SeqCst) > 0 {
            return Does::Answer(200, r#"[{"id": 31245, "name": "n"}]"#.to_owned());
        }
        created.fetch_add(usize::from(seen.line.starts_with("POST")), Ordering::SeqCst);
        well(seen, nth, base)
    };
    let bed = Bed::new(AUDIENCE, script).await;
    let sent = |method: &str| bed.vendor.of(&format!("{method} /v1/imports/audiences/list/")).len();
    assert_eq!((bed.run(&[]).await.code, sent("POST")), (0, 1));
    let second = bed.run(&[]).await;
    assert!(second.report["error"]["message"].as_str().unwrap().contains("31245"), "{}", second.report);
    assert_eq!((second.code, sent("POST"), sent("PUT")), (12, 1, 0));
    assert_eq!(bed.run(&["--set", "destination.if_exists=replace"]).await.code, 0);
    assert_eq!((sent("POST"), sent("PUT")), (1, 1));
    assert_eq!(bed.run(&["--set", "destination.if_exists=create"]).await.code, 0);
    assert_eq!((sent("POST"), sent("PUT")), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_10_an_import_that_was_left_is_named_with_its_id() {
    for (answered, says) in
        [(true, "the document import 77 was created"), (false, "a document import may have been created")]
    {
        let (failed, well) = (AtomicBool::new(false), scripted::mediarithmics());
        let script = move |seen: &Seen, nth: usize, base: &str| {
            let create = seen.path().ends_with("/document_imports");
            let first = (create != answered) && seen.line.starts_with("POST") && !failed.swap(true, Ordering::SeqCst);
            match first {
                true if answered => Does::Answer(503, String::new()),
                true => Does::Close,
                false => well(seen, nth, base),
            }
        };
        let bed = Bed::new(MEDIARITHMICS, script).await;
        assert_eq!(bed.run(&[]).await.code, 20);
        bed.list("other", 600);
        let second = bed.run(&[]).await;
        assert_eq!(second.code, 0, "{}", second.report);
        let orphans: Vec<_> = second.report["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|warning| warning["kind"] == "orphan")
            .collect();
        assert!(orphans.len() == 1 && orphans[0]["message"].as_str().unwrap().starts_with(says), "{}", second.report);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_transfer_by_ftp_is_named_when_another_list_takes_its_place() {
    let cut = Arc::new(AtomicBool::new(true));
    let cutting = Arc::clone(&cut);
    let ftp =
        crate::ftp::Ftp::start(Arc::new(move |moment| !(moment == "ftp data whole" && cutting.load(Ordering::SeqCst))))
            .await;
    let host = format!("ftp: {{ url: \"ftp://ann:pw@{}/dir/list.csv\" }}", ftp.address);
    let job = YESMAIL.replace("put: { url: { env: PUT_URL }, fetch_url: \"https://h/list.csv\" }", &host);
    let bed = Bed::new(&job, |seen: &Seen, _: usize, _: &str| match seen.line.starts_with("POST") {
        true => Does::Answer(202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned()),
        false => Does::Answer(200, r#"{"id": "t-1", "state": "completed"}"#.to_owned()),
    })
    .await;
    assert_eq!(bed.run(&[]).await.code, 20);
    cut.store(false, Ordering::SeqCst);
    bed.list("other", 600);
    let second = bed.run(&[]).await;
    assert_eq!(second.code, 0, "{}", second.report);
    let left: Vec<String> = ftp.files.lock().unwrap().keys().filter(|name| name.ends_with(".part")).cloned().collect();
    let said = second.report["warnings"].to_string();
    let name = left[0].trim_start_matches("dir/list.csv");
    assert!(left.len() == 1 && said.contains("orphan") && said.contains(name), "{left:?} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_11_a_ticket_is_asked_for_24_hours_then_a_new_file_is_sent() {
    for changed in [false, true] {
        let ended = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&ended);
        let script = move |seen: &Seen, _: usize, _: &str| match seen.line.split(' ').next() {
            Some("PUT") => Does::Answer(200, String::new()),
            Some("POST") => Does::Answer(202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned()),
            _ if state.load(Ordering::SeqCst) => Does::Answer(200, r#"{"id": "t-1", "state": "completed"}"#.to_owned()),
            _ => Does::Answer(404, String::new()),
        };
        let bed = Bed::new(YESMAIL, script).await;
        assert_eq!(bed.run(&[]).await.code, 22);
        assert_eq!(bed.run(&[]).await.code, 22, "the next night, too");
        let db = rusqlite::Connection::open(bed.dir.path().join("state/state.db")).unwrap();
        db.execute("UPDATE parts SET accepted_ms = accepted_ms - 25 * 3600 * 1000", []).unwrap();
        drop(db);
        if changed {
            bed.list("other", 600);
            ended.store(true, Ordering::SeqCst);
            let next = bed.run(&[]).await;
            assert_eq!((next.code, bed.vendor.of("PUT /store/").len()), (0, 2), "{}", next.report);
            assert!(next.report["warnings"].to_string().contains("24 hours"), "{}", next.report);
        } else {
            let last = bed.run(&[]).await;
            assert_eq!((last.code, &last.report["open"]), (11, &json!(false)), "{}", last.report);
            assert_eq!(last.report["platform_result"]["verdict"], "expired", "{}", last.report);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_14_new_rows_from_a_pipe_are_sent_not_the_old_ones() {
    let bed = Bed::new(CLEVERTAP, completed(1, false)).await;
    assert_eq!(piped(&bed, "id\nold-1\nold-2\n", &[]).await.code, 20);
    let second = piped(&bed, "id\nnew-1\n", &[]).await;
    assert_eq!((second.code, &second.report["continued"]), (0, &json!(false)), "{}", second.report);
    let last = bed.vendor.of(clevertap::PUT).pop().unwrap();
    assert_eq!(String::from_utf8_lossy(&last.body), "Type,Identity\ni,new-1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_15_a_pipe_that_was_killed_while_spooling_starts_anew() {
    let bed = Bed::new(CLEVERTAP, clevertap::answer).await;
    let mut command = listferry(bed.dir.path(), &bed.vendor.base, &["run", "job.yaml", "--set", "source.path=-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"id\nuser-1\n").unwrap();
    let spool = bed.dir.path().join("state/spool");
    let began = std::time::Instant::now();
    while !std::fs::read_dir(&spool).is_ok_and(|mut files| files.next().is_some()) {
        assert!(began.elapsed().as_secs() < 60);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let again = piped(&bed, "id\nuser-1\nuser-2\n", &[]).await;
    assert_eq!((again.code, &again.report["continued"]), (0, &json!(false)), "{}", again.report);
    assert_eq!(again.report["records"]["written"], 2);
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 0, "the half copy is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_21_a_named_job_in_doubt_is_found_from_a_new_release() {
    let bed = Bed::new(&format!("name: vip\n{CLEVERTAP}"), completed(1, true)).await;
    assert_eq!(bed.run(&[]).await.code, 21);
    let release = bed.dir.path().join("release-2");
    std::fs::create_dir(&release).unwrap();
    for file in ["job.yaml", "list.csv"] {
        std::fs::copy(bed.dir.path().join(file), release.join(file)).unwrap();
    }
    assert_eq!(bed.go(&["run", "release-2/job.yaml"]).await.code, 21);
    assert_eq!(bed.vendor.of(clevertap::COMPLETED).len(), 1);
    assert_eq!(bed.runs().await, ["unknown"]);
}

/// A hash of texts with their lengths: how 0.1.0 made a key.
fn hash(parts: &[&str]) -> String {
    let mut sha = sha2::Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part.as_bytes());
    }
    sha.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_22_a_doubtful_run_of_0_1_0_is_found_by_its_old_identity() {
    let bed = Bed::new(&CLEVERTAP.replace("VIP {date}", "VIP"), clevertap::answer).await;
    let state = bed.dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let db = rusqlite::Connection::open(state.join("state.db")).unwrap();
    db.execute_batch(include_str!("../../src/job/journal/schema_1.sql")).unwrap();
    db.execute_batch("PRAGMA application_id = 0x6c736679; PRAGMA user_version = 1;").unwrap();
    // name of the file, platform, base_url, region, account, segment
    let key = hash(&["job", "clevertap", &bed.vendor.base, "", "se-cret-key", "VIP"]);
    let fingerprint = hash(&["{\"path\":\"list.csv\"}", "null", "{\"identity\":\"id\"}"]);
    for (id, exit) in [("20260101-000000-aaaaaa", 0), ("20260102-000000-bbbbbb", 21)] {
        db.execute(
            "INSERT INTO runs (id, job, name, platform, overrides, fingerprint, random, date, started_ms, exit_code, closed) \
             VALUES (?1, ?2, 'job', 'clevertap', '[]', ?3, 'r', '2026-01-01', 1000, ?4, ?4 = 0)",
            rusqlite::params![id, key, fingerprint, exit],
        )
        .unwrap();
    }
    db.execute_batch("INSERT INTO steps VALUES (2, 'completed', 1, '{\"lost\":0,\"doubtful\":true}')").unwrap();
    drop(db);
    for _ in 0..2 {
        let doubt = bed.run(&[]).await;
        assert_eq!((doubt.code, &doubt.report["run_id"]), (21, &json!("20260102-000000-bbbbbb")), "{}", doubt.report);
    }
    assert!(bed.vendor.seen.lock().unwrap().is_empty(), "nothing was sent");
    // another target is another job
    assert_eq!(bed.run(&["--set", "destination.segment=other"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_24_limits_and_waits_may_change_between_runs() {
    let bed = Bed::new(CLEVERTAP, completed(1, false)).await;
    assert_eq!(bed.run(&[]).await.code, 20);
    let more =
        ["--set", "wait=7s", "--set", "rejects.max=5", "--set", "upload.stall_timeout=9s", "--set", "report=null"];
    let again = bed.run(&more[..6]).await;
    assert_eq!((again.code, &again.report["continued"]), (0, &json!(true)), "{}", again.report);
    assert_eq!(bed.vendor.of(clevertap::PUT).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_25_a_key_that_shapes_bytes_or_calls_is_a_change() {
    for key in
        ["destination.replace=true", "map.identity=name", "where=[{column: name, equals: x}]", "source.csv.quote=null"]
    {
        let bed = Bed::new(CLEVERTAP, completed(1, false)).await;
        assert_eq!(bed.run(&[]).await.code, 20);
        let changed = bed.run(&["--set", key]).await;
        let said = changed.report["warnings"].to_string();
        let section = key.split(['.', '=']).next().unwrap();
        assert!(
            said.contains("superseded") && said.contains(&format!("`{section}` in the job file has changed")),
            "{key}: {}",
            changed.report
        );
        assert_eq!(bed.runs().await[0], "superseded", "{key}");
    }
}

/// The storage's address, in place of a source that is one: the signature is another one each night.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_26_the_signature_of_a_url_does_not_count() {
    let ended = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&ended);
    let script = move |seen: &Seen, _: usize, _: &str| match seen.line.split(' ').next() {
        Some("PUT") => Does::Answer(200, String::new()),
        Some("POST") => Does::Answer(202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned()),
        _ if state.load(Ordering::SeqCst) => Does::Answer(200, r#"{"id": "t-1", "state": "completed"}"#.to_owned()),
        _ => Does::Answer(200, r#"{"id": "t-1", "state": "running"}"#.to_owned()),
    };
    let bed =
        Bed::new(&YESMAIL.replace("\"https://h/list.csv\"", "\"https://h/list.csv?X-Amz-Signature=1\""), script).await;
    assert_eq!(bed.run(&[]).await.code, 22);
    ended.store(true, Ordering::SeqCst);
    let job = std::fs::read_to_string(bed.dir.path().join("job.yaml")).unwrap();
    std::fs::write(bed.dir.path().join("job.yaml"), job.replace("Signature=1", "Signature=2")).unwrap();
    let again = bed.run(&[]).await;
    assert_eq!((again.code, &again.report["continued"]), (0, &json!(true)), "{}", again.report);
    assert_eq!(bed.vendor.of("PUT /store/").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_27_new_needs_the_id_of_the_run_in_the_way() {
    let bed =
        Bed::new(&format!("{ASSIGNS}{PROFILES}"), localytics(|nth| (nth == 1).then_some(503), || (200, "Completed")))
            .await;
    let mut command = listferry(bed.dir.path(), &bed.vendor.base, &["run", "job.yaml", "--new"]);
    assert_eq!(command.output().unwrap().status.code(), Some(2), "an id is required");
    let first = bed.run(&[]).await;
    let id = first.report["run_id"].as_str().unwrap();
    bed.list("other", 600);
    assert_eq!(bed.run(&["--new", id]).await.code, 0);
    // the line is copied into the crontab: the next night it abandons nothing
    bed.list("third", 600);
    let next = bed.run(&["--new", id]).await;
    assert!(
        next.code == 2 && next.report["error"].to_string().contains("no run of this job is in the way"),
        "{}",
        next.report
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_20_a_retry_after_11_sends_the_whole_list_and_is_advised_against() {
    let uploads = scripted::Uploads::default();
    let script = move |seen: &Seen, _: usize, _: &str| {
        if seen.line.starts_with("POST") {
            return Does::Answer(202, format!(r#"{{"activity_id": "a-{}"}}"#, uploads.take(seen)));
        }
        let rows = scripted::activity(seen).map_or(0, |nth| uploads.records(nth));
        let counts =
            format!(r#""successful_imports": {}, "failed_imports": 1, "total_number_of_imports": {rows}"#, rows - 1);
        Does::Answer(200, format!(r#"{{"status": "Completed", "upload_statistics": {{{counts}}}}}"#))
    };
    let bed = Bed::new(&format!("{ASSIGNS}{PROFILES}"), script).await;
    bed.list("user", 100);
    for sent in 1..=2 {
        let came = bed.run(&[]).await;
        assert_eq!((came.code, &came.report["open"], bed.uploads()), (11, &json!(false), sent), "{}", came.report);
    }
    let contract = include_str!("../../docs/CONTRACT.md");
    let row = contract.lines().find(|line| line.starts_with("| 11 |")).unwrap();
    assert!(row.contains("not retry"), "{row}");
}
