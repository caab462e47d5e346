//! Time, as far as the client goes by it: real, or simulated in tests. The one place that asks the machine for it.

use super::BoxFuture;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// Between two looks at a flag that another thread may set.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A clock.
pub trait Clock: Send + Sync {
    /// The time of day; may jump.
    fn wall(&self) -> SystemTime;

    /// Since some moment; never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()>;

    /// Waits until a flag that another thread may set is worth another look. Default: 50 ms.
    fn look_again(&self) -> BoxFuture<'_, ()> {
        self.sleep(LOOK_EVERY)
    }
}

/// The real one.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one clock")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    #[expect(clippy::disallowed_methods, reason = "the one clock")]
    fn elapsed(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the one clock")]
    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// Blocks the thread until another process may have let go of a file.
#[cfg(feature = "jobs")]
#[expect(clippy::disallowed_methods, reason = "what another process holds is waited for in its time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
