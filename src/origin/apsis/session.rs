//! The calls of one export: token, report, poll.

use super::requested::Requested;
use super::token::Token;
use super::{ApsisOptions, ORIGIN, Report};
use crate::calls::{Call, Remote, Reply, RetrySafety, quoted, read_json};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::transport::{Answer, Request, check_foreign, origin, same_origin};
use serde_json::{Value, json};

/// The calls of one export, with the run and the token they use.
pub(super) struct Session<'a, 'r> {
    options: &'a ApsisOptions,
    pub(super) remote: &'a Remote<'r>,
    token: Option<Token>,
}

impl<'a, 'r> Session<'a, 'r> {
    pub(super) fn new(options: &'a ApsisOptions, remote: &'a Remote<'r>) -> Session<'a, 'r> {
        for secret in [&options.client_id, &options.client_secret] {
            remote.taint().learn(secret.expose());
        }
        Session { options, remote, token: None }
    }

    /// Drops a token that was not accepted; the next call fetches another.
    pub(super) fn drop_token(&mut self) {
        self.token = None;
    }

    /// Requests the report and returns the URLs of its file.
    pub(super) async fn request_report(&mut self) -> Result<Requested> {
        const WHAT: &str = "the report request";
        let name = match self.options.report {
            Report::Duplicates => "duplicates",
            Report::Segments => "segments",
            Report::Consents => "consents",
        };
        let url = format!("{}/audience/profiles/reports/{name}", self.options.base_url);
        let classify = |answer: &Answer| match answer.status {
            200..=299 => Reply::Done(read_json(&answer.body).unwrap_or_default()),
            401 => Reply::Done(json!(UNAUTHORIZED)),
            403 => hinting(Reply::by_status(WHAT, answer), "the API key does not have the permission for this"),
            413 => hinting(Reply::by_status(WHAT, answer), "fewer topics, attributes and tags in source.apsis.request"),
            _ => hinting(passing(WHAT, answer), "check source.apsis.request"),
        };
        let call = Call::new("report", RetrySafety::Always);
        for refreshed in [false, true] {
            let request = bearer(Request::new("POST", Secret::new(url.as_str())), &self.token().await?)
                .header("Content-Type", "application/json")
                .header("Accept", "application/json")
                .body(self.options.body());
            let tree = self.remote.ask(&call, &request, &classify).await?;
            if tree == json!(UNAUTHORIZED) {
                self.token = None;
                if refreshed {
                    break;
                }
                continue;
            }
            self.remote.taint().learn_urls(&tree);
            let requested = Requested::read(&tree, self.remote.now(), |url| self.own(url))?;
            return requested.ok_or_else(|| {
                Error::new(Kind::Refused, "the answer to the report request has no file_download_url")
                    .with_hint("check source.apsis.base_url: it may not be an address of APSIS One")
            });
        }
        Err(unauthorized(WHAT))
    }

    /// Replaces the platform's public address in a URL by the configured one. Another host must be one that a response
    /// is allowed to name, or the one that the job trusts.
    fn own(&self, given: &str) -> Result<String> {
        let base = &self.options.base_url;
        let url = match given.starts_with('/') {
            true => format!("{base}{given}"),
            false => given.to_owned(),
        };
        if same_origin(&url, ORIGIN) && !same_origin(base, ORIGIN) {
            let at = url.find("://").map_or(0, |at| at + 3);
            let path = url[at..].find('/').map_or("", |slash| &url[at + slash..]);
            return Ok(format!("{base}{path}"));
        }
        if !self.gets_the_token(&url) {
            check_foreign(&url, base)?;
        }
        Ok(url)
    }

    /// Whether the token may be sent there: to the configured address, or to the one that the job trusts.
    pub(super) fn gets_the_token(&self, url: &str) -> bool {
        let trusted = self.options.trusted_origin.as_deref();
        same_origin(url, &self.options.base_url) || trusted.is_some_and(|trusted| same_origin(url, trusted))
    }

    /// Returns the request for the file.
    pub(super) async fn file_request(&mut self, url: &str) -> Result<Request> {
        let mut request = Request::new("GET", Secret::new(url)).header("Accept", self.options.accept());
        if self.options.gzip {
            request = request.header("Accept-Encoding", "gzip");
        }
        Ok(match self.gets_the_token(url) {
            true => bearer(request, &self.token().await?),
            false => request.supplied_by(&self.options.base_url),
        })
    }

    /// Returns the token; fetches one if there is none or if it expires soon.
    async fn token(&mut self) -> Result<Secret> {
        const WHAT: &str = "the token request";
        const CREDENTIALS: &str = "check source.apsis.client_id and client_secret";
        const NO_APSIS: &str = "check source.apsis.base_url: it may not be an address of APSIS One";
        if let Some(token) = self.token.as_ref().filter(|token| !token.ends_soon(self.remote.now())) {
            return Ok(token.value.clone());
        }
        let url = format!("{}/oauth/token", self.options.base_url);
        let body = json!({
            "grant_type": "client_credentials",
            "client_id": self.options.client_id.expose(),
            "client_secret": self.options.client_secret.expose(),
        });
        let request = Request::new("POST", Secret::new(url))
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .body(body.to_string());
        let classify = |answer: &Answer| match answer.status {
            200..=299 => Reply::Done(Value::from(String::from_utf8_lossy(&answer.body))),
            400 => {
                let message = format!("{WHAT}: refused with status 400: {}", quoted(answer));
                Reply::Fail(Error::new(Kind::Credentials, message).with_hint(CREDENTIALS))
            }
            401 | 403 => hinting(Reply::by_status(WHAT, answer), CREDENTIALS),
            _ => hinting(passing(WHAT, answer), NO_APSIS),
        };
        let call = Call::new("token", RetrySafety::Always);
        let text = self.remote.ask(&call, &request, &classify).await?;
        let token = Token::read(text.as_str().unwrap_or_default().as_bytes(), self.remote.now()).ok_or_else(|| {
            Error::new(Kind::Refused, "the answer to the token request has no access_token").with_hint(NO_APSIS)
        })?;
        let value = token.value.clone();
        self.remote.taint().learn(value.expose());
        self.token = Some(token);
        Ok(value)
    }
}

/// The stored outcome of a report request that got a 401.
const UNAUTHORIZED: &str = "unauthorized";

fn bearer(request: Request, token: &Secret) -> Request {
    request.header("Authorization", &format!("Bearer {}", token.expose()))
}

pub(super) fn unauthorized(what: &str) -> Error {
    Error::new(Kind::Credentials, format!("{what}: a fresh token was not accepted (status 401)"))
        .with_hint("check source.apsis.client_id, client_secret and the rights of the API key")
}

/// The error for a refusal by a host that received no token.
pub(super) fn without_token(url: &str, status: u16) -> Error {
    let host = origin(url).unwrap_or_default();
    let message =
        format!("the export is on another host ({host}), which received no token and refuses with status {status}");
    Error::new(Kind::Credentials, message)
        .with_hint(format!("if that host belongs to APSIS One, set source.apsis.trusted_origin: {host}"))
}

/// Classifies by status as usual, except that every 5xx counts as temporary: the vendor's own client retries them all.
pub(super) fn passing(what: &str, answer: &Answer) -> Reply {
    match (answer.status, Reply::by_status(what, answer)) {
        (408 | 429 | 500.., Reply::Fail(error) | Reply::Retry(error) | Reply::Unclear(error)) => {
            Reply::Unclear(with_wait(error.into_kind(Kind::Transient), answer))
        }
        (_, reply) => reply,
    }
}

fn with_wait(error: Error, answer: &Answer) -> Error {
    match answer.retry_after() {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

/// Adds a hint to a refusal.
pub(super) fn hinting(reply: Reply, hint: &str) -> Reply {
    match reply {
        Reply::Fail(error) => Reply::Fail(error.with_hint(hint)),
        other => other,
    }
}
