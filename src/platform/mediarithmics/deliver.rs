//! The import created or reused, then each part an execution, in order.

use super::answers::{self, Found, find};
use super::commands::{self, Format};
use super::import::{Import, Target};
use crate::body::{Frame, Measured, Part};
use crate::calls::scrub::said;
use crate::calls::{Call, FaultAt, Remote, Reply, RetrySafety, RowFault, Step, assumed, quoted};
use crate::error::{Error, Kind, Result};
use crate::mapping::MapSpec;
use crate::platform::{Outcome, Verdict, accepted_part, parts_accepted};
use crate::transport::{Answer, Request};
use serde_json::{Value, json};
use std::time::Duration;

/// Executions on one page of the list.
const PAGE: u64 = 100;

/// Further than that the list is not searched: a server that knows no pages gives the same one for ever.
const MOST_LISTED: u64 = 100 * PAGE;

/// Rows told by the error file, at most.
const MOST_ROWS: u64 = 1_000_000;

impl Import {
    /// Sends every part and waits for all of them. An execution that failed does not stop the later ones: what they say
    /// of a user stands later in the list and holds either way; the run ends as partial (11). A part that is refused
    /// ends the run there.
    pub(super) async fn send_all(
        &self,
        measured: &Measured,
        map: &MapSpec,
        remote: &mut Remote<'_>,
    ) -> Result<Verdict> {
        let import = self.import_id(remote).await?;
        // UPDATE and DELETE of one user must not overtake each other
        let in_turn = commands::mixes_operations(map);
        let parts = measured.parts();
        let (mut executions, mut verdicts) = (Vec::new(), Vec::new());
        for part in parts {
            let id = match self.execute(measured, part, &import, &executions, remote).await {
                Ok(id) => id,
                Err(error) => return Err(parts_accepted(error, executions.len(), parts.len())),
            };
            remote.part_done(&accepted_part(part, id.clone()))?;
            executions.push(id.clone());
            if in_turn && remote.waits() {
                verdicts.push(self.wait(&import, part, id.as_deref(), remote).await?);
            }
        }
        let result = |executions: Value| json!({"document_import_id": import, "executions": executions});
        if !remote.waits() {
            return Ok(Verdict::new(Outcome::Done, result(json!(executions))));
        }
        for (part, id) in parts.iter().zip(&executions).skip(verdicts.len()) {
            verdicts.push(self.wait(&import, part, id.as_deref(), remote).await?);
        }
        let failed = |verdict: &&Value| matches!(verdict["status"].as_str(), Some("FAILED" | "CANCELED" | "CANCELLED"));
        let failed_parts = verdicts.iter().filter(failed).count();
        // a sum to which one part says nothing is not known
        let sum = |key: &str| verdicts.iter().map(|verdict| verdict[key].as_u64()).sum::<Option<u64>>();
        let bad = verdicts.iter().filter_map(|verdict| verdict["total_failure"].as_u64()).sum::<u64>();
        let outcome = match (failed_parts, bad) {
            (0, 0) => Outcome::Done,
            (n, _) if n == parts.len() => Outcome::Failed,
            _ => Outcome::Partial,
        };
        if failed_parts > 0 && outcome == Outcome::Partial {
            let numbers: Vec<String> = verdicts
                .iter()
                .enumerate()
                .filter(|(_, verdict)| failed(verdict))
                .map(|(i, _)| (i + 1).to_string())
                .collect();
            remote.note(&format!(
                "{} of {} parts were imported; part {} failed",
                parts.len() - failed_parts,
                parts.len(),
                numbers.join(", ")
            ))?;
        }
        let mut result = result(json!(verdicts));
        for key in ["total_success", "total_failure"] {
            result[key] = json!(sum(key));
        }
        let reasons = verdicts.iter().filter(failed).map(|verdict| {
            let word = |key: &str| verdict[key].as_str().unwrap_or_default();
            if word("message").is_empty() { format!("it ended {}", word("status")) } else { word("message").to_owned() }
        });
        let verdict = Verdict::new(outcome, result).with_reasons(reasons);
        Ok(if failed_parts == 0 { verdict.with_failed_rows(bad) } else { verdict })
    }

    fn request(&self, method: &'static str, path: &str) -> Request {
        let url = format!("{}/v1/datamarts/{}/document_imports{path}", self.base, self.datamart_id);
        Request::new(method, crate::Secret::new(url)).header("Authorization", self.token.expose())
    }

    async fn import_id(&self, remote: &mut Remote<'_>) -> Result<String> {
        let name = match &self.target {
            Target::Reuse(id) => return Ok(id.clone()),
            Target::Create(name) => remote.seed().fill(name),
        };
        let mime_type = if self.format == Format::Csv { "TEXT_CSV" } else { "APPLICATION_X_NDJSON" };
        let wanted =
            json!({"document_type": "USER_SEGMENT", "mime_type": mime_type, "encoding": "utf-8", "name": name});
        let request = self.request("POST", "").header("Content-Type", "application/json").body(wanted.to_string());
        let judge = |answer: &Answer| answers::judge_created("the document import", answer);
        const NEXT: &str = "an import that was created and is not used holds nothing: resume the run with --assume repeat; or look \
                            up its id in the console, set destination.document_import_id in place of import_name and run \
                            the job";
        let operation = Call::new("create-import", RetrySafety::Once).about(format!("the document import \"{name}\""));
        let created = match remote.call(&operation, &request, &judge).await? {
            Step::Done(created) => created,
            Step::InDoubt(error) => return Err(error.with_hint(NEXT)),
        };
        match created["id"].as_str() {
            Some(id) => Ok(id.to_owned()),
            None => {
                // what was assumed helps nobody: the doubt stays
                remote.doubt_again(&operation)?;
                Err(Error::usage("the document import was assumed to be created, but its id is not known")
                    .with_hint(NEXT))
            }
        }
    }

    /// Sends a part; the id of its execution, unless the user assumed that it was done.
    ///
    /// Commands are keyed: a second execution leaves the same membership, only a relative expiry begins anew. Still, where
    /// the import is this run's own, an answer that was lost is looked for in the list before the part is sent again:
    /// an execution there that is none of `known` is this part's.
    async fn execute(
        &self,
        measured: &Measured,
        part: &Part,
        import: &str,
        known: &[Option<String>],
        remote: &mut Remote<'_>,
    ) -> Result<Option<String>> {
        let content_type = if self.format == Format::Csv { "text/csv" } else { "application/x-ndjson" };
        let request = self.request("POST", &format!("/{import}/executions")).header("Content-Type", content_type);
        let own = matches!(self.target, Target::Create(_)) && !known.contains(&None);
        let repeat = if own { RetrySafety::Never } else { RetrySafety::Always };
        let operation = Call::new(execution(part.index), repeat);
        let what = format!("the execution of part {}", part.index + 1);
        let judge = |answer: &Answer| answers::judge_created(&what, answer);
        let (mut attempt, began) = (1, tokio::time::Instant::now());
        loop {
            if own && remote.in_doubt(&operation.name)? {
                if let Some(id) = self.find_other(import, known, remote).await? {
                    remote.record(&operation.name, &json!({"id": id}))?;
                    return Ok(Some(id));
                }
                remote.forget(&operation.name)?;
            }
            let step = remote
                .send(&operation, &request, part.index, &|| measured.body(part, &Frame::default()), &judge)
                .await?;
            let taken = match step {
                Step::Done(value) => value,
                Step::InDoubt(error) if !own => return Err(error),
                Step::InDoubt(error) => {
                    // whether it is there is looked up, so that there is no doubt: what counts is the fault itself
                    let cause = std::error::Error::source(&error)
                        .map_or_else(|| error.message().to_owned(), ToString::to_string);
                    let seed = format!("{}/{}", remote.seed().random, operation.name);
                    let back_off = crate::calls::retry::back_off(&seed, attempt);
                    let wait = back_off.max(error.retry_after().unwrap_or_default());
                    if attempt >= remote.attempts() || began.elapsed() + wait > remote.policy().give_up_after {
                        let given_up = format!("given up after {attempt} attempts; run the job again or resume it");
                        return Err(Error::new(Kind::Transient, cause).with_hint(given_up));
                    }
                    tracing::warn!(
                        step = operation.name,
                        attempt,
                        "{cause}; trying again in {:.1} s",
                        wait.as_secs_f64()
                    );
                    tokio::time::sleep(wait).await;
                    attempt += 1;
                    continue;
                }
            };
            if assumed(&taken) {
                remote.note(&format!("{what} was assumed to be done: its verdict is not known"))?;
            }
            return Ok(taken["id"].as_str().map(str::to_owned));
        }
    }

    /// The id of an execution of this import that is none of `known`.
    async fn find_other(
        &self,
        import: &str,
        known: &[Option<String>],
        remote: &mut Remote<'_>,
    ) -> Result<Option<String>> {
        let operation = Call::new("look", RetrySafety::Always);
        let judge = |answer: &Answer| {
            const WHAT: &str = "the list of executions";
            match answers::ids(&answer.body) {
                _ if !(200..300).contains(&answer.status) => Reply::by_status(WHAT, answer),
                Some(ids) => Reply::Done(json!(ids)),
                None => Reply::Unclear(Error::new(Kind::Transient, format!("{WHAT}: the answer cannot be read"))),
            }
        };
        let (mut first, mut before) = (0, Value::Null);
        loop {
            let path = format!("/{import}/executions?first_result={first}&max_results={PAGE}");
            // a look is of its moment: what an earlier one saw must not be replayed
            remote.forget(&operation.name)?;
            let page = remote.call(&operation, &self.request("GET", &path), &judge).await?.done()?;
            remote.forget(&operation.name)?;
            let ids = page.as_array().map(Vec::as_slice).unwrap_or_default();
            let other = ids.iter().filter_map(Value::as_str).find(|id| !known.iter().flatten().any(|one| one == id));
            if let Some(id) = other {
                return Ok(Some(id.to_owned()));
            }
            // a server that knows no pages gives the same one again
            if (ids.len() as u64) < PAGE || page == before {
                return Ok(None);
            }
            first += PAGE;
            before = page;
        }
    }

    /// Waits until an execution is final.
    async fn wait(&self, import: &str, part: &Part, id: Option<&str>, remote: &mut Remote<'_>) -> Result<Value> {
        let Some(id) = id else { return Ok(json!({"id": null, "assumed": "done"})) };
        let name = format!("verdict/{}", part.index);
        let judge = |answer: &Answer| judge_list(answer, id);
        let mut first = 0;
        loop {
            let path = format!("/{import}/executions?first_result={first}&max_results={PAGE}");
            let request = self.request("GET", &path);
            let mut verdict = remote.poll(&name, &request, &judge).await?;
            if let Some(more) = verdict["not_among"].as_u64() {
                // it lies on another page, or is not listed yet: begin again, a little later
                remote.forget(&name)?;
                first += PAGE;
                if first >= more {
                    first = 0;
                    if remote.wait_left().is_zero() {
                        return Err(Error::new(Kind::Pending, format!("execution {id} is not in the list"))
                            .with_hint("resume the run to go on waiting"));
                    }
                    remote.sleep(Duration::from_secs(2)).await;
                }
                continue;
            }
            if let Some(message) = verdict["message"].as_str() {
                verdict["message"] = json!(said(&request, message));
            }
            if let Some(uri) = verdict["error_file_uri"].as_str()
                && verdict["total_failure"].as_u64() != Some(0)
            {
                self.failed_rows(uri, part, remote).await?;
            }
            if verdict["status"].as_str().is_some_and(|status| status != "SUCCEEDED" && status != "SUCCESS") {
                let message = verdict["message"].as_str().unwrap_or("no reason was given");
                remote.note(&format!(
                    "part {}: the execution ended {}: {message}",
                    part.index + 1,
                    verdict["status"]
                ))?;
            }
            return Ok(verdict);
        }
    }

    /// Reads the error file as a stream and stores the rows that it names. Its form is not documented, so nothing that is
    /// wrong with it is fatal.
    async fn failed_rows(&self, uri: &str, part: &Part, remote: &mut Remote<'_>) -> Result<()> {
        let escaped = percent_encoding::utf8_percent_encode(uri, percent_encoding::NON_ALPHANUMERIC);
        let url = crate::Secret::new(format!("{}/v1/data_file/data?uri={escaped}", self.base));
        let request = Request::new("GET", url).header("Authorization", self.token.expose());
        remote.begin_faults(&format!("part/{}", part.index))?;
        let mut answer = match remote.client().stream(&request).await {
            Ok(answer) if (200..300).contains(&answer.status) => answer,
            Ok(answer) => return remote.note(&format!("the error file could not be read: status {}", answer.status)),
            Err(failed) => return remote.note(&format!("the error file could not be read: {}", failed.error)),
        };
        let (mut line, mut unknown, mut told) = (Vec::new(), 0u64, 0u64);
        loop {
            let chunk = match answer.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(failed) => return remote.note(&format!("the error file could not be read on: {}", failed.error)),
            };
            for &byte in &chunk[..] {
                if byte != b'\n' {
                    if line.len() < 64 << 10 {
                        line.push(byte);
                    }
                    continue;
                }
                match row_fault(&line, part) {
                    Some(fault) if told < MOST_ROWS => {
                        told += 1;
                        remote.fault(fault)?;
                    }
                    Some(_) => {}
                    None if line.is_empty() => {}
                    None => unknown += 1,
                }
                line.clear();
            }
        }
        if let Some(fault) = row_fault(&line, part) {
            remote.fault(fault)?;
        }
        if unknown > 0 {
            remote.note(&format!("{unknown} lines of the error file of part {} name no row", part.index + 1))?;
        }
        Ok(())
    }
}

/// The name of the call that sends a part.
pub(super) fn execution(part: usize) -> String {
    format!("execution/{part}")
}

/// A line of the error file that tells a row: a JSON object with `line` or `index`, from 0 in its part.
fn row_fault(line: &[u8], part: &Part) -> Option<RowFault> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let at = ["line", "index", "line_number"].iter().find_map(|key| answers::count(&value[*key]))?;
    if at >= part.records {
        return None;
    }
    let message = ["error", "message", "reason"].iter().find_map(|key| answers::word(&value[*key]));
    let message = message.unwrap_or_else(|| "refused by mediarithmics".to_owned());
    Some(RowFault { at: FaultAt::Index(part.first_record + at), message })
}

fn judge_list(answer: &Answer, id: &str) -> Reply {
    const WHAT: &str = "the list of executions";
    if !(200..300).contains(&answer.status) {
        return Reply::by_status(WHAT, answer);
    }
    let not_yet = |text: String| Error::new(Kind::Pending, text);
    match find(&answer.body, id) {
        Some(Found::Ended(value)) => Reply::Done(value),
        Some(Found::Running(word)) => Reply::Retry(not_yet(format!("execution {id}: {word}"))),
        Some(Found::Unknown(word)) => {
            Reply::Strange(not_yet(format!("execution {id} of mediarithmics: unknown status \"{word}\"")))
        }
        // where no total is told, a full page says that there may be another
        Some(Found::NotHere { total, listed }) => {
            let most = if listed < PAGE { 0 } else { MOST_LISTED };
            Reply::Done(json!({"not_among": total.unwrap_or(most).min(MOST_LISTED)}))
        }
        None => Reply::Strange(not_yet(format!("{WHAT}: the answer cannot be read: {}", quoted(answer)))),
    }
}
