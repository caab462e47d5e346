//! CleverTap's custom lists, by the vendor's document.

use super::State;
use super::http::{Answer, Head, Received, cut, header};
use super::rows::Tally;
use super::s3;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct CleverTap(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// The stored objects by path.
    objects: BTreeMap<String, Object>,
    /// The segments by name.
    segments: BTreeMap<String, Segment>,
}

#[derive(Default)]
struct Object {
    stored: Option<(String, u64, Csv)>,
    /// The segment that the object was processed for.
    used: Option<String>,
}

struct Segment {
    id: u64,
    digest: String,
    bytes: u64,
    records: u64,
    processing: String,
    times: u64,
}

impl CleverTap {
    pub(super) fn state(&self) -> Value {
        let inner = self.lock();
        let segments: Vec<Value> = inner
            .segments
            .iter()
            .map(|(name, s)| {
                json!({"name": name, "id": s.id, "digest": s.digest, "bytes": s.bytes, "records": s.records,
                       "processing": s.processing, "times": s.times})
            })
            .collect();
        json!({"urls": inner.objects.len(), "segments": segments})
    }

    pub(super) fn stored(&self, path: &str, digest: String, bytes: u64, csv: Csv) {
        if let Some(object) = self.lock().objects.get_mut(path) {
            object.stored = Some((digest, bytes, csv));
        }
    }

    pub(super) async fn serve(&self, state: &State, head: &Head, body: &mut Received<'_>) -> io::Result<Answer> {
        if head.method != "POST" {
            return Ok(Answer::json(405, &json!({"status": "fail", "error": "Method not allowed"})));
        }
        let credential = |name| header(head, name).filter(|value| !value.is_empty() && *value != "wrong");
        let (Some(account), Some(_)) = (credential("x-clevertap-account-id"), credential("x-clevertap-passcode"))
        else {
            let answer = json!({"status": "fail", "error": "Invalid Credentials", "code": 401});
            return Ok(Answer::json(401, &answer));
        };
        let account = account.to_owned();
        let sent = body.small().await?;
        if head.uri.path() == "/get_custom_list_segment_url" {
            return Ok(self.issue(state, &account));
        }
        self.completed(state, &sent)
    }

    fn issue(&self, state: &State, account: &str) -> Answer {
        if state.faults.take("url-500") {
            return Answer::text(500, "Internal Server Error");
        }
        if state.faults.take("url-not-generated") {
            return Answer::text(200, "URL not generated, Please come back later");
        }
        let age = if state.faults.take("url-expired") { TimeDelta::hours(25) } else { TimeDelta::zero() };
        let issued = Utc::now() - age;
        let (url, path) = s3::presign(&state.base, account, Duration::from_secs(24 * 3600), issued);
        self.lock().objects.insert(path, Object::default());
        let expiry = (issued + TimeDelta::hours(24)).format("%-d %b, %I:%M %p").to_string();
        Answer::json(200, &json!({"presignedS3URL": url, "expiry": expiry, "status": "success"}))
    }

    fn completed(&self, state: &State, sent: &[u8]) -> io::Result<Answer> {
        let fail = |text: &str| Ok(Answer::json(200, &json!({"status": "fail", "Error": text})));
        if state.faults.take("completed-503") {
            return Ok(Answer::text(503, "Service Unavailable"));
        }
        if state.faults.take("completed-500") {
            return Ok(Answer::text(500, "Internal Server Error"));
        }
        if state.faults.take("completed-fail-200") {
            return fail("Invalid URL");
        }
        let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(sent) else {
            return fail("name, email ID,filename,creator and pre-signed url are mandatory");
        };
        let text = |key: &str| fields.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let (Some(name), Some(email), Some(_), Some(_), Some(url)) =
            (text("name"), text("email"), text("filename"), text("creator"), text("url"))
        else {
            return fail("name, email ID,filename,creator and pre-signed url are mandatory");
        };
        let replace = match fields.get("replace") {
            None => false,
            Some(Value::Bool(replace)) => *replace,
            Some(_) => return fail("replace must be a boolean"),
        };
        let parts: Vec<&str> = email.split('@').collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) || email.contains("not-admin") {
            return fail("email id is either not in the right format or does not belong to a valid admin");
        }
        let path = url.strip_prefix(&state.base).and_then(|rest| rest.split('?').next()).unwrap_or_default();
        let mut inner = self.lock();
        let Some(object) = inner.objects.get(path) else { return fail("Invalid URL") };
        let Some((digest, bytes, csv)) = object.stored.clone() else { return fail("Invalid URL") };
        if object.used.as_ref().is_some_and(|used| used != name) {
            return fail("New file referencing a previously used URL. Please change URL");
        }
        let again = object.used.is_some();
        let next_id = 1_598_345_958 + inner.segments.len() as u64;
        if inner.segments.contains_key(name) && !replace && !again {
            return fail("duplicate_name: a custom list with this name exists");
        }
        // only an accepted call uses the URL up
        if let Some(object) = inner.objects.get_mut(path) {
            object.used = Some(name.to_owned());
        }
        let times = inner.segments.get(name).map_or(0, |segment| segment.times) + 1;
        let id = inner.segments.get(name).map_or(next_id, |segment| segment.id);
        let processing = csv.wrong().unwrap_or_else(|| "created".to_owned());
        let segment = Segment { id, digest, bytes, records: csv.records(), processing, times };
        inner.segments.insert(name.to_owned(), segment);
        drop(inner);
        if state.faults.take("completed-lost") {
            return cut();
        }
        let answer = Answer::json(200, &json!({"Segment ID": id, "status": "success"}));
        if state.faults.take("completed-cut") {
            return Ok(answer.cut());
        }
        Ok(answer)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Validates a list line by line: header `Type,Identity`, then type `i` or `g` and an identity. A cell must not contain
/// a line end.
#[derive(Clone, Debug, Default)]
pub(super) struct Csv {
    header: bool,
    tally: Tally,
    unended: bool,
}

impl Csv {
    pub(super) fn line(&mut self, line: &[u8]) {
        if !self.header {
            self.header = true;
            if line != b"Type,Identity" {
                self.tally.first = Some((0, "the header is not Type,Identity".to_owned()));
                self.tally.bad += 1;
            }
            return;
        }
        self.tally.take(validate(line));
    }

    pub(super) fn end(&mut self, rest: &[u8]) {
        self.unended = !rest.is_empty();
    }

    pub(super) fn records(&self) -> u64 {
        self.tally.lines
    }

    /// Returns why the list could not be processed.
    pub(super) fn wrong(&self) -> Option<String> {
        if !self.header {
            return Some("File could not be processed: it is empty".to_owned());
        }
        if self.unended {
            return Some("File could not be processed: the last line has no end".to_owned());
        }
        let (at, what) = self.tally.first.as_ref()?;
        Some(format!("File could not be processed: {} bad lines, the first is record {at}: {what}", self.tally.bad))
    }
}

fn validate(line: &[u8]) -> Result<(), String> {
    let identity = match line {
        [b'i' | b'g', b',', identity @ ..] => identity,
        _ => return Err("the type is neither i nor g".to_owned()),
    };
    let value = match identity {
        [b'"', inner @ .., b'"'] => {
            if inner.split(|&byte| byte == b'"').skip(1).step_by(2).any(|between| !between.is_empty()) {
                return Err("a quote inside the identity is not doubled".to_owned());
            }
            inner
        }
        plain => {
            if plain.contains(&b',') || plain.contains(&b'"') {
                return Err("more than two cells, or a stray quote".to_owned());
            }
            plain
        }
    };
    if value.is_empty() {
        return Err("the identity is empty".to_owned());
    }
    if value.iter().any(|&byte| byte < 0x20 || byte == 0x7f) {
        return Err("a control character".to_owned());
    }
    if !value.is_ascii() && std::str::from_utf8(value).is_err() {
        return Err("the identity is not UTF-8".to_owned());
    }
    Ok(())
}
