//! The state, tried on real files.

use super::*;
use crate::calls::{Assume, FaultAt, Journal as _, PartState, Quota, RowFault, Slot, StepState};
use crate::job::resume::{Begin, Intent, JobKey, fingerprint};
use serde_json::json;
use std::time::Duration;

const URL: &str = "https://storage.example/list.csv?X-Amz-Signature=5f4dcc3b5aa765d61d8327deb882cf99";

pub(super) fn intent(map: &str) -> Intent {
    Intent {
        key: JobKey::new("vip", "clevertap", None, &["account", "VIP"]),
        name: "vip".to_owned(),
        platform: "clevertap".to_owned(),
        job_file: None,
        overrides: vec!["wait=0".to_owned()],
        fingerprint: fingerprint(&json!({"path": "a.csv"}), &json!([]), &json!({ "identity": map })),
        date: "2026-11-21".to_owned(),
    }
}

fn fresh(state: &State) -> Run {
    match state.begin(&intent("id"), false) {
        Ok(Begin::Fresh(run)) => run,
        other => panic!("not fresh: {other:?}"),
    }
}

fn again(state: &State) -> Run {
    match state.begin(&intent("id"), false) {
        Ok(Begin::Continue(run)) => run,
        other => panic!("not continued: {other:?}"),
    }
}

#[test]
fn what_was_written_is_there_after_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let run = fresh(&state);
    let seed = run.seed().clone();
    run.measured(&json!({"digest": "crc64nvme:1"})).expect("written");
    run.result("get-url/0", &json!({ "url": URL })).expect("written");
    run.intent("completed/0", &json!({"lost": 0})).expect("written");
    run.store("name", &json!("VIP")).expect("written");
    run.part_attempt(0).expect("written");
    // a second connection sees it while the first is still open: as after a kill
    let other = State::open(dir.path()).expect("opens");
    assert_eq!(other.last_run().expect("read").expect("a run").status(), "running");
    drop(run);
    drop(state);
    assert_eq!(other.last_run().expect("read").expect("a run").status(), "interrupted");
    let run = again(&other);
    assert_eq!((run.id(), &run.seed().random, run.is_fresh()), (&*seed.run_id, &seed.random, false));
    assert_eq!(run.step("get-url/0").expect("read"), StepState::Done(json!({ "url": URL })));
    assert_eq!(run.step("completed/0").expect("read"), StepState::Intent(json!({"lost": 0})));
    assert_eq!(run.step("put/0").expect("read"), StepState::New);
    assert_eq!(run.load("name").expect("read"), Some(json!("VIP")));
    run.part_attempt(0).expect("written");
    run.part_done(&PartState { index: 0, bytes: 7, records: 1, accepted: true, ..PartState::default() }).expect("ok");
    assert_eq!(run.parts().expect("read")[0].attempts, 2);
    assert!(run.measured(&json!({"digest": "crc64nvme:1"})).is_ok());
    let error = run.measured(&json!({"digest": "crc64nvme:2"})).expect_err("another source");
    assert_eq!(error.kind(), Kind::SourceChanged);
    run.forget("get-url/0").expect("written");
    assert_eq!(run.step("get-url/0").expect("read"), StepState::New);
}

#[test]
fn a_source_may_change_while_nothing_has_been_tried() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    fresh(&state).measured(&json!(1)).expect("written");
    let run = again(&state);
    run.measured(&json!(2)).expect("nothing was sent yet");
    run.intent("get-url/0", &json!({})).expect("written");
    assert!(run.measured(&json!(1)).is_err());
}

#[test]
fn the_same_job_again_does_what_its_last_exit_says() {
    for (code, want) in [
        (0, "fresh"),
        (1, "continue"),
        (10, "fresh"),
        (11, "fresh"),
        (12, "fresh"),
        (20, "continue"),
        (21, "doubt"),
        (22, "continue"),
        (30, "fresh"),
        (130, "continue"),
        (143, "continue"),
        (2, "fresh"),
        (3, "fresh"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let state = State::open(dir.path()).expect("opens");
        let run = fresh(&state);
        let id = run.id().to_owned();
        run.finish(code, false, &json!({"status": "failed"})).expect("written");
        assert_eq!(state.last_run().expect("read").is_none(), matches!(code, 2 | 3), "{code}: 2 and 3 leave no run");
        let got = match state.begin(&intent("id"), false).expect("begins") {
            Begin::Fresh(run) => {
                assert_ne!(run.id(), id, "{code}");
                "fresh"
            }
            Begin::Continue(run) => {
                assert_eq!(run.id(), id, "{code}");
                "continue"
            }
            Begin::InDoubt(record) => {
                assert_eq!(record.id, id, "{code}");
                "doubt"
            }
            Begin::Ended(_) => "ended",
        };
        assert_eq!(got, want, "{code}");
        if want != "fresh" {
            let changed = state.begin(&intent("email"), false);
            assert_eq!(changed.expect_err("changed").kind(), Kind::Busy, "{code}");
        }
    }
}

#[test]
fn changed_keys_end_with_3_and_new_abandons() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let run = fresh(&state);
    run.result("get-url/0", &json!({ "url": URL })).expect("written");
    run.finish(20, false, &json!({})).expect("written");
    let error = state.begin(&intent("email"), false).expect_err("changed");
    assert!(error.kind() == Kind::Busy && error.hint().is_some_and(|hint| hint.contains("--new")), "{error:?}");
    assert!(matches!(state.begin(&intent("email"), true), Ok(Begin::Fresh(_))));
    let mut ids = Vec::new();
    state
        .runs(&mut |record| {
            ids.push((record.closed, record.status()));
            Ok(())
        })
        .expect("read");
    assert_eq!(ids.len(), 2);
    assert!(ids[0].0 && !ids[1].0, "{ids:?}");
}

#[test]
fn resume_takes_up_what_run_would_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let run = fresh(&state);
    let id = run.id().to_owned();
    run.finish(21, false, &json!({"status": "unknown"})).expect("written");
    let record = state.find(&id).expect("found");
    assert!(matches!(state.resume(&record, &intent("id"), None), Ok(Begin::InDoubt(_))));
    assert_eq!(state.resume(&record, &intent("email"), None).expect_err("changed").kind(), Kind::Busy);
    match state.resume(&record, &intent("id"), Some(Assume::Repeat)) {
        Ok(Begin::Continue(run)) => run.finish(0, false, &json!({"status": "done"})).expect("written"),
        other => panic!("{other:?}"),
    }
    let record = state.find("last").expect("found");
    assert_eq!((record.status().as_str(), record.closed), ("done", true));
    assert!(matches!(state.resume(&record, &intent("id"), None), Ok(Begin::Ended(_))));
    assert_eq!(state.find("nothing").expect_err("no such run").kind(), Kind::Usage);
    let done = state.last_done_report(intent("id").key.as_str()).expect("read");
    assert_eq!(done, Some(json!({"status": "done"})));
}

#[test]
fn one_job_runs_once_at_a_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (State::open(dir.path()).expect("opens"), State::open(dir.path()).expect("opens"));
    let run = fresh(&one);
    assert_eq!(two.begin(&intent("id"), false).expect_err("busy").kind(), Kind::Busy);
    assert_eq!(two.begin(&intent("id"), true).expect_err("busy").kind(), Kind::Busy);
    let other = Intent { key: JobKey::new("vip", "clevertap", None, &["account", "other"]), ..intent("id") };
    assert!(matches!(two.begin(&other, false), Ok(Begin::Fresh(_))), "another job is free to run");
    drop(run);
    assert!(matches!(two.begin(&intent("id"), false), Ok(Begin::Continue(_))));
}

#[test]
fn many_make_and_open_a_state_at_once() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().expect("a directory");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    // closed at once, so that one closes while others open
                    for _ in 0..3 {
                        drop(State::open(dir.path()).expect("opens"));
                    }
                });
            }
        });
    }
}

#[test]
fn a_quota_is_one_for_all_handles() {
    let dir = tempfile::tempdir().expect("a directory");
    let window = Duration::from_secs(3600);
    let quota = Quota { key: "localytics/abc".to_owned(), limit: 10, window };
    let start = UNIX_EPOCH + Duration::from_secs(1_000_000);
    // at once, from as many threads as tries, each with its own connection
    let granted: Vec<bool> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..11)
            .map(|_| {
                scope.spawn(|| {
                    let state = State::open(dir.path()).expect("opens");
                    matches!(state.quota_take(&quota, start).expect("taken"), Slot::Granted)
                })
            })
            .collect();
        tries.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    assert_eq!(granted.iter().filter(|granted| **granted).count(), 10);
    let state = State::open(dir.path()).expect("opens");
    let at = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(state.quota_take(&quota, at(3599)).expect("asked"), Slot::WaitUntil(at(3600)));
    let back = start - Duration::from_secs(86_400);
    assert_eq!(state.quota_take(&quota, back).expect("asked"), Slot::WaitUntil(back + window));
    assert_eq!(state.quota_take(&quota, at(3600)).expect("asked"), Slot::Granted);
}

#[test]
fn faults_come_back_in_the_order_of_the_rows() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let run = fresh(&state);
    let fault = |at| RowFault { at, message: "no".to_owned() };
    run.fault("keys", &fault(FaultAt::Key("k".to_owned()))).expect("written");
    for index in (0..2_500).rev() {
        run.fault("part/0", &fault(FaultAt::Index(index))).expect("written");
    }
    run.fault("part/1", &fault(FaultAt::Index(9_000))).expect("written");
    run.clear_faults("part/1").expect("written");
    assert_eq!(run.fault_count().expect("read"), 2_501);
    let mut seen = Vec::new();
    run.faults(&mut |fault| {
        seen.push(fault.at.clone());
        Ok(true)
    })
    .expect("read");
    let mut want: Vec<FaultAt> = (0..2_500).map(FaultAt::Index).collect();
    want.push(FaultAt::Key("k".to_owned()));
    assert!(seen == want, "{} rows", seen.len());
    run.note("twice").expect("written");
    run.note("twice").expect("written");
    assert_eq!(run.notes().expect("read"), ["twice"]);
}

#[test]
fn the_presigned_url_is_in_no_file_once_the_run_has_ended() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let holds = |word: &str| {
        std::fs::read_dir(dir.path()).expect("listed").any(|entry| {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("read");
            memchr::memmem::find(&bytes, word.as_bytes()).is_some()
        })
    };
    let run = fresh(&state);
    run.result("get-url/0", &json!({ "url": URL })).expect("written");
    assert!(holds("5f4dcc3b5aa765d61d8327deb882cf99"));
    run.finish(0, false, &json!({"status": "done"})).expect("written");
    assert!(!holds("5f4dcc3b5aa765d61d8327deb882cf99"));
}

#[cfg(unix)]
#[test]
fn only_the_user_reads_the_state() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("deep/state");
    let state = State::open(&path).expect("opens");
    let _run = fresh(&state);
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let files: Vec<_> =
        std::fs::read_dir(&path).expect("listed").map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.iter().any(|file| file.ends_with("state.db-wal")), "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_damaged_or_newer_state_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    fresh(&state).finish(20, false, &json!({})).expect("written");
    drop(state);
    let path = dir.path().join("state.db");
    let good = std::fs::read(&path).expect("read");
    let refused = |bytes: &[u8], why: &str| {
        std::fs::write(&path, bytes).expect("written");
        let error = State::open(dir.path()).map(drop).expect_err(why);
        assert_eq!(error.kind(), Kind::Busy, "{why}");
        assert!(std::fs::read(&path).expect("read") == bytes, "{why}: the file was touched");
    };
    let mut header = good.clone();
    header[..16].fill(b'x');
    refused(&header, "no SQLite file");
    refused(&good[..good.len() / 2], "cut");
    let mut pages = good.clone();
    for page in pages.chunks_mut(4096).skip(1) {
        page[..64].fill(0xff);
    }
    refused(&pages, "pages overwritten");
    refused(b"not a database at all, not a database at all", "text");
    std::fs::write(&path, &good).expect("written");
    let db = Connection::open(&path).expect("opens");
    db.pragma_update(None, "user_version", 2).expect("set");
    drop(db);
    let error = State::open(dir.path()).map(drop).expect_err("newer");
    assert!(error.kind() == Kind::Busy && error.message().contains("newer"), "{error:?}");
    std::fs::write(&path, &good).expect("written");
    assert!(matches!(State::open(dir.path()).expect("opens").begin(&intent("id"), false), Ok(Begin::Continue(_))));
}
