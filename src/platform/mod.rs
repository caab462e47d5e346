//! The platforms: each a folder with its options and limits, its row shape, its steps. They never meet, and
//! reach the network only through [`Remote`], which journals intent before and result after.

pub mod clevertap;
mod delivery;
mod effect;
mod fits;
pub mod localytics;
pub mod mediarithmics;
mod parts;
mod verdict;
pub mod yesmail;

pub use delivery::Delivery;
pub use effect::Effect;
pub(crate) use fits::{can_wait_in_turn, fits_quota};
pub(crate) use parts::{PartEnd, PartsOutcome};
pub use verdict::{Counts, Outcome, Verdict};
pub(crate) use verdict::{accepted_part, parts_accepted};

use crate::body::{Measured, Part};
use crate::calls::{BoxFuture, JobSeed, Journal, Policy, Remote};
use crate::error::{Error, Result};
use crate::mapping::{MapSpec, Shape};
use crate::settings::{Key, Settings};
use crate::warning::Warning;

/// A destination.
pub trait Platform: Send + Sync {
    /// The row layout and value rules for a map. Pure.
    ///
    /// # Errors
    /// `Usage`: a map that this platform cannot have.
    fn shape(&self, map: &MapSpec) -> Result<Shape>;

    /// Returns the facts about a delivery that the job needs before it begins. Pure.
    fn plan(&self, map: &MapSpec) -> Delivery;

    /// Checks that `parts`, which are to be sent, are within the platform's limits and can be sent as `policy` has it:
    /// within a quota that the platform counts uploads by, if it is unused, and with a wait for each if they must be sent
    /// in turn. Pure. Default: there is nothing to check.
    ///
    /// # Errors
    /// `Data`, naming what fits.
    fn check(&self, map: &MapSpec, parts: &[Part], policy: &Policy) -> Result<()> {
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

    /// Sends the list, finalises and waits for the verdict. `list` is `None` if the platform has the file already
    /// ([`Delivery::needs_source`] is false).
    ///
    /// # Errors
    /// Those of the calls; `Usage`: there is no list, and the platform needs one.
    fn deliver<'a>(
        &'a self,
        list: Option<&'a Measured>,
        map: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>>;
}

/// The list of a delivery that needs one.
///
/// # Errors
/// `Usage`: there is none.
pub(crate) fn required(list: Option<&Measured>) -> Result<&Measured> {
    list.ok_or_else(|| Error::usage("a source is required").with_hint("set source.path"))
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
