//! Localytics profile and audience imports, by the vendor's document.

use super::State;
use super::digest::Crc;
use super::http::{Answer, Head, Received, cut, header, query, random};
use super::multipart::Multipart;
use super::rows::{Lines, Tally};
use base64::Engine;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) struct Localytics {
    inner: Mutex<Inner>,
    window: Duration,
}

#[derive(Default)]
struct Inner {
    /// Times of profile uploads by API key.
    uploads: BTreeMap<String, Vec<Instant>>,
    activities: BTreeMap<String, Activity>,
    lists: BTreeMap<u64, List>,
    /// Ids of deleted lists.
    deleted: BTreeSet<u64>,
    created: u64,
}

struct Activity {
    profiles: bool,
    scope: Value,
    lines: u64,
    bad: u64,
    /// Refused rows by customer id, the first thousand.
    refused: Vec<(String, String)>,
    list: Option<u64>,
    polls: u64,
    digest: String,
    bytes: u64,
}

struct List {
    name: String,
    app_id: String,
    version: u64,
    records: u64,
}

/// Maximum number of lists of an account.
const MOST_LISTS: usize = 500;

impl Localytics {
    pub(super) fn new(window: Duration) -> Localytics {
        Localytics { inner: Mutex::default(), window }
    }

    pub(super) fn state(&self) -> Value {
        let inner = self.lock();
        let activities: Vec<Value> = inner
            .activities
            .iter()
            .map(|(id, a)| json!({"id": id, "lines": a.lines, "bad": a.bad, "digest": a.digest, "bytes": a.bytes, "profiles": a.profiles}))
            .collect();
        let lists: Vec<Value> = inner
            .lists
            .iter()
            .map(|(id, list)| json!({"id": id, "name": list.name, "version": list.version, "records": list.records}))
            .collect();
        json!({"activities": activities, "lists": lists, "created": inner.created})
    }

    pub(super) async fn serve(&self, state: &State, head: &Head, body: &mut Received<'_>) -> io::Result<Answer> {
        let path = head.uri.path();
        if let Some(id) = path.strip_prefix("/_errors/") {
            return Ok(self.error_log(id.trim_end_matches("/errors.json")));
        }
        let key = header(head, "authorization")
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|value| base64::engine::general_purpose::STANDARD.decode(value).ok())
            .and_then(|pair| String::from_utf8(pair).ok())
            .and_then(|pair| pair.split_once(':').map(|(key, secret)| (key.to_owned(), secret.to_owned())));
        let Some((key, secret)) = key.filter(|(key, secret)| !key.is_empty() && !secret.is_empty()) else {
            return Ok(Answer::json(401, &json!({"error": "Unauthorized"})));
        };
        if secret == "wrong" || state.faults.take("auth-401") {
            return Ok(Answer::json(401, &json!({"error": "Unauthorized"})));
        }
        let rest = path.strip_prefix("/v1/imports/").unwrap_or_default();
        match (head.method.as_str(), rest) {
            ("POST", "profiles/upload") => self.upload(state, head, body, &key, None, true).await,
            ("GET", _) if rest.starts_with("profiles/status/") => Ok(self.status(state, &rest[16..])),
            ("POST", "audiences/list/" | "audiences/list") => self.upload(state, head, body, &key, None, false).await,
            ("GET", _) if rest.starts_with("audiences/list/status/") => Ok(self.status(state, &rest[22..])),
            ("GET", _) if rest.starts_with("audiences/list/app/") => Ok(self.lists(&rest[19..])),
            _ => {
                let list = rest.strip_prefix("audiences/list/").unwrap_or_default();
                let (id, tail) = list.split_once('/').unwrap_or((list, ""));
                let Ok(id) = id.parse::<u64>() else {
                    return Ok(Answer::json(404, &json!({"error": "Not found"})));
                };
                match (head.method.as_str(), tail) {
                    ("PUT", "") => self.upload(state, head, body, &key, Some(id), false).await,
                    ("PUT", "name") => Ok(self.rename(id, query(head, "name"))),
                    ("DELETE", "") => Ok(self.delete(id)),
                    _ => Ok(Answer::json(404, &json!({"error": "Not found"}))),
                }
            }
        }
    }

    async fn upload(
        &self,
        state: &State,
        head: &Head,
        body: &mut Received<'_>,
        key: &str,
        list: Option<u64>,
        profiles: bool,
    ) -> io::Result<Answer> {
        if profiles && !self.take_slot(key) {
            return Ok(Answer::json(429, &json!({"error": "You have met your 10 request per hour limitation"})));
        }
        // any other list may have existed before the sandbox started, so a job that replaces a list can be tried
        if list.is_some_and(|id| self.lock().deleted.contains(&id)) {
            return Ok(Answer::json(404, &json!({"error": "Parameter not found"})));
        }
        if let Some(answer) = upload_fault(state, body).await? {
            return Ok(answer);
        }
        let bad = |what: &str| Ok(Answer::json(400, &json!({"error": what})));
        let mut form = match Multipart::new(header(head, "content-type").unwrap_or_default()) {
            Ok(form) => form,
            Err(wrong) => return bad(&wrong),
        };
        let (mut lines, mut tally, mut crc, mut bytes) = (Lines::default(), Tally::default(), Crc::new(), 0u64);
        let mut refused = Vec::new();
        let fates = state.faults.fated();
        while let Some(data) = body.next().await? {
            form.feed(&data, |piece| {
                crc.update(piece);
                bytes += piece.len() as u64;
                lines.feed(piece, |line| {
                    let result = if profiles { validate_profile(line) } else { validate_audience(line) };
                    let fated = fates.refuses(tally.lines);
                    let result = match result {
                        Ok(id) if fated => Err((Some(id.into_owned()), "refused on demand".to_owned())),
                        Ok(_) => Ok(()),
                        Err(wrong) => Err((None, wrong)),
                    };
                    if let Err((Some(id), what)) = &result
                        && refused.len() < 1000
                    {
                        refused.push((id.clone(), what.clone()));
                    }
                    tally.take(result.map_err(|(_, what)| what));
                });
            });
        }
        body.note("file_digest", json!(crc.text()));
        body.note("file_bytes", json!(bytes));
        body.note("records", json!(tally.lines));
        if let Some((at, what)) = &tally.first {
            body.note("wrong", json!(format!("line {at}: {what}")));
        }
        if let Err(wrong) = form.end() {
            return bad(&wrong);
        }
        if form.file.as_ref().is_none_or(|(name, _)| name != "file") {
            return bad("there is no file");
        }
        if !lines.rest().is_empty() {
            return bad("the last line has no end");
        }
        let scope = match validate_form(&form, profiles, list) {
            Ok(scope) => scope,
            Err(wrong) => return bad(&wrong),
        };
        let id = random();
        let mut inner = self.lock();
        let list = if profiles {
            None
        } else {
            let app_id = form.field("app_id").unwrap_or_default().to_owned();
            let id = list.unwrap_or_else(|| {
                // a list that was replaced by its id may have taken the next one
                let next = inner.lists.keys().next_back().map_or(0, |last| last + 1);
                next.max(31_245 + inner.created)
            });
            let old = inner.lists.get(&id).map(|list| (list.name.clone(), list.version));
            if old.is_none() {
                if inner.lists.len() >= MOST_LISTS {
                    return bad("there are 500 lists already");
                }
                inner.created += u64::from(list.is_none());
            }
            let (name, version) = old.unwrap_or((form.field("audience_name").unwrap_or_default().to_owned(), 0));
            inner.lists.insert(id, List { name, app_id, version: version + 1, records: tally.lines });
            Some(id)
        };
        let digest = crc.text();
        let activity =
            Activity { profiles, scope, lines: tally.lines, bad: tally.bad, refused, list, polls: 0, digest, bytes };
        inner.activities.insert(id.clone(), activity);
        drop(inner);
        if state.faults.take("upload-lost") {
            return cut();
        }
        let answer = Answer::json(202, &json!({"activity_id": id}));
        if state.faults.take("upload-cut") {
            return Ok(answer.cut());
        }
        Ok(answer)
    }

    /// Takes one of the ten slots in the window.
    fn take_slot(&self, key: &str) -> bool {
        let now = Instant::now();
        let window = self.window;
        let mut inner = self.lock();
        let uploads = inner.uploads.entry(key.to_owned()).or_default();
        uploads.retain(|at| now.duration_since(*at) < window);
        let free = uploads.len() < 10;
        if free {
            uploads.push(now);
        }
        free
    }

    fn status(&self, state: &State, id: &str) -> Answer {
        if state.faults.take("status-500") {
            return Answer::text(500, "Internal Server Error");
        }
        let mut inner = self.lock();
        let Some(activity) = inner.activities.get_mut(id) else {
            return Answer::json(404, &json!({"error": "Not found"}));
        };
        activity.polls += 1;
        let pending = state.faults.number("pending").max(1);
        let status = match activity.polls {
            n if n <= pending / 2 => "Pending",
            n if n <= pending => "Running",
            _ if state.faults.number("import-failed") > 0 => "Failed",
            _ => "Completed",
        };
        if status == "Pending" || status == "Running" {
            return Answer::json(200, &json!({"status": status, "upload_statistics": null}));
        }
        let good = activity.lines - activity.bad;
        if activity.profiles {
            let log = format!("{}/_errors/{id}/errors.json", state.base);
            if state.faults.number("sloppy-json") > 0 {
                let text = format!(
                    "{{ \"status\": \"{status}\", \"error_log\": \"{log}\", \"scopet\": {}, \"upload_statistics\": {{ \"successful_imports\": {good}, \"parsed_imports\": {good}, \"failed_imports\": {}, \"total_number_of_imports\": {}, }} }}",
                    activity.scope, activity.bad, activity.lines
                );
                return Answer::new(200, "application/json", text);
            }
            let statistics = json!({"successful_imports": good, "parsed_imports": activity.lines,
                "failed_imports": activity.bad, "total_number_of_imports": activity.lines});
            return Answer::json(
                200,
                &json!({"status": status, "error_log": log, "target": activity.scope, "upload_statistics": statistics}),
            );
        }
        let statistics = json!({"total_lines": activity.lines.to_string(), "audience_id": "999",
            "audience_list_id": activity.list.unwrap_or(0).to_string(), "failed_lines": activity.bad.to_string(),
            "successful_lines": good.to_string()});
        let error = if status == "Failed" { json!("failed on demand") } else { Value::Null };
        Answer::json(
            200,
            &json!({"status": status, "error_reason": error, "app_uuid": activity.scope["app_id"], "upload_statistics": statistics}),
        )
    }

    fn error_log(&self, id: &str) -> Answer {
        match self.lock().activities.get(id) {
            Some(activity) => {
                let lines: String = activity
                    .refused
                    .iter()
                    .map(|(id, what)| format!("{}\n", json!({"customer_id": id, "error": what})))
                    .collect();
                Answer::new(200, "application/json", lines)
            }
            None => Answer::text(404, "no such log"),
        }
    }

    fn lists(&self, app: &str) -> Answer {
        let inner = self.lock();
        let lists: Vec<Value> = inner
            .lists
            .iter()
            .filter(|(_, list)| list.app_id == app)
            .map(|(id, list)| {
                json!({"id": id, "name": list.name, "app_id": list.app_id, "version": list.version,
                    "record_count": list.records, "created_at": "2017-08-15T18:30:08", "updated_at": "2018-09-25T13:48:15"})
            })
            .collect();
        Answer::json(200, &json!(lists))
    }

    fn delete(&self, id: u64) -> Answer {
        let mut inner = self.lock();
        if inner.lists.remove(&id).is_none() {
            return Answer::json(404, &json!({"error": "Parameter not found"}));
        }
        inner.deleted.insert(id);
        Answer::json(200, &json!({}))
    }

    fn rename(&self, id: u64, name: Option<String>) -> Answer {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Answer::json(400, &json!({"error": "name is required"}));
        };
        match self.lock().lists.get_mut(&id) {
            Some(list) => {
                list.name = name;
                Answer::json(200, &json!({"id": id}))
            }
            None => Answer::json(404, &json!({"error": "Parameter not found"})),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Injects the faults that uploads to Localytics and mediarithmics share.
pub(super) async fn upload_fault(state: &State, body: &mut Received<'_>) -> io::Result<Option<Answer>> {
    if state.faults.take("upload-503") {
        return Ok(Some(Answer::text(503, "Service Unavailable").header("retry-after", "1")));
    }
    if state.faults.take("upload-500") {
        return Ok(Some(Answer::text(500, "Internal Server Error")));
    }
    if state.faults.take("upload-429") {
        return Ok(Some(Answer::json(429, &json!({"error": "throttled"})).header("retry-after", "1")));
    }
    if state.faults.take("upload-reset") {
        body.some(64 << 10).await?;
        return cut();
    }
    Ok(None)
}

fn validate_form(form: &Multipart, profiles: bool, list: Option<u64>) -> Result<Value, String> {
    let allowed: &[&str] = if profiles {
        &["org_id", "app_id", "format"]
    } else if list.is_some() {
        &["app_id", "identifier_type", "audience_list_id"]
    } else {
        &["app_id", "audience_name", "identifier_type"]
    };
    if let Some((name, _)) = form.fields.iter().find(|(name, _)| !allowed.contains(&name.as_str())) {
        return Err(format!("the field {name} is unknown"));
    }
    let get = |name| form.field(name).filter(|value| !value.is_empty());
    if profiles {
        if get("format") != Some("json") {
            return Err("format must be json".to_owned());
        }
        return match (get("org_id"), get("app_id")) {
            (Some(org), None) => Ok(json!({"org_id": org})),
            (None, Some(app)) => Ok(json!({"app_id": app})),
            _ => Err("exactly one of org_id and app_id is required".to_owned()),
        };
    }
    if get("identifier_type") != Some("customer_id") {
        return Err("identifier_type must be customer_id".to_owned());
    }
    match list {
        Some(id) if get("audience_list_id") != Some(id.to_string().as_str()) => {
            return Err("audience_list_id is not that of the path".to_owned());
        }
        None if get("audience_name").is_none() => return Err("audience_name is required".to_owned()),
        _ => {}
    }
    Ok(json!({"app_id": get("app_id").ok_or("app_id is required")?}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile<'a> {
    #[serde(borrow)]
    customer_id: Cow<'a, str>,
    #[serde(borrow)]
    changes: Vec<Change<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    attr: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member<'a> {
    #[serde(borrow)]
    customer_id: Cow<'a, str>,
}

fn validate_audience(line: &[u8]) -> Result<Cow<'_, str>, String> {
    let member: Member<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if member.customer_id.is_empty() {
        return Err("customer_id is empty".to_owned());
    }
    Ok(member.customer_id)
}

fn validate_profile(line: &[u8]) -> Result<Cow<'_, str>, String> {
    let profile: Profile<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if profile.customer_id.is_empty() {
        return Err("customer_id is empty".to_owned());
    }
    if profile.changes.is_empty() {
        return Err("changes is empty".to_owned());
    }
    for change in &profile.changes {
        if change.attr.is_empty() {
            return Err("attr is empty".to_owned());
        }
        let value = change.value.map(RawValue::get);
        match (&*change.op, value) {
            ("delete", None) => {}
            ("delete", Some(_)) => return Err("delete has no value".to_owned()),
            ("assign", Some(value)) if value.starts_with('[') => validate_array(value)?,
            ("assign", Some(value)) => validate_scalar(value)?,
            ("set-add" | "set-remove", Some(value)) if value.starts_with('[') => validate_array(value)?,
            ("increment", Some(value)) if value.parse::<i64>().is_ok() => {}
            (op, _) => return Err(format!("{op} with a value that it cannot have")),
        }
    }
    Ok(profile.customer_id)
}

fn validate_array(text: &str) -> Result<(), String> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    elements.iter().try_for_each(|element| validate_scalar(element.get()))
}

fn validate_scalar(text: &str) -> Result<(), String> {
    if text.starts_with('"') {
        let value: Cow<'_, str> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if value.chars().count() > 255 {
            return Err("a string of more than 255 characters".to_owned());
        }
        return Ok(());
    }
    text.parse::<i64>().map(drop).map_err(|_| "a value that is neither integer nor string".to_owned())
}
