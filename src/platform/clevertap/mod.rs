//! CleverTap: custom list segments. Gets an upload URL, puts the list there, and reports it as complete.
//! The verdict on the rows comes only by e-mail.
//!
//! Facts and their sources are in the README beside this file.

mod answers;
mod lenient;
mod options;
mod presigned;

use super::{
    Delivery, Effect, Entry, Limits, Outcome, Outline, PlannedCall, Platform, Verdict, accepted_part, parts_accepted,
    required,
};
use crate::body::{Measured, Part};
use crate::calls::{AtOnce, BoxFuture, Call, JobSeed, Policy, Remote, Reply, RetrySafety};
use crate::error::{Error, Kind, Result};
use crate::mapping::{Cells, Field, From, MapSpec, Quoting, Rules, Separator, Shape, ValueSpec};
use crate::secret::Secret;
use crate::settings::{Key, KeyKind, Settings};
use crate::transport::Request;
use options::Options;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// The entry in the list of platforms.
pub const ENTRY: Entry = Entry {
    name: "clevertap",
    title: "CleverTap",
    keys: options::KEYS,
    map_keys: MAP_KEYS,
    account: &["region", "account_id"],
    target: &["segment"],
    identity_0_1: &["region", "account_id", "segment"],
    build,
};

const MAP_KEYS: &[Key] = &[
    Key { name: "identity", kind: KeyKind::Value, required: true, default: None, doc: "Identifies the user." },
    Key {
        name: "type",
        kind: KeyKind::Value,
        required: false,
        default: Some("{ value: i }"),
        doc: "i: identity is the account's identity; g: it is CleverTap's own id.",
    },
];

/// Maximum number of characters of an identity.
const MAX_IDENTITY: usize = 1024;

/// Maximum number of simultaneous calls of an account.
const MAX_CALLS: u32 = 3;

/// The path that answers with an address for the list.
const GET_URL: &str = "/get_custom_list_segment_url";

/// The path that makes the list a segment.
const COMPLETED: &str = "/upload_custom_list_segment_completed";

/// The types of an identity.
const TYPES: &[&str] = &["i", "g"];

struct CleverTap {
    options: Options,
}

fn build(settings: &Settings<'_>) -> Result<Box<dyn Platform>> {
    Ok(Box::new(CleverTap { options: Options::read(settings)? }))
}

impl Platform for CleverTap {
    fn shape(&self, map: &MapSpec) -> Result<Shape> {
        let MapSpec(map) = map;
        if let Some(name) = map.keys().find(|name| !MAP_KEYS.iter().any(|key| key.name == name.as_str())) {
            let error = Error::usage(format!("map: unknown key \"{name}\"")).with_hint("known keys: identity, type");
            return Err(error.with_key(format!("map.{name}")));
        }
        let value = |name: &str| map.get(name).filter(|value| !value.is_null());
        let identity = value("identity").ok_or_else(|| {
            Error::usage("map.identity is required")
                .with_hint("the column that identifies the user: identity: customer_id")
        })?;
        let constant = json!({"value": "i"});
        let field = |at: &str, name: &str, written: &Value, rules| -> Result<Field> {
            let value = ValueSpec::parse(written, at, &[])?;
            Ok(Field { at: at.to_owned(), name: name.to_owned(), value, required: true, rules })
        };
        let kind = field(
            "map.type",
            "Type",
            value("type").unwrap_or(&constant),
            Rules { one_of: Some(TYPES), constants: TYPES, ..Rules::default() },
        )?;
        if let From::Constant(text) = &kind.value.from
            && kind.value.apply.is_empty()
            && !TYPES.contains(&text.as_str())
        {
            return Err(Error::usage("map.type must be i or g")
                .with_hint("i: identity is the account's identity; g: it is CleverTap's own id"));
        }
        let rules =
            Rules { no_control: true, max_code_points: Some(MAX_IDENTITY), identifier: true, ..Rules::default() };
        let identity = field("map.identity", "Identity", identity, rules)?;
        Ok(Shape::Delimited(Cells {
            fields: vec![kind, identity],
            header: true,
            separator: Separator::Byte(b','),
            quoting: Quoting::Rfc4180,
            checks: Vec::new(),
            max_record_bytes: None,
        }))
    }

    fn plan(&self, _: &MapSpec) -> Delivery {
        let most = Some(self.options.max_body_bytes);
        let limits = match self.options.number {
            true => Limits { max_part_bytes: most, number_oversize: true, ..Limits::default() },
            false => Limits { max_body_bytes: most, ..Limits::default() },
        };
        // without replace, a second list of the same name is created
        let effect = Effect::new(self.options.replace, Some("lists".to_owned()));
        Delivery::new(effect).with_limits(limits).with_body_call(put)
    }

    fn check(&self, _: &MapSpec, parts: &[Part], _: &Policy) -> Result<()> {
        let most = self.options.max_body_bytes;
        match parts.iter().find(|part| part.bytes > most) {
            None => Ok(()),
            Some(part) => {
                let message = format!("the list has {} bytes, CleverTap accepts at most {most}", part.bytes);
                Err(Error::data(message).with_hint("set destination.oversize: number to make several lists of it"))
            }
        }
    }

    fn outline(&self, _: &MapSpec, parts: &[Part], seed: &JobSeed) -> Outline {
        let count = parts.len();
        let post = |path: &str, purpose| PlannedCall::new(format!("POST {path}"), purpose, count).at_once(MAX_CALLS);
        Outline::default()
            .name("segment", (0..count).map(|part| self.options.segment(seed, part, count)))
            .name("filename", (0..count).map(|part| self.options.filename(seed, part, count)))
            .call(post(GET_URL, "get the address for the list"))
            .call(PlannedCall::new("PUT", "send the list to that address", count))
            .call(post(COMPLETED, "make the list a segment"))
    }

    fn addresses(&self) -> Vec<Secret> {
        vec![Secret::new(&*self.options.origin)]
    }

    fn harmless_read<'a>(
        &'a self,
        _: &'a Remote<'_>,
    ) -> std::result::Result<BoxFuture<'a, Result<String>>, &'static str> {
        Err("each of CleverTap's three calls makes something, so there is none that only reads")
    }

    fn deliver<'a>(
        &'a self,
        list: Option<&'a Measured>,
        _: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let measured = required(list)?;
            let mut lists = Vec::new();
            for part in measured.parts() {
                match self.deliver_part(measured, part, remote).await {
                    Ok(list) => lists.push(list),
                    Err(error) => {
                        for list in &lists {
                            remote.note(&format!("the list {} was created before the failure", list["segment"]))?;
                        }
                        return Err(parts_accepted(error, lists.len(), measured.parts().len()));
                    }
                }
            }
            let mut result = match lists.len() {
                1 => lists.remove(0),
                _ => json!({ "lists": lists }),
            };
            // CleverTap sends the result of the rows only by e-mail
            result["verdict"] = json!("by e-mail");
            Ok(Verdict::new(Outcome::Done, result))
        })
    }
}

impl CleverTap {
    /// Performs the three steps for one list.
    async fn deliver_part(&self, measured: &Measured, part: &Part, remote: &mut Remote<'_>) -> Result<Value> {
        let count = measured.parts().len();
        let segment = self.options.segment(remote.seed(), part.index, count);
        let filename = self.options.filename(remote.seed(), part.index, count);
        let url = self.upload(measured, part, remote).await?;
        let body = json!({
            "name": segment,
            "email": self.options.email,
            "filename": filename,
            "creator": self.options.creator,
            "url": url.expose(),
            "replace": self.options.replace,
        });
        let operation = Call::new(step("completed", part), RetrySafety::Never)
            .about(format!("the list \"{segment}\""))
            .with_at_once(self.at_once())
            .accepting(accepted_part(part, None), "segment_id");
        let request = self.request(COMPLETED).body(body.to_string());
        let again = remote.in_doubt(&operation.name)?;
        let classify = |answer: &_| answers::completed(answer, again);
        let mut said = remote.call(&operation, &request, &classify).await?.done()?;
        let id = said.get("segment_id").filter(|id| !id.is_null()).map(|id| match id {
            Value::String(id) => id.clone(),
            other => other.to_string(),
        });
        remote.part_done(&accepted_part(part, id))?;
        if said.get("segment_id").is_none() {
            said["segment_id"] = Value::Null;
        }
        said["segment"] = json!(segment);
        said["filename"] = json!(filename);
        Ok(said)
    }

    /// Gets a URL and puts the list there. A URL that has expired is replaced once and not used again.
    async fn upload(&self, measured: &Measured, part: &Part, remote: &mut Remote<'_>) -> Result<Secret> {
        let get = Call::new(step("get-url", part), RetrySafety::Always).with_at_once(self.at_once());
        let put = put(part.index);
        let mut replaced = false;
        loop {
            let from_earlier_run = remote.result_of(&get.name)?.is_some();
            let uploaded = remote.result_of(&put.name)?.is_some();
            let asked_at = remote.now();
            let classify = |answer: &_| with_time(answers::url(answer), asked_at);
            let known = remote.call(&get, &self.request(GET_URL), &classify).await?.done()?;
            let url = Secret::new(known.get("url").and_then(Value::as_str).unwrap_or_default());
            if uploaded {
                return Ok(url);
            }
            let end = presigned::expires(url.expose(), asked(&known, asked_at));
            // our clock is trusted only about a URL that was stored in the journal
            if from_earlier_run && !replaced && remote.now() >= end {
                replaced = true;
                remote.forget(&get.name)?;
                continue;
            }
            let mut request = Request::new("PUT", url.clone()).supplied_by(&self.options.origin).follow_one();
            if presigned::signs(url.expose(), "content-type") {
                request = request.header("Content-Type", "text/csv");
            }
            let (expired, clock) = (AtomicBool::new(false), remote.clock());
            let classify = |answer: &_| {
                let over = answers::url_expired(answer);
                expired.store(over || (answer.status == 403 && clock.wall() >= end), Ordering::Relaxed);
                answers::put(answer)
            };
            let sent = remote.send(&put, &request, part.index, &|| measured.body(part), &classify).await;
            match sent {
                Err(error) if expired.load(Ordering::Relaxed) => {
                    remote.forget(&get.name)?;
                    if replaced {
                        return Err(Error::new(
                            Kind::Transient,
                            format!("the upload URL expired again: {}", error.message()),
                        )
                        .with_hint(
                            "the connection may be too slow for the lifetime of a URL, or a clock may be wrong; run the job again",
                        ));
                    }
                    tracing::warn!("the upload URL has expired; asking for a fresh one and sending the list again");
                    replaced = true;
                }
                sent => {
                    sent?.done()?;
                    return Ok(url);
                }
            }
        }
    }

    /// The limit on simultaneous calls; CleverTap answers more calls of an account with 429.
    fn at_once(&self) -> AtOnce {
        let account = Sha256::digest(format!("{} {}", self.options.origin, self.options.account_id.expose()));
        let account: String = account[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        AtOnce { key: format!("clevertap/{account}"), limit: MAX_CALLS }
    }

    /// Creates a request to CleverTap itself.
    fn request(&self, path: &str) -> Request {
        Request::new("POST", Secret::new(format!("{}{path}", self.options.origin)))
            .header("X-CleverTap-Account-Id", self.options.account_id.expose())
            .header("X-CleverTap-Passcode", self.options.passcode.expose())
            .header("Content-Type", "application/json")
    }
}

/// The call that sends the list to the storage.
fn put(part: usize) -> Call {
    Call::new(format!("put/{part}"), RetrySafety::Always)
}

fn step(name: &str, part: &Part) -> String {
    format!("{name}/{}", part.index)
}

/// Adds the time of the request to the value of a URL.
fn with_time(reply: Reply, asked_at: SystemTime) -> Reply {
    let Reply::Done(mut value) = reply else { return reply };
    let since = asked_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    value["asked"] = json!(since.as_secs());
    Reply::Done(value)
}

fn asked(known: &Value, otherwise: SystemTime) -> SystemTime {
    let seconds = known.get("asked").and_then(Value::as_u64).map(Duration::from_secs);
    seconds.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)).unwrap_or(otherwise)
}
