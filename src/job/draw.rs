//! Values drawn for a new run.

use super::journal::NewRun;
use super::timezone::Timezone;
use super::world::World;
use crate::error::Result;
use std::time::{SystemTime, UNIX_EPOCH};

/// Id, random bits and day of a run that may be started.
pub(super) struct Draw {
    pub(super) id: String,
    random: String,
    /// The day for `{date}`, as `YYYY-MM-DD`.
    pub(super) date: String,
    now: SystemTime,
}

impl Draw {
    /// Draws the values for a run that starts now.
    ///
    /// # Errors
    /// `Local`: no random numbers are available.
    pub(super) fn new(world: &World, timezone: &Timezone) -> Result<Draw> {
        let now = world.clock.wall();
        let random = random(world)?;
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let at = chrono::DateTime::from_timestamp(i64::try_from(seconds).unwrap_or(0), 0).unwrap_or_default();
        let id = format!("{}-{}", at.format("%Y%m%d-%H%M%S"), &random[..6]);
        Ok(Draw { id, random, date: timezone.day(now), now })
    }

    /// Sets the day for `{date}`.
    pub(super) fn on(mut self, date: Option<&str>) -> Draw {
        if let Some(date) = date {
            date.clone_into(&mut self.date);
        }
        self
    }

    /// Returns the form that is recorded.
    pub(super) fn new_run(&self) -> NewRun<'_> {
        NewRun { id: &self.id, random: &self.random, date: &self.date, now: self.now }
    }
}

/// Returns 128 random bits as 32 hex digits.
fn random(world: &World) -> Result<String> {
    let mut bytes = [0; 16];
    (world.draw)(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
