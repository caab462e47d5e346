//! `upload.max_rate`: limits the bytes sent per second.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Maximum unused time that is saved for a later burst.
const SAVED: Duration = Duration::from_millis(50);

pub(super) struct Pace {
    bytes_per_second: u64,
    next: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Pace {
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) fn new(bytes_per_second: u64) -> Pace {
        let now = Instant::now();
        Pace { bytes_per_second: bytes_per_second.max(1), next: now, sleep: Box::pin(sleep_until(now)) }
    }

    /// Returns how many of `wanted` bytes (at least one) may be sent now, at most what a tenth of a second allows.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) fn poll_take(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        let now = Instant::now();
        if now < self.next {
            self.sleep.as_mut().reset(self.next);
            ready!(self.sleep.as_mut().poll(cx));
        }
        let most = (self.bytes_per_second / 10).max(1);
        let taken = wanted.min(usize::try_from(most).unwrap_or(usize::MAX));
        let takes = Duration::from_secs_f64(taken as f64 / self.bytes_per_second as f64);
        self.next = self.next.max(now.checked_sub(SAVED).unwrap_or(now)) + takes;
        Poll::Ready(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[expect(clippy::disallowed_methods, reason = "a test of a timer")]
    async fn take(pace: &mut Pace, bytes: usize) -> Duration {
        let start = Instant::now();
        let mut taken = 0;
        while taken < bytes {
            taken += poll_fn(|cx| pace.poll_take(cx, bytes - taken)).await;
        }
        start.elapsed()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test of a timer")]
    fn a_rate_is_kept_and_idle_time_is_not_saved_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut pace = Pace::new(10_000);
            assert!(take(&mut pace, 5000).await >= Duration::from_millis(300));
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(take(&mut pace, 5000).await >= Duration::from_millis(250));
        });
    }
}
