//! Errors and hints about an open run that is in the way.

use super::decide::Stand;
use super::journal::RunRecord;
use super::text::listed;
use crate::error::{Error, Kind, Result};
use serde_json::Value;

/// When the export that a run recorded was requested.
pub(super) fn requested_at(fact: &Value) -> Option<std::time::SystemTime> {
    let seconds = fact.get("requested_s")?.as_u64()?;
    std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))
}

/// The open run that `--new RUN` names.
pub(super) fn blocking(open: Option<RunRecord>, id: &str) -> Result<RunRecord> {
    match open {
        None => Err(Error::usage(format!("--new {id}: no run of this job is in the way"))
            .with_hint("leave --new out; `listferry runs` lists the runs")),
        Some(record) if record.id == id => Ok(record),
        Some(record) => Err(Error::usage(format!("--new {id}: run {} is the one in the way", record.id))
            .with_hint("look at it with `listferry runs RUN`; --new abandons exactly the run whose id is given")),
    }
}

/// How far an open run came.
pub(super) fn words(stand: Stand) -> &'static str {
    match stand {
        Stand::Nothing => "nothing of it was accepted",
        Stand::Delivered => "all of it was accepted",
        Stand::PartlyRepeatable | Stand::Partly => "some of its parts were accepted",
        Stand::Fetched => "the platform has accepted the file and may still fetch it",
        Stand::InDoubt => "a call that must not be repeated got no answer",
    }
}

/// How to continue an open run that stays listed.
pub(super) fn resume_hint(record: &RunRecord, stand: Stand) -> String {
    match stand {
        Stand::InDoubt => format!(
            "look at the platform, then: listferry resume {} --assume done (it is there) or repeat (it is not)",
            record.id
        ),
        _ => format!("listferry resume {} continues it", record.id),
    }
}

/// An open run that cannot be continued as things are (23).
pub(super) fn blocked(record: &RunRecord, stand: Stand, what: &[String]) -> Error {
    let id = &record.id;
    Error::new(Kind::Blocked, format!("run {id} of this job is open, {}, but {}", words(stand), listed(what))).with_hint(
        format!(
            "nothing was sent. Take the change back and `listferry resume {id}`; or leave what was accepted as it is and \
             start anew with `listferry run --new {id}`; `listferry runs close {id}` abandons it without sending"
        ),
    )
}

/// An open run in doubt (21).
pub(super) fn in_doubt(record: &RunRecord) -> Error {
    // what a report of another kind says is about something else
    let report = record.report.as_ref().filter(|_| record.exit_code == Some(Kind::InDoubt.exit_code()));
    let said = report.and_then(|report| report.pointer("/error/message")).and_then(Value::as_str);
    Error::new(
        Kind::InDoubt,
        format!("run {} of this job is in doubt: {}", record.id, said.unwrap_or("a call that must not be repeated got no answer")),
    )
    .with_hint(format!(
        "nothing was sent; look at the platform, then: listferry resume {} --assume done (it is there) or repeat (it is \
         not)",
        record.id
    ))
}
