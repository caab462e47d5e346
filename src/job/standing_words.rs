//! Errors and hints about an open run that is in the way.

use super::decide::Stand;
use super::difference::Resumable;
use super::journal::RunRecord;
use super::text::listed;
use crate::calls::utc;
use crate::error::{Error, Kind, Result};
use serde_json::Value;
use std::time::SystemTime;

/// Returns the time at which the export that a run recorded was requested.
pub(super) fn requested_at(fact: &Value) -> Option<std::time::SystemTime> {
    let seconds = fact.get("requested_s")?.as_u64()?;
    std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))
}

/// Checks that the run named by `--new RUN` is the one in the way.
///
/// # Errors
/// `Usage`, unless `open` has that id.
pub(super) fn check_named(open: Option<&RunRecord>, id: &str) -> Result<()> {
    match open {
        None => Err(Error::usage(format!("--new {id}: no run of this job is in the way"))
            .with_hint("leave --new out; `listferry runs` lists the runs")),
        Some(record) if record.id == id => Ok(()),
        Some(record) => Err(Error::usage(format!("--new {id}: run {} is the one in the way", record.id))
            .with_hint("look at it with `listferry runs RUN`; --new abandons exactly the run whose id is given")),
    }
}

/// Returns the error for `--new RUN` if that run is not in the way because it would be continued.
pub(super) fn continued_anyway(record: &RunRecord) -> Error {
    let id = &record.id;
    Error::usage(format!("--new {id}: run {id} is not in the way, since job and source are the same: it is continued"))
        .with_hint(format!(
            "leave --new out, and what was accepted is not sent again; to send everything once more, `listferry runs close \
             {id}` abandons the run, and then run the job"
        ))
}

/// Describes how much of an open run was accepted.
pub(super) fn words(stand: Stand) -> &'static str {
    match stand {
        Stand::Nothing => "nothing of it was accepted",
        Stand::Delivered => "all of it was accepted",
        Stand::PartlyRepeatable | Stand::Partly => "some of its parts were accepted",
        Stand::Fetched => "the platform has accepted the file and may still fetch it",
        Stand::InDoubt => "a call that must not be repeated got no answer",
    }
}

/// Returns the hint on how to continue an open run.
pub(super) fn resume_hint(record: &RunRecord, stand: Stand) -> String {
    match stand {
        Stand::InDoubt => format!(
            "check on the platform whether the call took effect, then run listferry resume {} --assume done (it did) or \
             --assume repeat (it did not)",
            record.id
        ),
        _ => format!("listferry resume {} continues it", record.id),
    }
}

/// Returns the error about an open run that cannot be continued now (23). `asked_until`: time after which its ticket is
/// not asked for any more.
pub(super) fn blocked(
    record: &RunRecord,
    stand: Stand,
    what: &[String],
    resumable: Resumable,
    asked_until: Option<SystemTime>,
) -> Error {
    let id = &record.id;
    let resume = match resumable {
        Resumable::Now => format!("`listferry resume {id}` continues it with the list that it began to send"),
        Resumable::WithOldJob => format!("undo the change; then `listferry resume {id}` continues it"),
        Resumable::WithOldSource => {
            format!("`listferry resume {id}` is possible only if the source is again what it was")
        }
        Resumable::Never => "it cannot be resumed".to_owned(),
    };
    let later = match (stand, asked_until) {
        (Stand::Fetched, Some(until)) => format!(
            "run the job again later: once the ticket is final, which counts from {} on whatever it says, the new list is \
             sent; ",
            utc(until)
        ),
        (Stand::Fetched, None) => {
            "run the job again later: once the ticket is final, the new list is sent; ".to_owned()
        }
        _ => String::new(),
    };
    let job = record.job_file.as_ref().map_or_else(|| "JOB".to_owned(), |file| file.display().to_string());
    Error::new(Kind::Blocked, format!("run {id} of this job is open, {}, but {}", words(stand), listed(what)))
        .with_hint(format!(
            "nothing was sent. {later}{resume}; `listferry run {job} --new {id}` leaves what was accepted as it is and sends \
             the new list; `listferry runs close {id}` abandons the run without sending"
        ))
}

/// Returns the error about an import without a verdict, which the new import could overtake (22).
pub(super) fn overtaken(id: &str) -> Error {
    Error::new(
        Kind::Pending,
        format!("run {id} has no verdict yet, and an import that overtakes it would change the result"),
    )
    .with_hint(format!("nothing of the new list was sent; run the job again later, or listferry resume {id}"))
}

/// Returns the error about an ended run whose file may still be fetched (23). `asked_until`: time after which its
/// ticket is not asked for any more.
pub(super) fn fetched_still(id: &str, asked_until: Option<SystemTime>) -> Error {
    let until = asked_until.map(|until| format!(", {} at the latest", utc(until))).unwrap_or_default();
    Error::new(
        Kind::Blocked,
        format!("the ticket of run {id} is not final yet: the platform may still fetch the file that would be replaced"),
    )
    .with_hint(format!(
        "nothing was sent. Run the job again later{until}, or raise `wait`; `listferry runs close {id}` forgets the ticket, \
         and the next run replaces the file"
    ))
}

/// Returns the error about an open run in doubt (21). `calls` are the names of the calls in doubt.
pub(super) fn in_doubt(record: &RunRecord, calls: &[String]) -> Error {
    // the error in the report of a run with another exit code is about something else
    let report = record.report.as_ref().filter(|_| record.exit_code == Some(Kind::InDoubt.exit_code()));
    let said = report.and_then(|report| report.pointer("/error/message")).and_then(Value::as_str);
    Error::new(
        Kind::InDoubt,
        format!("run {} of this job is in doubt: {}", record.id, said.map_or_else(|| cut_off(calls), str::to_owned)),
    )
    .with_hint(format!(
        "nothing was sent; look at the platform, then: listferry resume {} --assume done (it is there) or repeat (it is \
         not)",
        record.id
    ))
}

/// Describes calls whose process was gone before their answer came.
fn cut_off(calls: &[String]) -> String {
    let names: Vec<String> = calls.iter().map(|call| named(call)).collect();
    match &names[..] {
        [] => "a call that must not be repeated got no answer".to_owned(),
        [name] => format!("{name} must not be repeated and got no answer"),
        _ => format!("{} must not be repeated and got no answer", listed(&names)),
    }
}

/// The name of a call, with the part that it is about.
fn named(call: &str) -> String {
    let part = call.rsplit_once('/').and_then(|(_, index)| index.parse::<u64>().ok());
    match part {
        Some(index) => format!("the call \"{call}\" (part {})", index + 1),
        None => format!("the call \"{call}\""),
    }
}
