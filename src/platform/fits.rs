//! Checks whether the parts of a delivery fit into a quota, before anything is sent.

use crate::body::Part;
use crate::calls::quota::longest_wait;
use crate::calls::{Policy, Quota};
use crate::error::{Error, Result};
use std::time::{Duration, SystemTime};

/// Checks that the wait for a slot of one of `parts` is at most `max_wait`, if the quota is unused. `uploads` describes
/// what is counted: `profile uploads an hour`.
///
/// # Errors
/// `Data`, with the `max_part_bytes` and the `max_quota_wait` that fit.
pub(crate) fn fits_quota(quota: &Quota, uploads: &str, parts: &[Part], max_wait: Duration) -> Result<()> {
    let calls = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let wait = longest_wait(quota, &[], calls, SystemTime::UNIX_EPOCH);
    if wait <= max_wait {
        return Ok(());
    }
    let sizes: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
    let size = size_that_fits(&sizes, quota.limit as usize);
    let message = format!(
        "{calls} parts are more than the {} {uploads} that the platform takes: one of them would wait for {}, longer than \
         upload.max_quota_wait; nothing was sent",
        quota.limit,
        shown_time(wait)
    );
    Err(Error::data(message).with_hint(format!(
        "set destination.max_part_bytes: {} or more, or upload.max_quota_wait: {}",
        shown_size(size),
        shown_time(wait)
    )))
}

/// Checks that the job waits for the verdict on each part, if parts must be sent in turn.
///
/// # Errors
/// `Data`.
pub(crate) fn can_wait_in_turn(parts: &[Part], policy: &Policy) -> Result<()> {
    if parts.len() < 2 || !policy.wait.is_zero() {
        return Ok(());
    }
    let message = format!(
        "the {} parts must be sent in turn, each after the verdict on the one before, and wait: 0 asks for no verdict; \
         nothing was sent",
        parts.len()
    );
    Err(Error::data(message)
        .with_hint("set wait above 0, or a destination.max_part_bytes that makes one part of the list"))
}

/// Returns a part size with which the same records make at most `limit` parts, by joining neighbouring parts. Parts are
/// filled greedily, so no other way to cut at that size makes more parts.
fn size_that_fits(parts: &[u64], limit: usize) -> u64 {
    let cut = |size: u64| {
        let (mut count, mut filled) = (1usize, 0u64);
        for part in parts {
            if filled > 0 && filled.saturating_add(*part) > size {
                (count, filled) = (count + 1, 0);
            }
            filled = filled.saturating_add(*part);
        }
        count
    };
    let (mut low, mut high) = (parts.iter().copied().max().unwrap_or(1), parts.iter().sum::<u64>().max(1));
    while low < high {
        let middle = low + (high - low) / 2;
        if cut(middle) <= limit.max(1) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Formats a size for the job file, rounded up to whole megabytes from 1 MB on.
fn shown_size(bytes: u64) -> String {
    const MB: u64 = 1_000_000;
    if bytes < MB { bytes.to_string() } else { format!("{}MB", bytes.div_ceil(MB)) }
}

/// Formats a duration for the job file.
fn shown_time(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_named_makes_as_few_parts_as_the_quota_takes() {
        for (parts, limit, size) in [
            (vec![100; 12], 10, 200),
            (vec![100; 10], 10, 100),
            (vec![5, 90, 10, 80, 20], 3, 95),
            (vec![7], 1, 7),
            (vec![1, 1, 1, 1], 1, 4),
        ] {
            assert_eq!(size_that_fits(&parts, limit), size, "{parts:?}");
        }
        assert_eq!((shown_size(999_999), shown_size(1_000_001)), ("999999".to_owned(), "2MB".to_owned()));
        let times = [3600, 90, 120].map(|seconds| shown_time(Duration::from_secs(seconds)));
        assert_eq!(times, ["1h", "90s", "2m"]);
    }
}
