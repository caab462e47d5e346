//! Digests of received bytes.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-64/NVME of a stream.
pub(super) struct Crc(Digest);

impl Crc {
    pub(super) fn new() -> Crc {
        Crc(Digest::new(CrcAlgorithm::Crc64Nvme))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest in the form used in reports.
    pub(super) fn text(&self) -> String {
        format!("crc64nvme:{:016x}", self.0.finalize())
    }
}

/// Returns bytes as lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
