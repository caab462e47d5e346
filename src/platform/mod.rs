//! The platforms: each a folder with its options and limits, its row shape, its frame, its steps. They never meet, and
//! reach the network only through [`Cx`], which journals intent before and result after.

pub mod clevertap;
mod clock;
mod cx;
mod journal;
mod judgement;
pub mod localytics;
pub mod mediarithmics;
mod operation;
mod retry;
mod scrub;
pub mod settings;
mod verdict;
pub mod yesmail;

pub use clock::{Clock, SystemClock};
#[cfg(feature = "jobs")]
pub(crate) use cx::would_send;
pub use cx::{Cx, Judge};
pub use journal::{Journal, MAX_STORED_FAULTS, MemoryJournal, PartState, Slot, StepState};
pub use judgement::{Judgement, quoted};
pub use operation::{Assume, Operation, Quota, Repeat, Step, assumed};
pub use retry::{Policy, utc};
pub use settings::{Key, KeyKind, NoSecrets, Secrets, Settings};
pub(crate) use verdict::parts_accepted;
pub use verdict::{FaultAt, Outcome, RowFault, Verdict};

/// An error without what `request` held secret: the door of the fuzz target.
#[cfg(fuzzing)]
#[must_use]
pub fn scrubbed(request: &crate::transport::Request, error: crate::Error) -> crate::Error {
    scrub::Scrub::of(request).error(error)
}

use crate::body::{Frame, Measured};
use crate::error::{Error, Result};
use crate::mapping::{MapSpec, Shape};
use std::future::Future;
use std::pin::Pin;

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

    /// The call that sends the body of a part: once it is done, what is left of a run needs no source. Default: not known,
    /// and the source is needed until the part was taken.
    fn body_call(&self, map: &MapSpec, part: usize) -> Option<Operation> {
        let _ = (map, part);
        None
    }

    /// What the job file leaves open and is decided here in a way that may surprise: a warning of `check` and `run`.
    /// Default none.
    fn remark(&self, map: &MapSpec) -> Option<String> {
        let _ = map;
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
    /// Which of `keys` tell account and target apart: with name, platform and `base_url` they say which runs are runs
    /// of the same job.
    pub identity: &'static [&'static str],
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
