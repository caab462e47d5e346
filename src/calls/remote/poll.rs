//! The poll loop: polls until an end.

use super::{Classify, Remote};
use crate::calls::attempt::Attempt;
use crate::calls::call::{Call, Waiting};
use crate::calls::journal::{Slot, StepState};
use crate::calls::retry::Budget;
use crate::error::{Error, Kind, Result};
use crate::transport::Request;
use serde_json::{Value, json};
use std::time::Duration;

/// How long after acceptance a verdict is polled.
pub(crate) const VERDICT_LIFE: Duration = Duration::from_secs(24 * 3600);
/// First pause between two polls; it grows by half each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Maximum pause between two polls.
const MAX_PAUSE: Duration = Duration::from_secs(60);

impl Remote<'_> {
    /// Polls until `classify` returns done, with pauses of 1 s growing to 60 s. The value is journaled and replayed.
    ///
    /// `Retry` means "not yet" (its `Retry-After` is honoured), and so does `Strange`, with a warning. Once something
    /// was accepted ([`Waiting::accepted`]), every other answer but 401 and 403 means "not yet" as well: the platform
    /// has the list, so no answer of a status call is a refusal. 24 hours after acceptance the value is `{"verdict":
    /// "expired"}`: see [`crate::calls::expired`].
    ///
    /// # Errors
    /// `Pending`: the job's `wait` is over. `Transient`: `upload.part_wait` is over. `Credentials`. Before anything was
    /// accepted also as [`Remote::call`].
    pub async fn poll(
        &self,
        call: &Call,
        request: &Request,
        waiting: Waiting,
        classify: Classify<'_>,
    ) -> Result<Value> {
        self.poll_by(call, waiting, |_| self.once(request, classify)).await
    }

    /// Like [`Remote::poll`], for a poll of more than one request, which `once` makes.
    ///
    /// # Errors
    /// As [`Remote::poll`].
    pub async fn poll_by<F>(&self, call: &Call, waiting: Waiting, once: impl FnMut(u32) -> F) -> Result<Value>
    where
        F: Future<Output = Attempt<Value>>,
    {
        if let StepState::Done(value) = self.journal.step(&call.name)? {
            self.taint().learn_urls(&value);
            return Ok(value);
        }
        let verdict = self.until(call, waiting, once).await?;
        let value = verdict.unwrap_or_else(|| json!({"verdict": "expired"}));
        self.journal.result(&call.name, &value)?;
        Ok(value)
    }

    /// Makes attempts until one succeeds, as described at [`Remote::poll`]: the one poll loop. Not journaled. `None` if
    /// the verdict has expired.
    ///
    /// # Errors
    /// As [`Remote::poll`].
    pub async fn until<T, F>(&self, call: &Call, waiting: Waiting, mut once: impl FnMut(u32) -> F) -> Result<Option<T>>
    where
        F: Future<Output = Attempt<T>>,
    {
        let name = call.name.as_str();
        let budget = || Budget::new(&self.policy, format!("{}/{name}", self.seed.random));
        let (mut faults, mut pause, mut warned, mut waited) = (budget(), FIRST_PAUSE, false, Duration::ZERO);
        for attempt in 1.. {
            if self.is_over(waiting) {
                return Ok(None);
            }
            let began = self.clock.elapsed();
            call.name.clone_into(&mut self.progress().step);
            let came = match self.slot_now(call)? {
                None => once(attempt).await.map_error(|error| self.hidden(error)),
                Some(error) => Attempt::Passing(error),
            };
            self.count(waiting, &mut waited, self.clock.elapsed().saturating_sub(began));
            let (wait, error) = match self.reading(came, waiting) {
                Asked::Done(value) => return Ok(Some(value)),
                Asked::Ended(error) => return Err(error),
                Asked::NotYet { error, strange } => {
                    // a word that changes with every answer is still only one warning
                    if strange && !std::mem::replace(&mut warned, true) {
                        self.note_once(&format!("{}; asking on", error.message()))?;
                    }
                    faults = budget();
                    let wait = pause.max(error.retry_after().unwrap_or_default());
                    pause = (pause * 3 / 2).min(MAX_PAUSE);
                    tracing::debug!(step = name, "{error}; polling again in {:.1} s", wait.as_secs_f64());
                    (wait, error)
                }
                Asked::Fault(error) => {
                    let (wait, error) = faults.next_wait(error, self.clock)?;
                    tracing::warn!(step = name, "{error}; polling again in {:.1} s", wait.as_secs_f64());
                    (wait, error)
                }
            };
            let left = self.left(waiting, waited);
            // a last poll before the time that the platform asked for would be too early
            if left.is_zero() || error.retry_after().is_some_and(|asked| asked > left) {
                return Err(over(waiting, &error));
            }
            let began = self.clock.elapsed();
            self.clock.sleep(wait.min(left).min(self.until_expiry(waiting))).await;
            self.count(waiting, &mut waited, self.clock.elapsed().saturating_sub(began));
        }
        Err(Error::new(Kind::Transient, format!("step {name}: too many polls")))
    }

    /// Interprets an attempt, depending on whether something was accepted.
    fn reading<T>(&self, came: Attempt<T>, waiting: Waiting) -> Asked<T> {
        let accepted = waiting.accepted.is_some();
        match came {
            Attempt::Done(value) => Asked::Done(value),
            Attempt::Passing(error) => Asked::NotYet { error, strange: false },
            Attempt::Strange(error) => Asked::NotYet { error, strange: true },
            // the platform's answer, or why it could not be reached; not an error on this machine
            Attempt::Final(error) if accepted && is_of_the_platform(error.kind()) => {
                Asked::NotYet { error, strange: true }
            }
            Attempt::Final(error) => Asked::Ended(error),
            Attempt::Unreached(error) | Attempt::Unclear(error) | Attempt::Altered(error) if accepted => {
                Asked::NotYet { error, strange: false }
            }
            Attempt::Unreached(error) | Attempt::Unclear(error) | Attempt::Altered(error) => Asked::Fault(error),
        }
    }

    /// Takes a slot if one is free now; otherwise returns "not yet".
    fn slot_now(&self, call: &Call) -> Result<Option<Error>> {
        let Some(quota) = &call.quota else { return Ok(None) };
        let now = self.now();
        Ok(match self.quota_take(quota, now)? {
            Slot::Granted => None,
            Slot::WaitUntil(free) => {
                let wait = free.duration_since(now).unwrap_or_default().max(Duration::from_millis(10));
                let what = quota.key.split('/').next().unwrap_or_default();
                let message = format!("{what} allows {} calls in {} s", quota.limit, quota.window.as_secs());
                Some(Error::new(Kind::Transient, message).with_retry_after(wait))
            }
        })
    }

    /// Returns how long the poll may still wait.
    fn left(&self, waiting: Waiting, waited: Duration) -> Duration {
        match waiting.before_next {
            true => self.policy.part_wait.saturating_sub(waited),
            false => self.wait_left(),
        }
    }

    fn count(&self, waiting: Waiting, waited: &mut Duration, time: Duration) {
        *waited += time;
        if !waiting.before_next {
            self.count_wait(time);
        }
    }

    fn is_over(&self, waiting: Waiting) -> bool {
        self.until_expiry(waiting).is_zero()
    }

    /// Returns how long a verdict is still polled.
    fn until_expiry(&self, waiting: Waiting) -> Duration {
        let Some(end) = waiting.accepted.and_then(|at| at.checked_add(VERDICT_LIFE)) else { return Duration::MAX };
        end.duration_since(self.now()).unwrap_or_default()
    }

    fn note_once(&self, text: &str) -> Result<()> {
        if self.journal.notes()?.iter().any(|note| note == text) {
            return Ok(());
        }
        self.note(text)
    }
}

/// The result of a poll.
enum Asked<T> {
    Done(T),
    NotYet { error: Error, strange: bool },
    Fault(Error),
    Ended(Error),
}

/// Whether an error is about the platform's answer, and not about credentials or this machine.
fn is_of_the_platform(kind: Kind) -> bool {
    matches!(kind, Kind::Refused | Kind::Transient | Kind::Usage | Kind::Pending | Kind::ImportFailed)
}

/// Returns the error for a wait that is over.
fn over(waiting: Waiting, last: &Error) -> Error {
    match (waiting.accepted, waiting.before_next) {
        (Some(_), true) => {
            Error::new(Kind::Transient, format!("no verdict on a part within upload.part_wait: {last}"))
                .with_hint("the next part is sent only after the verdict; run the job again or resume it: what was accepted is not sent again")
        }
        _ => Error::new(Kind::Pending, format!("accepted, but no verdict within the job's wait: {last}"))
            .with_hint("resume the run to continue waiting"),
    }
}
