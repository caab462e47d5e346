//! What became of the records of a pass.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// All data records: written + filtered + rejected.
    pub read: u64,
    /// In the output.
    pub written: u64,
    /// Left out by `where` or by the shape.
    pub filtered: u64,
    /// Not fit.
    pub rejected: u64,
    /// Empty lines passed over; not in `read`.
    pub blank: u64,
    /// Rejects by code.
    pub reject_reasons: BTreeMap<String, u64>,
    /// What shows that files were joined into one.
    #[serde(skip)]
    pub joined: Option<Joined>,
}

/// Records that are the header line again or begin with a byte order mark, as in files that were joined with `cat`. They
/// are records like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// How many there are.
    pub count: u64,
    /// The input of the first, an index into [`crate::source::Source::inputs`].
    pub input: usize,
    /// The first in its input, from 1, without the header.
    pub record: u64,
}
