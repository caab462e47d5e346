//! The repeat matrix, waits and quotas, with scripted answers and simulated time.

use super::*;
use crate::calls::retry::utc_from;
use crate::calls::{MemoryJournal, Quota, RetrySafety, Step, Waiting, assumed, expired};
use crate::error::{Error, Kind};
use crate::secret::Secret;
use crate::transport::{NetworkOptions, Reach, Timers};

/// Simulated time; records the waits.
#[derive(Default)]
pub(super) struct Simulated {
    elapsed: Mutex<Duration>,
    waits: Mutex<Vec<Duration>>,
}

impl Simulated {
    pub(super) fn waits(&self) -> Vec<Duration> {
        self.waits.lock().expect("not poisoned").clone()
    }
}

impl Clock for Simulated {
    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.elapsed()
    }
    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().expect("not poisoned")
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        *self.elapsed.lock().expect("not poisoned") += time;
        self.waits.lock().expect("not poisoned").push(time);
        Box::pin(std::future::ready(()))
    }
}

/// How the server handles a request.
#[derive(Clone, Debug)]
pub(super) enum Does {
    Says(u16),
    SaysAfter(u16, &'static str),
    Fails(Reach),
}
use Does::{Fails, Says, SaysAfter};

/// Does one thing after the other, the last forever; checks that the intent was written first.
struct Scripted<'s> {
    journal: &'s MemoryJournal,
    script: Vec<Does>,
    calls: Mutex<usize>,
    /// False for polls.
    journaled: bool,
}

impl Wire for Scripted<'_> {
    fn call<'w>(&'w self, _: &'w Request) -> BoxFuture<'w, Result<Answer, Failed>> {
        let mut calls = self.calls.lock().expect("not poisoned");
        let does = self.script[(*calls).min(self.script.len() - 1)].clone();
        *calls += 1;
        let intent = matches!(self.journal.step("op").expect("read"), StepState::Intent(_));
        assert!(intent || !self.journaled, "intent before the first byte");
        let answer = |status, headers| Answer { status, headers, body: Vec::new() };
        let answer = match does {
            Says(status) => Ok(answer(status, Vec::new())),
            SaysAfter(status, after) => Ok(answer(status, vec![("retry-after".to_owned(), after.to_owned())])),
            Fails(reach) => Err(Failed { reach, error: Error::new(Kind::Transient, "no answer") }),
        };
        Box::pin(std::future::ready(answer))
    }

    fn stream<'w>(&'w self, _: &'w Request, _: bool) -> BoxFuture<'w, Result<StreamAnswer, Failed>> {
        unreachable!("read is tested against a server")
    }
}

fn classify(answer: &Answer) -> Reply {
    match answer.status {
        200 => Reply::Done(json!("fine")),
        _ => Reply::by_status("the call", answer),
    }
}

pub(super) fn seed() -> JobSeed {
    JobSeed { run_id: "r".to_owned(), random: "00ff".repeat(8), date: "2026-11-21".to_owned() }
}

pub(super) fn operation(repeat: RetrySafety) -> Call {
    Call::new("op", repeat)
}

/// The outcome of a call (`done`, `doubt` or the error's kind), with the calls that were made and the waits.
pub(super) struct Came {
    pub(super) of: String,
    pub(super) calls: usize,
    pub(super) waits: Vec<Duration>,
    pub(super) error: Option<Error>,
}

pub(super) struct Bench {
    pub(super) journal: MemoryJournal,
    pub(super) policy: Policy,
    pub(super) assume: Option<Assume>,
    pub(super) clock: Simulated,
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench {
            journal: MemoryJournal::default(),
            policy: Policy::default(),
            assume: None,
            clock: Simulated::default(),
        }
    }

    pub(super) fn run(&self, operation: &Call, script: &[Does], poll: bool) -> Came {
        self.run_as(operation, script, poll.then(Waiting::default))
    }

    pub(super) fn run_as(&self, operation: &Call, script: &[Does], poll: Option<Waiting>) -> Came {
        let client = Client::new(&NetworkOptions::default(), &Timers::default()).expect("a client");
        let wire = Scripted {
            journal: &self.journal,
            script: script.to_vec(),
            calls: Mutex::default(),
            journaled: poll.is_none(),
        };
        let seed = seed();
        let before = self.clock.waits().len();
        let mut remote = Remote::new(&seed, &self.journal, &client, self.policy.clone())
            .assuming(self.assume)
            .with_clock(&self.clock);
        remote.wire = &wire;
        let request = Request::new("POST", Secret::new("http://127.0.0.1:1/"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let step = runtime.block_on(async {
            match poll {
                Some(waiting) => remote.poll(operation, &request, waiting, &classify).await.map(Step::Done),
                None => remote.call(operation, &request, &classify).await,
            }
        });
        let (of, error) = match step {
            Ok(Step::Done(value)) if assumed(&value) => ("assumed".to_owned(), None),
            Ok(Step::Done(value)) if expired(&value) => ("expired".to_owned(), None),
            Ok(Step::Done(value)) => {
                assert_eq!(value, json!("fine"));
                ("done".to_owned(), None)
            }
            Ok(Step::InDoubt(error)) => {
                assert_eq!(error.kind(), Kind::InDoubt);
                ("doubt".to_owned(), Some(error))
            }
            Err(error) => (error.kind().name().to_owned(), Some(error)),
        };
        let calls = *wire.calls.lock().expect("not poisoned");
        Came { of, calls, waits: self.clock.waits()[before..].to_vec(), error }
    }
}

#[test]
fn the_repeat_matrix() {
    use Reach::{Body, EarlySuccess, Lost, NotConnected, Permanent};
    // one fault, then success: the outcome for Always, Once and Never
    for (fault, always, once, never) in [
        (Fails(NotConnected), ("done", 2), ("done", 2), ("done", 2)),
        (Says(429), ("done", 2), ("done", 2), ("done", 2)),
        (Says(503), ("done", 2), ("done", 2), ("done", 2)),
        (Says(500), ("done", 2), ("done", 2), ("doubt", 1)),
        (Says(502), ("done", 2), ("done", 2), ("doubt", 1)),
        (Says(504), ("done", 2), ("done", 2), ("doubt", 1)),
        (Fails(Lost), ("done", 2), ("done", 2), ("doubt", 1)),
        (Fails(EarlySuccess), ("done", 2), ("done", 2), ("doubt", 1)),
        (Says(400), ("refused", 1), ("refused", 1), ("refused", 1)),
        (Says(404), ("refused", 1), ("refused", 1), ("refused", 1)),
        (Says(401), ("credentials", 1), ("credentials", 1), ("credentials", 1)),
        (Says(302), ("refused", 1), ("refused", 1), ("refused", 1)),
        (Fails(Permanent), ("transient", 1), ("transient", 1), ("transient", 1)),
        (Fails(Body), ("transient", 1), ("transient", 1), ("transient", 1)),
    ] {
        for (repeat, want) in [(RetrySafety::Always, always), (RetrySafety::Once, once), (RetrySafety::Never, never)] {
            let bench = Bench::new();
            let came = bench.run(&operation(repeat), &[fault.clone(), Says(200)], false);
            assert_eq!((came.of.as_str(), came.calls), want, "{fault:?} {repeat:?}");
            // a doubt stays in the journal, and so does a result; a refusal does not
            let kept = match (came.of.as_str(), bench.journal.step("op").expect("read")) {
                ("done", StepState::Done(_)) | ("doubt", StepState::Intent(_)) => true,
                ("done" | "doubt", _) => false,
                (_, state) => state == StepState::New,
            };
            assert!(kept, "{fault:?} {repeat:?}");
        }
    }
}

#[test]
fn the_same_fault_for_ever_ends() {
    use Reach::{Lost, NotConnected};
    for (fault, always, once, never) in [
        (Fails(NotConnected), ("transient", 5), ("transient", 5), ("transient", 5)),
        (Says(503), ("transient", 5), ("transient", 5), ("transient", 5)),
        (Says(500), ("transient", 5), ("doubt", 2), ("doubt", 1)),
        (Fails(Lost), ("transient", 5), ("doubt", 2), ("doubt", 1)),
    ] {
        for (repeat, want) in [(RetrySafety::Always, always), (RetrySafety::Once, once), (RetrySafety::Never, never)] {
            let came = Bench::new().run(&operation(repeat), std::slice::from_ref(&fault), false);
            assert_eq!((came.of.as_str(), came.calls), want, "{fault:?} {repeat:?}");
        }
    }
}

#[test]
fn a_result_is_replayed_and_doubt_stays_until_the_user_assumes() {
    let mut bench = Bench::new();
    let never = operation(RetrySafety::Never);
    assert_eq!(bench.run(&never, &[Says(500)], false).of, "doubt");
    let came = bench.run(&never, &[Says(200)], false);
    assert_eq!((came.of.as_str(), came.calls), ("doubt", 0), "nothing is sent in doubt");
    bench.assume = Some(Assume::Repeat);
    let came = bench.run(&never, &[Says(500)], false);
    assert_eq!((came.of.as_str(), came.calls), ("doubt", 1), "repeated once, not blindly");
    let came = bench.run(&never, &[Says(200)], false);
    assert_eq!((came.of.as_str(), came.calls), ("done", 1));
    let came = bench.run(&never, &[Says(400)], false);
    assert_eq!((came.of.as_str(), came.calls), ("done", 0), "replayed");

    let mut bench = Bench::new();
    assert_eq!(bench.run(&never, &[Fails(Reach::Lost)], false).of, "doubt");
    bench.assume = Some(Assume::Done);
    let came = bench.run(&never, &[Says(200)], false);
    assert_eq!((came.of.as_str(), came.calls), ("assumed", 0));
}

#[test]
fn a_killed_attempt_counts_as_lost() {
    for (repeat, want) in
        [(RetrySafety::Always, ("done", 1)), (RetrySafety::Once, ("done", 1)), (RetrySafety::Never, ("doubt", 0))]
    {
        let bench = Bench::new();
        bench.journal.intent("op", &json!({"lost": 0})).expect("written");
        let came = bench.run(&operation(repeat), &[Says(200)], false);
        assert_eq!((came.of.as_str(), came.calls), want, "{repeat:?}");
    }
    let bench = Bench::new();
    bench.journal.intent("op", &json!({"lost": 1})).expect("written");
    assert_eq!(bench.run(&operation(RetrySafety::Once), &[Says(200)], false).of, "doubt", "lost once and killed once");
}

#[test]
fn waits_double_are_jittered_and_end() {
    let mut bench = Bench::new();
    bench.policy.attempts = 12;
    let came = bench.run(&operation(RetrySafety::Always), &[Says(503)], false);
    assert_eq!(came.calls, 12);
    for (at, wait) in came.waits.iter().enumerate() {
        let most = Duration::from_secs((1u64 << at).min(60));
        assert!(*wait >= Duration::from_millis(100) && *wait <= most.max(Duration::from_secs(1)), "{at}: {wait:?}");
    }
    let longer = came.waits.iter().filter(|wait| **wait > Duration::from_secs(10)).count();
    assert!(longer > 0, "{:?}", came.waits);
    assert_eq!(
        Bench { policy: bench.policy.clone(), ..Bench::new() }
            .run(&operation(RetrySafety::Always), &[Says(503)], false)
            .waits,
        came.waits,
        "the same seed waits alike"
    );

    bench.policy.give_up_after = Duration::from_secs(5);
    let came = bench.run(&operation(RetrySafety::Always), &[Fails(Reach::NotConnected)], false);
    assert!(came.of == "transient" && came.calls < 12, "{} calls", came.calls);
    assert!(came.waits.iter().sum::<Duration>() <= Duration::from_secs(5));
}

#[test]
fn retry_after_is_a_minimum_and_too_long_ends_at_once() {
    let bench = Bench::new();
    let came = bench.run(&operation(RetrySafety::Never), &[SaysAfter(429, "7"), Says(200)], false);
    assert_eq!((came.of.as_str(), came.waits.as_slice()), ("done", [Duration::from_secs(7)].as_slice()));
    let came = Bench::new().run(&operation(RetrySafety::Always), &[SaysAfter(503, "soon"), Says(200)], false);
    assert!(came.waits[0] <= Duration::from_secs(1), "an invalid value is not a wait");
    let mut bench = Bench::new();
    bench.policy.give_up_after = Duration::from_secs(60);
    let came = bench.run(&operation(RetrySafety::Always), &[SaysAfter(503, "61"), Says(200)], false);
    assert_eq!((came.of.as_str(), came.calls, came.waits.len()), ("transient", 1, 0));
    let hint = came.error.as_ref().and_then(Error::hint).unwrap_or_default().to_owned();
    assert!(hint.contains(&utc_from(bench.clock.wall() + Duration::from_secs(61))), "{hint}");
}

#[test]
fn every_attempt_takes_a_slot_and_a_long_wait_ends_with_its_time() {
    let hour = Duration::from_secs(3600);
    let quota = Quota { key: "localytics/x".to_owned(), limit: 3, window: hour };
    let operation = operation(RetrySafety::Never).with_quota(quota);
    let mut bench = Bench::new();
    let came = bench.run(&operation, &[Says(429), Says(429), Says(429), Says(200)], false);
    assert_eq!((came.of.as_str(), came.calls), ("transient", 3), "429 counts as used");
    let error = came.error.expect("an error");
    let first = bench.clock.wall() - bench.clock.elapsed();
    assert!(error.message().contains(&utc_from(first + hour)), "{error}");
    bench.policy.max_quota_wait = hour;
    let came = bench.run(&operation, &[Says(200)], false);
    assert_eq!((came.of.as_str(), came.calls), ("done", 1));
    assert!(bench.clock.elapsed() >= hour && bench.clock.elapsed() < hour + Duration::from_secs(1));
}

#[test]
fn a_poll_goes_on_until_the_wait_is_over() {
    let bench = |wait| {
        let mut bench = Bench::new();
        bench.policy.wait = Duration::from_secs(wait);
        bench
    };
    let poll = operation(RetrySafety::Always);
    let came = bench(1800).run(&poll, &[Says(503), Says(503), SaysAfter(503, "30"), Says(200)], true);
    assert_eq!((came.of.as_str(), came.calls), ("done", 4));
    assert_eq!(came.waits[2], Duration::from_secs(30));
    let long = bench(86_400).run(&poll, &[Says(503)], true);
    assert_eq!(long.of, "pending");
    assert_eq!(long.waits.iter().sum::<Duration>(), Duration::from_secs(86_400));
    assert!(long.waits.iter().all(|wait| *wait <= Duration::from_secs(60)) && long.calls > 1440);
    let came = bench(1800).run(&poll, &[Says(500), Fails(Reach::Lost), Says(503), Says(500), Says(200)], true);
    assert_eq!(came.of, "done");
    assert_eq!(bench(1800).run(&poll, &[Says(500)], true).of, "transient");
    assert_eq!(bench(1800).run(&poll, &[Says(404)], true).of, "refused");
}
