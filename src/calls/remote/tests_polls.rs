//! Polls after something was accepted: how answers are interpreted, and how long polling lasts.

use super::tests::Does::{Fails, Says, SaysAfter};
use super::tests::{Bench, operation};
use crate::calls::{Call, Clock as _, Journal as _, Quota, RetrySafety, StepState, Waiting};
use crate::transport::Reach;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn waiting_since_now(bench: &Bench) -> Waiting {
    Waiting::since(bench.clock.wall())
}

fn poll() -> Call {
    operation(RetrySafety::Always)
}

#[test]
fn after_acceptance_no_answer_is_a_refusal() {
    use Reach::{EarlySuccess, Lost, NotConnected, Permanent};
    let answers = [302, 308, 400, 404, 405, 409, 410, 413, 429, 500, 501, 502, 503, 504].map(Says);
    for odd in answers.into_iter().chain([NotConnected, Lost, EarlySuccess, Permanent].map(Fails)) {
        let bench = Bench::new();
        let came = bench.run_as(&poll(), std::slice::from_ref(&odd), Some(waiting_since_now(&bench)));
        assert_eq!(came.of, "pending", "{odd:?}");
        assert_eq!(came.waits.iter().sum::<Duration>(), bench.policy.wait, "{odd:?}");
        assert_eq!(bench.journal.step("op").expect("read"), StepState::New, "it is asked again by the next process");
        let bench = Bench::new();
        let script = [odd.clone(), odd.clone(), odd.clone(), odd.clone(), odd.clone(), odd.clone(), Says(200)];
        let came = bench.run_as(&poll(), &script, Some(waiting_since_now(&bench)));
        assert_eq!((came.of.as_str(), came.calls), ("done", 7), "{odd:?}");
    }
    for status in [401, 403] {
        let bench = Bench::new();
        let came = bench.run_as(&poll(), &[Says(status)], Some(waiting_since_now(&bench)));
        assert_eq!((came.of.as_str(), came.calls), ("credentials", 1), "{status}");
    }
}

#[test]
fn an_odd_answer_after_acceptance_is_noted_once() {
    let bench = Bench::new();
    bench.run_as(&poll(), &[Says(404), Says(400), Says(404), Says(200)], Some(waiting_since_now(&bench)));
    let notes = bench.journal.notes().expect("read");
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("404") && notes[0].ends_with("; asking on"), "{notes:?}");
}

#[test]
fn a_verdict_expires_a_day_after_acceptance() {
    let mut bench = Bench::new();
    bench.policy.wait = 48 * HOUR;
    let accepted = waiting_since_now(&bench);
    let came = bench.run_as(&poll(), &[SaysAfter(503, "50"), Says(404)], Some(accepted));
    assert_eq!(came.of, "expired");
    assert_eq!(bench.clock.elapsed(), 24 * HOUR, "asked for a day, not longer");
    let again = bench.run_as(&poll(), &[Says(200)], Some(accepted));
    assert_eq!((again.of.as_str(), again.calls), ("expired", 0), "an expired verdict is final");
    let late = Bench::new();
    let accepted = Waiting::since(late.clock.wall() - 24 * HOUR);
    let came = late.run_as(&poll(), &[Says(200)], Some(accepted));
    assert_eq!((came.of.as_str(), came.calls), ("expired", 0), "a process that comes after a day does not ask");
}

#[test]
fn waiting_between_parts_is_not_part_of_wait() {
    let mut bench = Bench::new();
    bench.policy.wait = Duration::from_secs(10);
    let slow: Vec<_> = (0..20).map(|_| SaysAfter(503, "300")).chain([Says(200)]).collect();
    let came = bench.run_as(&poll(), &slow, Some(waiting_since_now(&bench).before_next(true)));
    assert_eq!((came.of.as_str(), came.calls), ("done", 21));
    let last = Call::new("last", RetrySafety::Always);
    let came = bench.run_as(&last, &[Says(404)], Some(waiting_since_now(&bench)));
    assert_eq!((came.of.as_str(), came.waits.iter().sum::<Duration>()), ("pending", Duration::from_secs(10)));

    bench.policy.wait = 48 * HOUR;
    let next = Call::new("next", RetrySafety::Always);
    let came = bench.run_as(&next, &[Says(404)], Some(waiting_since_now(&bench).before_next(true)));
    assert_eq!((came.of.as_str(), came.waits.iter().sum::<Duration>()), ("transient", bench.policy.part_wait));
    let error = came.error.expect("an error");
    assert!(error.message().contains("upload.part_wait") && error.hint().is_some(), "{error:?}");
}

#[test]
fn a_status_call_waits_for_its_quota_within_wait() {
    let quota = Quota { key: "status/x".to_owned(), limit: 2, window: Duration::from_secs(60) };
    let mut bench = Bench::new();
    bench.policy.max_quota_wait = Duration::ZERO;
    let call = poll().with_quota(quota);
    let script = [Says(503), Says(503), Says(503), Says(200)];
    let came = bench.run_as(&call, &script, Some(waiting_since_now(&bench)));
    assert_eq!((came.of.as_str(), came.calls), ("done", 4), "a full minute does not end the run");
    assert!(bench.clock.elapsed() >= Duration::from_secs(60));
}

#[test]
fn a_question_about_nothing_accepted_may_be_refused() {
    for (status, of) in [(404, "refused"), (302, "refused"), (401, "credentials"), (500, "transient")] {
        assert_eq!(Bench::new().run_as(&poll(), &[Says(status)], Some(Waiting::default())).of, of, "{status}");
    }
}
