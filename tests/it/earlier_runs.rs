//! Runs that have ended, or are to be abandoned, and what the next run of the job does about them. On the real binary.

use crate::kill::{ends, listferry};
use crate::report_schema::Valid as _;
use crate::scripted::{Does, Seen, clevertap};
use crate::stories::{ASSIGNS, Bed, CLEVERTAP, INCREMENTS, PROFILES, YESMAIL, completed, localytics};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typo_in_the_new_list_does_not_lose_the_open_run() {
    let bed = Bed::new(
        &format!("{INCREMENTS}{PROFILES}"),
        localytics(|nth| (nth == 1).then_some(503), || (200, "Completed")),
    )
    .await;
    let first = bed.run(&[]).await;
    let id = first.report["run_id"].as_str().unwrap().to_owned();
    assert_eq!(first.code, 20, "{}", first.report);
    let before = bed.uploads();
    // a row that is rejected, a missing column, a missing file
    std::fs::write(bed.dir.path().join("list.csv"), "id,name\nuser-1,x\n\"user\"-2,x\n").unwrap();
    let bad = bed.run(&["--new", &id]).await;
    assert_eq!(bad.code, 10, "{}", bad.report);
    assert!(bad.report["warnings"].to_string().contains("was not abandoned"), "{}", bad.report);
    bed.list("other", 600);
    assert_eq!(bed.run(&["--new", &id, "--set", "map.customer_id=nope"]).await.code, 2);
    assert_eq!(bed.run(&["--new", &id, "--set", "source.path=lits.csv"]).await.code, 1);
    let open = bed.go(&["runs", &id]).await.report;
    assert_eq!((&open["status"], &open["open"]), (&json!("partial"), &json!(true)), "{open}");
    assert_eq!(bed.uploads(), before, "nothing was sent");
    let good = bed.run(&["--new", &id]).await;
    assert_eq!((good.code, &good.report["continued"]), (0, &json!(false)), "{}", good.report);
    assert!(good.first.contains(&id) && good.first.contains("is abandoned as soon as"), "{}", good.first);
    assert_eq!(bed.go(&["runs", &id]).await.report["status"], "abandoned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_does_not_send_twice_what_would_be_continued() {
    let bed = Bed::new(
        &format!("{INCREMENTS}{PROFILES}"),
        localytics(|nth| (nth == 1).then_some(503), || (200, "Completed")),
    )
    .await;
    let first = bed.run(&[]).await;
    let id = first.report["run_id"].as_str().unwrap().to_owned();
    let refused = bed.run(&["--new", &id]).await;
    let said = refused.report["error"].to_string();
    assert!(refused.code == 2 && said.contains("it is continued") && said.contains("runs close"), "{said}");
    assert_eq!(bed.uploads(), 2, "nothing was sent");
    // the way that the hint names
    assert_eq!(ends(listferry(bed.dir.path(), &bed.vendor.base, &["runs", "close", &id])).await.0, 0);
    assert_eq!(bed.run(&[]).await.report["continued"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_run_is_asked_again_before_an_import_overtakes_it() {
    let done = Arc::new(AtomicBool::new(false));
    let verdict = Arc::clone(&done);
    let status = move || (200, if verdict.load(Ordering::Relaxed) { "Completed" } else { "Running" });
    let bed = Bed::new(&format!("{INCREMENTS}{PROFILES}"), localytics(|_| None, status)).await;
    bed.list("first", 100);
    assert_eq!(bed.run(&[]).await.code, 22);
    // two increments may overtake each other
    bed.list("second", 100);
    assert_eq!(bed.run(&["--set", "wait=0"]).await.code, 0);
    assert_eq!(bed.runs().await, ["superseded", "done"]);
    let job = std::fs::read_to_string(bed.dir.path().join("job.yaml")).unwrap();
    std::fs::write(bed.dir.path().join("job.yaml"), job.replace(INCREMENTS, ASSIGNS)).unwrap();
    let third = bed.run(&[]).await;
    assert_eq!((third.code, bed.uploads()), (22, 2), "an assignment may not overtake the first: {}", third.report);
    assert!(third.first.contains("asking for the verdict of run"), "{}", third.first);
    done.store(true, Ordering::Relaxed);
    let third = bed.run(&[]).await;
    assert_eq!((third.code, bed.uploads()), (0, 3), "{}", third.report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_run_that_got_its_verdict_is_not_sent_again_by_resume() {
    let done = Arc::new(AtomicBool::new(false));
    let verdict = Arc::clone(&done);
    let status = move || (200, if verdict.load(Ordering::Relaxed) { "Completed" } else { "Running" });
    let bed = Bed::new(&format!("{INCREMENTS}{PROFILES}"), localytics(|_| None, status)).await;
    bed.list("first", 100);
    let first = bed.run(&[]).await;
    let id = first.report["run_id"].as_str().unwrap().to_owned();
    bed.list("second", 100);
    assert_eq!(bed.run(&["--set", "wait=0"]).await.code, 0);
    done.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let resumed = bed.go(&["resume", &id]).await;
        assert_eq!((resumed.code, bed.uploads()), (0, 2), "{}", resumed.report);
    }
}

fn yesmail(state: Arc<AtomicBool>) -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static {
    move |seen: &Seen, _: usize, _: &str| match seen.line.split(' ').next() {
        Some("PUT") => Does::Answer(200, String::new()),
        Some("POST") => Does::Answer(202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned()),
        _ if seen.path().contains("t-1") => {
            let state = if state.load(Ordering::Relaxed) { "completed" } else { "running" };
            Does::Answer(200, format!(r#"{{"id": "t-1", "state": "{state}"}}"#))
        }
        _ => Does::Answer(200, "{}".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_not_replaced_while_a_ticket_runs_that_was_not_waited_for() {
    let ended = Arc::new(AtomicBool::new(false));
    let bed = Bed::new(YESMAIL, yesmail(Arc::clone(&ended))).await;
    let puts = || bed.vendor.of("PUT /store/").len();
    let unwaited = ["--set", "wait=0"];
    let first = bed.run(&unwaited).await;
    assert_eq!((first.code, &first.report["open"], puts()), (0, &json!(false), 1), "{}", first.report);
    bed.list("other", 600);
    for wait in [&unwaited[..], &["--set", "wait=1s"]] {
        let blocked = bed.run(wait).await;
        assert_eq!((blocked.code, puts()), (23, 1), "{}", blocked.report);
        assert!(blocked.report["error"]["hint"].as_str().unwrap().contains("runs close"), "{}", blocked.report);
    }
    assert_eq!(bed.runs().await, ["done"], "the run itself has ended");
    ended.store(true, Ordering::Relaxed);
    let second = bed.run(&unwaited).await;
    assert_eq!((second.code, puts()), (0, 2), "{}", second.report);
    // the way that the hint names
    ended.store(false, Ordering::Relaxed);
    bed.list("third", 600);
    let id = second.report["run_id"].as_str().unwrap();
    assert_eq!(bed.run(&unwaited).await.code, 23);
    assert_eq!(ends(listferry(bed.dir.path(), &bed.vendor.base, &["runs", "close", id])).await.0, 0);
    assert_eq!((bed.run(&unwaited).await.code, puts()), (0, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stays_sent_when_its_run_is_asked_for_a_verdict_and_killed() {
    let bed = Bed::new(YESMAIL, yesmail(Arc::default())).await;
    assert_eq!(bed.run(&["--set", "wait=0", "--once", "dag-1"]).await.code, 0);
    bed.list("other", 600);
    let mut command = listferry(bed.dir.path(), &bed.vendor.base, &["run", "job.yaml", "--set", "wait=1m"]);
    let mut child = command.spawn().unwrap();
    let began = std::time::Instant::now();
    while bed.vendor.of("GET /v2/tickets/").is_empty() {
        assert!(began.elapsed().as_secs() < 60);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let again = bed.run(&["--set", "wait=0", "--once", "dag-1"]).await;
    assert_eq!((again.code, &again.report["continued"]), (0, &json!(true)), "{}", again.report);
    assert_eq!(bed.vendor.of("PUT /store/").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_names_only_a_file_that_it_has_set_aside() {
    let bed = Bed::new(CLEVERTAP, completed(1, true)).await;
    assert_eq!(bed.run(&[]).await.code, 21);
    let state = bed.dir.path().join("state");
    std::fs::remove_file(state.join("state.db")).unwrap();
    let made = bed.go(&["runs", "init", "--force"]).await;
    assert_eq!((made.code, &made.report["made"], &made.report["set_aside"]), (0, &json!(true), &json!(null)));
    std::fs::write(state.join("state.db"), "x").unwrap();
    let made = bed.go(&["runs", "init", "--force"]).await;
    let aside = made.report["set_aside"].as_str().unwrap();
    assert_eq!(std::fs::read(aside).unwrap(), b"x");
    let _ = bed.vendor.of(clevertap::PUT);
}

/// Yesmail that accepts the import and never ends its ticket.
fn endless(seen: &Seen, _: usize, _: &str) -> Does {
    match seen.line.split(' ').next() {
        Some("PUT") => Does::Answer(200, String::new()),
        Some("POST") => Does::Answer(202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned()),
        _ if seen.path().contains("t-1") => Does::Answer(200, r#"{"id": "t-1", "state": "running"}"#.to_owned()),
        _ => Does::Answer(200, "{}".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn story_13_23_says_resume_only_if_resume_is_possible() {
    let serve = YESMAIL.replace(
        "put: { url: { env: PUT_URL }, fetch_url: \"https://h/list.csv\" }",
        "serve: { listen: '127.0.0.1:0' }",
    );
    assert_ne!(serve, YESMAIL);
    for (job, possible) in [(YESMAIL, true), (&*serve, false)] {
        let bed = Bed::new(job, endless).await;
        let first = bed.run(&[]).await;
        assert_eq!(first.code, 22, "{}", first.report);
        let id = first.report["run_id"].as_str().unwrap();
        bed.list("other", 600);
        let blocked = bed.run(&[]).await;
        let hint = blocked.report["error"]["hint"].as_str().unwrap().to_owned();
        assert_eq!(blocked.code, 23, "{}", blocked.report);
        assert!(hint.contains("once the ticket is final, which counts from 20"), "when the ticket ends: {hint}");
        let resumed = bed.go(&["resume", id]).await.code;
        match possible {
            true => assert!(
                hint.contains(&format!("`listferry resume {id}` continues it")) && resumed == 22,
                "{resumed} {hint}"
            ),
            false => {
                assert!(hint.contains("only if the source is again what it was") && resumed == 10, "{resumed} {hint}")
            }
        }
        // the list is put back, so it is possible now
        bed.list("user", 600);
        assert_eq!(bed.go(&["resume", id]).await.code, 22);
        // a change of the job file is named as such
        let changed = bed.run(&["--set", "destination.error_threshold=5"]).await;
        let hint = changed.report["error"]["hint"].as_str().unwrap().to_owned();
        assert!(changed.code == 23 && hint.contains("undo the change"), "{} {hint}", changed.code);
    }
}

/// Returns the job of a bed for the library, which lets a test watch the writes of its state.
fn in_library(bed: &Bed) -> (listferry::job::Job, listferry::job::Env) {
    let mut env = listferry::job::Env::default();
    env.state_dir = Some(bed.dir.path().join("state"));
    env.variables = Arc::new(|name| (name == "KEY").then(|| "se-cret-key".to_owned()));
    (listferry::job::Job::open(bed.dir.path().join("job.yaml")).unwrap(), env)
}

/// Leaves a run in the state of a process that was killed while measuring.
async fn killed_while_measuring(bed: &Bed) -> String {
    let (job, mut env) = in_library(bed);
    let recorded = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&recorded);
    env.world.watch = Some(Arc::new(move |_| flag.store(true, Ordering::Relaxed)));
    let mut run = Box::pin(job.run(&env));
    std::future::poll_fn(|cx| {
        assert!(run.as_mut().poll(cx).is_pending(), "it measures on a thread of its own");
        if recorded.load(Ordering::Relaxed) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    drop(run);
    listferry::job::state(&env).unwrap().last_run().unwrap().unwrap().id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_killed_before_its_first_call_is_not_resumed_as_done() {
    let bed = Bed::new(CLEVERTAP, clevertap::answer).await;
    let id = killed_while_measuring(&bed).await;
    let other = bed.run(&[]).await;
    assert_eq!((other.code, &other.report["continued"]), (0, &json!(false)), "{}", other.report);
    let resumed = bed.go(&["resume", &id]).await;
    assert_eq!((resumed.code, &resumed.report["open"]), (2, &json!(false)), "{}", resumed.report);
    assert!(resumed.report["error"]["message"].as_str().unwrap().contains("before anything was sent"));
    assert_eq!(bed.vendor.of(clevertap::COMPLETED).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_after_an_answer_does_not_count_as_nothing_accepted() {
    use listferry::job::world::Write;
    let mut after_an_answer = 0;
    for last in 1..=12 {
        let bed = Bed::new(&format!("{INCREMENTS}{PROFILES}"), localytics(|_| None, || (200, "Completed"))).await;
        bed.list("user", 100);
        let (job, mut env) = in_library(&bed);
        let writes = std::sync::atomic::AtomicU32::new(0);
        env.world.watch = Some(Arc::new(move |moment| {
            if moment == Write::Done && writes.fetch_add(1, Ordering::Relaxed) + 1 == last {
                std::panic::resume_unwind(Box::new("killed"));
            }
        }));
        let _ = tokio::spawn(async move { job.run(&env).await.valid() }).await;
        let sent = bed.uploads();
        after_an_answer += sent;
        bed.list("other", 100);
        let second = bed.run(&[]).await;
        assert!(sent == 0 || !second.first.contains("nothing of it was accepted"), "{last}: {}", second.first);
    }
    assert!(after_an_answer > 2, "no process got so far");
}

/// The run of a failed `--new` started later, but the one that goes on is the last to end.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_given_again_although_another_run_was_tried_meanwhile() {
    let done = Arc::new(AtomicBool::new(false));
    let verdict = Arc::clone(&done);
    let status = move || (200, if verdict.load(Ordering::Relaxed) { "Completed" } else { "Running" });
    let bed = Bed::new(&format!("{ASSIGNS}{PROFILES}"), localytics(|_| None, status)).await;
    bed.list("first", 100);
    let first = bed.run(&[]).await;
    let id = first.report["run_id"].as_str().unwrap().to_owned();
    assert_eq!(first.code, 22, "{}", first.report);
    std::fs::write(bed.dir.path().join("list.csv"), "id,name\nuser-1,x\n\"user\"-2,x\n").unwrap();
    assert_eq!(bed.run(&["--new", &id]).await.code, 10);
    bed.list("first", 100);
    done.store(true, Ordering::Relaxed);
    let mut command = listferry(bed.dir.path(), &bed.vendor.base, &["run", "job.yaml"]);
    command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    assert_eq!(command.status().unwrap().code(), Some(1));
    let again = bed.run(&[]).await;
    assert_eq!((again.code, &again.report["run_id"]), (0, &json!(id)), "{} {}", again.first, again.report);
    assert!(again.first.contains("its report was not written"), "{}", again.first);
    assert_eq!(bed.uploads(), 1, "nothing is sent again");
}
