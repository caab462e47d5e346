//! The one way to the network for platforms and sources.
//!
//! | method | journaled | repeated by | for |
//! |---|---|---|---|
//! | `call`, `send`, `send_or_find` | intent before, result after | the call's [`super::RetrySafety`] | what changes something |
//! | `ask`, `read`, `attempts` | no | always | what only reads, and what is not HTTP |
//! | `poll`, `until` | the verdict | always, within `wait` | what is asked about until it ends |
//!
//! The first two rows share one retry loop (`step.rs`), the last has one of its own (`poll.rs`). All waits go through
//! the one [`Clock`].

mod poll;
mod read;
mod slots;
mod step;

pub(crate) use poll::VERDICT_LIFE;
pub use read::{Each, Event, Read};
#[cfg(feature = "jobs")]
pub(crate) use step::would_send;
pub use step::{Find, PartBody};

use super::attempt::{self, Attempt};
use super::call::{Assume, Call, Quota};
use super::clock::{Clock, SystemClock};
use super::journal::{Journal, PartState, Slot, StepState};
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

/// Keeps a fact.
pub(crate) type Keep<'k> = &'k (dyn Fn(&str, &Value) -> Result<()> + Sync);

/// How a platform or a source reaches the network: journals intent before and result after, repeats by the call's rule,
/// keeps quotas, waits out `Retry-After`. Cancelled by dropping: an intent then stays in the journal.
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
    progress: Mutex<Progress>,
}

/// What changes while calls are made.
#[derive(Default)]
struct Progress {
    /// How much of the job's `wait` is used up.
    waited: Duration,
    /// What row faults belong to.
    group: String,
}

/// Small calls and streamed answers, as [`Client`] makes them.
trait Wire: Send + Sync {
    fn call<'w>(&'w self, request: &'w Request) -> BoxFuture<'w, Result<Answer, Failed>>;
    /// `coded`: as it comes, in the content coding that was asked for.
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
    /// The way to the network for one delivery.
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
            progress: Mutex::default(),
        }
    }

    /// What the user says about calls in doubt.
    #[must_use]
    pub fn assuming(mut self, assume: Option<Assume>) -> Remote<'a> {
        self.assume = assume;
        self
    }

    /// Another clock: simulated time.
    #[must_use]
    pub fn with_clock(mut self, clock: &'a dyn Clock) -> Remote<'a> {
        self.clock = clock;
        self
    }

    /// The same way with a `wait` of its own, of which nothing is used up.
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
            progress: Mutex::default(),
        }
    }

    /// Takes slots of quotas elsewhere than in the journal: for calls that belong to no run.
    #[cfg(feature = "jobs")]
    #[must_use]
    pub(crate) fn with_quotas(mut self, quotas: Quotas<'a>) -> Remote<'a> {
        self.quotas = Some(quotas);
        self
    }

    /// Has each fact kept elsewhere too, for callers whose journal does not outlive the process.
    #[cfg(feature = "jobs")]
    #[must_use]
    pub(crate) fn with_keeper(mut self, keep: Keep<'a>) -> Remote<'a> {
        self.keep = Some(keep);
        self
    }

    /// What was drawn for this run.
    #[must_use]
    pub fn seed(&self) -> &JobSeed {
        self.seed
    }

    /// The journal itself, for what goes on beside the steps.
    pub(crate) fn journal(&self) -> &'a dyn Journal {
        self.journal
    }

    /// The HTTP client itself.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.client
    }

    /// The secrets that nothing may show. What is drawn or received on the way (a token, the path of a served list) is to
    /// be added to it.
    #[must_use]
    pub fn taint(&self) -> &Taint {
        self.client.taint()
    }

    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.wall()
    }

    /// The clock, for what is asked at the moment of an answer.
    pub(crate) fn clock(&self) -> &'a dyn Clock {
        self.clock
    }

    /// True where the job waits for verdicts at all (`wait` above 0).
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.policy.wait.is_zero()
    }

    /// How often and how long things are tried, for steps that are not HTTP (FTP) or not journaled (results).
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What is left of the job's `wait`.
    #[must_use]
    pub fn wait_left(&self) -> Duration {
        self.policy.wait.saturating_sub(self.progress().waited)
    }

    /// Waits; the time counts against the job's `wait`.
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

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // each holder does one change
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Freezes a small fact in the journal: an id, a chosen name. Not for secrets.
    ///
    /// # Errors
    /// `Local`.
    pub fn store(&self, key: &str, value: Value) -> Result<()> {
        if let Some(keep) = self.keep {
            keep(key, &value)?;
        }
        self.journal.store(key, &value)
    }

    /// A frozen fact, of this or an earlier process of the run.
    ///
    /// # Errors
    /// `Busy`.
    pub fn load(&self, key: &str) -> Result<Option<Value>> {
        self.journal.load(key)
    }

    /// Names what the next [`Remote::fault`]s belong to (`part/0`) and forgets what was stored under that name: call it before
    /// results are read, which a resumed run does again.
    ///
    /// # Errors
    /// `Local`.
    pub fn begin_faults(&self, group: &str) -> Result<()> {
        group.clone_into(&mut self.progress().group);
        self.journal.clear_faults(group)
    }

    /// Stores a row that the platform rejected, as it is read: nothing is kept in memory. Its message loses secrets and is
    /// made printable: the reject file is shown on terminals.
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

    /// How many rows the platform rejected so far.
    ///
    /// # Errors
    /// `Busy`.
    pub fn fault_count(&self) -> Result<u64> {
        self.journal.fault_count()
    }

    /// Records that the platform has accepted a part, and returns when it did: now, or when it was recorded first.
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

    /// When the platform accepted something that is no part of ours (a file that it already had): now, or when this was
    /// asked first under that name.
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

    /// Counts one more beginning of a part's body where [`Remote::send`] does not (FTP, serving).
    ///
    /// # Errors
    /// `Local`.
    pub fn part_attempt(&self, part: usize) -> Result<()> {
        self.journal.part_attempt(part)
    }

    /// A warning, for the log and the report.
    ///
    /// # Errors
    /// `Local`.
    pub fn note(&self, text: &str) -> Result<()> {
        let text = self.taint().own_text(text);
        tracing::warn!("{text}");
        self.journal.note(&text)
    }

    /// As [`Remote::note`], with its kind, numbers and hint.
    ///
    /// # Errors
    /// `Local`.
    pub fn warn(&self, warning: &Warning) -> Result<()> {
        tracing::warn!("{}", warning.message);
        self.journal.note(&warning.to_note())
    }

    /// True where the step was tried and its result is not known; asked before [`Remote::call`], it tells a repetition that
    /// the user ordered from a first try.
    ///
    /// # Errors
    /// `Busy`.
    pub fn in_doubt(&self, name: &str) -> Result<bool> {
        Ok(matches!(self.journal.step(name)?, StepState::Intent(_)))
    }

    /// The result of a step, where it has one.
    ///
    /// # Errors
    /// `Busy`.
    pub fn result_of(&self, name: &str) -> Result<Option<Value>> {
        Ok(match self.journal.step(name)? {
            StepState::Done(value) => Some(value),
            _ => None,
        })
    }

    /// Writes that a step is about to be tried that is not made by [`Remote::call`] or [`Remote::send`] and may be repeated.
    ///
    /// # Errors
    /// `Local`: the state cannot be written; nothing may be sent then.
    pub fn begin_step(&self, name: &str) -> Result<()> {
        self.journal.intent(name, &json!({"lost": 0, "doubtful": false}))
    }

    /// Writes a step's result that was reached otherwise (FTP, serving).
    ///
    /// # Errors
    /// `Local`.
    pub fn record(&self, name: &str, value: &Value) -> Result<()> {
        self.journal.result(name, value)
    }

    /// Takes a step back to new: what it gave has gone stale (an expired URL).
    ///
    /// # Errors
    /// `Local`.
    pub fn forget(&self, name: &str) -> Result<()> {
        self.journal.forget(name)
    }

    /// Makes one attempt of a small call; not journaled. For [`Remote::attempts`] and [`Remote::until`].
    pub async fn once(&self, request: &Request, classify: Classify<'_>) -> Attempt<Value> {
        learn(self.taint(), request);
        let came = match self.wire.call(request).await {
            Ok(answer) => classify(&answer).into(),
            Err(failed) => attempt::failed(failed, request.supplied_by.is_some()),
        };
        self.kept(came).map_error(|error| self.hidden(error))
    }

    /// What is kept of an answer: without secrets, but for URLs, which are asked again; what those hold secret is known
    /// from now on.
    fn kept(&self, came: Attempt<Value>) -> Attempt<Value> {
        match came {
            Attempt::Done(value) => {
                self.taint().learn_urls(&value);
                Attempt::Done(self.taint().value_but_urls(value))
            }
            other => other,
        }
    }

    /// Makes a small call that only reads: not journaled, repeated after any passing fault.
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
