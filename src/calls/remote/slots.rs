//! Slots of a quota: waited for as long as the job allows.

use super::Remote;
use crate::calls::call::Quota;
use crate::calls::journal::Slot;
use crate::calls::retry::utc_from;
use crate::error::{Error, Kind, Result};
use std::time::Duration;

impl Remote<'_> {
    /// Takes a slot of a quota, and returns how long that took.
    ///
    /// # Errors
    /// `Transient`: it would take longer than the job allows.
    pub(super) async fn take_slot(&self, quota: &Quota) -> Result<Duration> {
        let mut waited = Duration::ZERO;
        loop {
            let now = self.now();
            let free = match self.journal.quota_take(quota, now)? {
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
            self.clock.sleep(wait).await;
            waited += wait;
        }
    }
}
