//! The time that the client uses: real, or simulated in tests. The only file that asks the machine for the time.

use super::BoxFuture;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// Interval between checks of a flag that another thread may set.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A clock.
pub trait Clock: Send + Sync {
    /// Returns the time of day, which may jump.
    fn wall(&self) -> SystemTime;

    /// Returns the time since a fixed moment, which never goes back.
    fn elapsed(&self) -> Duration;

    /// Sleeps.
    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()>;

    /// Waits until it is worth checking a flag that another thread may set. 50 ms by default.
    fn look_again(&self) -> BoxFuture<'_, ()> {
        self.sleep(LOOK_EVERY)
    }
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the system clock")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    #[expect(clippy::disallowed_methods, reason = "the system clock")]
    fn elapsed(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the system clock")]
    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// Blocks the thread until another process may have released a file.
#[cfg(feature = "jobs")]
#[expect(clippy::disallowed_methods, reason = "another process is waited for in real time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
