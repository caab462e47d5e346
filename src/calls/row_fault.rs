//! Rows that a platform rejected.

/// A row that the platform rejected, passed to [`super::Remote::fault`] while results are read as a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// The output record.
    pub at: FaultAt,
    /// The vendor's message.
    pub message: String,
}

/// The output record of a [`RowFault`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultAt {
    /// Index in the whole output, from 0.
    Index(u64),
    /// The key (customer id) of the row.
    Key(String),
}
