//! Tests of the state with real files.

use super::Keep;
use super::write::NewRun;
use super::*;
use crate::calls::{FaultAt, Journal as _, PartState, Quota, RowFault, Slot, StepState};
use crate::job::identity::{Intent, JobKey};
use crate::platform::Effect;
use serde_json::json;
use std::time::Duration;

const URL: &str = "https://storage.example/list.csv?X-Amz-Signature=5f4dcc3b5aa765d61d8327deb882cf99";

pub(super) fn intent(map: &str) -> Intent {
    Intent {
        key: JobKey::new("vip", "clevertap", None, &["account", "VIP"]),
        old_key: Some(JobKey::new("vip", "clevertap", None, &["account", "VIP", "key"])),
        name: "vip".to_owned(),
        platform: "clevertap".to_owned(),
        job_file: None,
        overrides: vec!["wait=0".to_owned()],
        fingerprint: format!("source.where.{map}.destination"),
        old_fingerprint: format!("old {map}"),
        target: vec!["clevertap".to_owned(), "account".to_owned(), "VIP {date}".to_owned()],
        dated: true,
        effect: Effect::new(false, None),
        once: None,
        assume: None,
    }
}

const DAY: &str = "2026-11-30";

fn locks(state: &State) -> Result<JobLocks> {
    JobLocks::take(state.dir(), &[intent("id").key.as_str()])
}

#[expect(clippy::disallowed_methods, reason = "any moment will do")]
pub(super) fn begin(state: &State, id: &str, intent: &Intent) -> Run {
    let locks = JobLocks::take(state.dir(), &[intent.key.as_str()]).expect("free");
    let new = NewRun { id, random: "0123456789abcdef", date: DAY, now: SystemTime::now() };
    let record = state.insert(intent, &new).expect("written");
    Run::new(state, &record, true, locks)
}

fn fresh(state: &State) -> Run {
    begin(state, "run-1", &intent("id"))
}

fn open(state: &State) -> Option<RunRecord> {
    state.open_run_of(&intent("id"), DAY).expect("read")
}

fn again(state: &State) -> Run {
    let record = open(state).expect("an open run");
    state.reopen(&record, &intent("id"), None).expect("written");
    Run::new(state, &record, false, locks(state).expect("free"))
}

fn accepted(index: usize) -> PartState {
    PartState { index, bytes: 7, records: 1, accepted: true, ..PartState::default() }
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
    // a second connection sees it while the first is still open, as after a kill
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
    run.part_done(&accepted(0)).expect("written");
    assert!(run.parts().expect("read")[0].accepted_at.is_some());
    assert_eq!(run.parts().expect("read")[0].attempts, 2);
    run.forget("get-url/0").expect("written");
    assert_eq!(run.step("get-url/0").expect("read"), StepState::New);
}

#[test]
fn a_run_is_open_from_its_first_call_that_may_have_had_an_effect() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let run = fresh(&state);
    run.measured(&json!(1)).expect("written");
    run.store("spool", &json!("a file")).expect("written");
    drop(run);
    assert!(open(&state).is_none(), "killed while measuring: nothing is open");
    let run = begin(&state, "run-2", &intent("id"));
    run.intent("get-url/0", &json!({"lost": 0})).expect("written");
    run.forget("get-url/0").expect("written");
    drop(run);
    assert!(open(&state).is_none(), "a call that was refused had no effect");
    let run = begin(&state, "run-3", &intent("id"));
    run.intent("get-url/0", &json!({"lost": 0, "doubtful": false})).expect("written");
    drop(run);
    assert_eq!(open(&state).expect("open").id, "run-3");
    let standing = state.standing_of(&open(&state).expect("open")).expect("read");
    assert!(standing.called && !standing.in_doubt && standing.accepted == 0, "{standing:?}");
    let run = again(&state);
    run.intent("completed/0", &json!({"lost": 0, "doubtful": true})).expect("written");
    run.part_done(&accepted(0)).expect("written");
    let standing = run.standing().expect("read");
    assert!(standing.in_doubt && standing.accepted == 1, "{standing:?}");
    run.finish(0, Keep::Nothing, &json!({"status": "done"})).expect("written");
    assert!(open(&state).is_none());
    let last = state.last_delivered_run_of(&intent("id")).expect("read").expect("a run");
    assert!(last.ended_delivered() && !last.reported);
    state.reported(&last.id).expect("written");
    assert!(state.last_delivered_run_of(&intent("id")).expect("read").expect("a run").reported);
}

#[test]
fn a_listed_run_blocks_only_its_own_target() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let run = fresh(&state);
    run.intent("completed/0", &json!({"doubtful": true})).expect("written");
    run.finish(21, Keep::Open, &json!({"status": "unknown"})).expect("written");
    let record = open(&state).expect("open");
    state.leave_listed(&record).expect("written");
    assert_eq!(open(&state).expect("the same day").id, "run-1");
    assert!(state.open_run_of(&intent("id"), "2026-12-01").expect("read").is_none(), "another day, another list");
}

#[test]
fn a_closed_run_keeps_its_steps_only_if_they_are_still_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    for (id, how, forget) in [
        ("run-1", ClosedAs::Superseded, false),
        ("run-2", ClosedAs::Superseded, true),
        ("run-3", ClosedAs::Abandoned, true),
    ] {
        let run = begin(&state, id, &intent("id"));
        run.result("upload/0", &json!({"activity_id": "a"})).expect("written");
        run.finish(22, Keep::Open, &json!({"status": "pending"})).expect("written");
        let record = open(&state).expect("open");
        state.close(&record, how, forget).expect("written");
        let closed = state.run_of_id(id).expect("read").expect("a run");
        assert_eq!((closed.status().as_str(), closed.closed), (how.name(), true));
        assert_eq!(state.standing_of(&closed).expect("read").called, !forget, "{id}");
        assert!(open(&state).is_none());
    }
}

#[test]
fn a_changed_key_is_named_by_its_section() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    drop(fresh(&state));
    let record = state.last_run().expect("read").expect("a run");
    assert!(record.fits(&intent("id")) && record.differences(&intent("id")).is_empty());
    assert_eq!(record.differences(&intent("email")), ["`map` in the job file has changed"]);
}

#[test]
fn one_job_runs_once_at_a_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (State::open(dir.path()).expect("opens"), State::open(dir.path()).expect("opens"));
    let run = fresh(&one);
    assert_eq!(locks(&two).expect_err("busy").kind(), Kind::Busy);
    let other = JobKey::new("vip", "clevertap", None, &["account", "other"]);
    assert!(JobLocks::take(two.dir(), &[other.as_str()]).is_ok(), "another job is free to run");
    // an older listferry holds the lock by its own rule
    let both = [other.as_str(), intent("id").key.as_str()].map(str::to_owned);
    assert!(JobLocks::take(two.dir(), &both.each_ref().map(String::as_str)).is_err());
    drop(run);
    assert!(locks(&two).is_ok());
}

#[test]
fn an_unread_fact_goes_to_the_next_run_of_the_job() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let run = fresh(&state);
    run.store(crate::origin::REQUESTED, &json!({"requested_s": 7})).expect("written");
    run.finish(20, Keep::Nothing, &json!({})).expect("written");
    let run = begin(&state, "run-2", &intent("id"));
    let record = state.run_of_id("run-2").expect("read").expect("a run");
    assert_eq!(
        state.inherit(&intent("id"), crate::origin::REQUESTED, &record).expect("moved"),
        Some(json!({"requested_s": 7}))
    );
    assert_eq!(run.load(crate::origin::REQUESTED).expect("read"), Some(json!({"requested_s": 7})));
    run.store(crate::origin::REQUESTED, &serde_json::Value::Null).expect("read it");
    run.finish(0, Keep::Nothing, &json!({})).expect("written");
    let _third = begin(&state, "run-3", &intent("id"));
    let record = state.run_of_id("run-3").expect("read").expect("a run");
    assert_eq!(state.inherit(&intent("id"), crate::origin::REQUESTED, &record).expect("read"), None);
}

/// A state as written by 0.1.0, with an open run, one in doubt and one that only measured.
fn state_of_0_1_0(dir: &Path) {
    let db = Connection::open(dir.join("state.db")).expect("opens");
    db.execute_batch(include_str!("schema_1.sql")).expect("made");
    db.pragma_update(None, "application_id", 0x6c73_6679).expect("set");
    db.pragma_update(None, "user_version", 1).expect("set");
    let old = intent("id").old_key.expect("a key");
    let old = old.as_str();
    for (id, exit) in [("open", 20), ("doubt", 21), ("nothing", 20), ("refused", 12)] {
        db.execute(
            "INSERT INTO runs (id, job, name, platform, overrides, fingerprint, random, date, started_ms, exit_code) \
             VALUES (?1, ?2, 'vip', 'clevertap', '[]', 'old id', 'r', '2026-11-30', 1000, ?3)",
            rusqlite::params![id, old, exit],
        )
        .expect("written");
    }
    db.execute_batch(
        "INSERT INTO steps VALUES (1, 'get-url', 2, '{}');
         INSERT INTO steps VALUES (2, 'completed', 1, '{\"lost\":0,\"doubtful\":true}');
         INSERT INTO parts (run, part, accepted) VALUES (1, 0, 1), (4, 0, 1);
         UPDATE runs SET closed = 1, job = 'another job' WHERE id = 'refused';
         INSERT INTO faults VALUES (1, 'part/0', 3, NULL, 'no');
         INSERT INTO fault_counts VALUES (1, 'part/0', 1);",
    )
    .expect("written");
}

#[test]
fn a_state_of_0_1_0_is_brought_up_to_date() {
    let dir = tempfile::tempdir().expect("a directory");
    state_of_0_1_0(dir.path());
    let state = State::open(dir.path()).expect("opens");
    let record = |id: &str| state.run_of_id(id).expect("read").expect("a run");
    assert!(!record("open").closed && !record("doubt").closed && record("nothing").closed);
    assert_eq!(state.standing_of(&record("open")).expect("read").accepted, 1);
    assert!(state.standing_of(&record("doubt")).expect("read").in_doubt);
    assert!(record("open").fits(&intent("id")) && !record("open").fits(&intent("email")));
    assert!(!record("refused").closed && state.fact(&record("refused"), NOT_KEPT).expect("read").is_some());
    assert!(state.parts(&record("open")).expect("read")[0].accepted_at.is_some());
    assert_eq!(open(&state).expect("found by the rule of 0.1.0").id, "doubt");
    let run = Run::new(&state, &record("open"), false, locks(&state).expect("free"));
    assert_eq!(run.fault_count().expect("read"), 1);
    drop((run, state));
    State::open(dir.path()).expect("opens a second time");
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

/// Stores 20,000 rows with messages of 1,000 bytes; returns the bytes of files that they take.
fn bytes_of_refused_rows(message: impl Fn(u64) -> String) -> u64 {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let run = fresh(&state);
    // read twice, as after an interrupted answer
    for _ in 0..2 {
        run.clear_faults("results").expect("written");
        for index in 0..20_000 {
            let fault = RowFault { at: FaultAt::Index(index), message: message(index) };
            run.fault("results", &fault).expect("written");
        }
    }
    let mut seen = 0;
    run.faults(&mut |fault| {
        assert_eq!(fault.at, FaultAt::Index(seen));
        assert!(fault.message == message(seen), "row {seen}");
        seen += 1;
        Ok(true)
    })
    .expect("read");
    assert_eq!(seen, 20_000);
    let files = std::fs::read_dir(dir.path().join("refused")).expect("listed");
    files.map(|file| file.expect("an entry").metadata().expect("read").len()).sum()
}

#[test]
fn a_message_that_a_platform_repeats_for_each_row_is_stored_once() {
    let same = bytes_of_refused_rows(|_| "no such mailbox; ".repeat(58));
    assert!(same < 20_000 * 300, "{same} bytes");
    let few = bytes_of_refused_rows(|n| format!("{}: {}", n % 7, "no such mailbox; ".repeat(58)));
    assert!(few < 20_000 * 300, "{few} bytes");
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
    run.finish(0, Keep::Nothing, &json!({"status": "done"})).expect("written");
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
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_damaged_or_newer_state_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    for id in 0..200 {
        begin(&state, &format!("run-{id}"), &intent("id")).finish(20, Keep::Open, &json!({})).expect("written");
    }
    drop(state);
    let path = dir.path().join("state.db");
    let good = std::fs::read(&path).expect("read");
    let refused = |bytes: &[u8], why: &str| {
        std::fs::write(&path, bytes).expect("written");
        let error = State::open(dir.path()).map(drop).expect_err(why);
        assert_eq!(error.kind(), Kind::Busy, "{why}");
        assert!(error.hint().is_some_and(|hint| hint.contains("runs init --force")), "{why}: {error:?}");
        assert!(std::fs::read(&path).expect("read") == bytes, "{why}: the file was touched");
        assert!(State::init(dir.path(), false).is_err(), "{why}");
    };
    let mut header = good.clone();
    header[..16].fill(b'x');
    refused(&header, "not a SQLite file");
    refused(&good[..good.len() / 2], "cut");
    refused(b"", "empty");
    refused(b"S", "one byte");
    let mut pages = good.clone();
    for page in pages.chunks_mut(4096).skip(1) {
        page[..64].fill(0xff);
    }
    refused(&pages, "pages overwritten");
    refused(b"not a database at all, not a database at all", "text");
    std::fs::remove_file(&path).expect("removed");
    let error = State::open(dir.path()).map(drop).expect_err("vanished");
    assert!(error.kind() == Kind::Busy && error.message().contains("gone"), "{error:?}");
    std::fs::write(&path, &good).expect("written");
    let db = Connection::open(&path).expect("opens");
    db.pragma_update(None, "user_version", 3).expect("set");
    drop(db);
    let error = State::open(dir.path()).map(drop).expect_err("newer");
    assert!(error.kind() == Kind::Busy && error.message().contains("newer"), "{error:?}");
    assert!(State::init(dir.path(), true).is_err(), "a newer state is not damaged");
    std::fs::write(&path, &good).expect("written");
    assert!(State::open(dir.path()).is_ok());
}

#[test]
fn one_flipped_bit_in_an_index_page_is_damage() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    for id in 0..300 {
        begin(&state, &format!("run-{id:03}"), &intent("id")).finish(20, Keep::Open, &json!({})).expect("written");
    }
    let root: i64 = state
        .db()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'runs_by_job'", [], |row| row.get(0))
        .expect("read");
    drop(state);
    let path = dir.path().join("state.db");
    let mut bytes = std::fs::read(&path).expect("read");
    // the job's key in the index is hex: a flipped bit makes the lookup miss the run
    let key = intent("id").key.as_str().as_bytes().to_vec();
    let page = (usize::try_from(root).expect("small") - 1) * 4096;
    let hits: Vec<usize> = memchr::memmem::find_iter(&bytes, &key).collect();
    let in_index = hits.iter().rev().find(|at| {
        // a page of the index, not of the table, as its first byte shows
        matches!(bytes[(**at / 4096) * 4096], 2 | 10)
    });
    let at = *in_index.unwrap_or_else(|| panic!("no key in an index page (root at {page})"));
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    let error = State::open(dir.path()).map(drop).expect_err("damaged");
    assert_eq!(error.kind(), Kind::Busy, "{error:?}");
    let Init::Replaced(aside) = State::init(dir.path(), true).expect("set aside") else { panic!("not replaced") };
    assert!(std::fs::read(aside.expect("it was there")).expect("read") == bytes);
    assert!(State::open(dir.path()).expect("opens").last_run().expect("read").is_none());
    assert_eq!(State::init(dir.path(), true).expect("sound"), Init::Exists);
}

#[test]
fn what_was_journaled_stands_in_the_database_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let run = fresh(&state);
    run.intent("upload/0", &json!({"doubtful": true})).expect("written");
    // as after a kill, with every side file removed
    let bytes = std::fs::read(dir.path().join("state.db")).expect("read");
    let other = tempfile::tempdir().expect("a directory");
    std::fs::write(other.path().join("state.db"), bytes).expect("written");
    let found = State::open(other.path()).expect("opens").open_run_of(&intent("id"), DAY).expect("read");
    assert!(found.is_some_and(|found| found.is_open()), "the call is forgotten with a side file");
}

#[test]
fn a_required_state_must_be_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state");
    let error = State::in_world(&path, &World::default(), true).map(drop).expect_err("none");
    assert!(error.kind() == Kind::Busy && error.hint().is_some_and(|hint| hint.contains("runs init")), "{error:?}");
    assert!(!path.exists());
    assert_eq!(State::init(&path, false).expect("made"), Init::Made);
    assert!(State::in_world(&path, &World::default(), true).is_ok());
}
