//! An export of APSIS One: a report is requested, its URL polled until the file streams, the file written decoded and
//! checked complete.
//!
//! Facts and their sources are in the README beside this file.

mod decode;
mod session;
mod token;

use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, printable};
use crate::source::spool;
use crate::source::temporary::{Temporary, is_special};
use crate::transport::{Client, StreamAnswer};
use decode::Decoder;
use serde_json::Value;
use session::{Asked, Session, unauthorized};
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
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
        let mut temporary = Temporary::private(&dir.join("apsis"))?;
        let fetched = self.fetch(client, &mut temporary.file, &temporary.path, max).await?;
        temporary.sync()?;
        Ok((temporary.keep(), fetched))
    }

    /// Fetches the export into a file: a temporary one beside it, synced, renamed. A file that is there stays as it is
    /// until the new one is whole. A device or a pipe gets it once it is whole.
    ///
    /// # Errors
    /// `Credentials`: the API key or its rights. `Refused`: the report, or the export is gone. `Pending`: `wait` is over.
    /// `Transient`: passing faults outlasted the attempts, or a transfer that is never whole. `Local`: the disk.
    pub async fn export(&self, client: &Client, target: &Path) -> Result<Fetched> {
        let special = is_special(target);
        let beside = if special { &std::env::temp_dir().join("listferry-export") } else { target };
        let mut temporary = Temporary::private(beside)?;
        let fetched = self.fetch(client, &mut temporary.file, &temporary.path, u64::MAX).await?;
        if !special {
            temporary.replace()?;
            return Ok(fetched);
        }
        let copied = File::options().write(true).open(target).and_then(|mut to| {
            let mut from = File::open(&temporary.path)?;
            std::io::copy(&mut from, &mut to)
        });
        copied.map_err(|error| Error::io(format!("{} cannot be written", target.display()), error))?;
        Ok(fetched)
    }

    /// Fetches the decoded export into `file`, which is emptied before each attempt; `path` names it in messages.
    async fn fetch(&self, client: &Client, file: &mut File, path: &Path, max: u64) -> Result<Fetched> {
        let mut session = Session::new(&self.options, client);
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
                    session.drop_token();
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
            return Err(given_up(error, failed));
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

/// The error of the last attempt.
fn given_up(error: Error, attempts: u32) -> Error {
    let plural = if attempts == 1 { "" } else { "s" };
    let mut hint = format!("given up after {attempts} attempt{plural}; run it again");
    if let Some(wait) = error.retry_after() {
        hint = format!("{hint} in {} s", wait.as_secs());
    }
    error.with_hint(hint)
}

fn in_file(error: Error, path: &Path) -> Error {
    match error.kind() {
        Kind::Local => Error::new(Kind::Local, format!("writing {}: {}", path.display(), error.message()))
            .with_hint("is the disk full?"),
        _ => error,
    }
}
