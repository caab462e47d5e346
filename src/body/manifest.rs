//! The result of pass one, as plain data that can be stored.

use super::Counts;
use serde::{Deserialize, Serialize};

/// The result of pass one: counts, parts, digest, separator. Plain data: with it a later process can finish a delivery
/// without the source if every part was sent, and check whether the source is still the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Counts of the records.
    pub counts: Counts,
    /// The parts in order; at least one, which may be empty.
    pub parts: Vec<Part>,
    /// CRC-64/NVME of the content of all parts in order.
    pub digest: u64,
    /// The separator of a delimited output, as chosen.
    pub separator: Option<u8>,
    /// Bytes of the source as stored.
    pub source_bytes: u64,
    /// Length and CRC of the output of all parts without header lines, which do not depend on how it is cut.
    pub content: (u64, u64),
}

/// The output for one body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// Index from 0.
    pub index: usize,
    /// Size of the content with its header line, without framing.
    pub bytes: u64,
    /// Number of records.
    pub records: u64,
    /// Index of its first record in the whole output.
    pub first_record: u64,
    /// CRC-64/NVME of the content.
    pub crc: u64,
    /// Position of its first record's first byte in the whole output without header lines.
    pub(crate) at: u64,
}

impl Part {
    /// Creates a part from the measurements of an earlier process.
    #[cfg(feature = "jobs")]
    pub(crate) fn recorded(index: usize, bytes: u64, records: u64, first_record: u64, crc: u64, at: u64) -> Part {
        Part { index, bytes, records, first_record, crc, at }
    }
}

impl Manifest {
    /// Creates a manifest from the parts that an earlier process measured.
    #[cfg(feature = "jobs")]
    pub(crate) fn recorded(counts: Counts, parts: Vec<Part>, digest: u64, source_bytes: u64) -> Manifest {
        let content = (parts.iter().map(|part| part.bytes).sum(), digest);
        Manifest { counts, parts, digest, separator: None, source_bytes, content }
    }

    /// Returns the number of content bytes of all parts.
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

    /// Returns true if `accepted` are the first parts, with the same lengths.
    #[must_use]
    pub fn begins_with(&self, accepted: &[Part]) -> bool {
        self.parts.len() >= accepted.len() && self.parts.iter().zip(accepted).all(|(own, other)| own == other)
    }

    /// Returns the manifest of only the first `parts` parts, for a list that was partly accepted.
    #[must_use]
    pub fn first_parts(&self, parts: usize) -> Manifest {
        let mut first = self.clone();
        first.parts.truncate(parts);
        first
    }
}
