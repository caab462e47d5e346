//! Delivery for profiles and audiences: each part is one multipart upload, then a status to poll.

use super::account::Account;
use super::form::Form;
use super::status::Ended;
use super::{error_log, status};
use crate::body::{Measured, Part};
use crate::calls::{Call, Find, JobSeed, PartBody, Quota, Remote, RetrySafety, Step, Waiting, assumed};
use crate::error::Result;
use crate::platform::{Counts, PartEnd, PartsOutcome, Verdict, accepted_part, parts_accepted};
use crate::warning::{Warning, WarningKind};
use serde_json::{Value, json};

/// How the parts of one platform are sent.
pub(super) struct Upload<'a> {
    pub(super) account: &'a Account,
    /// A description for the user, who may have to look for it.
    pub(super) about: String,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) status_path: &'static str,
    pub(super) repeat: RetrySafety,
    pub(super) quota: Quota,
    pub(super) form: &'a (dyn Fn(&JobSeed) -> Form + Sync),
    /// Looks up whether an upload was carried out whose answer was lost.
    pub(super) find: Option<Find<'a>>,
}

impl Upload<'_> {
    /// Returns the parts whose upload has not been answered yet.
    pub(super) fn parts_left<'m>(&self, measured: &'m Measured, remote: &Remote<'_>) -> Result<&'m [Part]> {
        let mut left = measured.parts();
        while let Some(part) = left.first() {
            if remote.result_of(&upload_call(part.index, self.repeat).name)?.is_none() {
                break;
            }
            left = &left[1..];
        }
        Ok(left)
    }
}

/// Sends every part, each finished before the next begins, and adds up the results. An import that Localytics reports
/// as failed does not stop the later ones: they have other rows, so the list becomes as complete as possible, and the
/// run ends as partial (11). A part that is refused or in doubt ends the run.
pub(super) async fn deliver(upload: &Upload<'_>, measured: &Measured, remote: &Remote<'_>) -> Result<Verdict> {
    let (mut imports, mut outcome) = (Vec::new(), PartsOutcome::default());
    let parts = measured.parts();
    let left = upload.parts_left(measured, remote)?.len();
    if left > 0 {
        remote.reserve(&upload.quota, u32::try_from(left).unwrap_or(u32::MAX))?;
    }
    for part in parts {
        let step = send(upload, measured, remote, part.index).await.and_then(Step::done);
        let taken = step.map_err(|error| parts_accepted(error, part.index, parts.len()))?;
        let id = taken["activity_id"].as_str().map(str::to_owned);
        let accepted_at = remote.part_done(&accepted_part(part, id.clone()))?;
        if assumed(&taken) {
            remote.note("the upload was assumed to be done: its activity id is unknown, and so is its verdict")?;
            imports.push(json!({"activity_id": null, "assumed": "done"}));
            outcome.add(PartEnd::NotAsked, part.records, Counts::default(), None);
            continue;
        }
        if let Some(list) = taken["audience_list_id"].as_str() {
            let message =
                format!("the answer to the upload was lost; the list exists ({list}), but its verdict is unknown");
            let hint = "`listferry lists JOB list` shows its number of rows";
            remote.warn(&Warning::new(WarningKind::NoCounts, message).with_hint(hint))?;
            imports.push(taken.clone());
            outcome.add(PartEnd::NotAsked, part.records, Counts::default(), None);
            continue;
        }
        let id = id.unwrap_or_default();
        if !remote.waits() {
            imports.push(json!({"activity_id": id, "status": "accepted"}));
            outcome.add(PartEnd::NotAsked, part.records, Counts::default(), None);
            continue;
        }
        let waiting = Waiting::since(accepted_at).before_next(part.index + 1 < parts.len());
        let ended = status::wait(upload.account, remote, part.index, upload.status_path, &id, waiting).await?;
        read_error_log(upload, remote, part.index, &ended).await?;
        let mut shown = ended.shown.as_object().cloned().unwrap_or_default();
        shown.insert("activity_id".to_owned(), id.into());
        imports.push(Value::Object(shown));
        let failed = ended.end == PartEnd::Failed;
        let reason = failed.then(|| ended.reason.unwrap_or_default());
        if let Some(reason) = reason.as_deref().filter(|_| parts.len() > 1) {
            let colon = if reason.is_empty() { "" } else { ": " };
            remote.note(&format!("part {} of {}: the import failed{colon}{reason}", part.index + 1, parts.len()))?;
        }
        outcome.add(ended.end, part.records, ended.counts, reason);
    }
    let failed_rows = outcome.counts().failed;
    Ok(outcome.verdict(result(imports, failed_rows)))
}

/// Reads the log of failed rows once. The stored rows stay; the address does not, since the journal does not keep its
/// signature.
async fn read_error_log(upload: &Upload<'_>, remote: &Remote<'_>, part: usize, ended: &Ended) -> Result<()> {
    let worth_it = ended.counts.failed.is_some_and(|rows| rows > 0) || ended.end == PartEnd::Failed;
    let Some(url) = ended.error_log.as_deref().filter(|_| worth_it) else { return Ok(()) };
    let (group, read) = (format!("part/{part}"), format!("error-log/{part}"));
    if remote.load(&read)?.is_none() {
        error_log::read(remote, upload.account.base(), url, &group).await?;
        remote.store(&read, json!(true))?;
    }
    Ok(())
}

/// Returns one import as it is, several as a list; `failed_rows` only if the number is known.
fn result(mut imports: Vec<Value>, failed_rows: Option<u64>) -> Value {
    let mut result = match imports.len() {
        1 => imports.remove(0),
        _ => json!({"imports": imports}),
    };
    if let (Some(map), Some(rows)) = (result.as_object_mut(), failed_rows) {
        map.insert("failed_rows".to_owned(), rows.into());
    }
    result
}

/// Returns the call that uploads a part.
pub(super) fn upload_call(part: usize, repeat: RetrySafety) -> Call {
    Call::new(format!("upload/{part}"), repeat)
}

async fn send(upload: &Upload<'_>, measured: &Measured, remote: &Remote<'_>, index: usize) -> Result<Step> {
    let form = (upload.form)(remote.seed());
    let request = upload.account.request(upload.method, &upload.path).header("Content-Type", &form.content_type());
    let frame = form.frame();
    let (part, parts) = (&measured.parts()[index], measured.parts().len());
    let about = match parts {
        1 => upload.about.clone(),
        _ => format!("{}, part {} of {parts} with {} records", upload.about, index + 1, part.records),
    };
    let operation = upload_call(index, upload.repeat).about(about).with_quota(upload.quota.clone());
    let operation = operation.accepting(accepted_part(part, None), "activity_id");
    let classify = |answer: &crate::transport::Answer| status::classify_upload("the Localytics upload", answer);
    let open = || measured.framed_body(part, &frame);
    match upload.find {
        Some(find) => {
            remote.send_or_find(&operation, &request, PartBody { part: index, open: &open }, &classify, find).await
        }
        None => remote.send(&operation, &request, index, &open, &classify).await,
    }
}
