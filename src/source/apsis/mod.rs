//! An export of APSIS One: a report is requested, its URL polled until the file streams, the file written decoded and
//! checked complete.
//!
//! Facts and their sources are in the README beside this file.

mod decode;
mod token;

use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, printable};
use crate::source::spool;
use crate::transport::{Answer, Client, Failed, Reach, Request, StreamAnswer, check_foreign, same_origin};
use decode::Decoder;
use serde_json::Value;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use token::Token;
use tokio::time::Instant;

/// The platform's own address (Europe).
pub const ORIGIN: &str = "https://api.apsis.one";

/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Which report is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Profiles that share the value of an attribute.
    Duplicates,
    /// Profiles of a segment.
    Segments,
    /// Profiles by consent.
    Consents,
}

/// The format of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/csv;charset=UTF-8;header=present`.
    Csv,
    /// Excel.
    Xlsx,
}

/// What to export and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ApsisOptions {
    /// Which report.
    pub report: Report,
    /// Of the API key.
    pub client_id: Secret,
    /// Of the API key.
    pub client_secret: Secret,
    /// The body of the report request as APSIS One documents it.
    pub request: Value,
    /// Default CSV.
    pub format: Format,
    /// Whether to ask for gzip; the file is decoded either way. Default true.
    pub gzip: bool,
    /// How long to wait for the export; default 24 h, which is how long its URL lives.
    pub wait: Duration,
    /// Stands for scheme, host and port of the platform's own address; default [`ORIGIN`].
    pub base_url: String,
    /// Attempts of a call that meets passing faults; default 5.
    pub attempts: u32,
    /// The first pause between two questions, doubled up to 60 s; default 2 s.
    pub first_pause: Duration,
}

impl ApsisOptions {
    /// The defaults around what has none.
    #[must_use]
    pub fn new(report: Report, client_id: Secret, client_secret: Secret, request: Value) -> ApsisOptions {
        ApsisOptions {
            report,
            client_id,
            client_secret,
            request,
            format: Format::Csv,
            gzip: true,
            wait: Duration::from_secs(24 * 3600),
            base_url: ORIGIN.to_owned(),
            attempts: 5,
            first_pause: Duration::from_secs(2),
        }
    }
}

/// A fetched export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// Decoded bytes.
    pub bytes: u64,
    /// Bytes that came over the network.
    pub received_bytes: u64,
    /// Whether they came as gzip.
    pub gzip: bool,
}

/// The way to an export.
///
/// ```no_run
/// use listferry::Secret;
/// use listferry::source::apsis::{Apsis, ApsisOptions, Report};
/// use listferry::transport::{Client, NetworkOptions, Timers};
///
/// # async fn fetch() -> listferry::Result<()> {
/// let request = serde_json::json!({"attributes": [{"field_name": "email"}]});
/// let options = ApsisOptions::new(Report::Duplicates, Secret::new("id"), Secret::new("secret"), request);
/// let client = Client::new(&NetworkOptions::default(), &Timers::default())?;
/// let fetched = Apsis::new(options).export(&client, "duplicates.csv".as_ref()).await?;
/// println!("{} bytes", fetched.bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Apsis {
    options: ApsisOptions,
}

/// Where the file can be had: the second version of the URL first, where there are both.
struct Urls {
    urls: Vec<String>,
    now: usize,
}

impl Urls {
    fn current(&self) -> &str {
        &self.urls[self.now]
    }

    /// The other one in turn: what one does not know the other may.
    fn turn(&mut self) {
        self.now = (self.now + 1) % self.urls.len();
    }
}

/// What came of one question.
enum Asked {
    /// The file: still to be read.
    File(StreamAnswer),
    /// Not yet; how long the answer asks to wait.
    Pending(Option<Duration>),
    /// A passing fault.
    Passing(Error),
    /// The token is not taken.
    Unauthorized,
}

impl Apsis {
    /// Takes the options; contacts nobody.
    #[must_use]
    pub fn new(options: ApsisOptions) -> Apsis {
        Apsis { options }
    }

    /// Fetches the export into a new 0600 file in `dir`, at most `max` bytes decoded, and names it. For a job's source:
    /// read it with [`crate::source::Source::open_spooled`].
    ///
    /// # Errors
    /// As [`Apsis::export`]; `Data`: more than `max` bytes.
    pub async fn spool(&self, client: &Client, dir: &Path, max: u64) -> Result<(PathBuf, Fetched)> {
        spool::make_private_dir(dir).map_err(|error| Error::io(format!("making {}", dir.display()), error))?;
        let mut temporary = Temporary::beside(&dir.join("apsis"))?;
        let fetched = self.fetch(client, &mut temporary.file, &temporary.path, max).await?;
        temporary.sync()?;
        Ok((temporary.keep(), fetched))
    }

    /// Fetches the export into a file: a temporary one beside it, synced, renamed. A file that is there stays as it is
    /// until the new one is whole.
    ///
    /// # Errors
    /// `Credentials`: the API key or its rights. `Refused`: the report, or the export is gone. `Pending`: `wait` is over.
    /// `Transient`: passing faults outlasted the attempts, or a transfer that is never whole. `Local`: the disk.
    pub async fn export(&self, client: &Client, target: &Path) -> Result<Fetched> {
        let mut temporary = Temporary::beside(target)?;
        let fetched = self.fetch(client, &mut temporary.file, &temporary.path, u64::MAX).await?;
        temporary.sync()?;
        temporary.replace(target)?;
        Ok(fetched)
    }

    /// Fetches the decoded export into `file`, which is emptied before each attempt; `path` names it in messages.
    async fn fetch(&self, client: &Client, file: &mut File, path: &Path, max: u64) -> Result<Fetched> {
        let mut session = Session { options: &self.options, client, token: None };
        let until = Instant::now() + self.options.wait;
        let mut urls = session.request_report().await?;
        let mut pause = self.options.first_pause;
        let (mut failed, mut refreshed) = (0, false);
        loop {
            let asked_to_wait = match session.ask(urls.current()).await? {
                Asked::File(mut answer) => match self.download(&mut answer, file, path, max).await? {
                    Ok(fetched) => return Ok(fetched),
                    Err(error) => {
                        failed += 1;
                        self.give_up(failed, error)?;
                        None
                    }
                },
                Asked::Pending(wait) => {
                    (failed, refreshed) = (0, false);
                    urls.turn();
                    wait
                }
                Asked::Passing(error) => {
                    failed += 1;
                    let wait = error.retry_after();
                    self.give_up(failed, error)?;
                    urls.turn();
                    wait
                }
                Asked::Unauthorized if refreshed => return Err(unauthorized("the export")),
                Asked::Unauthorized => {
                    refreshed = true;
                    session.token = None;
                    continue;
                }
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(Kind::Pending, "the export was not ready within source.apsis.wait")
                    .with_hint("an export that stays away may have a wrong request; else raise wait"));
            }
            tokio::time::sleep(pause.max(asked_to_wait.unwrap_or_default()).min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Ends after too many attempts in a row.
    fn give_up(&self, failed: u32, error: Error) -> Result<()> {
        if failed >= self.options.attempts {
            return Err(error);
        }
        tracing::warn!(attempt = failed, "{error}; trying again");
        Ok(())
    }

    /// Reads the file to its proven end. The inner error passes: the same URL may be asked again.
    async fn download(
        &self,
        answer: &mut StreamAnswer,
        file: &mut File,
        path: &Path,
        max: u64,
    ) -> Result<Result<Fetched, Error>> {
        let gzip = match answer.header("content-encoding").map(|encoding| encoding.trim().to_lowercase()).as_deref() {
            None | Some("" | "identity") => false,
            Some("gzip" | "x-gzip") => true,
            Some(other) => {
                let message = format!("the export came in an encoding that was not asked for: {}", printable(other));
                return Err(Error::new(Kind::Refused, message));
            }
        };
        let kind = answer.header("content-type").unwrap_or_default().trim().to_lowercase();
        if kind.starts_with("text/html") || kind.starts_with("application/json") {
            let message = format!("the answer is no export but {}", printable(&kind));
            return Ok(Err(Error::new(Kind::Transient, message)));
        }
        if gzip && !answer.has_proven_end() {
            // the trailer of the last member proves it
            answer.accept_close_as_end();
        }
        let disk = |error| Error::io(format!("writing {}", path.display()), error);
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(disk)?;
        let mut decoder = Decoder::new(file, gzip, max);
        let mut received_bytes = 0;
        loop {
            match answer.chunk().await {
                Ok(Some(piece)) => {
                    received_bytes += piece.len() as u64;
                    match decoder.push(&piece) {
                        Ok(()) => {}
                        Err(error) if error.kind() == Kind::Transient => return Ok(Err(error)),
                        Err(error) => return Err(in_file(error, path)),
                    }
                }
                Ok(None) => break,
                Err(failed) => return Ok(Err(failed.error.into_kind(Kind::Transient))),
            }
        }
        match decoder.finish() {
            Ok(bytes) => Ok(Ok(Fetched { bytes, received_bytes, gzip })),
            Err(error) if error.kind() == Kind::Transient => Ok(Err(error)),
            Err(error) => Err(in_file(error, path)),
        }
    }
}

fn in_file(error: Error, path: &Path) -> Error {
    match error.kind() {
        Kind::Local => Error::new(Kind::Local, format!("writing {}: {}", path.display(), error.message()))
            .with_hint("is the disk full?"),
        _ => error,
    }
}

/// One export under way: the client and its token.
struct Session<'a> {
    options: &'a ApsisOptions,
    client: &'a Client,
    token: Option<Token>,
}

impl Session<'_> {
    /// Asks for the report; where its file will be.
    async fn request_report(&mut self) -> Result<Urls> {
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
        let find = |key: &str| {
            let tree = tree.get("result").filter(|result| result.is_object()).unwrap_or(&tree);
            let member = tree.as_object()?.iter().find(|(name, _)| name.trim() == key)?.1;
            member.as_str().map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned)
        };
        let urls: Vec<String> = ["file_download_url_v2", "file_download_url"]
            .into_iter()
            .filter_map(find)
            .map(|url| self.own(&url))
            .collect::<Result<_>>()?;
        match urls.is_empty() {
            true => Err(Error::new(Kind::Refused, "the answer to the report request names no file_download_url")),
            false => Ok(Urls { urls, now: 0 }),
        }
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
    async fn ask(&mut self, url: &str) -> Result<Asked> {
        let accept = match self.options.format {
            Format::Csv => "text/csv;charset=UTF-8;header=present",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        };
        let mut request = Request::new("GET", Secret::new(url)).header("Accept", accept);
        if self.options.gzip {
            request = request.header("Accept-Encoding", "gzip");
        }
        request = match same_origin(url, &self.options.base_url) {
            true => bearer(request, &self.token().await?),
            false => request.supplied_by(&self.options.base_url),
        };
        let answer = match self.client.stream(&request).await {
            Ok(answer) => answer,
            Err(failed) => return passing(failed).map(Asked::Passing),
        };
        let status = answer.status;
        let wait = answer.retry_after();
        let what = "the export";
        match status {
            200 => Ok(Asked::File(answer)),
            202 | 204 | 404 => Ok(Asked::Pending(wait)),
            401 => Ok(Asked::Unauthorized),
            410 => Err(Error::new(Kind::Refused, "the export is gone (status 410)")
                .with_hint("an export lives for a day; run again to request a new one")),
            _ => {
                let words = match answer.into_answer().await {
                    Ok(answer) => self.said(what, &answer),
                    Err(_) => format!("{what}: status {status}"),
                };
                match status {
                    403 => Err(Error::new(Kind::Credentials, words)),
                    408 | 429 | 500.. => {
                        let error = Error::new(Kind::Transient, words);
                        Ok(Asked::Passing(match wait {
                            Some(wait) => error.with_retry_after(wait),
                            None => error,
                        }))
                    }
                    _ => Err(Error::new(Kind::Refused, words)),
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
            _ => return Err(Error::new(Kind::Refused, self.said("the token request", &answer))),
        }
        let token = Token::read(&answer.body)
            .ok_or_else(|| Error::new(Kind::Refused, "the answer to the token request holds no access_token"))?;
        let value = token.value.clone();
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
                return Err(error);
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
        let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(500).collect();
        let token = self.token.as_ref().map(|token| &token.value);
        for secret in [Some(&self.options.client_secret), token].into_iter().flatten() {
            line = line.replace(secret.expose(), "***");
        }
        match line.is_empty() {
            true => format!("{what}: status {}", answer.status),
            false => format!("{what}: status {}: {}", answer.status, printable(&line)),
        }
    }
}

fn bearer(request: Request, token: &Secret) -> Request {
    request.header("Authorization", &format!("Bearer {}", token.expose()))
}

fn unauthorized(what: &str) -> Error {
    Error::new(Kind::Credentials, format!("{what}: a fresh token is not taken (status 401)"))
        .with_hint("check source.apsis.client_id, client_secret and the rights of the API key")
}

/// A fault that will be there again is an error.
fn passing(failed: Failed) -> Result<Error> {
    match failed.reach {
        Reach::Permanent => Err(failed.error),
        _ => Ok(failed.error.into_kind(Kind::Transient)),
    }
}

/// A file under a temporary name, removed unless it is kept.
struct Temporary {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Temporary {
    fn beside(target: &Path) -> Result<Temporary> {
        let nanos =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let name = target.file_name().ok_or_else(|| Error::usage(format!("{} names no file", target.display())))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{nanos:x}.part", std::process::id()));
        let path = target.with_file_name(hidden);
        let file =
            spool::create_private(&path).map_err(|error| Error::io(format!("creating {}", path.display()), error))?;
        Ok(Temporary { file, path, kept: false })
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|error| Error::io(format!("writing {}", self.path.display()), error))
    }

    fn keep(mut self) -> PathBuf {
        self.kept = true;
        self.path.clone()
    }

    fn replace(mut self, target: &Path) -> Result<()> {
        let placed = std::fs::rename(&self.path, target);
        placed.map_err(|error| Error::io(format!("renaming to {}", target.display()), error))?;
        self.kept = true;
        // the name is safe once its directory is
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(dir) = File::open(dir) {
            dir.sync_all().map_err(|error| Error::io(format!("syncing {}", target.display()), error))?;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
