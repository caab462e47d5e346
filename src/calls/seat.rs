//! A limit on simultaneous calls.

/// A maximum number of simultaneous calls over all runs and processes that share a state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// Key of the limit, with secrets hashed: `clevertap/<hash of the account>`.
    pub key: String,
    /// Maximum number of simultaneous calls.
    pub limit: u32,
}

/// A place among the simultaneous calls, free again when this is dropped or the process has ended.
pub struct Seat(#[allow(dead_code, reason = "dropped with the seat")] Box<dyn Send + Sync>);

impl Seat {
    /// Creates a place that is released by dropping `held`.
    pub fn new(held: impl Send + Sync + 'static) -> Seat {
        Seat(Box::new(held))
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seat")
    }
}
