//! Counts of the records of a pass.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The number of records by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// All data records: written + filtered + rejected.
    pub read: u64,
    /// Records in the output.
    pub written: u64,
    /// Records left out by `where` or by the shape.
    pub filtered: u64,
    /// Invalid records.
    pub rejected: u64,
    /// Empty lines skipped; not in `read`.
    pub blank: u64,
    /// Rejects by code.
    pub reject_reasons: BTreeMap<String, u64>,
    /// Records that show that files were joined into one.
    #[serde(skip)]
    pub joined: Option<Joined>,
}

/// Records that repeat the header line or begin with a byte order mark, as in files that were joined with `cat`. They
/// are records like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// Number of such records.
    pub count: u64,
    /// The input of the first, an index into [`crate::source::OpenSource::inputs`].
    pub input: usize,
    /// Number of the first in its input, from 1, without the header.
    pub record: u64,
}
