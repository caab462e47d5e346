//! Time, as far as waits between calls go: real, or simulated in tests.

use super::BoxFuture;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// A clock.
pub trait Clock: Send + Sync {
    /// The time of day; may jump.
    fn wall(&self) -> SystemTime;

    /// Since some moment; never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// The real one.
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}
