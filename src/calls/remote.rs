//! The one way to the network for platforms and sources.
//!
//! | method | journaled | repeated by | for |
//! |---|---|---|---|
//! | `call`, `send`, `send_or_find` | intent before, result after | the call's [`super::RetrySafety`] | calls that
//! change something |
//! | `ask`, `read`, `attempts` | no | always | calls that only read, and protocols other than HTTP |
//! | `poll`, `until` | the verdict | always, within `wait` | polling until an end |
//!
//! The first two rows share one retry loop (`step.rs`), the last has one of its own (`poll.rs`). All waits go through
//! the one [`Clock`].

mod poll;
mod read;
mod slots;
mod step;

#[cfg(feature = "jobs")]
pub(crate) use poll::VERDICT_LIFE;
pub use read::{Each, Event, Read};
#[cfg(feature = "jobs")]
pub(crate) use step::would_send;
pub use step::{Find, PartBody};

use super::attempt::{self, Attempt};
use super::call::{Assume, Call, Quota};
use super::clock::{Clock, SystemClock};
use super::journal::{Journal, Slot, StepState};
use super::made::MadeCall;
use super::part::PartState;
use super::retry::Policy;
use super::{BoxFuture, JobSeed, Reply, RowFault};
use crate::error::Result;
use crate::secret::{Taint, printable};
use crate::transport::{Answer, Client, Failed, Request, StreamAnswer, learn};
use crate::warning::Warning;
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Classifies an answer.
pub type Classify<'j> = &'j (dyn Fn(&Answer) -> Reply + Send + Sync);

/// Takes a slot of a quota.
pub(crate) type Quotas<'q> = &'q (dyn Fn(&Quota, SystemTime) -> Result<Slot> + Sync);

/// Stores a fact.
pub(crate) type Keep<'k> = &'k (dyn Fn(&str, &Value) -> Result<()> + Sync);

/// Access to the network for a platform or a source: records intent before and result after a call, retries by the
/// call's rule, observes quotas, honours `Retry-After`. Dropping it cancels; an intent then stays in the journal.
pub struct Remote<'a> {
    seed: &'a JobSeed,
    journal: &'a dyn Journal,
    client: &'a Client,
    policy: Policy,
    assume: Option<Assume>,
    wire: &'a dyn Wire,
    clock: &'a dyn Clock,
    keep: Option<Keep<'a>>,
    quotas: Option<Quotas<'a>>,
    /// Number of parts of the delivery; 0 if unknown.
    parts: usize,
    progress: Mutex<Progress>,
}

/// State that changes while calls are made.
#[derive(Default)]
struct Progress {
    /// The part of the job's `wait` that is used up.
    waited: Duration,
    /// The group of the row faults.
    group: String,
    /// The step that is tried.
    step: String,
}

/// Makes small calls and streamed answers, as [`Client`] does.
trait Wire: Send + Sync {
    fn call<'w>(&'w self, request: &'w Request) -> BoxFuture<'w, Result<Answer, Failed>>;
    /// If `coded`, the answer stays in the content coding that was asked for.
    fn stream<'w>(&'w self, request: &'w Request, coded: bool) -> BoxFuture<'w, Result<StreamAnswer, Failed>>;
}

impl Wire for Client {
    fn call<'w>(&'w self, request: &'w Request) -> BoxFuture<'w, Result<Answer, Failed>> {
        Box::pin(Client::call(self, request))
    }

    fn stream<'w>(&'w self, request: &'w Request, coded: bool) -> BoxFuture<'w, Result<StreamAnswer, Failed>> {
        match coded {
            true => Box::pin(Client::stream_coded(self, request)),
            false => Box::pin(Client::stream(self, request)),
        }
    }
}

impl<'a> Remote<'a> {
    /// Creates the access to the network for one delivery.
    #[must_use]
    pub fn new(seed: &'a JobSeed, journal: &'a dyn Journal, client: &'a Client, policy: Policy) -> Remote<'a> {
        Remote {
            seed,
            journal,
            client,
            policy,
            assume: None,
            wire: client,
            clock: &SystemClock,
            keep: None,
            quotas: None,
            parts: 0,
            progress: Mutex::default(),
        }
    }

    /// Sets the user's decision about calls in doubt.
    #[must_use]
    pub fn assuming(mut self, assume: Option<Assume>) -> Remote<'a> {
        self.assume = assume;
        self
    }

    /// Sets the number of parts of the delivery, for the log.
    #[must_use]
    pub fn of_parts(mut self, parts: usize) -> Remote<'a> {
        self.parts = parts;
        self
    }

    /// Replaces the clock, for simulated time.
    #[must_use]
    pub fn with_clock(mut self, clock: &'a dyn Clock) -> Remote<'a> {
        self.clock = clock;
        self
    }

    /// Returns a copy with its own `wait`, of which nothing is used up.
    pub(crate) fn waiting_for(&self, wait: Duration) -> Remote<'a> {
        Remote {
            seed: self.seed,
            journal: self.journal,
            client: self.client,
            policy: Policy { wait, ..self.policy.clone() },
            assume: self.assume,
            wire: self.wire,
            clock: self.clock,
            keep: self.keep,
            quotas: self.quotas,
            parts: self.parts,
            progress: Mutex::default(),
        }
    }

    /// Takes slots of quotas from `quotas` instead of the journal, for calls outside any run.
    #[cfg(feature = "jobs")]
    #[must_use]
    pub(crate) fn with_quotas(mut self, quotas: Quotas<'a>) -> Remote<'a> {
        self.quotas = Some(quotas);
        self
    }

    /// Stores each fact also with `keep`, for callers whose journal does not outlive the process.
    #[cfg(feature = "jobs")]
    #[must_use]
    pub(crate) fn with_keeper(mut self, keep: Keep<'a>) -> Remote<'a> {
        self.keep = Some(keep);
        self
    }

    /// Returns the values drawn for this run.
    #[must_use]
    pub fn seed(&self) -> &JobSeed {
        self.seed
    }

    /// Returns the journal.
    pub(crate) fn journal(&self) -> &'a dyn Journal {
        self.journal
    }

    /// Returns the HTTP client.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.client
    }

    /// Returns the secrets that must not be shown. Secrets generated or received on the way (a token, the path of a
    /// served list) have to be added.
    #[must_use]
    pub fn taint(&self) -> &Taint {
        self.client.taint()
    }

    /// Returns the time of day.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Returns the clock, for reading the time when an answer comes.
    pub(crate) fn clock(&self) -> &'a dyn Clock {
        self.clock
    }

    /// Returns true if the job waits for verdicts at all (`wait` above 0).
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.policy.wait.is_zero()
    }

    /// Returns the retry policy, for steps that are not HTTP (FTP) or not journaled (results).
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns what is left of the job's `wait`.
    #[must_use]
    pub fn wait_left(&self) -> Duration {
        self.policy.wait.saturating_sub(self.progress().waited)
    }

    /// Sleeps; the time counts against the job's `wait`.
    pub async fn sleep(&self, time: Duration) {
        let began = self.clock.elapsed();
        self.clock.sleep(time).await;
        self.count_wait(self.clock.elapsed().saturating_sub(began));
    }

    /// Counts time spent waiting for a verdict in another way (serving a file).
    pub fn count_wait(&self, time: Duration) {
        self.progress().waited += time;
    }

    fn quota_take(&self, quota: &Quota, now: SystemTime) -> Result<Slot> {
        match self.quotas {
            Some(take) => take(quota, now),
            None => self.journal.quota_take(quota, now),
        }
    }

    /// Returns the time at which a call begins.
    pub(crate) fn begin_call(&self) -> (SystemTime, Duration) {
        (self.now(), self.clock.elapsed())
    }

    /// Logs that a part was sent in another way (FTP), and adds that to the history of the run. `began`: the time at which
    /// it began, by [`Remote::begin_call`].
    pub(crate) fn made_part(
        &self,
        command: &'static str,
        part: (usize, u64),
        began: (SystemTime, Duration),
        status: u16,
    ) {
        self.made(command, Some(part), began, Some(status));
    }

    /// Logs a call that has ended, and adds it to the history of the run.
    fn made(
        &self,
        method: &'static str,
        part: Option<(usize, u64)>,
        (at, began): (SystemTime, Duration),
        status: Option<u16>,
    ) {
        let took = self.clock.elapsed().saturating_sub(began);
        let step = self.progress().step.clone();
        let call = MadeCall { step, method, part, parts: self.parts, status, at, took };
        let (run, step) = (self.seed.run_id.as_str(), call.step.as_str());
        match part {
            Some((index, _)) => tracing::info!(run, step, part = index + 1, "{call}"),
            None => tracing::info!(run, step, "{call}"),
        }
        self.journal.made(&call);
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // each holder of the lock makes one change
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a small fact in the journal: an id, a chosen name. Not for secrets.
    ///
    /// # Errors
    /// `Local`.
    pub fn store(&self, key: &str, value: Value) -> Result<()> {
        if let Some(keep) = self.keep {
            keep(key, &value)?;
        }
        self.journal.store(key, &value)
    }

    /// Returns a fact stored by this or an earlier process of the run.
    ///
    /// # Errors
    /// `Busy`.
    pub fn load(&self, key: &str) -> Result<Option<Value>> {
        self.journal.load(key)
    }

    /// Sets the group (`part/0`) of the following calls of [`Remote::fault`] and deletes the faults stored for it. Call
    /// it before results are read, which a resumed run does again.
    ///
    /// # Errors
    /// `Local`.
    pub fn begin_faults(&self, group: &str) -> Result<()> {
        group.clone_into(&mut self.progress().group);
        self.journal.clear_faults(group)
    }

    /// Stores a row rejected by the platform while it is read; nothing is kept in memory. Secrets are removed from its
    /// message, and it is made printable, because reject files are shown on terminals.
    ///
    /// # Errors
    /// `Local`.
    pub fn fault(&self, mut fault: RowFault) -> Result<()> {
        fault.message = printable(&self.taint().text(&fault.message));
        if let super::FaultAt::Key(key) = &mut fault.at
            && let std::borrow::Cow::Owned(hidden) = self.taint().own_text(key)
        {
            *key = hidden;
        }
        let group = self.progress().group.clone();
        self.journal.fault(&group, &fault)
    }

    /// Returns the number of rows rejected by the platform so far.
    ///
    /// # Errors
    /// `Busy`.
    pub fn fault_count(&self) -> Result<u64> {
        self.journal.fault_count()
    }

    /// Records that the platform has accepted a part. Returns the time of the first such record.
    ///
    /// # Errors
    /// `Local`.
    pub fn part_done(&self, part: &PartState) -> Result<SystemTime> {
        let known = self.journal.parts()?.into_iter().find(|known| known.index == part.index && known.accepted);
        let at = known.and_then(|known| known.accepted_at).unwrap_or_else(|| self.now());
        let remote_id = part.remote_id.as_deref().map(|id| self.taint().own_text(id).into_owned());
        self.journal.part_done(&PartState { accepted_at: Some(at), remote_id, ..part.clone() })?;
        Ok(at)
    }

    /// Returns the time at which the platform accepted something that is not a part (a file that it already had): the
    /// time of the first call with this name.
    ///
    /// # Errors
    /// `Local`, `Busy`.
    pub fn accepted_at(&self, name: &str) -> Result<SystemTime> {
        let key = format!("accepted/{name}");
        let millis = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        if let Some(known) = self.load(&key)?.as_ref().and_then(Value::as_u64) {
            return Ok(UNIX_EPOCH.checked_add(Duration::from_millis(known)).unwrap_or_else(|| self.now()));
        }
        let now = self.now();
        self.store(&key, json!(millis(now)))?;
        Ok(now)
    }

    /// Counts one more start of sending a part's body if [`Remote::send`] does not (FTP, serving).
    ///
    /// # Errors
    /// `Local`.
    pub fn part_attempt(&self, part: usize) -> Result<()> {
        self.journal.part_attempt(part)
    }

    /// Adds a warning to the log and the report.
    ///
    /// # Errors
    /// `Local`.
    pub fn note(&self, text: &str) -> Result<()> {
        let text = self.taint().own_text(text);
        tracing::warn!("{text}");
        self.journal.note(&text)
    }

    /// Like [`Remote::note`], with kind, numbers and hint.
    ///
    /// # Errors
    /// `Local`.
    pub fn warn(&self, warning: &Warning) -> Result<()> {
        tracing::warn!("{}", warning.message);
        self.journal.note(&warning.to_note())
    }

    /// Returns true if the step was tried and its result is unknown. Before [`Remote::call`], this distinguishes a
    /// repetition that the user ordered from a first try.
    ///
    /// # Errors
    /// `Busy`.
    pub fn in_doubt(&self, name: &str) -> Result<bool> {
        Ok(matches!(self.journal.step(name)?, StepState::Intent(_)))
    }

    /// Returns the result of a step, if it has one.
    ///
    /// # Errors
    /// `Busy`.
    pub fn result_of(&self, name: &str) -> Result<Option<Value>> {
        Ok(match self.journal.step(name)? {
            StepState::Done(value) => Some(value),
            _ => None,
        })
    }

    /// Records that a step is about to be tried that may be repeated and is not made by [`Remote::call`] or
    /// [`Remote::send`].
    ///
    /// # Errors
    /// `Local`: the state cannot be written; nothing may be sent then.
    pub fn begin_step(&self, name: &str) -> Result<()> {
        self.journal.intent(name, &json!({"lost": 0, "doubtful": false}))
    }

    /// Records the result of a step that was made in another way (FTP, serving).
    ///
    /// # Errors
    /// `Local`.
    pub fn record(&self, name: &str, value: &Value) -> Result<()> {
        self.journal.result(name, value)
    }

    /// Resets a step to new, because its result has expired (an expired URL).
    ///
    /// # Errors
    /// `Local`.
    pub fn forget(&self, name: &str) -> Result<()> {
        self.journal.forget(name)
    }

    /// Makes one attempt of a small call, not journaled. For [`Remote::attempts`] and [`Remote::until`].
    pub async fn once(&self, request: &Request, classify: Classify<'_>) -> Attempt<Value> {
        learn(self.taint(), request);
        let began = self.begin_call();
        let came = self.wire.call(request).await;
        self.made(request.method, None, began, came.as_ref().ok().map(|answer| answer.status));
        let came = match came {
            Ok(answer) => classify(&answer).into(),
            Err(failed) => attempt::failed(failed, request.supplied_by.is_some()),
        };
        self.kept(came).map_error(|error| self.hidden(error))
    }

    /// Removes secrets from an answer before it is stored. URLs stay, since they are requested again; their secrets are
    /// remembered.
    fn kept(&self, came: Attempt<Value>) -> Attempt<Value> {
        match came {
            Attempt::Done(value) => {
                self.taint().learn_urls(&value);
                Attempt::Done(self.taint().value_but_urls(value))
            }
            other => other,
        }
    }

    /// Makes a small call that only reads: not journaled, repeated after any temporary fault.
    ///
    /// # Errors
    /// As classified; `Transient`.
    pub async fn ask(&self, call: &Call, request: &Request, classify: Classify<'_>) -> Result<Value> {
        self.attempts(call, |_| self.once(request, classify)).await
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_polls;
#[cfg(test)]
mod tests_reads;
