//! The way of one export: asked for, waited for, read to its proven end.

use super::decode::Decoder;
use super::requested::{Memory, Requested};
use super::session::{Asked, Session, XLSX, given_up, unauthorized};
use super::urls::Urls;
use super::{Apsis, Fetched, Format};
use crate::error::{Error, Kind, Result};
use crate::secret::printable;
use crate::transport::{Client, StreamAnswer};
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// The longest pause between two questions.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Apsis {
    /// Fetches the decoded export into `file`, which is emptied before each attempt; `path` names it in messages.
    pub(super) async fn fetch(
        &self,
        client: &Client,
        file: &mut File,
        path: &Path,
        max: u64,
        mut memory: Option<Memory<'_>>,
    ) -> Result<Fetched> {
        let mut session = Session::new(&self.options, client);
        let until = Instant::now() + self.options.wait;
        let mut earlier = memory.as_mut().and_then(|memory| memory.earlier.take());
        let mut urls = match &earlier {
            Some(requested) => {
                tracing::info!("waiting on for the export that was asked for before");
                Urls::of(requested)
            }
            None => Urls::of(&request(&mut session, &mut memory).await?),
        };
        let mut pause = self.options.first_pause;
        let (mut failed, mut refreshed) = (0, false);
        loop {
            if earlier.take_if(|requested| requested.is_over()).is_some() {
                tracing::warn!("the export that was asked for before is more than a day old: asking for it anew");
                urls = Urls::of(&request(&mut session, &mut memory).await?);
            }
            let asked_to_wait = match session.ask(urls.current()).await? {
                Asked::File(mut answer) => match self.download(&mut answer, file, path, max).await? {
                    Ok(fetched) => return Ok(fetched),
                    Err(error) => {
                        failed += 1;
                        self.give_up(failed, error)?;
                        urls.passing(failed);
                        None
                    }
                },
                Asked::InProgress(wait) => {
                    (failed, refreshed) = (0, false);
                    urls.in_progress();
                    wait
                }
                Asked::Unknown(wait) => {
                    (failed, refreshed) = (0, false);
                    urls.unknown();
                    wait
                }
                Asked::Passing(error) => {
                    failed += 1;
                    let wait = error.retry_after();
                    self.give_up(failed, error)?;
                    urls.passing(failed);
                    wait
                }
                Asked::Gone if !urls.gone() => continue,
                Asked::Gone if earlier.take().is_some() => {
                    tracing::warn!("the export that was asked for before is gone: asking for it anew");
                    urls = Urls::of(&request(&mut session, &mut memory).await?);
                    continue;
                }
                Asked::Gone => {
                    return Err(Error::new(Kind::Refused, "the export is gone (status 410)")
                        .with_hint("an export lives for a day; run again to request a new one"));
                }
                Asked::Odd(error) if urls.leave() => {
                    tracing::warn!("{error}; asking the other URL of the export");
                    continue;
                }
                Asked::Odd(error) => return Err(error),
                Asked::Unauthorized if refreshed => return Err(unauthorized("the export")),
                Asked::Unauthorized => {
                    refreshed = true;
                    session.drop_token();
                    continue;
                }
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let hint = match memory {
                    Some(_) => {
                        "resume the run to go on waiting for the same export; one that stays away may have a wrong request"
                    }
                    None => "an export that stays away may have a wrong request; else raise wait",
                };
                return Err(
                    Error::new(Kind::Pending, "the export was not ready within source.apsis.wait").with_hint(hint)
                );
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
                return Err(Error::new(Kind::Refused, message).with_hint("source.apsis.gzip: false asks for none"));
            }
        };
        if let Some(error) = self.other_kind(answer.header("content-type").unwrap_or_default()) {
            return if error.kind() == Kind::Transient { Ok(Err(error)) } else { Err(error) };
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
            Ok(0) => Ok(Err(Error::new(Kind::Transient, "the export came empty: not even a header row")
                .with_hint("where it stays empty, look at the report in APSIS One"))),
            Ok(bytes) => Ok(Ok(Fetched { bytes, received_bytes, gzip })),
            Err(error) if error.kind() == Kind::Transient => Ok(Err(error)),
            Err(error) => Err(in_file(error, path)),
        }
    }

    /// What the answer's Content-Type says where that is surely not the file that was asked for. CSV comes under many
    /// names, or none.
    fn other_kind(&self, content_type: &str) -> Option<Error> {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let (came, wanted) = match (kind.as_str(), self.options.format) {
            ("text/html" | "application/json", _) => {
                let message = format!("the answer is no export but {}", printable(&kind));
                return Some(Error::new(Kind::Transient, message).with_hint(
                    "something else may answer in the place of APSIS One: check source.apsis.base_url and the proxy",
                ));
            }
            (XLSX, Format::Csv) => ("an Excel file", "csv"),
            ("text/csv" | "application/csv", Format::Xlsx) => ("a CSV file", "xlsx"),
            _ => return None,
        };
        let message = format!("the export came as {came} though source.apsis.format is {wanted}");
        let hint = "listferry export takes either: set source.apsis.format to what comes; a job's source has to be csv";
        Some(Error::new(Kind::Refused, message).with_hint(hint))
    }
}

/// Asks for the export anew, and has it remembered.
async fn request(session: &mut Session<'_>, memory: &mut Option<Memory<'_>>) -> Result<Requested> {
    let requested = session.request_report().await?;
    if let Some(memory) = memory {
        (memory.keep)(&requested)?;
    }
    Ok(requested)
}

fn in_file(error: Error, path: &Path) -> Error {
    match error.kind() {
        Kind::Local => Error::new(Kind::Local, format!("writing {}: {}", path.display(), error.message()))
            .with_hint("is the disk full?"),
        _ => error,
    }
}
