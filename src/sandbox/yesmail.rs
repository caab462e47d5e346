//! Yesmail target-list imports, by the vendor's document: the platform fetches the file itself, and a ticket reports
//! the result.

use super::State;
use super::http::{Answer, Head, Received, header, query, random};
use super::members::{Layout, Members};
use super::pull::{self, Cut};
use chrono::Utc;
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Yesmail(Mutex<Vec<Ticket>>);

struct Ticket {
    id: String,
    list: String,
    threshold: Threshold,
    response_uri: Option<String>,
    response_ref: Option<String>,
    polls: u64,
    retrying: u64,
    /// Set once the file has been fetched, or could not be.
    outcome: Option<Result<Arc<Members>, String>>,
}

#[derive(Clone, Copy)]
enum Threshold {
    None,
    Count(u64),
    Percent(f64),
}

impl Threshold {
    fn is_met(self, failed: u64, total: u64) -> bool {
        match self {
            Threshold::None => false,
            Threshold::Count(most) => failed >= most,
            Threshold::Percent(percent) => failed as f64 * 100.0 > percent * total as f64,
        }
    }
}

/// Returns the attributes of target lists; `None` if none have been set up and every name is accepted.
fn attributes(state: &State) -> Option<&'static [&'static str]> {
    (state.faults.number("attributes") > 0).then_some(&["firstname", "lastname"])
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"status": status, "message": message}}))
}

impl Yesmail {
    pub(super) fn state(&self) -> Value {
        let tickets: Vec<Value> = self
            .lock()
            .iter()
            .map(|ticket| match &ticket.outcome {
                Some(Ok(members)) => json!({"id": ticket.id, "list": ticket.list, "records": members.rows(),
                    "failed": members.failed_count(), "digest": members.digest(), "bytes": members.bytes()}),
                Some(Err(why)) => json!({"id": ticket.id, "list": ticket.list, "error": why}),
                None => json!({"id": ticket.id, "list": ticket.list}),
            })
            .collect();
        json!({"tickets": tickets})
    }

    pub(super) async fn serve(state: &Arc<State>, head: &Head, body: &mut Received<'_>) -> io::Result<Answer> {
        let credential = |name| header(head, name).is_some_and(|value| !value.is_empty() && value != "wrong");
        if !credential("api-user") || !credential("api-key") || state.faults.take("auth-401") {
            return Ok(error(401, "Invalid Api-User and/or Api-Key header value."));
        }
        let parts: Vec<&str> = head.uri.path().trim_start_matches("/v2/").split('/').collect();
        match (head.method.as_str(), &parts[..]) {
            ("POST", ["target-lists", list, "members", "file-import"]) => import(state, list, head, body).await,
            ("GET", ["company", "ping"]) if state.faults.take("ping-503") => Ok(error(503, "Service Unavailable")),
            ("GET", ["company", "ping"]) => Ok(Answer::json(200, &json!({"status": "ok"}))),
            ("GET", ["target-lists"]) if query(head, "view").as_deref() == Some("schema") => {
                let attribute = |name: &&str| json!({"name": name, "type": "String"});
                let list: Vec<Value> = attributes(state).unwrap_or_default().iter().map(attribute).collect();
                Ok(Answer::json(200, &json!({ "targetList": list })))
            }
            ("GET", ["tickets", id]) => Ok(state.yesmail.ticket(state, id)),
            ("GET", ["async-results", id]) => Ok(state.yesmail.results(id)),
            _ => Ok(error(404, "no such resource")),
        }
    }

    fn ticket(&self, state: &State, id: &str) -> Answer {
        if state.faults.take("status-500") {
            return error(500, "Internal Server Error");
        }
        let mut tickets = self.lock();
        let Some(ticket) = tickets.iter_mut().find(|ticket| ticket.id == id) else {
            return error(404, "The ticket is unknown or has expired.");
        };
        ticket.polls += 1;
        let pending = state.faults.number("pending").max(1);
        if ticket.polls <= pending / 2 {
            return Answer::json(
                200,
                &ticket.describe(&state.base, "accepted", "File import to target list accepted."),
            );
        }
        if ticket.polls <= pending {
            return Answer::json(200, &ticket.describe(&state.base, "processing", "File downloaded."));
        }
        if ticket.retrying > 0 {
            ticket.retrying -= 1;
            return Answer::json(200, &ticket.describe(&state.base, "retrying", "Waiting to try again."));
        }
        let (word, message) = match &ticket.outcome {
            None => ("processing", "Downloading the file.".to_owned()),
            Some(Err(why)) => ("failed", why.clone()),
            Some(Ok(_)) if state.faults.number("import-failed") > 0 => ("failed", "failed on demand".to_owned()),
            Some(Ok(members)) if ticket.threshold.is_met(members.failed_count(), members.rows()) => {
                ("failed", "The error threshold was exceeded.".to_owned())
            }
            Some(Ok(_)) => ("completed", "File imported successfully.".to_owned()),
        };
        Answer::json(200, &ticket.describe(&state.base, word, &message))
    }

    fn results(&self, id: &str) -> Answer {
        let tickets = self.lock();
        match tickets.iter().find(|ticket| ticket.id == id).and_then(|ticket| ticket.outcome.as_ref()) {
            Some(Ok(members)) => {
                let mut results = members.results(id.to_owned());
                Answer::stream(200, "application/json", move || results.next_block())
            }
            _ => error(404, "no such results"),
        }
    }

    fn finish(&self, id: &str, outcome: Result<Members, String>) {
        if let Some(ticket) = self.lock().iter_mut().find(|ticket| ticket.id == id) {
            ticket.outcome = Some(outcome.map(Arc::new));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ticket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    fn describe(&self, base: &str, state: &str, message: &str) -> Value {
        let now = Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut events =
            vec![json!({"state": "accepted", "message": "File import to target list accepted.", "time": now})];
        if state != "accepted" {
            events.push(json!({"state": state, "message": message, "time": now}));
        }
        let mut response = json!({"uri": self.response_uri, "ref": self.response_ref});
        // rows can be listed if there are any, however the import ended
        if matches!(state, "completed" | "failed") && matches!(self.outcome, Some(Ok(_))) {
            response["location"] = json!(format!("{base}/v2/async-results/{}", self.id));
        }
        json!({"id": self.id, "state": state, "message": message, "lastUpdate": now, "events": events,
            "request": {"id": random(), "user": "sandbox", "time": now,
                "uri": format!("{base}/v2/target-lists/{}/members/file-import", self.list)},
            "response": response})
    }
}

async fn import(state: &Arc<State>, list: &str, head: &Head, body: &mut Received<'_>) -> io::Result<Answer> {
    let sent = body.small().await?;
    if state.faults.take("upload-503") {
        return Ok(error(503, "Service Unavailable").header("retry-after", "1"));
    }
    if state.faults.take("upload-500") {
        return Ok(error(500, "Internal Server Error"));
    }
    let Ok(wanted) = serde_json::from_slice::<Value>(&sent) else { return Ok(error(400, "not JSON")) };
    let known = attributes(state);
    let mapped = wanted["source"]["mappings"].as_array().into_iter().flatten().filter_map(Value::as_object);
    let strange = |name: &str| name != "id" && known.is_some_and(|known| !known.contains(&name));
    if let Some(name) = mapped.flat_map(|mapping| mapping.keys()).find(|name| strange(name)) {
        return Ok(error(400, &format!("{name} does not exist in the list load table")));
    }
    let (layout, threshold, uri) = match validate(&wanted) {
        Ok(read) => read,
        Err(what) => return Ok(error(400, &what)),
    };
    let id = format!("{}", 654_321 + state.yesmail.lock().len());
    let ticket = Ticket {
        id: id.clone(),
        list: list.to_owned(),
        threshold,
        response_uri: query(head, "responseUri"),
        response_ref: query(head, "responseRef"),
        polls: 0,
        retrying: state.faults.number("ticket-retrying"),
        outcome: None,
    };
    body.note("ticket", json!(id));
    let answer = Answer::json(202, &ticket.describe(&state.base, "accepted", "File import to target list accepted."))
        .header("content-location", format!("{}/v2/tickets/{id}", state.base));
    state.yesmail.lock().push(ticket);
    let fetching = state.clone();
    tokio::spawn(async move {
        let outcome = fetch(&fetching, &uri, &layout).await;
        fetching.yesmail.finish(&id, outcome);
    });
    if state.faults.take("upload-lost") {
        return super::http::cut();
    }
    Ok(if state.faults.take("upload-cut") { answer.cut() } else { answer })
}

/// Fetches the file. After a cut, starts again from the beginning, at most twice.
async fn fetch(state: &Arc<State>, uri: &url::Url, layout: &Layout) -> Result<Members, String> {
    let mut why = String::new();
    for _ in 0..3 {
        let mut members = Members::new(layout, state.faults.fated(), state.faults.numbers("ignore-row"));
        let cut = if state.faults.take("pull-cut") { Cut::InTheMiddle } else { Cut::Not };
        let seq = state.ledger.begin("yesmail-pull", "GET", uri.path(), None);
        let fetched = pull::fetch(uri, cut, |piece| members.feed(piece)).await;
        let (bytes, digest) = (members.bytes(), members.digest());
        state.ledger.update(seq, |entry| {
            entry.received = bytes;
            entry.digest = digest;
            entry.complete = fetched.is_ok();
            entry.status = if fetched.is_ok() { 200 } else { 0 };
        });
        match fetched {
            Ok(()) => {
                return members.end().map(|()| members).map_err(|what| format!("The file cannot be read: {what}"));
            }
            Err(error) => why = format!("The file could not be downloaded: {error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err(why)
}

fn validate(wanted: &Value) -> Result<(Layout, Threshold, url::Url), String> {
    let fields = wanted.as_object().ok_or("the request is not an object")?;
    for key in fields.keys() {
        if !["errorThreshold", "importType", "source", "responseUri", "responseRef"].contains(&key.as_str()) {
            return Err(format!("{key} is unknown"));
        }
    }
    if !matches!(wanted["importType"].as_str(), None | Some("ignore" | "update" | "replace")) {
        return Err("importType must be ignore, update or replace".to_owned());
    }
    let threshold = match &wanted["errorThreshold"] {
        Value::Null => Threshold::None,
        Value::Number(number) => match number.as_u64() {
            Some(0) => Threshold::None,
            Some(count) => Threshold::Count(count),
            None => return Err("errorThreshold must be an integer of 0 or more".to_owned()),
        },
        Value::String(text) => {
            let percent = text.strip_suffix('%').and_then(|text| text.parse::<f64>().ok());
            let percent = percent.filter(|percent| *percent > 0.0 && *percent < 100.0);
            Threshold::Percent(percent.ok_or("errorThreshold must be between 0% and 100%")?)
        }
        _ => return Err("errorThreshold must be an integer or a quoted percentage".to_owned()),
    };
    let source = wanted["source"].as_object().ok_or("source is required")?;
    if let Some(key) = source.keys().find(|key| !["headers", "mappings", "separator", "uri"].contains(&key.as_str())) {
        return Err(format!("source.{key} is unknown"));
    }
    let headers = match source.get("headers") {
        None => false,
        Some(Value::Bool(headers)) => *headers,
        Some(_) => return Err("source.headers must be a boolean".to_owned()),
    };
    let separator = match source.get("separator").map_or(Some(","), Value::as_str) {
        Some(text @ ("," | "\t" | "|" | ";")) => text.as_bytes()[0],
        _ => return Err("source.separator is not allowed".to_owned()),
    };
    let uri = source.get("uri").and_then(Value::as_str).ok_or("source.uri is required")?;
    let uri = url::Url::parse(uri).map_err(|_| "source.uri is not a URI")?;
    if !matches!(uri.scheme(), "http" | "https" | "ftp") {
        return Err("source.uri must be HTTP, HTTPS or FTP".to_owned());
    }
    let layout = Layout::read(source.get("mappings").unwrap_or(&Value::Null), headers, separator)?;
    Ok((layout, threshold, uri))
}
