//! Looks at a state directory without creating or changing anything.

use super::{State, lock, mount};
use crate::error::{Error, Kind, Result};
use std::path::Path;

/// Returns whether the directory has a state, which can be read, and in which the job with this key is not running.
///
/// # Errors
/// `Busy` (3): otherwise.
pub(in crate::job) fn examine(dir: &Path, job: Option<&str>) -> Result<bool> {
    mount::check(dir)?;
    let state = State::open_to_read(dir)?;
    if job.is_some_and(|job| lock::is_taken(dir, job)) {
        return Err(Error::new(Kind::Busy, "this job is running already")
            .with_hint("wait until the other process has ended; `listferry runs` shows it"));
    }
    Ok(state.is_some())
}
