//! A continued run that has sent all its parts: only small calls and the verdict remain, which do not need the source.

use super::journal::PASS_ONE;
use super::report::Report;
use crate::body::Manifest;
use crate::calls::{Assume, Journal, would_send};
use crate::error::Result;
use crate::platform::Delivery;
use serde_json::{Value, json};

/// Stores the report after pass one for [`restore`].
pub(super) fn store(journal: &dyn Journal, report: &Report) -> Result<()> {
    let mut report = report.to_json();
    // warnings and errors of this process do not belong to a later one
    report["error"] = Value::Null;
    report["errors"] = Value::Array(Vec::new());
    journal.store(PASS_ONE, &json!({ "report": report }))
}

/// Puts the results of pass one in an earlier process into the report.
pub(super) fn restore(journal: &dyn Journal, report: &mut Report) -> Result<()> {
    if let Some(known) = journal.load(PASS_ONE)? {
        report.restore_pass_one(&known["report"]);
    }
    Ok(())
}

/// Returns true if the bodies of all parts have been sent.
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
