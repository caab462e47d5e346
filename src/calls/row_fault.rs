//! Rows that a platform refused.

/// A row that the platform refused, passed to [`super::Remote::fault`] while results are read as a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// Which output record.
    pub at: FaultAt,
    /// The vendor's message.
    pub message: String,
}

/// Which output record a [`RowFault`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultAt {
    /// Index in the whole output, from 0.
    Index(u64),
    /// The key (customer id) of the row.
    Key(String),
}
