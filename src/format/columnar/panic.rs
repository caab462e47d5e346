//! Errors instead of panics, for crates that may panic on damaged data.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs what may panic on damaged data.
pub(in crate::format) fn unless_panic<T, E: std::fmt::Display>(
    run: impl FnOnce() -> Result<T, E>,
) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("it cannot be decoded".to_owned()),
    }
}
