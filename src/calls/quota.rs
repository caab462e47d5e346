//! How calls fit into a quota: pure arithmetic on the times at which slots were taken.

use super::Quota;
use std::time::{Duration, SystemTime};

/// Returns the earliest time of each of `calls`, one after the other from `now` on. `taken` are the times at which
/// slots were taken, in any order.
pub(crate) fn schedule(quota: &Quota, taken: &[SystemTime], calls: u32, now: SystemTime) -> Vec<SystemTime> {
    let limit = quota.limit.max(1) as usize;
    let mut slots: Vec<SystemTime> = taken.iter().copied().filter(|at| *at + quota.window > now).collect();
    // a clock set back must not lengthen the wait beyond one window
    slots.iter_mut().for_each(|at| *at = (*at).min(now));
    slots.sort_unstable();
    let before = slots.len();
    for _ in 0..calls {
        let earliest = slots[before..].last().copied().unwrap_or(now);
        let free = slots.len().checked_sub(limit).map(|at| slots[at] + quota.window);
        slots.push(free.map_or(earliest, |free| free.max(earliest)));
    }
    slots.split_off(before)
}

/// Returns the longest wait for one of `calls`.
pub(crate) fn longest_wait(quota: &Quota, taken: &[SystemTime], calls: u32, now: SystemTime) -> Duration {
    let mut before = now;
    let mut longest = Duration::ZERO;
    for at in schedule(quota, taken, calls, now) {
        longest = longest.max(at.duration_since(before).unwrap_or_default());
        before = at;
    }
    longest
}

/// Returns the first time from which no wait for one of `calls` is longer than `max_wait`; `None` if that is never so,
/// even with an unused quota.
pub(crate) fn fits_from(
    quota: &Quota,
    taken: &[SystemTime],
    calls: u32,
    now: SystemTime,
    max_wait: Duration,
) -> Option<SystemTime> {
    let expiries = taken.iter().map(|at| (*at).min(now) + quota.window);
    let early = expiries.clone().map(|end| end.checked_sub(max_wait).unwrap_or(now).max(now));
    let mut moments: Vec<SystemTime> = std::iter::once(now).chain(early).chain(expiries).collect();
    moments.sort_unstable();
    moments.into_iter().find(|at| longest_wait(quota, taken, calls, *at) <= max_wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn ten_an_hour() -> Quota {
        Quota { key: "x/y".to_owned(), limit: 10, window: Duration::from_secs(3600) }
    }

    #[test]
    fn calls_wait_for_the_slots_before_them() {
        let quota = ten_an_hour();
        let from_now = |times: Vec<SystemTime>| {
            times.iter().map(|time| time.duration_since(at(0)).unwrap().as_secs()).collect::<Vec<_>>()
        };
        assert_eq!(from_now(schedule(&quota, &[], 3, at(0))), [0, 0, 0]);
        let twelve = from_now(schedule(&quota, &[], 12, at(0)));
        assert_eq!((&twelve[..10], &twelve[10..]), (&[0; 10][..], &[3600, 3600][..]));
        let half_an_hour_ago = [at(0) - Duration::from_secs(1800); 9];
        assert_eq!(from_now(schedule(&quota, &half_an_hour_ago, 3, at(0))), [0, 1800, 1800]);
        assert_eq!(from_now(schedule(&quota, &[at(0) - quota.window; 10], 1, at(0))), [0], "a slot lives one window");
        assert_eq!(from_now(schedule(&quota, &[at(99_999); 10], 1, at(0))), [3600], "a clock that was set back");
    }

    #[test]
    fn the_next_try_is_the_first_moment_that_fits() {
        let quota = ten_an_hour();
        let (quarter, hour) = (Duration::from_secs(900), quota.window);
        assert_eq!(fits_from(&quota, &[], 10, at(0), quarter), Some(at(0)));
        assert_eq!(fits_from(&quota, &[], 11, at(0), quarter), None, "more calls than an hour takes");
        assert_eq!(fits_from(&quota, &[], 11, at(0), hour), Some(at(0)));
        let taken = [at(0) - Duration::from_secs(1000); 8];
        assert_eq!(fits_from(&quota, &taken, 2, at(0), quarter), Some(at(0)));
        assert_eq!(fits_from(&quota, &taken, 3, at(0), quarter), Some(at(3600 - 1000 - 900)));
        assert_eq!(fits_from(&quota, &taken, 3, at(0), Duration::ZERO), Some(at(2600)));
        // by hand: every second up to that moment is too early
        let first = fits_from(&quota, &taken, 3, at(0), quarter).unwrap();
        for second in 0..1700 {
            assert_eq!(at(second) >= first, longest_wait(&quota, &taken, 3, at(second)) <= quarter, "{second}");
        }
    }
}
