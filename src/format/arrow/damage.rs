//! Errors for content that is not Arrow IPC as its format defines it.

use crate::error::Error;

/// Returns the error for content that ends too early.
pub(super) fn cut_off() -> Error {
    Error::data("the Arrow data is cut off: it has no end-of-stream marker")
        .with_hint("export or copy it again; was it still being written?")
}

/// Returns an error for content that is not valid.
pub(super) fn damaged(what: &str) -> Error {
    Error::data(format!("the Arrow data is damaged: {what}")).with_hint("export or copy it again")
}
