//! The platforms: each is a folder with its options and limits, its row shape and its steps. They do not use each
//! other, and reach the network only through [`Remote`], which journals intent before and result after.

pub mod clevertap;
mod delivery;
mod effect;
mod fits;
pub mod localytics;
pub mod mediarithmics;
mod outline;
mod parts;
mod verdict;
pub mod yesmail;

pub use delivery::Delivery;
pub use effect::Effect;
pub(crate) use fits::{can_wait_in_turn, fits_quota};
pub use outline::{Outline, PlannedCall};
pub(crate) use parts::{PartEnd, PartsOutcome};
pub use verdict::{Counts, Outcome, Verdict};
pub(crate) use verdict::{accepted_part, parts_accepted};

use crate::body::{Measured, Part};
use crate::calls::{BoxFuture, JobSeed, Journal, Policy, Remote};
use crate::error::{Error, Result};
use crate::mapping::{MapSpec, Shape};
use crate::secret::Secret;
use crate::settings::{Key, Settings};
use crate::warning::Warning;

/// A destination.
pub trait Platform: Send + Sync {
    /// Returns the row layout and value rules for a map. Pure.
    ///
    /// # Errors
    /// `Usage`: the map is not valid for this platform.
    fn shape(&self, map: &MapSpec) -> Result<Shape>;

    /// Returns the facts about a delivery that the job needs before it begins. Pure.
    fn plan(&self, map: &MapSpec) -> Delivery;

    /// Checks that `parts` are within the platform's limits and can be sent under `policy`: within a quota that counts
    /// uploads, if it is unused, and with a wait for each if they must be sent in turn. Pure. By default there is
    /// nothing to check.
    ///
    /// # Errors
    /// `Data`, with a value that fits.
    fn check(&self, map: &MapSpec, parts: &[Part], policy: &Policy) -> Result<()> {
        let _ = (map, parts, policy);
        Ok(())
    }

    /// Returns the names and calls of a run that sends `parts`, for review before sending. Pure. `seed` fills in the names.
    /// By default nothing is known.
    fn outline(&self, map: &MapSpec, parts: &[Part], seed: &JobSeed) -> Outline {
        let _ = (map, parts, seed);
        Outline::default()
    }

    /// Returns the addresses that a run connects to, as far as they are known before it begins: URLs, or `tcp://` with host
    /// and port. Pure. None by default.
    fn addresses(&self) -> Vec<Secret> {
        Vec::new()
    }

    /// Makes a call that needs the credentials, only reads and has no other effect, and describes what it showed.
    ///
    /// # Errors
    /// Outside: the reason why there is no such call, which is the default. Inside: those of the call.
    fn harmless_read<'a>(
        &'a self,
        remote: &'a Remote<'_>,
    ) -> std::result::Result<BoxFuture<'a, Result<String>>, &'static str> {
        let _ = remote;
        Err("the platform has no call that only reads")
    }

    /// Returns a warning about what a run without an accepted part left with the platform, from the journal of that
    /// run. None by default.
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

/// Returns the list of a delivery that needs one.
///
/// # Errors
/// `Usage`: there is none.
pub(crate) fn required(list: Option<&Measured>) -> Result<&Measured> {
    list.ok_or_else(|| Error::usage("a source is required").with_hint("set source.path"))
}

/// An entry in the list of platforms.
pub struct Entry {
    /// The name under `destination.platform`.
    pub name: &'static str,
    /// The name of the product, for people.
    pub title: &'static str,
    /// The keys of its `destination`, except `platform` and `base_url`, which all have.
    pub keys: &'static [Key],
    /// The keys of its `map`, for schema and hints.
    pub map_keys: &'static [Key],
    /// The keys that identify the account; none of them is a key or a password.
    pub account: &'static [&'static str],
    /// The keys that identify the target in the account. With name, platform, `base_url` and account they identify a
    /// job.
    pub target: &'static [&'static str],
    /// The keys that identified a job in listferry 0.1.0, so that its runs are found.
    pub identity_0_1: &'static [&'static str],
    /// Reads its `destination`.
    pub build: fn(&Settings<'_>) -> Result<Box<dyn Platform>>,
}

/// All platforms. A new one is a line here and a folder.
pub const PLATFORMS: &[Entry] =
    &[clevertap::ENTRY, localytics::PROFILES, localytics::AUDIENCE, mediarithmics::ENTRY, yesmail::ENTRY];

/// Maximum sizes of a platform.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum size of a part; more records go to the next part. `None` for one part.
    pub max_part_bytes: Option<u64>,
    /// Maximum size of the whole content; more is exit 10.
    pub max_body_bytes: Option<u64>,
    /// If true, content above `max_body_bytes` is cut into numbered lists (CleverTap `oversize: number`); if false, it
    /// is refused. Either way records are not divided.
    pub number_oversize: bool,
}
