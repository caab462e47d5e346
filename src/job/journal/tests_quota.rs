//! Quotas with several runs at a time.

use super::tests::{begin, intent};
use super::*;
use crate::calls::{Journal as _, Quota, Reserved, Slot};
use crate::job::identity::{Intent, JobKey};
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn quota() -> Quota {
    Quota { key: "localytics-profiles/abc".to_owned(), limit: 10, window: HOUR }
}

fn at(seconds: u64) -> SystemTime {
    moment(1_800_000_000_000) + Duration::from_secs(seconds)
}

fn run(state: &State, name: &str) -> Run {
    let key = JobKey::new(name, "localytics-profiles", None, &[]);
    let intent = Intent { key, name: name.to_owned(), ..intent("id") };
    let mut before = 0;
    state
        .runs(&mut |_| {
            before += 1;
            Ok(())
        })
        .expect("read");
    begin(state, &format!("run-{name}-{before}"), &intent)
}

fn granted(run: &Run, now: SystemTime) -> bool {
    run.quota_take(&quota(), now).expect("asked") == Slot::Granted
}

#[test]
fn what_a_run_has_reserved_no_other_takes() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let (a, b) = (run(&state, "a"), run(&state, "b"));
    let quarter = HOUR / 4;
    assert_eq!(a.quota_reserve(&quota(), 12, at(0), quarter).expect("asked"), Reserved::Never);
    assert_eq!(a.quota_reserve(&quota(), 8, at(0), quarter).expect("asked"), Reserved::Granted);
    let wait = b.quota_reserve(&quota(), 3, at(0), quarter).expect("asked");
    assert_eq!(wait, Reserved::From(at(2700)), "the slots of the other run count as used");
    assert_eq!(b.quota_reserve(&quota(), 2, at(0), quarter).expect("asked"), Reserved::Granted);
    assert_eq!(state.quota_take(&quota(), at(1)).expect("asked"), Slot::WaitUntil(at(3601)));
    assert!((0..8).all(|_| granted(&a, at(2))) && (0..2).all(|_| granted(&b, at(2))));
    assert!(!granted(&a, at(3)), "ten an hour for all callers");
    assert!(granted(&a, at(3602)));
}

#[test]
fn what_an_ended_or_dead_run_has_not_used_is_free() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let (a, b, c) = (run(&state, "a"), run(&state, "b"), run(&state, "c"));
    for one in [&a, &b] {
        assert_eq!(one.quota_reserve(&quota(), 5, at(0), Duration::ZERO).expect("asked"), Reserved::Granted);
    }
    assert!(granted(&a, at(1)));
    assert!(matches!(c.quota_reserve(&quota(), 1, at(1), Duration::ZERO), Ok(Reserved::From(_))));
    a.finish(20, Keep::Nothing, &json!({})).expect("ended");
    assert_eq!(c.quota_reserve(&quota(), 4, at(1), Duration::ZERO).expect("asked"), Reserved::Granted);
    assert!(matches!(c.quota_reserve(&quota(), 5, at(1), Duration::ZERO), Ok(Reserved::From(_))));
    // killed: the lock ends with the process
    drop(b);
    assert_eq!(c.quota_reserve(&quota(), 9, at(1), Duration::ZERO).expect("asked"), Reserved::Granted);
    assert!(matches!(c.quota_reserve(&quota(), 10, at(1), Duration::ZERO), Ok(Reserved::From(_))));
    // the next run of the job itself takes over the reservation of its predecessor
    assert_eq!(c.quota_reserve(&quota(), 9, at(1), Duration::ZERO).expect("asked"), Reserved::Granted);
    drop(c);
    let c = run(&state, "c");
    assert_eq!(c.quota_reserve(&quota(), 9, at(1), Duration::ZERO).expect("asked"), Reserved::Granted);
}

#[test]
fn a_reservation_outlives_the_window_and_never_waits_for_a_later_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::open(dir.path()).expect("opens");
    let (a, b) = (run(&state, "a"), run(&state, "b"));
    let day = 24 * HOUR;
    assert_eq!(a.quota_reserve(&quota(), 8, at(0), day).expect("asked"), Reserved::Granted);
    assert_eq!(b.quota_reserve(&quota(), 8, at(0), day).expect("asked"), Reserved::Granted);
    assert!(granted(&b, at(1)) && granted(&b, at(1)));
    assert!(!granted(&b, at(2)), "the eight of the other come first");
    assert!((0..8).all(|_| granted(&a, at(7200))), "two hours later they are still there");
    assert!((0..2).all(|_| granted(&b, at(7201))) && !granted(&b, at(7201)));
}
