//! APSIS One exports by the vendor's document: a token, a report, and two URLs to poll. Rows are generated while they
//! are sent.

use super::State;
use super::http::{Answer, Head, Received, header, random};
use super::xlsx;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of rows of an export, unless a fault sets another.
const ROWS: u64 = 1000;
/// Size of the blocks in which an export is generated.
const BLOCK: usize = 64 << 10;
const CSV: &str = "text/csv;charset=UTF-8;header=present";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

#[derive(Default)]
pub(crate) struct Apsis(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    tokens: BTreeSet<String>,
    exports: BTreeMap<String, Export>,
}

struct Export {
    report: String,
    columns: Vec<String>,
    rows: u64,
    polls: u64,
    fetched: u64,
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"statusCode": status, "message": message}))
}

impl Apsis {
    pub(super) fn state(&self) -> Value {
        let inner = self.lock();
        let exports: Vec<Value> = inner
            .exports
            .iter()
            .map(
                |(id, e)| json!({"id": id, "report": e.report, "rows": e.rows, "polls": e.polls, "fetched": e.fetched}),
            )
            .collect();
        json!({"tokens": inner.tokens.len(), "exports": exports})
    }

    pub(super) async fn serve(&self, state: &State, head: &Head, body: &mut Received<'_>) -> io::Result<Answer> {
        let sent = body.small().await?;
        let path = head.uri.path();
        if path == "/oauth/token" {
            return Ok(self.token(head, &sent));
        }
        let token = header(head, "authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if !self.lock().tokens.contains(token) {
            return Ok(error(401, "Unauthorized"));
        }
        if head.method == "GET" && state.faults.take("token-401") {
            self.lock().tokens.remove(token);
            return Ok(error(401, "The token has expired"));
        }
        let (second, rest) = match path.strip_prefix("/v2/audience/profiles/reports/") {
            Some(rest) => (true, rest),
            None => (false, path.strip_prefix("/audience/profiles/reports/").unwrap_or_default()),
        };
        match (head.method.as_str(), rest) {
            ("POST", "duplicates" | "segments" | "consents") if !second => Ok(self.report(state, rest, &sent)),
            ("GET", _) => Ok(self.poll(state, head, rest, second)),
            _ => Ok(error(404, "Not Found")),
        }
    }

    fn token(&self, head: &Head, sent: &[u8]) -> Answer {
        if head.method != "POST" {
            return error(405, "Method Not Allowed");
        }
        let wanted: Value = serde_json::from_slice(sent).unwrap_or_default();
        if wanted["grant_type"] != "client_credentials" {
            return error(400, "grant_type must be client_credentials");
        }
        let credential = |name: &str| wanted[name].as_str().is_some_and(|text| !text.is_empty() && text != "wrong");
        if !credential("client_id") || !credential("client_secret") {
            return error(401, "Invalid client credentials");
        }
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let expires = Utc::now().timestamp() + 86_400;
        let token = format!("{}.{}.{}", part(json!({"alg": "none"})), part(json!({"exp": expires})), random());
        self.lock().tokens.insert(token.clone());
        Answer::json(200, &json!({"access_token": token, "expires_in": 86_400, "token_type": "Bearer"}))
    }

    fn report(&self, state: &State, report: &str, sent: &[u8]) -> Answer {
        if sent.len() > 100_000 {
            return error(413, "Payload Too Large");
        }
        let Ok(Value::Object(wanted)) = serde_json::from_slice::<Value>(sent) else {
            return error(400, "the request is not a JSON object");
        };
        let mut columns = vec!["profile_key".to_owned()];
        for attribute in wanted.get("attributes").and_then(Value::as_array).into_iter().flatten() {
            columns.extend(attribute["field_name"].as_str().map(str::to_owned));
        }
        if columns.len() == 1 {
            columns.extend(["email".to_owned(), "first_name".to_owned()]);
        }
        let rows = match state.faults.number("rows") {
            0 => ROWS,
            rows => rows,
        };
        let id = random();
        let mut urls = json!({"file_download_url": format!("{}/audience/profiles/reports/{id}", state.base)});
        if !state.faults.take("no-v2") {
            urls["file_download_url_v2"] = json!(format!("{}/v2/audience/profiles/reports/{id}", state.base));
        }
        self.lock().exports.insert(id, Export { report: report.to_owned(), columns, rows, polls: 0, fetched: 0 });
        Answer::json(200, &urls)
    }

    fn poll(&self, state: &State, head: &Head, id: &str, second: bool) -> Answer {
        if state.faults.take("status-500") {
            return error(500, "Internal Server Error");
        }
        if state.faults.take("export-410") {
            return error(410, "Gone");
        }
        let pending = state.faults.number("pending").max(1);
        let mut inner = self.lock();
        let Some(export) = inner.exports.get_mut(id) else { return error(404, "Not Found") };
        export.polls += 1;
        if export.polls <= pending {
            return match second {
                true => Answer::json(202, &json!({"status": "in progress"})),
                false => error(404, "Not Found"),
            };
        }
        export.fetched += 1;
        let mut rows = Rows { columns: export.columns.clone(), rows: export.rows, next: 0, header: false };
        drop(inner);
        let offers = |name: &str, what: &str| header(head, name).is_some_and(|value| value.contains(what));
        let gzip = offers("accept-encoding", "gzip");
        let cut = state.faults.take("export-cut");
        if offers("accept", "spreadsheetml") {
            let answer = Answer::new(200, XLSX, xlsx::workbook(&rows.columns.clone(), rows.cells()));
            return if cut { answer.cut() } else { answer };
        }
        let most = if cut { Some(rows.rows / 2) } else { None };
        if !gzip {
            return Answer::broken_stream(200, CSV, most.is_some(), move || rows.block(most));
        }
        let mut encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        let next = move || loop {
            let Some(gzip) = &mut encoder else { return Vec::new() };
            let block = rows.block(most);
            // writing to memory does not fail
            let _ = gzip.write_all(&block);
            if !block.is_empty() {
                if !gzip.get_ref().is_empty() {
                    return std::mem::take(gzip.get_mut());
                }
                continue;
            }
            let ended = encoder.take().map(GzEncoder::finish);
            match (most, ended) {
                (None, Some(Ok(rest))) => return rest,
                _ => return Vec::new(),
            }
        };
        Answer::broken_stream(200, CSV, most.is_some(), next).header("content-encoding", "gzip")
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Generates the rows of an export, which are always the same.
struct Rows {
    columns: Vec<String>,
    rows: u64,
    next: u64,
    header: bool,
}

impl Rows {
    fn cell(column: &str, row: u64, out: &mut Vec<u8>) {
        // writing to memory does not fail
        let _ = match column {
            "profile_key" => write!(out, "{:032x}", u128::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            name if name.to_ascii_lowercase().contains("mail") => write!(out, "profile-{row}@example.com"),
            _ => write!(out, "Value {row}"),
        };
    }

    /// Returns the next block of CSV, with at most `most` rows; empty at the end.
    fn block(&mut self, most: Option<u64>) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK + 1024);
        if !self.header {
            self.header = true;
            out.extend_from_slice(self.columns.join(",").as_bytes());
            out.push(b'\n');
        }
        while self.next < most.unwrap_or(self.rows) && out.len() < BLOCK {
            for (at, column) in self.columns.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                Rows::cell(column, self.next, &mut out);
            }
            out.push(b'\n');
            self.next += 1;
        }
        out
    }

    /// Returns the first rows as text, for a workbook.
    fn cells(&mut self) -> Vec<Vec<String>> {
        let text = |column: &String, row| {
            let mut out = Vec::new();
            Rows::cell(column, row, &mut out);
            String::from_utf8(out).unwrap_or_default()
        };
        (0..self.rows.min(1000)).map(|row| self.columns.iter().map(|column| text(column, row)).collect()).collect()
    }
}
