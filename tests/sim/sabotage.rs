//! Clients that forget: their state loses something between two invocations, as if it had never been written. The
//! oracle must detect each loss.

use listferry::job::world::Connected;
use std::sync::PoisonError;

/// The loss.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sabotage {
    /// The start of a call.
    Intents,
    /// The answer of a call, and the acceptance of a part.
    Answers,
    /// The fact that a call got no answer.
    Doubts,
    /// The fact that a report was not stored.
    Reports,
    /// The number of calls within the hour.
    Slots,
}

impl Sabotage {
    pub(crate) const ALL: [Sabotage; 5] =
        [Sabotage::Intents, Sabotage::Answers, Sabotage::Doubts, Sabotage::Reports, Sabotage::Slots];

    /// The failures that the loss may cause, by their first words.
    pub(crate) fn causes(self) -> &'static [&'static str] {
        match self {
            Sabotage::Intents | Sabotage::Answers => &["applied twice", "second start"],
            Sabotage::Doubts => &["lost", "exit 0, but the vendor has not all rows"],
            Sabotage::Reports => &["report lost"],
            Sabotage::Slots => &["more than ten profile uploads within an hour"],
        }
    }

    pub(crate) fn strike(self, state: &Connected) {
        let sql = match self {
            Sabotage::Intents => "DELETE FROM steps WHERE state = 1",
            Sabotage::Answers => "DELETE FROM steps WHERE state = 2; DELETE FROM parts",
            Sabotage::Doubts => "UPDATE steps SET state = 2, value = '{\"activity_id\":\"act-0\"}' WHERE state = 1",
            Sabotage::Reports => "UPDATE runs SET reported = 1 WHERE closed",
            Sabotage::Slots => "DELETE FROM slots",
        };
        let db = state.lock().unwrap_or_else(PoisonError::into_inner);
        db.execute_batch(sql).expect("a statement");
    }
}
