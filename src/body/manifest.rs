//! What pass one found, as plain data that can be stored.

use super::Counts;
use serde::{Deserialize, Serialize};

/// What pass one found: counts, parts, digest, separator. Plain data: a later process delivers by it without the source if
/// every part was sent already, and knows by it whether the source is still the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// What became of the records.
    pub counts: Counts,
    /// The parts in order; at least one, which may be empty.
    pub parts: Vec<Part>,
    /// CRC-64/NVME of the content of all parts in order.
    pub digest: u64,
    /// The separator of a delimited output, as chosen.
    pub separator: Option<u8>,
    /// Bytes of the source as stored.
    pub source_bytes: u64,
    /// Length and CRC of the output of all parts without header lines: the same however it is cut.
    pub content: (u64, u64),
}

/// One body's worth of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// From 0.
    pub index: usize,
    /// Content, header line included, framing not.
    pub bytes: u64,
    /// Records.
    pub records: u64,
    /// Index of its first record in the whole output.
    pub first_record: u64,
    /// CRC-64/NVME of the content.
    pub crc: u64,
    /// Position of its first record's first byte in the whole output without header lines.
    pub(crate) at: u64,
}

impl Part {
    /// A part as an earlier process measured it.
    #[cfg(feature = "jobs")]
    pub(crate) fn recorded(index: usize, bytes: u64, records: u64, first_record: u64, crc: u64, at: u64) -> Part {
        Part { index, bytes, records, first_record, crc, at }
    }
}

impl Manifest {
    /// A manifest from the parts that an earlier process measured.
    #[cfg(feature = "jobs")]
    pub(crate) fn recorded(counts: Counts, parts: Vec<Part>, digest: u64, source_bytes: u64) -> Manifest {
        let content = (parts.iter().map(|part| part.bytes).sum(), digest);
        Manifest { counts, parts, digest, separator: None, source_bytes, content }
    }

    /// Bytes of the content of all parts.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Returns true if the same records gave the same output, however it is cut into parts.
    #[must_use]
    pub fn same_content(&self, other: &Manifest) -> bool {
        let rows = |counts: &Counts| (counts.read, counts.written, counts.filtered, counts.rejected);
        rows(&self.counts) == rows(&other.counts)
            && self.counts.reject_reasons == other.counts.reject_reasons
            && self.content == other.content
            && self.separator == other.separator
    }

    /// Returns true if `accepted` are the first parts, byte for byte in length.
    #[must_use]
    pub fn begins_with(&self, accepted: &[Part]) -> bool {
        self.parts.len() >= accepted.len() && self.parts.iter().zip(accepted).all(|(own, other)| own == other)
    }

    /// The manifest of the first `parts` parts alone: what was accepted of a list that was not sent to its end.
    #[must_use]
    pub fn first_parts(&self, parts: usize) -> Manifest {
        let mut first = self.clone();
        first.parts.truncate(parts);
        first
    }
}
