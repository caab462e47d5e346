//! What profiles and audiences have in common: each part is one multipart upload, then a status to wait for.

use super::account::Account;
use super::form::Form;
use super::{error_log, status};
use crate::body::Measured;
use crate::calls::{Call, JobSeed, Remote, RetrySafety, Step, Waiting, assumed};
use crate::error::Result;
use crate::platform::{Outcome, Verdict, accepted_part, parts_accepted};
use serde_json::{Value, json};

/// How the parts of one platform travel.
pub(super) struct Upload<'a> {
    pub(super) account: &'a Account,
    /// What the user would look for.
    pub(super) about: String,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) status_path: &'static str,
    pub(super) repeat: RetrySafety,
    pub(super) quota: Option<crate::calls::Quota>,
    pub(super) form: &'a (dyn Fn(&JobSeed) -> Form + Sync),
}

/// Sends every part, each finished before the next begins, and adds up what became of them. An import that Localytics
/// reports as failed does not stop the later ones: their rows are others, so the list is as whole as it can be, and the
/// run ends as partial (11). A part that is refused or in doubt ends the run there.
pub(super) async fn deliver(upload: &Upload<'_>, measured: &Measured, remote: &mut Remote<'_>) -> Result<Verdict> {
    let mut imports = Vec::new();
    // no part has told of failed rows so far, nor kept silent about them
    let (mut failed_rows, mut all_told) = (0u64, true);
    let (mut failed_parts, mut accepted, mut reasons) = (0usize, 0usize, Vec::new());
    let many = measured.parts().len() > 1;
    for part in measured.parts() {
        let label = if many { format!("part {} of {}", part.index + 1, measured.parts().len()) } else { String::new() };
        let sent = send(upload, measured, remote, part.index).await;
        let step = match sent {
            Ok(step) => step,
            Err(error) => return Err(parts_accepted(error, accepted, measured.parts().len())),
        };
        let taken = step.done().map_err(|error| parts_accepted(error, accepted, measured.parts().len()))?;
        accepted += 1;
        if assumed(&taken) {
            remote.part_done(&accepted_part(part, None))?;
            remote
                .note("the upload was assumed to be done: its activity id is not known, so neither is its verdict")?;
            imports.push(json!({"activity_id": null, "assumed": "done"}));
            all_told = false;
            continue;
        }
        let id = taken["activity_id"].as_str().unwrap_or_default().to_owned();
        let accepted_at = remote.part_done(&accepted_part(part, Some(id.clone())))?;
        let waiting = Waiting::since(accepted_at).before_next(part.index + 1 < measured.parts().len());
        if !remote.waits() {
            imports.push(json!({"activity_id": id, "status": "accepted"}));
            all_told = false;
            continue;
        }
        let ended = status::wait(upload.account, remote, part.index, upload.status_path, &id, waiting).await?;
        let told = ended.failed_rows;
        failed_rows += told.unwrap_or(0);
        all_told &= told.is_some();
        failed_parts += usize::from(!ended.completed);
        if let Some(url) = ended.error_log.as_deref().filter(|_| told.is_some_and(|rows| rows > 0) || !ended.completed)
        {
            // read once: what was stored outlives the address, whose signature the journal does not keep
            let (group, read) = (format!("part/{}", part.index), format!("error-log/{}", part.index));
            if remote.load(&read)?.is_none() {
                error_log::read(remote, upload.account.base(), url, &group).await?;
                remote.store(&read, json!(true))?;
            }
        }
        let mut shown = ended.shown.as_object().cloned().unwrap_or_default();
        shown.insert("activity_id".to_owned(), id.into());
        if !ended.completed {
            let reason = ended.reason.unwrap_or_default();
            if !label.is_empty() {
                let colon = if reason.is_empty() { "" } else { ": " };
                remote.note(&format!("{label}: the import failed{colon}{reason}"))?;
            }
            reasons.push(reason);
        }
        imports.push(Value::Object(shown));
    }
    let outcome = match (failed_parts, failed_rows) {
        (0, 0) => Outcome::Done,
        (n, _) if n == measured.parts().len() => Outcome::Failed,
        _ => Outcome::Partial,
    };
    let verdict = Verdict::new(outcome, result(imports, all_told.then_some(failed_rows))).with_reasons(reasons);
    Ok(if failed_parts == 0 { verdict.with_failed_rows(failed_rows) } else { verdict })
}

/// One import as it is, several as a list; `failed_rows` only where it is known.
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

/// The upload of a part.
pub(super) fn upload_call(part: usize, repeat: RetrySafety) -> Call {
    Call::new(format!("upload/{part}"), repeat)
}

async fn send(upload: &Upload<'_>, measured: &Measured, remote: &mut Remote<'_>, index: usize) -> Result<Step> {
    let form = (upload.form)(remote.seed());
    let request = upload.account.request(upload.method, &upload.path).header("Content-Type", &form.content_type());
    let frame = form.frame();
    let (part, parts) = (&measured.parts()[index], measured.parts().len());
    let about = match parts {
        1 => upload.about.clone(),
        _ => format!("{}, part {} of {parts} with {} records", upload.about, index + 1, part.records),
    };
    let mut operation = upload_call(index, upload.repeat).about(about);
    if let Some(quota) = &upload.quota {
        operation = operation.with_quota(quota.clone());
    }
    let judge = |answer: &crate::transport::Answer| status::judge_upload("the Localytics upload", answer);
    remote.send(&operation, &request, index, &|| measured.body(part, &frame), &judge).await
}
