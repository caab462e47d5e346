//! A limit on calls at the same time, and the places among them.

/// At most so many calls at a time, counted over all runs and processes that share a state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// What it is counted by, secrets hashed: `clevertap/<hash of the account>`.
    pub key: String,
    /// That many at a time.
    pub limit: u32,
}

/// A place among the calls under way. It is free again when this is dropped, or the process has ended.
pub struct Seat(#[allow(dead_code, reason = "dropped with the seat")] Box<dyn Send + Sync>);

impl Seat {
    /// A place that is given back by dropping `held`.
    pub fn new(held: impl Send + Sync + 'static) -> Seat {
        Seat(Box::new(held))
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seat")
    }
}
