//! The calls of one export: token, report, the question for the file.

use super::fetch::LONGEST_PAUSE;
use super::requested::Requested;
use super::token::Token;
use super::{ApsisOptions, Format, ORIGIN, Report};
use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, printable};
use crate::transport::{Answer, Client, Failed, Reach, Request, StreamAnswer, check_foreign, same_origin};
use serde_json::Value;
use std::time::Duration;

/// The type of an Excel file.
pub(super) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// What came of one question.
pub(super) enum Asked {
    /// The file: still to be read.
    File(Box<StreamAnswer>),
    /// Not yet; how long the answer asks to wait.
    InProgress(Option<Duration>),
    /// Not yet, or not known (404).
    Unknown(Option<Duration>),
    /// Gone, or not known (410).
    Gone,
    /// An answer that the documents do not have.
    Odd(Error),
    /// A passing fault.
    Passing(Error),
    /// The token is not taken.
    Unauthorized,
}

/// One export under way: the client and its token.
pub(super) struct Session<'a> {
    options: &'a ApsisOptions,
    client: &'a Client,
    token: Option<Token>,
}

impl<'a> Session<'a> {
    pub(super) fn new(options: &'a ApsisOptions, client: &'a Client) -> Session<'a> {
        for secret in [&options.client_id, &options.client_secret] {
            client.taint().learn(secret.expose());
        }
        Session { options, client, token: None }
    }

    /// The token is not taken: the next call fetches another.
    pub(super) fn drop_token(&mut self) {
        self.token = None;
    }

    /// Asks for the report; where its file will be.
    pub(super) async fn request_report(&mut self) -> Result<Requested> {
        let name = match self.options.report {
            Report::Duplicates => "duplicates",
            Report::Segments => "segments",
            Report::Consents => "consents",
        };
        let url = format!("{}/audience/profiles/reports/{name}", self.options.base_url);
        let mut refreshed = false;
        let answer = loop {
            let token = self.token().await?;
            let request = bearer(Request::new("POST", Secret::new(url.as_str())), &token)
                .header("Content-Type", "application/json")
                .header("Accept", "application/json")
                .body(self.options.request.to_string());
            let answer = self.call("the report request", &request).await?;
            match answer.status {
                401 if !refreshed => {
                    refreshed = true;
                    self.token = None;
                }
                _ => break answer,
            }
        };
        match answer.status {
            200..=299 => {}
            401 => return Err(unauthorized("the report request")),
            403 => {
                return Err(Error::new(Kind::Credentials, self.said("the report request", &answer))
                    .with_hint("the API key may not do this"));
            }
            413 => {
                return Err(Error::new(Kind::Refused, self.said("the report request", &answer))
                    .with_hint("fewer topics, attributes and tags in source.apsis.request"));
            }
            _ => {
                return Err(Error::new(Kind::Refused, self.said("the report request", &answer))
                    .with_hint("check source.apsis.request"));
            }
        }
        let tree: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        self.client.taint().learn_urls(&tree);
        Requested::read(&tree, |url| self.own(url))?.ok_or_else(|| {
            Error::new(Kind::Refused, "the answer to the report request names no file_download_url")
                .with_hint("check source.apsis.base_url: it may be no address of APSIS One")
        })
    }

    /// A URL of the platform's own public address means the configured one; another host is judged.
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
        if !same_origin(&url, base) {
            check_foreign(&url, base)?;
        }
        Ok(url)
    }

    /// Asks once for the file.
    pub(super) async fn ask(&mut self, url: &str) -> Result<Asked> {
        let accept = match self.options.format {
            Format::Csv => "text/csv;charset=UTF-8;header=present",
            Format::Xlsx => XLSX,
        };
        let mut request = Request::new("GET", Secret::new(url)).header("Accept", accept);
        if self.options.gzip {
            request = request.header("Accept-Encoding", "gzip");
        }
        request = match same_origin(url, &self.options.base_url) {
            true => bearer(request, &self.token().await?),
            false => request.supplied_by(&self.options.base_url),
        };
        let answer = match self.client.stream_coded(&request).await {
            Ok(answer) => answer,
            Err(failed) => return passing(failed).map(Asked::Passing),
        };
        let status = answer.status;
        let wait = answer.retry_after();
        let what = "the export";
        match status {
            200 => Ok(Asked::File(Box::new(answer))),
            202 | 204 => Ok(Asked::InProgress(wait)),
            404 => Ok(Asked::Unknown(wait)),
            401 => Ok(Asked::Unauthorized),
            410 => Ok(Asked::Gone),
            _ => {
                let words = match answer.into_answer().await {
                    Ok(answer) => self.said(what, &answer),
                    Err(_) => format!("{what}: status {status}"),
                };
                match status {
                    403 => Ok(Asked::Odd(
                        Error::new(Kind::Credentials, words).with_hint("the API key may not fetch this export"),
                    )),
                    408 | 429 | 500.. => {
                        let error = Error::new(Kind::Transient, words);
                        Ok(Asked::Passing(match wait {
                            Some(wait) => error.with_retry_after(wait),
                            None => error,
                        }))
                    }
                    _ => Ok(Asked::Odd(
                        Error::new(Kind::Refused, words).with_hint("check source.apsis.request and base_url"),
                    )),
                }
            }
        }
    }

    /// The token, fetched anew where there is none or its end is near.
    async fn token(&mut self) -> Result<Secret> {
        if let Some(token) = self.token.as_ref().filter(|token| !token.ends_soon()) {
            return Ok(token.value.clone());
        }
        let url = format!("{}/oauth/token", self.options.base_url);
        let body = serde_json::json!({
            "grant_type": "client_credentials",
            "client_id": self.options.client_id.expose(),
            "client_secret": self.options.client_secret.expose(),
        });
        let request = Request::new("POST", Secret::new(url))
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .body(body.to_string());
        let answer = self.call("the token request", &request).await?;
        match answer.status {
            200..=299 => {}
            400 | 401 | 403 => {
                return Err(Error::new(Kind::Credentials, self.said("the token request", &answer))
                    .with_hint("check source.apsis.client_id and client_secret"));
            }
            _ => {
                return Err(Error::new(Kind::Refused, self.said("the token request", &answer))
                    .with_hint("check source.apsis.base_url: it may be no address of APSIS One"));
            }
        }
        let token = Token::read(&answer.body).ok_or_else(|| {
            Error::new(Kind::Refused, "the answer to the token request holds no access_token")
                .with_hint("check source.apsis.base_url: it may be no address of APSIS One")
        })?;
        let value = token.value.clone();
        self.client.taint().learn(value.expose());
        self.token = Some(token);
        Ok(value)
    }

    /// A small call, repeated after passing faults: all of them only read, or may leave an export nobody fetches.
    async fn call(&self, what: &str, request: &Request) -> Result<Answer> {
        let mut pause = Duration::from_secs(1);
        for attempt in 1.. {
            let error = match self.client.call(request).await {
                Ok(answer) if !matches!(answer.status, 408 | 429 | 500..) => return Ok(answer),
                Ok(answer) => {
                    let error = Error::new(Kind::Transient, self.said(what, &answer));
                    match answer.retry_after() {
                        Some(wait) => error.with_retry_after(wait),
                        None => error,
                    }
                }
                Err(failed) => passing(failed)?,
            };
            let wait = pause.max(error.retry_after().unwrap_or_default());
            if attempt >= self.options.attempts || wait > Duration::from_secs(600) {
                return Err(given_up(error, attempt));
            }
            tracing::warn!(attempt, "{error}; trying again in {} s", wait.as_secs());
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(Error::new(Kind::Transient, what))
    }

    /// What an answer says, without our secrets.
    fn said(&self, what: &str, answer: &Answer) -> String {
        let text = String::from_utf8_lossy(&answer.body);
        let text = self.client.taint().text(&text);
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(500).collect();
        match line.is_empty() {
            true => format!("{what}: status {}", answer.status),
            false => format!("{what}: status {}: {}", answer.status, printable(&line)),
        }
    }
}

fn bearer(request: Request, token: &Secret) -> Request {
    request.header("Authorization", &format!("Bearer {}", token.expose()))
}

pub(super) fn unauthorized(what: &str) -> Error {
    Error::new(Kind::Credentials, format!("{what}: a fresh token is not taken (status 401)"))
        .with_hint("check source.apsis.client_id, client_secret and the rights of the API key")
}

/// The error of the last attempt.
pub(super) fn given_up(error: Error, attempts: u32) -> Error {
    let plural = if attempts == 1 { "" } else { "s" };
    let mut hint = format!("given up after {attempts} attempt{plural}; run it again");
    if let Some(wait) = error.retry_after() {
        hint = format!("{hint} in {} s", wait.as_secs());
    }
    if let Some(more) = error.hint() {
        hint = format!("{hint}; {more}");
    }
    error.with_hint(hint)
}

/// A fault that will be there again is an error.
fn passing(failed: Failed) -> Result<Error> {
    match failed.reach {
        Reach::Permanent => Err(failed.error),
        _ => Ok(failed.error.into_kind(Kind::Transient)),
    }
}
