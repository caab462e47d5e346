//! Places where a pass can start in the middle.

use super::totals::Start;

/// A place where a pass can start again, and what the output must be up to there.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) start: Start,
    /// Of the output before it, header lines not counted.
    #[cfg_attr(not(feature = "upload"), allow(dead_code, reason = "only bodies compare"))]
    pub(crate) crc: u64,
}
