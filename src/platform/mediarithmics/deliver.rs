//! Creates or reuses the import, then sends each part as an execution, in order.

use super::answers::{self, Found, find};
use super::commands::{self, Format};
use super::import::{Import, Target};
use crate::body::{Measured, Part};
use crate::calls::{
    Attempt, BoxFuture, Call, Event, FaultAt, PartBody, Remote, Reply, RetrySafety, RowFault, Waiting, assumed, count,
    expired, quoted, read_json, word,
};
use crate::error::{Error, Kind, Result};
use crate::mapping::MapSpec;
use crate::platform::{Counts, Outcome, PartEnd, PartsOutcome, Platform as _, Verdict, accepted_part, parts_accepted};
use crate::transport::{Answer, Request};
use crate::warning::{Warning, WarningKind};
use serde_json::{Value, json};
use std::time::Duration;

/// Number of executions on one page of the list.
const PAGE: u64 = 100;

/// Maximum number of executions to search: a server without paging returns the same page forever.
const MOST_LISTED: u64 = 100 * PAGE;

/// Maximum number of rows read from the error file.
const MOST_ROWS: u64 = 1_000_000;

/// Maximum length of a line of the error file; longer ones are cut.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Maximum time to read the error file: it is helpful but not the verdict, so a slow one is given up.
const LONGEST_READING: Duration = Duration::from_secs(900);

/// The list's name in messages.
const LIST: &str = "the list of executions";

impl Import {
    /// Sends every part and waits for all of them. A failed execution does not stop the later ones: their commands come
    /// later in the list and are valid either way; the run ends as partial (11). A part that is refused ends the run.
    pub(super) async fn send_all(
        &self,
        measured: &Measured,
        map: &MapSpec,
        remote: &mut Remote<'_>,
    ) -> Result<Verdict> {
        self.check(map, measured.parts(), remote.policy())?;
        let import = self.import_id(remote).await?;
        // UPDATE and DELETE of one user must not overtake each other
        let in_turn = commands::mixes_operations(map);
        let parts = measured.parts();
        let (mut executions, mut accepted_at, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            let id = match self.execute(measured, part, &import, &executions, remote).await {
                Ok(id) => id,
                Err(error) => {
                    self.warn_of_an_orphan(&import, &error, executions.len(), remote)?;
                    return Err(parts_accepted(error, executions.len(), parts.len()));
                }
            };
            let accepted = remote.part_done(&accepted_part(part, id.clone()))?;
            accepted_at.push(accepted);
            executions.push(id.clone());
            if in_turn && remote.waits() {
                let waiting = Waiting::since(accepted).before_next(part.index + 1 < parts.len());
                verdicts.push(self.wait(&import, part, id.as_deref(), waiting, remote).await?);
            }
        }
        let result = |executions: Value| json!({"document_import_id": import, "executions": executions});
        if !remote.waits() {
            return Ok(Verdict::new(Outcome::Done, result(json!(executions))));
        }
        for (index, part) in parts.iter().enumerate().skip(verdicts.len()) {
            let (id, waiting) = (executions[index].as_deref(), Waiting::since(accepted_at[index]));
            verdicts.push(self.wait(&import, part, id, waiting, remote).await?);
        }
        let mut outcome = PartsOutcome::default();
        let mut numbers = Vec::new();
        for (part, verdict) in parts.iter().zip(&verdicts) {
            let end = end_of(verdict);
            if end == PartEnd::Failed {
                numbers.push((part.index + 1).to_string());
            }
            if end == PartEnd::Imported {
                warn_of_no_counts(verdict, part, remote)?;
            }
            let reason = (end == PartEnd::Failed).then(|| {
                let word = |key: &str| verdict[key].as_str().unwrap_or_default();
                if word("message").is_empty() {
                    format!("it ended {}", word("status"))
                } else {
                    word("message").to_owned()
                }
            });
            outcome.add(end, part.records, counts_of(verdict), reason);
        }
        let done = parts.len() - outcome.failed();
        if !numbers.is_empty() && done > 0 {
            let numbers = numbers.join(", ");
            remote.note(&format!("{done} of {} parts were imported; part {numbers} failed", parts.len()))?;
        }
        let mut result = result(json!(verdicts));
        let counts = outcome.counts();
        result["total_success"] = json!(counts.imported);
        result["total_failure"] = json!(counts.failed);
        Ok(outcome.verdict(result))
    }

    /// Warns about an import that this run created, if its first execution is refused.
    fn warn_of_an_orphan(&self, import: &str, error: &Error, executions: usize, remote: &Remote<'_>) -> Result<()> {
        let own = matches!(self.target, Target::Create(_));
        if !own || executions > 0 || !matches!(error.kind(), Kind::Refused | Kind::Data) {
            return Ok(());
        }
        let message = format!("the document import {import} was created and has no execution");
        let hint = format!("use it with destination.document_import_id: \"{import}\", or delete it in the console");
        remote.warn(&Warning::new(WarningKind::Orphan, message).with_hint(hint))
    }

    fn request(&self, method: &'static str, path: &str) -> Request {
        let url = format!("{}{}{path}", self.base, self.path());
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
        let classify = |answer: &Answer| answers::classify_created("the document import", answer);
        // an unused import contains nothing, so a lost answer leaves no doubt
        let operation =
            Call::new("create-import", RetrySafety::Always).about(format!("the document import \"{name}\""));
        if remote.in_doubt(&operation.name)? {
            let message = format!("a document import named \"{name}\" may be left without an execution");
            let hint = "the run created another one; delete the empty one in the console";
            remote.warn(&Warning::new(WarningKind::Orphan, message).with_hint(hint))?;
        }
        let created = remote.call(&operation, &request, &classify).await?.done()?;
        Ok(created["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Sends a part and returns the id of its execution, unless the user assumed that it was done.
    ///
    /// Commands are keyed: a second execution leaves the same membership, only a relative expiry starts anew. Still, if
    /// the import is this run's own, the list is searched after a lost answer before the part is sent again: an
    /// execution that is not in `known` is this part's.
    async fn execute(
        &self,
        measured: &Measured,
        part: &Part,
        import: &str,
        known: &[Option<String>],
        remote: &Remote<'_>,
    ) -> Result<Option<String>> {
        let content_type = if self.format == Format::Csv { "text/csv" } else { "application/x-ndjson" };
        let request = self.request("POST", &format!("/{import}/executions")).header("Content-Type", content_type);
        let own = matches!(self.target, Target::Create(_)) && !known.contains(&None);
        let call = execution_call(part.index, own).accepting(accepted_part(part, None), "id");
        let what = format!("the execution of part {}", part.index + 1);
        let classify = |answer: &Answer| answers::classify_created(&what, answer);
        let open = || measured.body(part);
        let find = || -> BoxFuture<'_, Result<Option<Value>>> { Box::pin(self.find_other(import, known, remote)) };
        let body = PartBody { part: part.index, open: &open };
        let step = match own {
            true => remote.send_or_find(&call, &request, body, &classify, &find).await?,
            false => remote.send(&call, &request, part.index, &open, &classify).await?,
        };
        let taken = step.done()?;
        if assumed(&taken) {
            remote.note(&format!("{what} was assumed to be done: its verdict is unknown"))?;
        }
        Ok(taken["id"].as_str().map(str::to_owned))
    }

    /// Returns the execution of this import that is not in `known`, in the form of the answer to its creation.
    async fn find_other(&self, import: &str, known: &[Option<String>], remote: &Remote<'_>) -> Result<Option<Value>> {
        let call = Call::new("look", RetrySafety::Always);
        let classify = |answer: &Answer| match answers::ids(&answer.body) {
            _ if !(200..300).contains(&answer.status) => Reply::by_status(LIST, answer),
            Some(ids) => Reply::Done(json!(ids)),
            None => Reply::Unclear(Error::new(Kind::Transient, format!("{LIST}: the answer is unreadable"))),
        };
        let (mut first, mut before) = (0, Value::Null);
        loop {
            let page = remote.ask(&call, &self.page(import, first), &classify).await?;
            let ids = page.as_array().map(Vec::as_slice).unwrap_or_default();
            let other = ids.iter().filter_map(Value::as_str).find(|id| !known.iter().flatten().any(|one| one == id));
            if let Some(id) = other {
                return Ok(Some(json!({"id": id})));
            }
            // a server without paging returns the same page again
            if (ids.len() as u64) < PAGE || page == before {
                return Ok(None);
            }
            first += PAGE;
            before = page;
        }
    }

    /// Asks for the first page of the executions of an import, which only reads.
    pub(super) async fn list_executions(&self, import: &str, remote: &Remote<'_>) -> Result<String> {
        let call = Call::new("look", RetrySafety::Always);
        let classify = |answer: &Answer| match answers::ids(&answer.body) {
            _ if !(200..300).contains(&answer.status) => Reply::by_status(LIST, answer),
            Some(ids) => Reply::Done(json!(ids.len())),
            None => Reply::Unclear(Error::new(Kind::Transient, format!("{LIST}: the answer is unreadable"))),
        };
        remote.ask(&call, &self.page(import, 0), &classify).await?;
        Ok(format!("accepted: the executions of the document import {import} can be listed"))
    }

    fn page(&self, import: &str, first: u64) -> Request {
        self.request("GET", &format!("/{import}/executions?first_result={first}&max_results={PAGE}"))
    }

    /// Waits until an execution is final.
    async fn wait(
        &self,
        import: &str,
        part: &Part,
        id: Option<&str>,
        waiting: Waiting,
        remote: &Remote<'_>,
    ) -> Result<Value> {
        let Some(id) = id else { return Ok(json!({"id": null, "assumed": "done"})) };
        let call = Call::new(format!("verdict/{}", part.index), RetrySafety::Always);
        let mut verdict = remote.poll_by(&call, waiting, |_| self.look(import, id, remote)).await?;
        if expired(&verdict) {
            verdict["id"] = json!(id);
            return Ok(verdict);
        }
        if let Some(message) = verdict["message"].as_str() {
            verdict["message"] = json!(remote.said(message));
        }
        if let Some(uri) = verdict["error_file_uri"].as_str()
            && verdict["total_failure"].as_u64() != Some(0)
        {
            self.failed_rows(uri, part, remote).await?;
        }
        if verdict["status"].as_str().is_some_and(|status| status != "SUCCEEDED" && status != "SUCCESS") {
            let message = verdict["message"].as_str().unwrap_or("no reason was given");
            remote.note(&format!("part {}: the execution ended {}: {message}", part.index + 1, verdict["status"]))?;
        }
        Ok(verdict)
    }

    /// Searches the pages of the list for an execution, once.
    async fn look(&self, import: &str, id: &str, remote: &Remote<'_>) -> Attempt<Value> {
        let classify = |answer: &Answer| classify_list(answer, id);
        let mut first = 0;
        loop {
            let came = remote.once(&self.page(import, first), &classify).await;
            let Attempt::Done(value) = &came else { return came };
            let Some(listed) = value["not_among"].as_u64() else { return came };
            first += PAGE;
            if first >= listed {
                return Attempt::Passing(Error::new(Kind::Pending, format!("execution {id} is not in the list")));
            }
        }
    }

    /// Reads the error file as a stream and stores the rows in it. Its format is not documented, so no error in it is
    /// fatal.
    async fn failed_rows(&self, uri: &str, part: &Part, remote: &Remote<'_>) -> Result<()> {
        let escaped = percent_encoding::utf8_percent_encode(uri, percent_encoding::NON_ALPHANUMERIC);
        let url = crate::Secret::new(format!("{}/v1/data_file/data?uri={escaped}", self.base));
        let request = Request::new("GET", url).header("Authorization", self.token.expose());
        let mut lines = ErrorLines::default();
        let read = {
            let mut each = |event: Event<'_>| match event {
                Event::Begin(_) => {
                    lines = ErrorLines::default();
                    remote.begin_faults(&format!("part/{}", part.index))
                }
                Event::Piece(piece) => lines.push(piece, part, &mut |fault| remote.fault(fault)),
                Event::End => lines.end(part, &mut |fault| remote.fault(fault)),
            };
            let call = Call::new("error-file", RetrySafety::Always);
            let classify = |answer: &Answer| Reply::by_status("the error file", answer);
            remote.read(&call, &request, Some(LONGEST_READING), &classify, &mut each).await
        };
        match read {
            // an error of our own journal or disk
            Err(error) if matches!(error.kind(), Kind::Local | Kind::Busy) => Err(error),
            Err(error) => remote.note(&format!("the error file could not be read: {error}")),
            Ok(_) if lines.unknown > 0 => remote.note(&format!(
                "{} lines of the error file of part {} do not identify a row",
                lines.unknown,
                part.index + 1
            )),
            Ok(_) => Ok(()),
        }
    }
}

/// The lines of an error file, read piece by piece.
#[derive(Default)]
struct ErrorLines {
    line: Vec<u8>,
    /// Number of lines that do not identify a row.
    unknown: u64,
    listed: u64,
}

impl ErrorLines {
    fn push(&mut self, piece: &[u8], part: &Part, each: &mut dyn FnMut(RowFault) -> Result<()>) -> Result<()> {
        for &byte in piece {
            match byte {
                b'\n' => self.end(part, each)?,
                _ if self.line.len() < MAX_LINE_BYTES => self.line.push(byte),
                _ => {}
            }
        }
        Ok(())
    }

    fn end(&mut self, part: &Part, each: &mut dyn FnMut(RowFault) -> Result<()>) -> Result<()> {
        match row_fault(&self.line, part) {
            Some(fault) if self.listed < MOST_ROWS => {
                self.listed += 1;
                each(fault)?;
            }
            Some(_) => {}
            None if self.line.is_empty() => {}
            None => self.unknown += 1,
        }
        self.line.clear();
        Ok(())
    }
}

/// Returns the end of an execution.
fn end_of(verdict: &Value) -> PartEnd {
    match verdict["status"].as_str() {
        _ if expired(verdict) => PartEnd::Expired,
        Some("FAILED" | "CANCELED" | "CANCELLED") => PartEnd::Failed,
        Some(_) => PartEnd::Imported,
        None => PartEnd::NotAsked,
    }
}

fn counts_of(verdict: &Value) -> Counts {
    let counter = |key: &str| verdict[key].as_u64();
    Counts { imported: counter("total_success"), failed: counter("total_failure"), ignored: None }
}

/// Warns if a counter of an import is missing or unreadable.
fn warn_of_no_counts(verdict: &Value, part: &Part, remote: &Remote<'_>) -> Result<()> {
    let missing = ["total_success", "total_failure"].iter().find(|key| verdict[**key].as_u64().is_none());
    let Some(missing) = missing else { return Ok(()) };
    let message = format!("part {}: mediarithmics reports no readable {missing}", part.index + 1);
    let hint = "the number of executed commands is unknown: look at the execution in the console";
    remote.warn(&Warning::new(WarningKind::NoCounts, message).with_hint(hint))
}

/// Returns the call that sends a part. `own`: the import is this run's own, so its list shows what was carried out.
pub(super) fn execution_call(part: usize, own: bool) -> Call {
    Call::new(format!("execution/{part}"), if own { RetrySafety::LookUp } else { RetrySafety::Always })
}

/// Reads a line of the error file that identifies a row: a JSON object with `line` or `index`, from 0 in its part.
fn row_fault(line: &[u8], part: &Part) -> Option<RowFault> {
    let value = read_json(line)?;
    let at = ["line", "index", "line_number"].iter().find_map(|key| count(&value[*key]))?;
    if at >= part.records {
        return None;
    }
    let message = ["error", "message", "reason"].iter().find_map(|key| word(&value[*key]));
    let message = message.unwrap_or_else(|| "refused by mediarithmics".to_owned());
    Some(RowFault { at: FaultAt::Index(part.first_record + at), message })
}

fn classify_list(answer: &Answer, id: &str) -> Reply {
    if !(200..300).contains(&answer.status) {
        return Reply::by_status(LIST, answer);
    }
    let not_yet = |text: String| Error::new(Kind::Pending, text);
    match find(&answer.body, id) {
        Some(Found::Ended(value)) => Reply::Done(value),
        Some(Found::Running(word)) => Reply::Retry(not_yet(format!("execution {id}: {word}"))),
        Some(Found::Unknown(word)) => {
            Reply::Strange(not_yet(format!("execution {id} of mediarithmics: unknown status \"{word}\"")))
        }
        // without a total, a full page means that there may be another
        Some(Found::NotHere { total, listed }) => {
            let most = if listed < PAGE { 0 } else { MOST_LISTED };
            Reply::Done(json!({"not_among": total.unwrap_or(most).min(MOST_LISTED)}))
        }
        None => Reply::Strange(not_yet(format!("{LIST}: the answer is unreadable: {}", quoted(answer)))),
    }
}
