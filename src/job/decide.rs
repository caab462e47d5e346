//! Decides what `run` does with an open run of the same job. See docs/CONTRACT.md for when a run is open.

/// How far an open run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// No part was accepted, and no call is in doubt.
    Nothing,
    /// Every part was accepted.
    Delivered,
    /// Some parts were accepted; sending them again would not change the result.
    PartlyRepeatable,
    /// Some parts were accepted, and sending them again would change the result.
    Partly,
    /// The platform has accepted the file and may fetch it until its verdict.
    Fetched,
    /// A call that must not be repeated got no answer.
    InDoubt,
}

/// How the job and its source differ from those of the open run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// They do not differ.
    None,
    /// They differ, but the target is the same.
    Some,
    /// The target, with its names filled in, differs, and perhaps more.
    Target,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Continue the open run.
    Continue,
    /// Close the open run as superseded and start a new one.
    Supersede,
    /// Wait for the verdict of the open run, then start a new one.
    AwaitVerdict,
    /// Wait until the accepted parts are final, then close the open run as superseded and start a new one.
    AwaitParts,
    /// Poll the ticket of the open run; start a new one if it is final, otherwise as [`Next::Block`].
    AwaitTicket,
    /// End with 23.
    Block,
    /// End with 21.
    Doubt,
    /// Leave the open run listed and start a new one.
    StartBeside,
}

/// Returns what `run` does. If two states fit, `stand` is the later one in its order.
pub(super) fn next(stand: Stand, change: Change) -> Next {
    match (stand, change) {
        (Stand::InDoubt, Change::None | Change::Some) => Next::Doubt,
        (Stand::InDoubt, Change::Target) => Next::StartBeside,
        (_, Change::None) => Next::Continue,
        (Stand::Nothing, _) => Next::Supersede,
        (Stand::Delivered, _) => Next::AwaitVerdict,
        (Stand::PartlyRepeatable, _) => Next::AwaitParts,
        (Stand::Fetched, _) => Next::AwaitTicket,
        (Stand::Partly, Change::Some) => Next::Block,
        (Stand::Partly, Change::Target) => Next::StartBeside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        use Change::{None, Some, Target};
        for (stand, same, changed, other_target) in [
            (Stand::Nothing, Next::Continue, Next::Supersede, Next::Supersede),
            (Stand::Delivered, Next::Continue, Next::AwaitVerdict, Next::AwaitVerdict),
            (Stand::PartlyRepeatable, Next::Continue, Next::AwaitParts, Next::AwaitParts),
            (Stand::Partly, Next::Continue, Next::Block, Next::StartBeside),
            (Stand::Fetched, Next::Continue, Next::AwaitTicket, Next::AwaitTicket),
            (Stand::InDoubt, Next::Doubt, Next::Doubt, Next::StartBeside),
        ] {
            assert_eq!(next(stand, None), same, "{stand:?}, same");
            assert_eq!(next(stand, Some), changed, "{stand:?}, changed");
            assert_eq!(next(stand, Target), other_target, "{stand:?}, another target");
        }
    }
}
