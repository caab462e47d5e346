//! The retry loop, and the journaled calls on it.

use super::{Classify, Remote};
use crate::calls::BoxFuture;
use crate::calls::attempt::{self, Attempt};
use crate::calls::call::{Assume, Call, RetrySafety, Step};
#[cfg(feature = "jobs")]
use crate::calls::journal::Journal;
use crate::calls::journal::StepState;
use crate::calls::retry::Budget;
use crate::error::{Error, Kind, Result};
use crate::transport::{Answer, Failed, Request, learn};
use bytes::Bytes;
use http_body::Body;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes one request.
type Once<'p> = &'p (dyn Fn() -> BoxFuture<'p, Result<Answer, Failed>> + Sync);

/// How one attempt is made.
#[derive(Clone, Copy)]
pub(super) struct Trip<'p> {
    /// The part that is sent, and the size of its body once it is open.
    pub(super) part: Option<(usize, &'p AtomicU64)>,
    pub(super) once: Once<'p>,
}

/// Looks up whether a call in doubt was carried out; returns what it would have answered, or `None` if it was not.
pub type Find<'f> = &'f (dyn Fn() -> BoxFuture<'f, Result<Option<Value>>> + Sync);

/// The body of a part: `open` returns a fresh one for each attempt.
#[derive(Clone, Copy)]
pub struct PartBody<'b, B> {
    /// The part's index.
    pub part: usize,
    /// Opens the body.
    pub open: &'b (dyn Fn() -> B + Sync),
}

impl Remote<'_> {
    /// Makes attempts until one succeeds or none may follow: the one retry loop. `once` gets the number of the attempt,
    /// from 1. Not journaled: for calls that only read, and protocols other than HTTP (FTP). State that changes between
    /// attempts is shared with `once` through an atomic or a mutex.
    ///
    /// # Errors
    /// The error of the last attempt; `Transient` if attempts or time are used up.
    pub async fn attempts<T, F>(&self, call: &Call, mut once: impl FnMut(u32) -> F) -> Result<T>
    where
        F: Future<Output = Attempt<T>>,
    {
        let name = call.name.as_str();
        let mut budget = Budget::new(&self.policy, format!("{}/{name}", self.seed.random));
        let mut altered = self.policy.attempts <= 1;
        for attempt in 1.. {
            if let Some(quota) = &call.quota {
                budget.leave_out(self.take_slot(quota).await?);
            }
            let seat = match &call.at_once {
                None => None,
                Some(limit) => {
                    let (seat, waited) = self.take_seat(limit).await?;
                    budget.leave_out(waited);
                    Some(seat)
                }
            };
            name.clone_into(&mut self.progress().step);
            let came = once(attempt).await.map_error(|error| self.hidden(error));
            drop(seat);
            let error = match came {
                Attempt::Done(value) => return Ok(value),
                Attempt::Final(error) => return Err(error),
                Attempt::Altered(error) if altered => {
                    let hint = "the bytes were changed on the way, or the storage is at fault: look for a proxy that alters requests";
                    return Err(error.into_kind(Kind::Refused).with_hint(hint));
                }
                Attempt::Altered(error) => {
                    altered = true;
                    error
                }
                Attempt::Unreached(error)
                | Attempt::Passing(error)
                | Attempt::Strange(error)
                | Attempt::Unclear(error) => error,
            };
            let (wait, error) = budget.next_wait(error, self.clock)?;
            let seconds = wait.as_secs_f64();
            tracing::warn!(step = name, attempt, wait_seconds = seconds, "{error}; trying again in {seconds:.1} s");
            self.clock.sleep(wait).await;
        }
        Err(Error::new(Kind::Transient, format!("step {name}: too many attempts")))
    }

    /// Makes a small call. A result in the journal is replayed without a call. If the journal has an intent without a
    /// result, and the call must not be repeated, the result is [`Step::InDoubt`] (unless the user decided).
    ///
    /// # Errors
    /// `Refused`, `Credentials`, `Transient`, … as classified.
    pub async fn call(&self, call: &Call, request: &Request, classify: Classify<'_>) -> Result<Step> {
        let (wire, asked) = (self.wire, request);
        let once = Trip { part: None, once: &|| wire.call(asked) };
        self.step(call, request, once, classify, None).await
    }

    /// Sends the body of part `part`; `open` returns a fresh one for each attempt.
    ///
    /// # Errors
    /// As [`Remote::call`]; `SourceChanged`.
    pub async fn send<B>(
        &self,
        call: &Call,
        request: &Request,
        part: usize,
        open: &(dyn Fn() -> B + Sync),
        classify: Classify<'_>,
    ) -> Result<Step>
    where
        B: Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        self.send_body(call, request, PartBody { part, open }, classify, None).await
    }

    /// Like [`Remote::send`], for a call whose effect can be looked up. Before the call is repeated or in doubt, `find`
    /// is asked. If the call was carried out, the value of `find` is its result. If not, a [`RetrySafety::LookUp`] call
    /// is sent again, and any other stays in doubt.
    ///
    /// # Errors
    /// As [`Remote::send`], and those of `find`.
    pub async fn send_or_find<B>(
        &self,
        call: &Call,
        request: &Request,
        body: PartBody<'_, B>,
        classify: Classify<'_>,
        find: Find<'_>,
    ) -> Result<Step>
    where
        B: Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        self.send_body(call, request, body, classify, Some(find)).await
    }

    async fn send_body<B>(
        &self,
        call: &Call,
        request: &Request,
        body: PartBody<'_, B>,
        classify: Classify<'_>,
        find: Option<Find<'_>>,
    ) -> Result<Step>
    where
        B: Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        let (client, bytes) = (self.client, AtomicU64::new(0));
        let once = || -> BoxFuture<'_, Result<Answer, Failed>> {
            let body = (body.open)();
            bytes.store(body.size_hint().exact().unwrap_or(0), Ordering::Relaxed);
            Box::pin(client.upload(request, body))
        };
        self.step(call, request, Trip { part: Some((body.part, &bytes)), once: &once }, classify, find).await
    }

    /// Makes a journaled call: an intent before each attempt, a result after it.
    pub(super) async fn step(
        &self,
        call: &Call,
        request: &Request,
        trip: Trip<'_>,
        classify: Classify<'_>,
        find: Option<Find<'_>>,
    ) -> Result<Step> {
        let lost = match self.before(call, find).await? {
            Before::Settled(step) => return Ok(step),
            Before::Lost(lost) => AtomicU64::new(lost),
        };
        let lost = &lost;
        learn(self.taint(), request);
        self.attempts(call, |_| async move {
            let known = lost.load(Ordering::Relaxed);
            let came = self.journaled((call, request), trip, known, classify).await;
            let came = match self.kept(came).map_error(|error| self.hidden(error)) {
                Attempt::Altered(error) if call.repeat == RetrySafety::Always => {
                    self.settle(call, known, Attempt::Altered(error))
                }
                Attempt::Unclear(error) | Attempt::Altered(error) => {
                    lost.store(known + 1, Ordering::Relaxed);
                    self.after_loss(call, known + 1, error, find).await
                }
                other => self.settle(call, known, other),
            };
            came.unwrap_or_else(Attempt::Final)
        })
        .await
    }

    /// Reads what an earlier process left of the call: its result, or how often its answer was lost.
    async fn before(&self, call: &Call, find: Option<Find<'_>>) -> Result<Before> {
        let name = call.name.as_str();
        let facts = match self.journal.step(name)? {
            StepState::Done(value) => {
                self.taint().learn_urls(&value);
                return Ok(Before::Settled(Step::Done(value)));
            }
            StepState::New => return Ok(Before::Lost(0)),
            StepState::Intent(facts) => facts,
        };
        let lost = facts.get("lost").and_then(Value::as_u64).unwrap_or(0).saturating_add(1);
        if may_repeat(call.repeat, lost) {
            return Ok(Before::Lost(lost));
        }
        if let Some(find) = find {
            if let Some(value) = found(call, find().await)? {
                self.keep_result(call, &value)?;
                return Ok(Before::Settled(Step::Done(value)));
            }
            if call.repeat == RetrySafety::LookUp {
                return Ok(Before::Lost(0));
            }
        }
        Ok(match self.assume {
            Some(Assume::Done) => {
                let value = json!({"assumed": "done"});
                self.keep_result(call, &value)?;
                Before::Settled(Step::Done(value))
            }
            Some(Assume::Repeat) => Before::Lost(0),
            None => Before::Settled(Step::InDoubt(doubt(call, None))),
        })
    }

    /// Makes one attempt, with its intent journaled before. A failure of the journal is final.
    async fn journaled(
        &self,
        (call, request): (&Call, &Request),
        trip: Trip<'_>,
        lost: u64,
        classify: Classify<'_>,
    ) -> Attempt<Value> {
        let begun = self.journal.intent(&call.name, &intent(call, lost)).and_then(|()| match trip.part {
            Some((part, _)) => self.journal.part_attempt(part),
            None => Ok(()),
        });
        if let Err(error) = begun {
            return Attempt::Final(error);
        }
        let began = self.begin_call();
        let came = (trip.once)().await;
        let part = trip.part.map(|(part, bytes)| (part, bytes.load(Ordering::Relaxed)));
        self.made(request.method, part, began, came.as_ref().ok().map(|answer| answer.status));
        match came {
            Ok(answer) => classify(&answer).into(),
            Err(failed) => attempt::failed(failed, false),
        }
    }

    /// Journals what is known after an attempt: its result, or that it had no effect.
    fn settle(&self, call: &Call, lost: u64, came: Attempt<Value>) -> Result<Attempt<Step>> {
        let name = call.name.as_str();
        match &came {
            Attempt::Done(value) => self.keep_result(call, value)?,
            Attempt::Final(_) => self.journal.forget(name)?,
            _ if lost == 0 => self.journal.forget(name)?,
            _ => {}
        }
        Ok(came.map(Step::Done))
    }

    /// Writes the result of a call, and in the same write the part that the platform has accepted by it: a run that is
    /// killed in between would count as one of which nothing was accepted.
    fn keep_result(&self, call: &Call, value: &Value) -> Result<()> {
        let Some(accepts) = &call.accepts else { return self.journal.result(&call.name, value) };
        let mut part = accepts.by(value, self.now());
        part.remote_id = part.remote_id.map(|id| self.taint().own_text(&id).into_owned());
        self.journal.result_accepting(&call.name, value, &part)
    }

    /// Handles the `lost`-th lost answer: looks the call up if possible, then repeats it or leaves it in doubt.
    async fn after_loss(&self, call: &Call, lost: u64, error: Error, find: Option<Find<'_>>) -> Result<Attempt<Step>> {
        if may_repeat(call.repeat, lost) {
            self.journal.intent(&call.name, &intent(call, lost))?;
            return Ok(Attempt::Unclear(error));
        }
        let Some(find) = find else {
            return Ok(Attempt::Done(Step::InDoubt(doubt(call, Some(error)))));
        };
        match found(call, find().await)? {
            Some(value) => {
                self.keep_result(call, &value)?;
                Ok(Attempt::Done(Step::Done(value)))
            }
            None if call.repeat == RetrySafety::LookUp => {
                self.journal.forget(&call.name)?;
                Ok(Attempt::Unclear(error))
            }
            None => Ok(Attempt::Done(Step::InDoubt(doubt(call, Some(error))))),
        }
    }
}

/// The state of a call before its first attempt in this process.
enum Before {
    Settled(Step),
    Lost(u64),
}

/// Interprets a lookup. A failed lookup settles no doubt; a call that may be repeated only after a lookup waits for one
/// that succeeds.
fn found(call: &Call, came: Result<Option<Value>>) -> Result<Option<Value>> {
    match came {
        Err(error) if call.repeat != RetrySafety::LookUp && !matches!(error.kind(), Kind::Local | Kind::Busy) => {
            tracing::warn!(step = call.name, "looking it up failed: {error}");
            Ok(None)
        }
        // the lookup was refused, not the call
        Err(error) if error.kind() == Kind::Refused => Err(error.into_kind(Kind::Transient).with_hint(format!(
            "the answer to step {} was lost, and it is looked up before it is sent again: run the job again",
            call.name
        ))),
        came => came,
    }
}

/// Whether a call whose answer was lost `lost` times may be repeated without a lookup.
fn may_repeat(repeat: RetrySafety, lost: u64) -> bool {
    match repeat {
        RetrySafety::Always => true,
        RetrySafety::Once => lost <= 1,
        RetrySafety::Never | RetrySafety::LookUp => false,
    }
}

/// Returns what the journal stores of a call in progress: how often its answer was lost, and whether losing this one
/// leaves it in doubt.
pub(super) fn intent(call: &Call, lost: u64) -> Value {
    let settles = call.repeat == RetrySafety::LookUp || may_repeat(call.repeat, lost.saturating_add(1));
    json!({"lost": lost, "doubtful": !settles})
}

/// Returns whether [`Remote::send`] would start the body of the call in a resumed run.
///
/// # Errors
/// `Busy`.
#[cfg(feature = "jobs")]
pub(crate) fn would_send(journal: &dyn Journal, call: &Call, assume: Option<Assume>) -> Result<bool> {
    Ok(match journal.step(&call.name)? {
        StepState::Done(_) => false,
        StepState::New => true,
        StepState::Intent(facts) => {
            let lost = facts.get("lost").and_then(Value::as_u64).unwrap_or(0).saturating_add(1);
            assume == Some(Assume::Repeat) || call.repeat == RetrySafety::LookUp || may_repeat(call.repeat, lost)
        }
    })
}

fn doubt(call: &Call, cause: Option<Error>) -> Error {
    let why = cause.as_ref().map_or_else(|| "an earlier run of this job got no answer".to_owned(), Error::to_string);
    let about = call.about.as_deref().map(|what| format!(" ({})", crate::secret::printable(what))).unwrap_or_default();
    let error = Error::new(
        Kind::InDoubt,
        format!("the result of step {}{about} is unknown and repeating it is not safe: {why}", call.name),
    )
    .with_hint(
        "look at the platform, then resume the run with --assume done (it was done) or --assume repeat (it was not)",
    );
    let Some(cause) = cause else { return error };
    match cause.retry_after() {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
    .with_source(cause)
}
