//! The one way of a platform to the network: intent before the first byte, result after, repeats by the operation's
//! rule, quotas, waits.

use super::call::{Assume, Call, Quota, RetrySafety, Step};
use super::clock::{Clock, SystemClock};
use super::journal::{Journal, PartState, Slot, StepState};
use super::retry::{Budget, Policy, utc_from};
use super::scrub::Scrub;
use super::{BoxFuture, JobSeed, Reply, RowFault};
use crate::error::{Error, Kind, Result};
use crate::secret::printable;
use crate::transport::{Answer, Client, Failed, Reach, Request};
use crate::warning::Warning;
use bytes::Bytes;
use http_body::Body;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// Judges an answer.
pub type Classify<'j> = &'j (dyn Fn(&Answer) -> Reply + Send + Sync);

/// How a platform reaches the network: journals intent before and result after, repeats by the operation's rule, keeps
/// quotas, waits out `Retry-After`. Cancelled by dropping: an intent then stays in the journal.
pub struct Remote<'a> {
    seed: &'a JobSeed,
    journal: &'a dyn Journal,
    client: &'a Client,
    policy: Policy,
    assume: Option<Assume>,
    wire: &'a dyn Wire,
    clock: &'a dyn Clock,
    waited: Duration,
    group: String,
}

/// Small calls, as [`Client`] makes them.
trait Wire: Send + Sync {
    fn call<'w>(&'w self, request: &'w Request) -> BoxFuture<'w, Result<Answer, Failed>>;
}

impl Wire for Client {
    fn call<'w>(&'w self, request: &'w Request) -> BoxFuture<'w, Result<Answer, Failed>> {
        Box::pin(Client::call(self, request))
    }
}

/// What one attempt came to, before the operation's rule.
enum Attempt {
    Done(Value),
    /// The request never left.
    Unreached(Error),
    /// Answered "not now", "not yet": known not to have been done; may be tried again.
    Passing(Error),
    /// As `Passing`, in words that nobody documents.
    Strange(Error),
    /// Not known whether it was done.
    Unclear(Error),
    /// Known not to have been done; trying again is of no use.
    Final(Error),
}

/// Makes one attempt of a call.
type Once<'p> = &'p (dyn Fn() -> BoxFuture<'p, Result<Answer, Failed>> + Sync);

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
            waited: Duration::ZERO,
            group: String::new(),
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

    /// What was drawn for this run.
    #[must_use]
    pub fn seed(&self) -> &JobSeed {
        self.seed
    }

    /// The journal itself, for what goes on beside the steps.
    pub(crate) fn journal(&self) -> &'a dyn Journal {
        self.journal
    }

    /// For answers that are read as streams; such reads are repeatable and not journaled.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.client
    }

    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.wall()
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

    /// Attempts of a call that the job allows, the first counted.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.policy.attempts
    }

    /// What is left of the job's `wait`.
    #[must_use]
    pub fn wait_left(&self) -> Duration {
        self.policy.wait.saturating_sub(self.waited)
    }

    /// Waits; the time counts against the job's `wait`.
    pub async fn sleep(&mut self, time: Duration) {
        let began = self.clock.elapsed();
        self.clock.sleep(time).await;
        self.waited += self.clock.elapsed().saturating_sub(began);
    }

    /// Counts time spent waiting for a verdict in another way (serving a file).
    pub fn count_wait(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Freezes a small fact in the journal: an id, a chosen name. Not for secrets.
    ///
    /// # Errors
    /// `Local`.
    pub fn store(&self, key: &str, value: Value) -> Result<()> {
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
    pub fn begin_faults(&mut self, group: &str) -> Result<()> {
        group.clone_into(&mut self.group);
        self.journal.clear_faults(group)
    }

    /// Stores a row that the platform rejected, as it is read: nothing is kept in memory. Its message is made printable:
    /// the reject file is shown on terminals.
    ///
    /// # Errors
    /// `Local`.
    pub fn fault(&self, mut fault: RowFault) -> Result<()> {
        fault.message = printable(&fault.message);
        self.journal.fault(&self.group, &fault)
    }

    /// How many rows the platform rejected so far.
    ///
    /// # Errors
    /// `Busy`.
    pub fn fault_count(&self) -> Result<u64> {
        self.journal.fault_count()
    }

    /// Records that the platform has accepted a part.
    ///
    /// # Errors
    /// `Local`.
    pub fn part_done(&self, part: &PartState) -> Result<()> {
        self.journal.part_done(part)
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
        tracing::warn!("{text}");
        self.journal.note(text)
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

    /// Takes a step that the user assumed to be done back to being in doubt: without the platform's answer nobody can go on.
    ///
    /// # Errors
    /// `Local`.
    pub(crate) fn doubt_again(&self, operation: &Call) -> Result<()> {
        self.journal.intent(&operation.name, &intent(operation, u64::MAX))
    }

    /// A small call. A result in the journal is replayed without a call; an intent without a result of an operation that
    /// must not be repeated is [`Step::InDoubt`] (unless the user assumed).
    ///
    /// # Errors
    /// `Refused`, `Credentials`, `Transient`, … as judged.
    pub async fn call(&mut self, operation: &Call, request: &Request, judge: Classify<'_>) -> Result<Step> {
        let (wire, once) = (self.wire, request);
        self.step(operation, request, None, &|| wire.call(once), judge).await
    }

    /// Sends the body of part `part`; `open` gives a fresh one for each attempt.
    ///
    /// # Errors
    /// As [`Remote::call`]; `SourceChanged`.
    pub async fn send<B>(
        &mut self,
        operation: &Call,
        request: &Request,
        part: usize,
        open: &(dyn Fn() -> B + Sync),
        judge: Classify<'_>,
    ) -> Result<Step>
    where
        B: Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        let client = self.client;
        let once = || -> BoxFuture<'_, Result<Answer, Failed>> { Box::pin(client.upload(request, open())) };
        self.step(operation, request, Some(part), &once, judge).await
    }

    async fn step(
        &self,
        operation: &Call,
        request: &Request,
        part: Option<usize>,
        once: Once<'_>,
        judge: Classify<'_>,
    ) -> Result<Step> {
        let name = operation.name.as_str();
        let mut lost = match self.journal.step(name)? {
            StepState::Done(value) => return Ok(Step::Done(value)),
            StepState::New => 0,
            StepState::Intent(facts) => {
                let lost = facts.get("lost").and_then(Value::as_u64).unwrap_or(0).saturating_add(1);
                match (self.assume, may_repeat(operation.repeat, lost)) {
                    (Some(Assume::Done), false) => {
                        let value = json!({"assumed": "done"});
                        self.journal.result(name, &value)?;
                        return Ok(Step::Done(value));
                    }
                    (Some(Assume::Repeat), false) => 0,
                    (None, false) => return Ok(Step::InDoubt(doubt(operation, None))),
                    (_, true) => lost,
                }
            }
        };
        let scrub = Scrub::of(request);
        let mut budget = Budget::new(&self.policy, format!("{}/{name}", self.seed.random));
        loop {
            if let Some(quota) = &operation.quota {
                self.take_slot(quota).await?;
            }
            self.journal.intent(name, &intent(operation, lost))?;
            let error = match self.attempt(part, once, judge).await? {
                Attempt::Done(value) => {
                    self.journal.result(name, &value)?;
                    return Ok(Step::Done(value));
                }
                Attempt::Final(error) => {
                    self.journal.forget(name)?;
                    return Err(scrub.error(error));
                }
                Attempt::Unreached(error) | Attempt::Passing(error) | Attempt::Strange(error) => {
                    if lost == 0 {
                        self.journal.forget(name)?;
                    }
                    error
                }
                Attempt::Unclear(error) => {
                    lost += 1;
                    if !may_repeat(operation.repeat, lost) {
                        return Ok(Step::InDoubt(doubt(operation, Some(scrub.error(error)))));
                    }
                    self.journal.intent(name, &intent(operation, lost))?;
                    error
                }
            };
            let (wait, error) = budget.next_wait(scrub.error(error), self.clock)?;
            tracing::warn!(
                step = name,
                attempt = budget.failed(),
                wait_seconds = wait.as_secs_f64(),
                "{error}; trying again in {:.1} s",
                wait.as_secs_f64()
            );
            self.clock.sleep(wait).await;
        }
    }

    /// One attempt. An error is one of our own body or of the journal.
    async fn attempt(&self, part: Option<usize>, once: Once<'_>, judge: Classify<'_>) -> Result<Attempt> {
        if let Some(part) = part {
            self.journal.part_attempt(part)?;
        }
        let answer = once().await;
        Ok(match answer {
            Ok(answer) => match judge(&answer) {
                Reply::Done(value) => Attempt::Done(value),
                Reply::Retry(error) => Attempt::Passing(error),
                Reply::Strange(error) => Attempt::Strange(error),
                Reply::Unclear(error) => Attempt::Unclear(error),
                Reply::Fail(error) => Attempt::Final(error),
            },
            Err(Failed { reach, error }) => match reach {
                Reach::NotConnected => Attempt::Unreached(error),
                Reach::Lost | Reach::EarlySuccess => Attempt::Unclear(error),
                // an incomplete request cannot have been taken
                Reach::Body | Reach::Permanent => Attempt::Final(error),
            },
        })
    }

    /// Takes a slot of a quota; waits for it as long as the job allows.
    async fn take_slot(&self, quota: &Quota) -> Result<()> {
        let mut waited = Duration::ZERO;
        loop {
            let now = self.now();
            let free = match self.journal.quota_take(quota, now)? {
                Slot::Granted => return Ok(()),
                Slot::WaitUntil(free) => free,
            };
            let wait = free.duration_since(now).unwrap_or_default().max(Duration::from_millis(10));
            if waited + wait > self.policy.max_quota_wait {
                let message = format!(
                    "{} allows {} calls in {} s and all are used; the next slot is free at {}",
                    quota.key.split('/').next().unwrap_or_default(),
                    quota.limit,
                    quota.window.as_secs(),
                    utc_from(free)
                );
                let hint = format!("run the job again after {}, or raise upload.max_quota_wait", utc_from(free));
                return Err(Error::new(Kind::Transient, message).with_retry_after(wait).with_hint(hint));
            }
            tracing::warn!("{}: all {} calls are used; waiting until {}", quota.key, quota.limit, utc_from(free));
            self.clock.sleep(wait).await;
            waited += wait;
        }
    }

    /// Asks again and again, 1 s growing to 60 s, until the judge says done; `Retry` means "not yet" (its `Retry-After` is
    /// honoured), `Strange` too, with a warning as soon as it comes. Ends with `Pending` when the job's `wait` is over. The value is journaled and replayed.
    ///
    /// # Errors
    /// As [`Remote::call`]; `Pending`.
    pub async fn poll(&mut self, name: &str, request: &Request, judge: Classify<'_>) -> Result<Value> {
        self.poll_within(&Call::new(name, RetrySafety::Always), request, judge).await
    }

    /// As [`Remote::poll`], each question counted against the operation's quota.
    ///
    /// # Errors
    /// As [`Remote::poll`].
    pub async fn poll_within(&mut self, operation: &Call, request: &Request, judge: Classify<'_>) -> Result<Value> {
        let name = operation.name.as_str();
        if let StepState::Done(value) = self.journal.step(name)? {
            return Ok(value);
        }
        let (wire, scrub) = (self.wire, Scrub::of(request));
        let mut interval = Duration::from_secs(1);
        let policy = self.policy.clone();
        let mut budget = Budget::new(&policy, format!("{}/{name}", self.seed.random));
        let mut warned = false;
        loop {
            let began = self.clock.elapsed();
            if let Some(quota) = &operation.quota {
                self.take_slot(quota).await?;
            }
            let attempt = self.attempt(None, &|| wire.call(request), judge).await?;
            self.waited += self.clock.elapsed().saturating_sub(began);
            // a word that changes with every answer is still one warning
            if let Attempt::Strange(error) = &attempt
                && !std::mem::replace(&mut warned, true)
            {
                let text = format!("{}; asking on", scrub.text(error.message()));
                if !self.journal.notes()?.contains(&text) {
                    self.note(&text)?;
                }
            }
            let (wait, error) = match attempt {
                Attempt::Done(value) => {
                    self.journal.result(name, &value)?;
                    return Ok(value);
                }
                Attempt::Final(error) => return Err(scrub.error(error)),
                Attempt::Passing(error) | Attempt::Strange(error) => {
                    budget = Budget::new(&policy, format!("{}/{name}", self.seed.random));
                    let wait = interval.max(error.retry_after().unwrap_or_default());
                    interval = (interval * 3 / 2).min(Duration::from_secs(60));
                    tracing::debug!(step = name, "{error}; asking again in {:.1} s", wait.as_secs_f64());
                    (wait, scrub.error(error))
                }
                Attempt::Unreached(error) | Attempt::Unclear(error) => {
                    let (wait, error) = budget.next_wait(scrub.error(error), self.clock)?;
                    tracing::warn!(step = name, "{error}; asking again in {:.1} s", wait.as_secs_f64());
                    (wait, error)
                }
            };
            let left = self.wait_left();
            // a last question before the time that the platform asked for would be one too early
            if left.is_zero() || error.retry_after().is_some_and(|asked| asked > left) {
                return Err(pending(&error));
            }
            self.sleep(wait.min(left)).await;
        }
    }
}

/// Whether an operation whose answer was lost `lost` times may be tried again.
fn may_repeat(repeat: RetrySafety, lost: u64) -> bool {
    match repeat {
        RetrySafety::Always => true,
        RetrySafety::Once => lost <= 1,
        RetrySafety::Never => false,
    }
}

/// What the journal keeps of a call that is being made: how often its answer was lost, and whether losing this one leaves
/// it in doubt.
fn intent(operation: &Call, lost: u64) -> Value {
    json!({"lost": lost, "doubtful": !may_repeat(operation.repeat, lost.saturating_add(1))})
}

/// Whether [`Remote::send`] would begin the body of the operation in a run that is taken up.
///
/// # Errors
/// `Busy`.
#[cfg(feature = "jobs")]
pub(crate) fn would_send(journal: &dyn Journal, operation: &Call, assume: Option<Assume>) -> Result<bool> {
    Ok(match journal.step(&operation.name)? {
        StepState::Done(_) => false,
        StepState::New => true,
        StepState::Intent(facts) => {
            let lost = facts.get("lost").and_then(Value::as_u64).unwrap_or(0).saturating_add(1);
            assume == Some(Assume::Repeat) || may_repeat(operation.repeat, lost)
        }
    })
}

fn doubt(operation: &Call, cause: Option<Error>) -> Error {
    let why = cause.as_ref().map_or_else(|| "an earlier run of this job got no answer".to_owned(), Error::to_string);
    let about =
        operation.about.as_deref().map(|what| format!(" ({})", crate::secret::printable(what))).unwrap_or_default();
    let error = Error::new(
        Kind::InDoubt,
        format!(
            "step {}{about} must not be repeated and it is not known whether the platform did it: {why}",
            operation.name
        ),
    )
    .with_hint(
        "look at the platform, then resume the run with --assume done (it is there) or --assume repeat (it is not)",
    );
    let Some(cause) = cause else { return error };
    match cause.retry_after() {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
    .with_source(cause)
}

fn pending(last: &Error) -> Error {
    Error::new(Kind::Pending, format!("accepted, but no verdict within the job's wait: {last}"))
        .with_hint("resume the run to go on waiting")
}

#[cfg(test)]
mod tests;
