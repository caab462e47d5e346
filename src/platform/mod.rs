//! The platforms: each a folder with its options and limits, its row shape, its steps. They never meet, and
//! reach the network only through [`Remote`], which journals intent before and result after.

pub mod clevertap;
mod effect;
mod fits;
pub mod localytics;
pub mod mediarithmics;
mod parts;
mod verdict;
pub mod yesmail;

pub use effect::Effect;
pub(crate) use fits::{can_wait_in_turn, fits_quota};
pub(crate) use parts::{PartEnd, PartsOutcome};
pub use verdict::{Counts, Outcome, Verdict};
pub(crate) use verdict::{accepted_part, parts_accepted};

use crate::body::{Measured, Part};
use crate::calls::{BoxFuture, Call, JobSeed, Journal, Policy, Remote};
use crate::error::{Error, Result};
use crate::mapping::{MapSpec, Shape};
use crate::settings::{Key, Settings};
use crate::warning::Warning;

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
    fn body_call(&self, map: &MapSpec, part: usize) -> Option<Call> {
        let _ = (map, part);
        None
    }

    /// Checks that `parts` can be sent as `policy` has it: within a quota that the platform counts uploads by, if it is
    /// unused, and with a wait for each if they must be sent in turn. Pure. Default: there is nothing to check.
    ///
    /// # Errors
    /// `Data`, naming what fits.
    fn check_parts(&self, map: &MapSpec, parts: &[Part], policy: &Policy) -> Result<()> {
        let _ = (map, parts, policy);
        Ok(())
    }

    /// Returns a warning about what a run without an accepted part left with the platform, from the journal of that run.
    /// Default none.
    ///
    /// # Errors
    /// `Busy`: the state cannot be read.
    fn left_behind(&self, seed: &JobSeed, journal: &dyn Journal) -> Result<Option<Warning>> {
        let _ = (seed, journal);
        Ok(None)
    }

    /// How many sent rows may be in none of the platform's counters, unless the job file says so
    /// (`rejects.max_unaccounted`); `None`: any number. Default none.
    fn max_unaccounted(&self) -> Option<u64> {
        Some(0)
    }

    /// Returns what repeating or reordering the imports of this job would change.
    fn effect(&self, map: &MapSpec) -> Effect;

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
    fn import<'a>(&'a self, map: &'a MapSpec, remote: &'a mut Remote<'_>) -> BoxFuture<'a, Result<Verdict>> {
        let _ = (map, remote);
        Box::pin(async { Err(Error::usage(format!("{}: a source is required", self.name()))) })
    }

    /// Sends, finalises and waits for the verdict.
    fn deliver<'a>(
        &'a self,
        measured: &'a Measured,
        map: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>>;
}

/// One line of the list of platforms.
pub struct Entry {
    /// The name under `destination.platform`.
    pub name: &'static str,
    /// The keys of its `destination`, without `platform` and `base_url`, which all have.
    pub keys: &'static [Key],
    /// The keys of its `map`, for schema and hints.
    pub map_keys: &'static [Key],
    /// Which of `keys` name the account; none of them is a key or a password.
    pub account: &'static [&'static str],
    /// Which of `keys` name the target in the account. With name, platform, `base_url` and account they identify a job.
    pub target: &'static [&'static str],
    /// Which of `keys` identified a job in listferry 0.1.0, so that its runs are found.
    pub identity_0_1: &'static [&'static str],
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
