//! A run taken up whose parts have all been sent: what is left is small calls and the verdict, which need no source.

use super::journal::PASS_ONE;
use super::report::Report;
use crate::body::{Counts, Measured};
use crate::calls::{Assume, Journal, would_send};
use crate::error::Result;
use crate::mapping::MapSpec;
use crate::platform::Platform;
use serde_json::{Value, json};

/// Keeps what the report says after pass one, for [`load`].
pub(super) fn store(journal: &dyn Journal, measured: &Measured, report: &Report) -> Result<()> {
    let parts: Vec<_> = measured.parts().iter().map(|part| (part.bytes, part.records, part.crc)).collect();
    let mut report = report.to_json();
    // a warning or an error of this moment is none of a later one
    report["error"] = Value::Null;
    journal.store(PASS_ONE, &json!({ "report": report, "parts": parts }))
}

/// What pass one of an earlier process found, and its report, where no part's body is left to send and no row was named so
/// far (rows are looked up in the source).
pub(super) fn load(
    journal: &dyn Journal,
    platform: &dyn Platform,
    map: &MapSpec,
    assume: Option<Assume>,
    report: &mut Report,
) -> Result<Option<Measured>> {
    let Some(known) = journal.load(PASS_ONE)? else { return Ok(None) };
    let Ok(parts) = serde_json::from_value::<Vec<(u64, u64, u64)>>(known["parts"].clone()) else { return Ok(None) };
    let states = journal.parts()?;
    for index in 0..parts.len() {
        let taken = states.iter().any(|state| state.index == index && state.accepted);
        let sent = || match platform.body_call(map, index) {
            Some(call) => would_send(journal, &call, assume).map(|would| !would),
            None => Ok(false),
        };
        if !taken && !sent()? {
            return Ok(None);
        }
    }
    if journal.fault_count()? > 0 {
        return Ok(None);
    }
    report.restore_pass_one(&known["report"]);
    let records = report.records;
    let counts = Counts {
        read: records.read,
        written: records.written,
        filtered: records.filtered,
        rejected: records.rejected,
        reject_reasons: report.reject_reasons.clone(),
        ..Counts::default()
    };
    Measured::recorded(counts, &parts).map(Some)
}
