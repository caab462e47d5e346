//! Decides when a failed attempt is repeated, and after how long. Knows no platform and has no clock.

use super::clock::Clock;
use crate::error::{Error, Kind};
use std::time::{Duration, SystemTime};

/// The parts of a job's `upload` and `wait` that concern retries and waiting.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// Maximum number of attempts of a call, including the first; default 5.
    pub attempts: u32,
    /// No attempt starts later than this after the first fault of a call; default 2 h.
    pub give_up_after: Duration,
    /// Maximum wait for a slot of a quota; a longer one ends the run with 20. Default 15 min.
    pub max_quota_wait: Duration,
    /// Maximum wait for the platform's verdict after the last part; zero means not to wait. Default 30 min.
    pub wait: Duration,
    /// Maximum wait for the verdict on a part before the next may be sent; not part of `wait`. Default 2 h.
    pub part_wait: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            attempts: 5,
            give_up_after: Duration::from_secs(2 * 3600),
            max_quota_wait: Duration::from_secs(15 * 60),
            wait: Duration::from_secs(30 * 60),
            part_wait: Duration::from_secs(2 * 3600),
        }
    }
}

/// First back-off; doubles with each attempt.
const FIRST: Duration = Duration::from_secs(1);
/// Maximum back-off.
const LONGEST: Duration = Duration::from_secs(60);
/// Minimum back-off after jitter.
const SHORTEST: Duration = Duration::from_millis(100);

/// Returns the wait after attempt `attempt` (from 1): 1 s doubling to 60 s with full jitter from `seed`, so that the
/// same run always waits alike.
#[must_use]
pub(crate) fn back_off(seed: &str, attempt: u32) -> Duration {
    let most = FIRST.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST);
    let drawn = most.as_nanos() as u64;
    let jittered = Duration::from_nanos(draw(seed, attempt) % drawn.max(1));
    jittered.max(SHORTEST)
}

/// FNV-1a with a splitmix finaliser: for spread, not for secrecy.
fn draw(seed: &str, attempt: u32) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in seed.bytes().chain(attempt.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The attempts and time that are left to a call.
pub(super) struct Budget<'a> {
    policy: &'a Policy,
    seed: String,
    failed: u32,
    first_fault: Option<Duration>,
}

impl<'a> Budget<'a> {
    pub(super) fn new(policy: &'a Policy, seed: String) -> Budget<'a> {
        Budget { policy, seed, failed: 0, first_fault: None }
    }

    /// Returns how long to wait before the next attempt, after an attempt failed that may be repeated.
    ///
    /// # Errors
    /// `Transient`: attempts or time are used up, or the server asks for a longer wait than is left.
    pub(super) fn next_wait(&mut self, error: Error, clock: &dyn Clock) -> Result<(Duration, Error), Error> {
        let (now, wall) = (clock.elapsed(), clock.wall());
        let first = *self.first_fault.get_or_insert(now);
        self.failed += 1;
        let left = (first + self.policy.give_up_after).saturating_sub(now);
        let asked = error.retry_after();
        let wait = back_off(&self.seed, self.failed).max(asked.unwrap_or_default());
        if asked.is_some() && wait > left {
            let hint = format!("run the job again after {}", utc_from(wall + wait));
            return Err(error.into_kind(Kind::Transient).with_hint(hint));
        }
        if self.failed >= self.policy.attempts || wait > left {
            let attempts = self.failed;
            let plural = if attempts == 1 { "" } else { "s" };
            let mut hint = format!("given up after {attempts} attempt{plural}; run it again");
            if let Some(asked) = asked {
                hint = format!("{hint}, after {}", utc_from(wall + asked));
            }
            return Err(error.into_kind(Kind::Transient).with_hint(hint));
        }
        Ok((wait, error))
    }

    /// Excludes time that `give_up_after` does not count: waits for a slot of a quota.
    pub(super) fn leave_out(&mut self, time: Duration) {
        if let Some(first) = &mut self.first_fault {
            *first += time;
        }
    }
}

/// Returns the first whole second not before `at`, in the form of [`utc`], so that it is never too early.
pub(super) fn utc_from(at: SystemTime) -> String {
    utc(at.checked_add(Duration::from_nanos(999_999_999)).unwrap_or(at))
}

/// Formats a time, in whole seconds, for people and logs: `2026-11-21T01:55:00Z`.
#[must_use]
pub fn utc(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0))
        .map_or_else(|| "an unrepresentable date".to_owned(), |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_by_its_second_and_a_wait_by_the_next() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!((utc(at).as_str(), utc_from(at).as_str()), ("1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"));
        let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        assert_eq!((utc(whole).as_str(), utc_from(whole).as_str()), ("1970-01-01T00:00:07Z", "1970-01-01T00:00:07Z"));
    }
}
