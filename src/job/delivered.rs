//! A continued run whose parts have all been sent: what is left is small calls and the verdict, which need no source.

use super::journal::PASS_ONE;
use super::report::Report;
use crate::body::Manifest;
use crate::calls::{Assume, Journal, would_send};
use crate::error::Result;
use crate::platform::Delivery;
use serde_json::{Value, json};

/// Keeps what the report says after pass one, for [`restore`].
pub(super) fn store(journal: &dyn Journal, report: &Report) -> Result<()> {
    let mut report = report.to_json();
    // a warning or an error of this moment is none of a later one
    report["error"] = Value::Null;
    journal.store(PASS_ONE, &json!({ "report": report }))
}

/// Puts into the report what pass one of an earlier process found.
pub(super) fn restore(journal: &dyn Journal, report: &mut Report) -> Result<()> {
    if let Some(known) = journal.load(PASS_ONE)? {
        report.restore_pass_one(&known["report"]);
    }
    Ok(())
}

/// Returns true if no part's body is left to send.
pub(super) fn is_sent(
    journal: &dyn Journal,
    manifest: &Manifest,
    plan: &Delivery,
    assume: Option<Assume>,
) -> Result<bool> {
    let states = journal.parts()?;
    for index in 0..manifest.parts.len() {
        let accepted = states.iter().any(|state| state.index == index && state.accepted);
        let sent = || match plan.body_call(index) {
            Some(call) => would_send(journal, &call, assume).map(|would| !would),
            None => Ok(false),
        };
        if !accepted && !sent()? {
            return Ok(false);
        }
    }
    Ok(true)
}
