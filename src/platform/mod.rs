//! The platforms: each a folder with its options and limits, its row shape, its frame, its steps. They never meet, and
//! reach the network only through [`Cx`], which journals intent before and result after.

pub mod clevertap;
pub mod localytics;
pub mod mediarithmics;
pub mod settings;
pub mod yesmail;

pub use settings::{Key, KeyKind, NoSecrets, Secrets, Settings};

use crate::body::{Frame, Measured, Part};
use crate::error::{Error, Kind, Result};
use crate::mapping::{MapSpec, Shape};
use crate::transport::{Answer, Request};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future, for trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A destination.
pub trait Platform: Send + Sync {
    /// Its name in the job file.
    fn name(&self) -> &'static str;

    /// The row layout and value rules for a map. Pure.
    ///
    /// # Errors
    /// `Usage`: a map that this platform cannot have.
    fn shape(&self, map: &MapSpec) -> Result<Shape>;

    /// Sizes it can take.
    fn limits(&self) -> Limits;

    /// What stands around the content of each part; fixed before pass one (boundary from the seed), journaled.
    fn frame(&self, seed: &JobSeed) -> Frame;

    /// Judges what pass one found before anything is sent (over a limit, forbidden name). Pure.
    ///
    /// # Errors
    /// `Data` or `Refused`.
    fn judge(&self, measured: &Measured) -> Result<()> {
        let _ = measured;
        Ok(())
    }

    /// False where the file lies with the platform already (Yesmail `host.uri`): there is no source, no pass, and
    /// [`Platform::import`] is called in place of [`Platform::deliver`]. Default true.
    fn needs_source(&self) -> bool {
        true
    }

    /// The setting that makes no sense with `wait: 0` (Yesmail `destination.host.serve`); the job refuses the pair with
    /// `Usage` before pass one. Default none.
    fn needs_wait(&self) -> Option<&'static str> {
        None
    }

    /// Imports what lies with the platform already, where [`Platform::needs_source`] is false.
    ///
    /// # Errors
    /// As [`Platform::deliver`]; `Usage` where the platform knows no such thing.
    fn import<'a>(&'a self, cx: &'a mut Cx<'_>) -> BoxFuture<'a, Result<Verdict>> {
        let _ = cx;
        Box::pin(async { Err(Error::usage(format!("{}: a source is required", self.name()))) })
    }

    /// Sends, finalises and waits for the verdict.
    fn deliver<'a>(&'a self, measured: &'a Measured, cx: &'a mut Cx<'_>) -> BoxFuture<'a, Result<Verdict>>;
}

/// One line of the list of platforms.
pub struct Entry {
    /// The name under `destination.platform`.
    pub name: &'static str,
    /// The keys of its `destination`, without `platform` and `base_url`, which all have.
    pub keys: &'static [Key],
    /// The keys of its `map`, for schema and hints.
    pub map_keys: &'static [Key],
    /// Reads its `destination`.
    pub build: fn(&Settings<'_>) -> Result<Box<dyn Platform>>,
}

/// All platforms. A new one is a line here and a folder.
pub const PLATFORMS: &[Entry] =
    &[clevertap::ENTRY, localytics::PROFILES, localytics::AUDIENCE, mediarithmics::ENTRY, yesmail::ENTRY];

/// Sizes a platform can take.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Limits {
    /// A part holds at most that many bytes; more records go to the next part. `None`: one part.
    pub max_part_bytes: Option<u64>,
    /// The whole content is at most that large, else exit 10.
    pub max_body_bytes: Option<u64>,
    /// Part sizes are not cut between records but the whole is refused above `max_body_bytes` (false) or
    /// cut into numbered lists (true, CleverTap `oversize: number`).
    pub number_oversize: bool,
}

/// What is drawn once a run and kept in the journal: the same run sends the same bytes.
#[derive(Clone, Debug)]
pub struct JobSeed {
    /// The run's id.
    pub run_id: String,
    /// 128 random bits as 32 hex digits.
    pub random: String,
    /// The day the run started, `YYYY-MM-DD`, for `{date}`.
    pub date: String,
}

impl JobSeed {
    /// Fills in `{date}` and `{run}` in a name.
    #[must_use]
    pub fn fill(&self, name: &str) -> String {
        name.replace("{date}", &self.date).replace("{run}", &self.run_id)
    }
}

/// What repeating an operation does; see the repeat matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The final state is the same.
    Always,
    /// An orphan without data may be left: repeated once after a lost answer.
    Once,
    /// The result could change: a lost answer is doubt.
    Never,
}

/// A kind of call: its name in the journal and what may be done about faults.
#[derive(Clone, Debug)]
pub struct Operation {
    /// In the journal, with the part's index where there are several: `get-url`, `put/0`.
    pub name: String,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// Counted against a quota: each attempt takes one.
    pub quota: Option<Quota>,
}

/// A quota that the platform counts in a rolling window, shared by all runs and processes on one state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What it counts by, secrets hashed: `localytics-profiles/<hash of the key>`.
    pub key: String,
    /// At most that many…
    pub limit: u32,
    /// … in so long.
    pub window: Duration,
}

/// What came of a step.
#[derive(Debug)]
pub enum Step {
    /// An answer that the platform's judge took for success, now or in an earlier run of this job (replayed): what the
    /// judge made of it.
    Done(Value),
    /// It must not be repeated and got no answer: the run ends with 21.
    InDoubt(Error),
}

/// A platform's view of an answer.
#[derive(Debug)]
pub enum Judgement {
    /// Success; the value is journaled and replayed on resume.
    Done(Value),
    /// A passing fault (429, 503, "come back later"): repeated whatever the operation, after `Retry-After`.
    Retry(Error),
    /// A fault that leaves open whether it was done (500, 502, 504, unreadable answer to a creating call): repeated
    /// or in doubt by the operation's [`Repeat`].
    Unclear(Error),
    /// Refused for good.
    Fail(Error),
}

impl Judgement {
    /// The usual reading of a status other than 2xx: 429 and 503 retry (with `Retry-After`), other 5xx and 408 unclear, 401 and 403
    /// `Credentials`, 3xx and other 4xx `Refused`. `what` names the call, for the message; the body is quoted, made printable.
    #[must_use]
    pub fn by_status(what: &str, answer: &Answer) -> Judgement {
        let _ = (what, answer);
        todo!()
    }
}

/// How a platform reaches the network: journals intent before and result after, repeats by the operation's rule, keeps
/// quotas, waits out `Retry-After`.
pub struct Cx<'a> {
    seed: &'a JobSeed,
    map: &'a MapSpec,
}

impl Cx<'_> {
    /// What was drawn for this run.
    #[must_use]
    pub fn seed(&self) -> &JobSeed {
        self.seed
    }

    /// The `map` of the job: what may be repeated, and what must wait for the part before, can depend on it.
    #[must_use]
    pub fn map(&self) -> &MapSpec {
        self.map
    }

    /// A small call. A result in the journal is replayed without a call; an intent without a result of an operation that
    /// must not be repeated is [`Step::InDoubt`] (unless the user assumed).
    ///
    /// # Errors
    /// `Refused`, `Credentials`, `Transient`, … as judged.
    pub async fn call(
        &mut self,
        operation: &Operation,
        request: &Request,
        judge: &(dyn Fn(&Answer) -> Judgement + Send + Sync),
    ) -> Result<Step> {
        let _ = (operation, request, judge);
        todo!()
    }

    /// Sends a part's body, a fresh one each attempt.
    ///
    /// # Errors
    /// As [`Cx::call`]; `SourceChanged`.
    pub async fn send(
        &mut self,
        operation: &Operation,
        request: &Request,
        measured: &Measured,
        part: &Part,
        frame: &Frame,
        judge: &(dyn Fn(&Answer) -> Judgement + Send + Sync),
    ) -> Result<Step> {
        let _ = (operation, request, measured, part, frame, judge);
        todo!()
    }

    /// Asks again and again, 5 s growing to 60 s, until the judge says done; `Retry` means "not yet". Ends with `Pending`
    /// when the job's `wait` is over.
    ///
    /// # Errors
    /// As [`Cx::call`]; `Pending`.
    pub async fn poll(
        &mut self,
        name: &str,
        request: &Request,
        judge: &(dyn Fn(&Answer) -> Judgement + Send + Sync),
    ) -> Result<Value> {
        let _ = (name, request, judge);
        todo!()
    }
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Done, no failed row.
    Done,
    /// Taken, some rows or parts failed.
    Partial,
    /// Taken, the import failed.
    Failed,
}

/// What the platform made of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// What the platform answered: ids and counts, for `platform_result`.
    pub result: Value,
}

/// A row that the platform refused: told to [`Cx`] while results are read as a stream, so that it is stored when
/// the verdict comes.
#[derive(Clone, Debug)]
pub struct RowFault {
    /// Which output record.
    pub at: FaultAt,
    /// The vendor's message.
    pub message: String,
}

/// Which output record a [`RowFault`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultAt {
    /// Index in the whole output, from 0.
    Index(u64),
    /// The key (customer id) of the row.
    Key(String),
}

#[allow(dead_code)]
fn kinds_in_use(kind: Kind) -> u8 {
    kind.exit_code()
}
