//! mediarithmics document imports for user segments, by the vendor's document.

use super::State;
use super::http::{Answer, Head, Received, cut, header, query};
use super::localytics::upload_fault;
use super::rows::{Lines, Tally};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Mediarithmics(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    imports: Vec<Import>,
}

struct Import {
    id: String,
    datamart: String,
    name: String,
    csv: bool,
    executions: Vec<Execution>,
}

struct Execution {
    lines: u64,
    bad: u64,
    digest: String,
    bytes: u64,
    polls: u64,
    failed: bool,
    /// Index and reason of refused lines, the first thousand.
    refused: Vec<(u64, String)>,
}

/// The console refuses files of this size or larger.
const MOST: u64 = 104_857_600;

const FIELDS: [&str; 10] = [
    "operation",
    "compartment_id",
    "user_account_id",
    "email_hash",
    "user_agent_id",
    "segment_id",
    "segment_technical_name",
    "expiration_duration",
    "expiration_ts",
    "data_bag",
];

fn ok(data: Value) -> Answer {
    Answer::json(200, &json!({"status": "ok", "data": data}))
}

fn error(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({"status": "error", "error": text, "error_id": super::http::random()}))
}

impl Mediarithmics {
    pub(super) fn state(&self) -> Value {
        let inner = self.lock();
        let imports: Vec<Value> = inner
            .imports
            .iter()
            .map(|import| {
                let executions: Vec<Value> = import
                    .executions
                    .iter()
                    .map(|e| json!({"lines": e.lines, "bad": e.bad, "digest": e.digest, "bytes": e.bytes}))
                    .collect();
                json!({"name": import.name, "datamart_id": import.datamart, "executions": executions})
            })
            .collect();
        json!({"imports": imports})
    }

    pub(super) async fn serve(&self, state: &State, head: &Head, body: &mut Received<'_>) -> io::Result<Answer> {
        match header(head, "authorization") {
            None | Some("" | "wrong") => return Ok(error(401, "Unauthorized")),
            Some(token) if token.starts_with("Bearer ") || token.starts_with("Basic ") => {
                return Ok(error(401, "the token must be sent without a scheme"));
            }
            Some(_) if state.faults.take("auth-401") => return Ok(error(401, "Unauthorized")),
            Some(_) => {}
        }
        let path = head.uri.path();
        if path == "/v1/data_file/data" {
            return Ok(self.error_file(&query(head, "uri").unwrap_or_default()));
        }
        let parts: Vec<&str> = path.trim_start_matches("/v1/datamarts/").split('/').collect();
        match (head.method.as_str(), &parts[..]) {
            ("POST", [datamart, "document_imports"]) => {
                let sent = body.small().await?;
                self.create(state, datamart, &sent)
            }
            (method, [datamart, "document_imports", id, rest @ ..]) => {
                if method == "POST" && rest == ["executions"] {
                    self.adopt(datamart, id, header(head, "content-type") == Some("text/csv"));
                }
                let Some(index) = self.find(datamart, id) else { return Ok(error(404, "no such document import")) };
                match (method, rest) {
                    ("POST", ["executions"]) => self.execute(state, index, head, body).await,
                    ("GET", ["executions"]) => Ok(self.executions(state, index, head)),
                    ("GET", []) => Ok(ok(self.describe(index))),
                    _ => Ok(error(404, "no such path")),
                }
            }
            _ => Ok(error(404, "no such path")),
        }
    }

    fn find(&self, datamart: &str, id: &str) -> Option<usize> {
        self.lock().imports.iter().position(|import| import.datamart == datamart && import.id == id)
    }

    /// Adopts an import of this number that may have existed before the sandbox started, so a job that reuses one can
    /// be tried.
    fn adopt(&self, datamart: &str, id: &str, csv: bool) {
        if self.find(datamart, id).is_none() && id.parse::<u64>().is_ok() {
            let (datamart, id) = (datamart.to_owned(), id.to_owned());
            let import = Import { id, datamart, name: "adopted".to_owned(), csv, executions: Vec::new() };
            self.lock().imports.push(import);
        }
    }

    fn describe(&self, index: usize) -> Value {
        let inner = self.lock();
        let import = &inner.imports[index];
        let mime = if import.csv { "TEXT_CSV" } else { "APPLICATION_X_NDJSON" };
        json!({"id": import.id, "datafarm_key": "DF_EU_SANDBOX", "datamart_id": import.datamart,
            "document_type": "USER_SEGMENT", "mime_type": mime, "encoding": "utf-8", "name": import.name})
    }

    fn create(&self, state: &State, datamart: &str, sent: &[u8]) -> io::Result<Answer> {
        let Ok(wanted) = serde_json::from_slice::<Value>(sent) else { return Ok(error(400, "not JSON")) };
        let csv = match wanted["mime_type"].as_str() {
            Some("APPLICATION_X_NDJSON") => false,
            Some("TEXT_CSV") => true,
            _ => return Ok(error(400, "mime_type must be APPLICATION_X_NDJSON or TEXT_CSV")),
        };
        if wanted["document_type"] != "USER_SEGMENT" || wanted["encoding"] != "utf-8" {
            return Ok(error(400, "document_type must be USER_SEGMENT, encoding utf-8"));
        }
        let Some(name) = wanted["name"].as_str().filter(|name| !name.is_empty()) else {
            return Ok(error(400, "name is required"));
        };
        let index = {
            let mut inner = self.lock();
            let (datamart, name) = (datamart.to_owned(), name.to_owned());
            let id = (1000..).map(|id: usize| id.to_string()).find(|id| inner.imports.iter().all(|i| i.id != *id));
            let id = id.unwrap_or_default();
            inner.imports.push(Import { id, datamart, name, csv, executions: Vec::new() });
            inner.imports.len() - 1
        };
        if state.faults.take("create-lost") {
            return cut();
        }
        Ok(ok(self.describe(index)))
    }

    async fn execute(&self, state: &State, index: usize, head: &Head, body: &mut Received<'_>) -> io::Result<Answer> {
        if let Some(answer) = upload_fault(state, body).await? {
            return Ok(answer);
        }
        if super::http::declared(head).is_some_and(|length| length >= MOST) {
            return Ok(error(413, "the file is 100 MiB or larger"));
        }
        let (csv, first) = {
            let inner = self.lock();
            (inner.imports[index].csv, inner.imports[index].executions.is_empty())
        };
        match if first { 0 } else { state.faults.left("part-fails") } {
            0 => {}
            left if left % 2 == 0 => {
                body.some(64 << 10).await?;
                return cut();
            }
            _ => {
                while body.next().await?.is_some() {}
                return Ok(error(503, "Service Unavailable"));
            }
        }
        let wanted = if csv { "text/csv" } else { "application/x-ndjson" };
        if header(head, "content-type") != Some(wanted) {
            return Ok(error(415, &format!("Content-Type must be {wanted}")));
        }
        let (mut lines, mut tally) = (if csv { Lines::quoted() } else { Lines::default() }, Tally::default());
        let mut columns: Option<Vec<String>> = None;
        let mut refused = Vec::new();
        let fates = state.faults.fated();
        while let Some(data) = body.next().await? {
            if body.received() >= MOST {
                return Ok(error(413, "the file is 100 MiB or larger"));
            }
            lines.feed(&data, |line| {
                let result = match (&mut columns, csv) {
                    (_, false) => validate(line),
                    (Some(columns), true) => validate_csv(line, columns),
                    (header @ None, true) => {
                        let names: Vec<String> = String::from_utf8_lossy(line).split(',').map(str::to_owned).collect();
                        if names.iter().any(|name| !FIELDS.contains(&name.as_str())) {
                            tally.take(Err("the header has a name that is not a field".to_owned()));
                        }
                        *header = Some(names);
                        return;
                    }
                };
                let result =
                    if fates.refuses(tally.lines) { result.and(Err("refused on demand".to_owned())) } else { result };
                if let Err(what) = &result
                    && refused.len() < 1000
                {
                    refused.push((tally.lines, what.clone()));
                }
                tally.take(result);
            });
        }
        if !lines.rest().is_empty() {
            tally.take(Err("the last line has no end".to_owned()));
        }
        body.note("records", json!(tally.lines));
        if let Some((at, what)) = &tally.first {
            body.note("wrong", json!(format!("line {at}: {what}")));
        }
        let execution = Execution {
            lines: tally.lines,
            bad: tally.bad,
            digest: body.digest(),
            bytes: body.received(),
            polls: 0,
            failed: state.faults.take("import-failed"),
            refused,
        };
        let described = {
            let mut inner = self.lock();
            let executions = &mut inner.imports[index].executions;
            executions.push(execution);
            json!({"id": (5000 + executions.len() - 1).to_string(), "status": "PENDING", "result": null,
                "num_tasks": null, "completed_tasks": null})
        };
        if state.faults.take("upload-lost") {
            return cut();
        }
        match state.faults.take("upload-cut") {
            true => Ok(ok(described).cut()),
            false => Ok(ok(described)),
        }
    }

    fn executions(&self, state: &State, index: usize, head: &Head) -> Answer {
        if state.faults.take("status-500") {
            return error(500, "Internal Server Error");
        }
        let number = |name, default| query(head, name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(default);
        let (first, most) = (number("first_result", 0), number("max_results", 10).min(500));
        let pending = state.faults.number("pending").max(1);
        let mut inner = self.lock();
        let executions = &mut inner.imports[index].executions;
        let total = executions.len();
        // newest first, as in the console
        let page: Vec<Value> = executions
            .iter_mut()
            .enumerate()
            .rev()
            .skip(first)
            .take(most)
            .map(|(i, e)| {
                e.polls += 1;
                let status = match e.polls {
                    n if n <= pending / 2 => "PENDING",
                    n if n <= pending => "RUNNING",
                    _ if e.failed => "FAILED",
                    _ => "SUCCEEDED",
                };
                let done = status == "SUCCEEDED";
                let uri = format!("mics://data_file/errors/{index}/{i}");
                let result = done.then(|| {
                    json!({"total_success": e.lines - e.bad, "total_failure": e.bad,
                        "input_file_name": "input", "error_file_uri": if e.bad > 0 { json!(uri) } else { Value::Null }})
                });
                let failure = (status == "FAILED").then(|| json!({"message": "failed on demand"}));
                json!({"id": (5000 + i).to_string(), "status": status, "result": result, "error": failure,
                    "num_tasks": "1", "completed_tasks": if done { "1" } else { "0" }})
            })
            .collect();
        let answer = json!({"status": "ok", "count": page.len(), "total": total, "first_result": first,
            "max_results": most, "data": page});
        Answer::json(200, &answer)
    }

    fn error_file(&self, uri: &str) -> Answer {
        let mut parts = uri.rsplit('/').filter_map(|part| part.parse::<usize>().ok());
        let (Some(execution), Some(import)) = (parts.next(), parts.next()) else { return error(404, "no such file") };
        let inner = self.lock();
        match inner.imports.get(import).and_then(|import| import.executions.get(execution)) {
            Some(execution) => {
                let lines: String = execution
                    .refused
                    .iter()
                    .map(|(at, what)| format!("{}\n", json!({"line": at, "error": what})))
                    .collect();
                Answer::new(200, "application/x-ndjson", lines)
            }
            None => error(404, "no such file"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command<'a> {
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    compartment_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user_account_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    email_hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user_agent_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    segment_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    segment_technical_name: Option<Cow<'a, str>>,
    expiration_duration: i64,
    expiration_ts: Option<i64>,
    #[serde(borrow)]
    data_bag: Option<Cow<'a, str>>,
}

fn validate(line: &[u8]) -> Result<(), String> {
    let command: Command<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if !matches!(&*command.operation, "UPDATE" | "DELETE") {
        return Err("operation is neither UPDATE nor DELETE".to_owned());
    }
    let there = |fields: &[&Option<Cow<'_, str>>]| fields.iter().filter(|field| field.is_some()).count();
    if there(&[&command.user_account_id, &command.email_hash, &command.user_agent_id]) != 1 {
        return Err("not exactly one identifier".to_owned());
    }
    if there(&[&command.segment_id, &command.segment_technical_name]) != 1 {
        return Err("not exactly one segment".to_owned());
    }
    if command.compartment_id.as_deref() == Some("") {
        return Err("compartment_id is empty".to_owned());
    }
    if command.expiration_duration != 0 && command.expiration_ts.is_some_and(|at| at != 0) {
        return Err("two expirations".to_owned());
    }
    if let Some(bag) = &command.data_bag {
        serde_json::from_str::<serde::de::IgnoredAny>(bag).map_err(|error| format!("data_bag: {error}"))?;
    }
    Ok(())
}

fn validate_csv(line: &[u8], columns: &[String]) -> Result<(), String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let mut cells = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut cell = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next() {
                    None => return Err("a quote is not closed".to_owned()),
                    Some((_, '"')) if chars.peek().is_some_and(|(_, c)| *c == '"') => {
                        chars.next();
                        cell.push('"');
                    }
                    Some((at, '"')) => break at + 1,
                    Some((_, c)) => cell.push(c),
                }
            };
            cells.push(cell);
            rest = &quoted[end..];
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            cells.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => break,
            None => return Err("text after a closing quote".to_owned()),
        }
    }
    if cells.len() != columns.len() {
        return Err(format!("{} cells, {} in the header", cells.len(), columns.len()));
    }
    let mut object = serde_json::Map::new();
    for (name, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        let value = if name.starts_with("expiration_") {
            json!(cell.parse::<i64>().map_err(|_| format!("{name} is not a number"))?)
        } else {
            json!(cell)
        };
        object.insert(name.clone(), value);
    }
    validate(Value::Object(object).to_string().as_bytes())
}
