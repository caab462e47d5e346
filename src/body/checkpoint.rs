//! Positions at which a pass can start in the middle.

use super::totals::Start;

/// A position at which a pass can start again, and the digest of the output before it.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) start: Start,
    /// CRC of the output before it, without header lines.
    #[cfg_attr(not(feature = "upload"), allow(dead_code, reason = "only bodies compare"))]
    pub(crate) crc: u64,
}
