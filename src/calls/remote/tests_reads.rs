//! Attempts of protocols other than HTTP, lookups, and answers read as streams.

use super::tests::{Bench, operation, seed};
use super::{Attempt, Event, Find, Read, Remote};
use crate::calls::{BoxFuture, Call, Clock as _, Journal as _, Quota, Reply, RetrySafety, Step, StepState};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::transport::{Answer, Client, Failed, NetworkOptions, Reach, Request, Timers};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Runs `work` on a remote with simulated time.
fn with_remote<T>(bench: &Bench, work: impl AsyncFnOnce(&Remote<'_>) -> T) -> T {
    let client = Client::new(&NetworkOptions::default(), &Timers::default()).expect("a client");
    let seed = seed();
    let remote = Remote::new(&seed, &bench.journal, &client, bench.policy.clone()).with_clock(&bench.clock);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work(&remote))
}

fn fault() -> Error {
    Error::new(Kind::Transient, "no answer")
}

#[test]
fn attempts_of_what_is_not_http_follow_the_same_rule() {
    let bench = Bench::new();
    let call = operation(RetrySafety::Always);
    let done = with_remote(&bench, async |remote| {
        remote
            .attempts(&call, |attempt| async move {
                match attempt {
                    1 => Attempt::Unreached(fault()),
                    2 => Attempt::Unclear(fault()),
                    3 => Attempt::Passing(fault().with_retry_after(Duration::from_secs(40))),
                    _ => Attempt::Done(attempt),
                }
            })
            .await
    });
    assert_eq!(done.expect("done"), 4);
    let waits = bench.clock.waits();
    assert!(waits.len() == 3 && waits[2] >= Duration::from_secs(40), "{waits:?}");
    assert_eq!(bench.journal.step("op").expect("read"), StepState::New, "nothing is journaled");

    for (final_one, kind, calls) in [(true, Kind::Refused, 1), (false, Kind::Transient, 5)] {
        let made = AtomicU32::new(0);
        let ended = with_remote(&Bench::new(), async |remote| {
            remote
                .attempts::<(), _>(&call, |_| async {
                    made.fetch_add(1, Ordering::Relaxed);
                    match final_one {
                        true => Attempt::Final(Error::new(Kind::Refused, "no")),
                        false => Attempt::Unclear(fault()),
                    }
                })
                .await
        });
        assert_eq!((ended.expect_err("an error").kind(), made.into_inner()), (kind, calls));
    }
}

#[test]
fn giving_up_does_not_count_waits_for_a_quota() {
    let mut bench = Bench::new();
    let hour = Duration::from_secs(3600);
    (bench.policy.give_up_after, bench.policy.max_quota_wait) = (Duration::from_secs(600), 2 * hour);
    let quota = Quota { key: "x/y".to_owned(), limit: 1, window: hour };
    let call = operation(RetrySafety::Always).with_quota(quota);
    let ended = with_remote(&bench, async |remote| {
        let once =
            |attempt| async move { if attempt < 4 { Attempt::Unclear(fault()) } else { Attempt::Done(attempt) } };
        remote.attempts(&call, once).await
    });
    assert_eq!(ended.expect("the quota took three hours, the faults only moments"), 4);
    assert!(bench.clock.elapsed() > 2 * hour);
}

/// Makes one call whose effect can be looked up, with every answer lost; `found` are the results of the lookups in
/// turn.
fn looked_up(bench: &Bench, repeat: RetrySafety, found: &[Option<Value>], lost: u32) -> (Result<Step>, u32, usize) {
    looked_up_by(bench, repeat, &|look| Ok(found.get(look).cloned().flatten()), lost)
}

fn looked_up_by(
    bench: &Bench,
    repeat: RetrySafety,
    found: &(dyn Fn(usize) -> Result<Option<Value>> + Sync),
    lost: u32,
) -> (Result<Step>, u32, usize) {
    let (sent, looks) = (AtomicU32::new(0), Mutex::new(0));
    let step = with_remote(bench, async |remote| {
        let once = || -> BoxFuture<'_, Result<Answer, Failed>> {
            let nth = sent.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                match nth < lost {
                    true => Err(Failed { reach: Reach::Lost, error: fault() }),
                    false => Ok(Answer { status: 200, headers: Vec::new(), body: Vec::new() }),
                }
            })
        };
        let find = || -> BoxFuture<'_, Result<Option<Value>>> {
            let mut looks = looks.lock().expect("not poisoned");
            let came = found(*looks);
            *looks += 1;
            Box::pin(std::future::ready(came))
        };
        let find: Find<'_> = &find;
        let request = Request::new("POST", Secret::new("http://127.0.0.1:1/"));
        let classify = |_: &Answer| Reply::Done(json!("answered"));
        let bytes = std::sync::atomic::AtomicU64::new(7);
        let trip = super::step::Trip { part: Some((0, &bytes)), once: &once };
        remote.step(&operation(repeat), &request, trip, &classify, Some(find)).await
    });
    (step, sent.into_inner(), looks.into_inner().expect("not poisoned"))
}

/// A 400 to the list of executions ended the run as one whose part was refused.
#[test]
fn a_lookup_that_is_refused_refuses_nothing() {
    let refused = |_| Err(Error::new(Kind::Refused, "the list: refused with status 400"));
    let (step, sent, looks) = looked_up_by(&Bench::new(), RetrySafety::LookUp, &refused, 1);
    let error = step.expect_err("not known");
    assert_eq!((error.kind(), sent, looks), (Kind::Transient, 1, 1));
    assert!(error.hint().expect("a hint").contains("run the job again"), "{error:?}");
    let denied = |_| Err(Error::new(Kind::Credentials, "the list: refused with status 401"));
    let (step, ..) = looked_up_by(&Bench::new(), RetrySafety::LookUp, &denied, 1);
    assert_eq!(step.expect_err("not known").kind(), Kind::Credentials);
}

#[test]
fn a_lost_call_is_looked_up_before_it_is_sent_again() {
    let there = || Some(json!({"id": "7"}));
    let value = |step: Result<Step>| step.expect("a step").done().expect("done");
    let (step, sent, looks) = looked_up(&Bench::new(), RetrySafety::LookUp, &[there()], 1);
    assert_eq!((value(step), sent, looks), (json!({"id": "7"}), 1, 1), "it is there: not sent again");
    let (step, sent, looks) = looked_up(&Bench::new(), RetrySafety::LookUp, &[None, there()], 2);
    assert_eq!((value(step), sent, looks), (json!({"id": "7"}), 2, 2), "it is not there: sent again");
    let (step, sent, looks) = looked_up(&Bench::new(), RetrySafety::LookUp, &[], 1);
    assert_eq!((value(step), sent, looks), (json!("answered"), 2, 1));
    let (step, sent, _) = looked_up(&Bench::new(), RetrySafety::LookUp, &[], 99);
    assert_eq!((step.expect_err("given up").kind(), sent), (Kind::Transient, 5), "within the attempts");

    let bench = Bench::new();
    bench.journal.intent("op", &json!({"lost": 0})).expect("written");
    let (step, sent, looks) = looked_up(&bench, RetrySafety::LookUp, &[there()], 0);
    assert_eq!((value(step), sent, looks), (json!({"id": "7"}), 0, 1), "what a killed process sent is looked up first");
    assert!(matches!(bench.journal.step("op").expect("read"), StepState::Done(_)));
}

#[test]
fn a_creation_that_is_not_found_stays_in_doubt() {
    let (step, sent, looks) = looked_up(&Bench::new(), RetrySafety::Never, &[None], 1);
    assert!(matches!(step, Ok(Step::InDoubt(_))) && (sent, looks) == (1, 1));
    let (step, sent, _) = looked_up(&Bench::new(), RetrySafety::Never, &[Some(json!({"id": "7"}))], 1);
    assert_eq!((step.expect("a step").done().expect("done"), sent), (json!({"id": "7"}), 1));
}

/// Answers each connection with the next of `answers`, byte for byte, and closes it.
async fn server(answers: &'static [&'static str]) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/log", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                let mut byte = [0; 1];
                match stream.read(&mut byte).await {
                    Ok(1) => seen.push(byte[0]),
                    _ => break,
                }
            }
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, task)
}

/// Reads from such a server; returns the outcome, the data of the last attempt, and the number of attempts.
fn reading(answers: &'static [&'static str]) -> (Result<Read>, Vec<u8>, u32) {
    let (mut text, mut begun) = (Vec::new(), 0);
    let read = with_remote(&Bench::new(), async |remote| {
        let (url, task) = server(answers).await;
        let mut each = |event: Event<'_>| {
            match event {
                Event::Begin(answer) => {
                    assert_eq!(answer.status, 200);
                    begun += 1;
                    text.clear();
                }
                Event::Piece(piece) => text.extend_from_slice(piece),
                Event::End if text == b"damaged" => return Err(Error::new(Kind::Transient, "damaged")),
                Event::End => {}
            }
            Ok(())
        };
        let classify = |answer: &Answer| match answer.status {
            404 => Reply::Done(json!("gone")),
            _ => Reply::by_status("the log", answer),
        };
        let call = Call::new("log", RetrySafety::Always);
        let read = remote.read(&call, &Request::new("GET", Secret::new(url)), None, &classify, &mut each).await;
        task.abort();
        read
    });
    (read, text, begun)
}

#[test]
fn a_stream_is_read_again_from_its_beginning_until_it_is_whole() {
    let (read, text, begun) = reading(&[
        "HTTP/1.1 503 Later\r\nContent-Length: 0\r\nRetry-After: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ndamaged",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
    ]);
    assert_eq!((read.expect("read"), text.as_slice(), begun), (Read::Whole, b"whole".as_slice(), 3));
    let (read, _, begun) = reading(&["HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"]);
    assert_eq!((read.expect("answered"), begun), (Read::Answered(json!("gone")), 0));
    let (read, ..) = reading(&["HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"]);
    assert_eq!(read.expect_err("refused").kind(), Kind::Refused);
}
