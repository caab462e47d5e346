//! Slots of a quota: reserved before the first part, and waited for as long as the job allows. Also places among
//! simultaneous calls.

use super::Remote;
use crate::calls::call::Quota;
use crate::calls::journal::{Reserved, Slot};
use crate::calls::retry::utc_from;
use crate::calls::seat::{AtOnce, Seat};
use crate::error::{Error, Kind, Result};
use std::time::Duration;

/// Interval between checks, since another process may release its reservation.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Interval between checks; a call in progress ends soon.
const SEAT_PAUSE: Duration = Duration::from_millis(100);

impl Remote<'_> {
    /// Reserves the slots of all remaining calls of a delivery, before the first of them.
    ///
    /// # Errors
    /// `Transient`: the wait for one of them would be too long now. `Data`: it would be too long even with an unused
    /// quota.
    pub fn reserve(&self, quota: &Quota, calls: u32) -> Result<()> {
        let now = self.now();
        let what = quota.key.split('/').next().unwrap_or_default();
        let max_wait = self.policy.max_quota_wait;
        let (limit, seconds) = (quota.limit, quota.window.as_secs());
        match self.journal.quota_reserve(quota, calls, now, max_wait)? {
            Reserved::Granted => Ok(()),
            Reserved::From(from) => {
                let wait = from.duration_since(now).unwrap_or_default();
                let verb = if calls == 1 { "is" } else { "are" };
                let message = format!(
                    "{what} allows {limit} calls in {seconds} s, and the {calls} of this run {verb} not free within \
                     upload.max_quota_wait before {}; nothing was sent",
                    utc_from(from)
                );
                let hint = format!("run the job again after {}, or raise upload.max_quota_wait", utc_from(from));
                Err(Error::new(Kind::Transient, message).with_retry_after(wait).with_hint(hint))
            }
            Reserved::Never => {
                let message = format!(
                    "{what} allows {limit} calls in {seconds} s, too few for the {calls} of this run within \
                     upload.max_quota_wait; nothing was sent"
                );
                Err(Error::data(message).with_hint("make fewer calls of it, or raise upload.max_quota_wait"))
            }
        }
    }

    /// Takes a slot of a quota, and returns how long that took.
    ///
    /// # Errors
    /// `Transient`: it would take longer than the job allows.
    pub(super) async fn take_slot(&self, quota: &Quota) -> Result<Duration> {
        let mut waited = Duration::ZERO;
        loop {
            let now = self.now();
            let free = match self.quota_take(quota, now)? {
                Slot::Granted => return Ok(waited),
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
            let pause = wait.min(LOOK_AGAIN);
            self.clock.sleep(pause).await;
            waited += pause;
        }
    }

    /// Takes a place among the simultaneous calls, and returns how long that took.
    ///
    /// # Errors
    /// `Transient`: it would take longer than the job waits for a quota.
    pub(super) async fn take_seat(&self, limit: &AtOnce) -> Result<(Seat, Duration)> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(seat) = self.journal.seat(limit)? {
                return Ok((seat, waited));
            }
            if waited >= self.policy.max_quota_wait {
                let what = limit.key.split('/').next().unwrap_or_default();
                let message = format!("{what} allows {} calls at a time, and other runs are making them", limit.limit);
                return Err(Error::new(Kind::Transient, message)
                    .with_hint("run the job again when they have ended, or raise upload.max_quota_wait"));
            }
            self.clock.sleep(SEAT_PAUSE).await;
            waited += SEAT_PAUSE;
        }
    }
}
