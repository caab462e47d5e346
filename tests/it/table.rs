//! The table in `job/decide.rs`, row by row, for each platform in which a row can occur. On the real binary. The list of
//! these tests is in tests/GATE.md.

use crate::scripted::{Does, Seen, Uploads, activity, clevertap, localytics_status, mediarithmics_execution};
use crate::stories::{ASSIGNS, Bed, Came, INCREMENTS, MEDIARITHMICS, MONDAY, PROFILES, TUESDAY, YESMAIL};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The present behaviour of a vendor.
struct Mood {
    /// Number of bodies or creations that came.
    sent: AtomicUsize,
    /// Which of them is not carried out or not answered, from 0.
    fails: AtomicUsize,
    /// True if that one gets no answer, otherwise 503.
    silent: AtomicBool,
    /// True if imports are running.
    running: AtomicBool,
    /// True if the first import has failed.
    failed: AtomicBool,
}

impl Mood {
    fn new(fails: usize, silent: bool) -> Arc<Mood> {
        Arc::new(Mood {
            sent: AtomicUsize::new(0),
            fails: AtomicUsize::new(fails),
            silent: AtomicBool::new(silent),
            running: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        })
    }

    /// A vendor that accepts everything, and whose imports are running.
    fn slow() -> Arc<Mood> {
        let mood = Mood::new(usize::MAX, false);
        mood.running.store(true, Ordering::SeqCst);
        mood
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// The word for import `nth`: the ones of Localytics and of mediarithmics.
    fn word(&self, nth: usize) -> (&'static str, &'static str) {
        match (self.running.load(Ordering::SeqCst), nth == 0 && self.failed.load(Ordering::SeqCst)) {
            (true, _) => ("Running", "RUNNING"),
            (false, true) => ("Failed", "FAILED"),
            (false, false) => ("Completed", "SUCCEEDED"),
        }
    }
}

/// A call that sends a body or creates something.
fn sends(seen: &Seen) -> bool {
    let path = seen.path();
    let put = seen.line.starts_with("PUT") && !path.starts_with(clevertap::PUT);
    let post = seen.line.starts_with("POST") && !path.ends_with("/document_imports") && path != clevertap::GET;
    // the file of Yesmail comes before its import
    put || post && !path.contains("/target-lists")
}

/// Answers as all vendors do; their paths differ.
fn vendor(mood: &Arc<Mood>) -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync + use<> {
    vendor_failing(mood, sends)
}

/// [`vendor`], where `Mood::fails` counts other calls.
fn vendor_failing(
    mood: &Arc<Mood>,
    sends: fn(&Seen) -> bool,
) -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync + use<> {
    let (mood, uploads, lists) = (Arc::clone(mood), Uploads::default(), AtomicUsize::new(0));
    move |seen: &Seen, nth: usize, base: &str| {
        let path = seen.path();
        if sends(seen) && mood.sent.fetch_add(1, Ordering::SeqCst) == mood.fails.load(Ordering::SeqCst) {
            return match mood.silent.load(Ordering::SeqCst) {
                true => Does::Close,
                false => Does::Answer(503, String::new()),
            };
        }
        let asked = activity(seen);
        let words = |nth: usize| mood.word(nth);
        if path.contains("/custom_list") || path.contains("_custom_list_") || path.starts_with(clevertap::PUT) {
            return clevertap::answer(seen, nth, base);
        }
        if path.contains("/document_imports") {
            return match (seen.line.starts_with("POST"), path.ends_with("/executions")) {
                (true, false) => Does::Answer(200, r#"{"status": "ok", "data": {"id": "77"}}"#.to_owned()),
                (true, true) => {
                    let id = uploads.take(seen);
                    Does::Answer(200, format!(r#"{{"status": "ok", "data": {{"id": "{id}", "status": "PENDING"}}}}"#))
                }
                _ => {
                    let one = |id| mediarithmics_execution(id, uploads.records(id)).replace("SUCCEEDED", words(id).1);
                    let all: Vec<String> = (0..uploads.len()).map(one).collect();
                    Does::Answer(
                        200,
                        format!(r#"{{"status": "ok", "total": {}, "data": [{}]}}"#, all.len(), all.join(",")),
                    )
                }
            };
        }
        if path.contains("/imports/") && !seen.line.starts_with("GET") {
            lists.fetch_add(usize::from(path.contains("/audiences/")), Ordering::SeqCst);
            return Does::Answer(202, format!(r#"{{"activity_id": "a-{}"}}"#, uploads.take(seen)));
        }
        if path.contains("/list/app/") {
            let known: Vec<Value> =
                (0..lists.load(Ordering::SeqCst)).map(|nth| json!({"id": 31_245 + nth, "name": "n"})).collect();
            return Does::Answer(200, json!(known).to_string());
        }
        if let Some(nth) = asked {
            return Does::Answer(200, localytics_status(words(nth).0, uploads.records(nth)));
        }
        match (seen.line.split(' ').next(), path.contains("t-1")) {
            (Some("POST"), _) => Does::Answer(202, r#"{"id": "t-1", "state": "accepted"}"#.to_owned()),
            (_, true) if mood.word(1).0 == "Running" => {
                Does::Answer(200, r#"{"id": "t-1", "state": "running"}"#.to_owned())
            }
            (_, true) => Does::Answer(200, r#"{"id": "t-1", "state": "completed"}"#.to_owned()),
            _ => Does::Answer(200, "{}".to_owned()),
        }
    }
}

const CLEVERTAP: &str = "map: { identity: id }\ndestination: { platform: clevertap, base_url: \"BASE\", account_id: { env: KEY }, \
                         passcode: { env: KEY }, segment: \"VIP {date}\", creator: Jane, email: jane@example.com, \
                         oversize: number, max_body_bytes: 5000";
const BY_ID: &str = "map: { customer_id: id }\ndestination: { platform: localytics-audience, base_url: \"BASE\", app_id: a, \
                     audience_list_id: 31245, api_key: { env: KEY }, api_secret: { env: KEY } }\n";
const BY_NAME: &str = "map: { customer_id: id }\ndestination: { platform: localytics-audience, base_url: \"BASE\", app_id: a, \
                       audience_name: n, if_exists: create, api_key: { env: KEY }, api_secret: { env: KEY } }\n";

fn replacing_lists() -> String {
    format!("{CLEVERTAP}, replace: true }}\n")
}

fn new_lists() -> String {
    format!("{CLEVERTAP} }}\n")
}

fn assigns() -> String {
    format!("{ASSIGNS}{PROFILES}")
}

fn increments() -> String {
    format!("{INCREMENTS}{PROFILES}")
}

/// mediarithmics with an operation by row, which later commands must not overtake.
fn mixed() -> String {
    MEDIARITHMICS.replace("{ value: UPDATE }", "{ template: \"UPDATE\" }")
}

/// Returns the bed after the first run, which must end with `code`, and its report.
async fn after(job: &str, mood: &Arc<Mood>, rows: usize, code: i32) -> (Bed, Came) {
    let bed = Bed::new(job, vendor(mood)).await;
    bed.list("user", rows);
    let first = bed.run(&[]).await;
    assert_eq!((first.code, &first.report["open"]), (code, &json!(true)), "{job}{}", first.report);
    (bed, first)
}

fn is_new(came: &Came, code: i32) {
    assert_eq!((came.code, &came.report["continued"]), (code, &json!(false)), "{}", came.report);
}

fn is_continued(came: &Came, code: i32) {
    assert_eq!((came.code, &came.report["continued"]), (code, &json!(true)), "{}", came.report);
    assert!(came.first.starts_with("continuing run "), "{}", came.first);
}

/// CleverTap has its own test: `the_same_day_continues_and_does_not_send_the_body_again`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_continued_or_superseded() {
    for job in [&assigns(), BY_ID, MEDIARITHMICS, YESMAIL] {
        for changed in [false, true] {
            let mood = Mood::new(0, true);
            let (bed, first) = after(job, &mood, 100, 20).await;
            if changed {
                bed.list("other", 100);
            }
            let second = bed.run(&[]).await;
            match changed {
                false => is_continued(&second, 0),
                true => is_new(&second, 0),
            }
            assert_eq!((mood.sent(), second.report["run_id"] == first.report["run_id"]), (2, !changed), "{job}");
            assert_eq!(bed.runs().await[0], if changed { "superseded" } else { "done" }, "{job}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delivered_is_waited_for_and_not_sent_again() {
    for job in [&assigns(), &increments(), BY_ID, BY_NAME, MEDIARITHMICS, &mixed(), YESMAIL] {
        let mood = Mood::slow();
        let (bed, _) = after(job, &mood, 100, 22).await;
        is_continued(&bed.run(&[]).await, 22);
        mood.running.store(false, Ordering::SeqCst);
        is_continued(&bed.run(&[]).await, 0);
        assert_eq!(mood.sent(), 1, "{job}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_on_what_was_delivered_lets_the_next_list_start() {
    for job in [&assigns(), &increments(), BY_ID, BY_NAME, MEDIARITHMICS, &mixed()] {
        for failed in [false, true] {
            let mood = Mood::slow();
            let (bed, first) = after(job, &mood, 100, 22).await;
            mood.running.store(false, Ordering::SeqCst);
            mood.failed.store(failed, Ordering::SeqCst);
            bed.list("other", 100);
            let second = bed.run(&[]).await;
            is_new(&second, 0);
            assert_eq!(mood.sent(), 2, "{job}");
            let id = first.report["run_id"].as_str().unwrap();
            assert!(second.first.contains(&format!("asking for the verdict of run {id} first")), "{}", second.first);
            let warned = format!("run {id} of this job ended with exit 11");
            assert_eq!(second.report["warnings"].to_string().contains(&warned), failed, "{job}{}", second.report);
            assert_eq!(bed.runs().await, [if failed { "failed" } else { "done" }, "done"], "{job}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_verdict_an_import_that_could_overtake_waits() {
    for (job, overtakes) in [
        (&*assigns(), true),
        (BY_ID, true),
        (&*mixed(), true),
        (&*increments(), false),
        (BY_NAME, false),
        (MEDIARITHMICS, false),
    ] {
        let mood = Mood::slow();
        let (bed, first) = after(job, &mood, 100, 22).await;
        bed.list("other", 100);
        let second = bed.run(&[]).await;
        assert_eq!((second.code, mood.sent()), (22, if overtakes { 1 } else { 2 }), "{job}{}", second.report);
        assert_eq!(bed.runs().await[0], if overtakes { "pending" } else { "superseded" }, "{job}");
        let same = second.report["run_id"] == first.report["run_id"];
        assert_eq!(same, overtakes, "{job}{}", second.report);
        // the old run can still be asked
        mood.running.store(false, Ordering::SeqCst);
        let resumed = bed.go(&["resume", first.report["run_id"].as_str().unwrap()]).await;
        let expected = if overtakes { 10 } else { 0 };
        let by_source = resumed.report["error"]["kind"] == "source_changed" || resumed.code == 0;
        assert!((resumed.code == expected || resumed.code == 0) && by_source, "{job}{}", resumed.report);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_may_be_repeated_are_continued_or_superseded() {
    // Localytics profiles has three parts, the others two
    for (job, parts) in [(&*replacing_lists(), 2), (&*assigns(), 3), (MEDIARITHMICS, 2), (&*mixed(), 2)] {
        for changed in [false, true] {
            let mood = Mood::new(1, false);
            let (bed, _) = after(job, &mood, 600, 20).await;
            if changed {
                bed.list("other", 600);
            }
            let second = bed.run(&[]).await;
            if changed {
                is_new(&second, 0);
                let said = second.report["warnings"].to_string();
                assert!(said.contains("1 of its parts had been accepted"), "{job}{said}");
                assert_eq!(mood.sent(), 2 + parts, "{job}");
                assert_eq!(bed.runs().await, ["superseded", "done"], "{job}");
            } else {
                is_continued(&second, 0);
                assert_eq!(mood.sent(), 1 + parts, "{job}: no part that was accepted is sent again");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_parts_that_are_not_final_are_not_superseded() {
    let mood = Mood::new(1, false);
    let (bed, first) = after(MEDIARITHMICS, &mood, 600, 20).await;
    mood.running.store(true, Ordering::SeqCst);
    bed.list("other", 600);
    let second = bed.run(&[]).await;
    assert_eq!((second.code, mood.sent()), (20, 2), "{}", second.report);
    assert_eq!(second.report["run_id"], first.report["run_id"]);
    assert!(second.report["error"]["message"].as_str().unwrap().contains("are not final yet"), "{}", second.report);
    mood.running.store(false, Ordering::SeqCst);
    is_new(&bed.run(&[]).await, 0);
}

/// Localytics increments have their own tests: `story_07…`, `a_changed_source_blocks…`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_in_parts_are_continued_or_block_their_own_name() {
    let mood = Mood::new(1, false);
    let bed = Bed::new(&new_lists(), vendor(&mood)).await;
    let first = bed.run(&MONDAY).await;
    assert_eq!((first.code, &first.report["status"]), (20, &json!("partial")), "{}", first.report);
    bed.list("other", 600);
    let blocked = bed.run(&MONDAY).await;
    assert_eq!((blocked.code, mood.sent()), (23, 2), "{}", blocked.report);
    let tuesday = bed.run(&TUESDAY).await;
    is_new(&tuesday, 0);
    assert!(tuesday.first.contains("stays open"), "{}", tuesday.first);
    assert_eq!((bed.runs().await, mood.sent()), (vec![json!("partial"), json!("done")], 4));
    bed.list("user", 600);
    let monday = bed.run(&MONDAY).await;
    is_continued(&monday, 0);
    assert_eq!(mood.sent(), 5, "the second list alone");
}

/// CleverTap has its own tests: `story_04…`, `a_doubt_is_settled…`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_doubt_is_21_whatever_has_changed() {
    let of_yesmail = |seen: &Seen| seen.line.starts_with("POST") && seen.path().contains("/target-lists");
    for (job, sends) in [(&*increments(), sends as fn(&Seen) -> bool), (YESMAIL, of_yesmail)] {
        let mood = Mood::new(0, true);
        let bed = Bed::new(job, vendor_failing(&mood, sends)).await;
        bed.list("user", 100);
        assert_eq!(bed.run(&[]).await.code, 21);
        let before = bed.vendor.seen.lock().unwrap().len();
        assert_eq!(bed.run(&[]).await.code, 21, "{job}");
        bed.list("other", 100);
        assert_eq!(bed.run(&[]).await.code, 21, "{job}");
        assert_eq!(bed.run(&["--set", "where=[{column: name, equals: x}]"]).await.code, 21, "{job}");
        assert_eq!(bed.vendor.seen.lock().unwrap().len(), before, "nothing was called: {job}");
        bed.list("user", 100);
        let done = bed.go(&["resume", "last", "--assume", "done"]).await;
        assert_eq!((mood.sent(), &done.report["open"]), (1, &json!(done.code != 0)), "{job}{}", done.report);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audience_in_doubt_is_looked_up_before_another_list() {
    for (made, changed) in [(true, false), (true, true), (false, false), (false, true)] {
        let (created, listed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, shows, well) = (Arc::clone(&created), Arc::clone(&listed), crate::scripted::localytics());
        let script = move |seen: &Seen, nth: usize, base: &str| {
            if seen.path().contains("/list/app/") {
                let own = if made && shows.load(Ordering::SeqCst) { r#"[{"id": 99, "name": "n"}]"# } else { "[]" };
                return Does::Answer(200, own.to_owned());
            }
            match seen.line.starts_with("POST") && count.fetch_add(1, Ordering::SeqCst) == 0 {
                true => Does::Close,
                false => well(seen, nth, base),
            }
        };
        let bed = Bed::new(BY_NAME, script).await;
        bed.list("user", 100);
        let first = bed.run(&[]).await;
        assert_eq!(first.code, 21, "{}", first.report);
        listed.store(true, Ordering::SeqCst);
        if changed {
            bed.list("other", 100);
        }
        let second = bed.run(&[]).await;
        let expected = if made { 0 } else { 21 };
        assert_eq!(second.code, expected, "made {made}, changed {changed}: {}", second.report);
        let posts = if made && changed { 2 } else { 1 };
        assert_eq!(created.load(Ordering::SeqCst), posts, "made {made}, changed {changed}");
    }
}
