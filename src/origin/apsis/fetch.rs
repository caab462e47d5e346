//! Fetches one export: requests it, waits for it, and reads it to its verified end.

use super::decode::Decoder;
use super::requested::Requested;
use super::session::{Session, hinting, passing, unauthorized, without_token};
use super::urls::Urls;
use super::{Apsis, Fetched, Format, XLSX};
use crate::calls::{Attempt, Call, Event, Read, Remote, Reply, RetrySafety, Waiting};
use crate::error::{Error, Kind, Result};
use crate::secret::printable;
use crate::transport::{Answer, StreamAnswer};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;

/// Journal key of the requested export, kept until the export is fetched. Its URLs may be secrets.
pub(crate) const REQUESTED: &str = "apsis";

/// The export's name in messages.
const WHAT: &str = "the export";

/// An export that is being polled.
struct Asking<'a, 'r> {
    apsis: &'a Apsis,
    session: Session<'a, 'r>,
    urls: Urls,
    /// The request of an earlier process, if this export was requested by one.
    earlier: Option<Requested>,
    /// Number of consecutive temporary faults.
    failed: u32,
    refreshed: bool,
    file: &'a mut File,
    path: &'a Path,
    max: u64,
}

impl Apsis {
    /// Fetches the decoded export into `file`, which is emptied before each attempt; `path` is its name in messages. An
    /// export requested by an earlier process under the same journal is waited for if its URLs are still valid.
    pub(super) async fn fetch(&self, remote: &Remote<'_>, file: &mut File, path: &Path, max: u64) -> Result<Fetched> {
        let remote = &remote.waiting_for(self.options.wait);
        let mut session = Session::new(&self.options, remote);
        let earlier = remote.load(REQUESTED)?;
        earlier.iter().for_each(|urls| remote.taint().learn_urls(urls));
        let earlier = earlier.as_ref().and_then(Requested::from_json);
        let urls = match &earlier {
            Some(requested) => {
                tracing::info!("still waiting for the export that was requested before");
                Urls::of(requested)
            }
            None => Urls::of(&request(&mut session).await?),
        };
        let asking = Asking { apsis: self, session, urls, earlier, failed: 0, refreshed: false, file, path, max };
        let asking = &Mutex::new(asking);
        let call = Call::new("export", RetrySafety::Always);
        let fetched = remote
            .until(&call, Waiting::default(), |_| async move {
                asking.lock().await.ask().await.unwrap_or_else(Attempt::Final)
            })
            .await;
        match fetched {
            Err(error) if error.kind() == Kind::Pending => {
                Err(Error::new(Kind::Pending, "the export was not ready within source.apsis.wait").with_hint(
                    "run it again to keep waiting for the same export; if it never becomes ready, check source.apsis.request",
                ))
            }
            fetched => fetched?.ok_or_else(|| Error::new(Kind::Pending, "the export was not ready")),
        }
    }
}

/// The outcome of a poll that did not return the file.
enum Asked {
    InProgress,
    Unknown,
    Gone,
    Unauthorized,
}

impl Asking<'_, '_> {
    /// Polls for the file, with another URL or another token at once if that may help.
    async fn ask(&mut self) -> Result<Attempt<Fetched>> {
        loop {
            self.forget_what_is_over().await?;
            let (came, fetched) = self.ask_once().await?;
            let (asked, wait) = match came {
                Attempt::Done(Read::Whole) => return fetched.map(Attempt::Done),
                Attempt::Done(Read::Answered(value)) => {
                    (Asked::of(&value), value["wait"].as_u64().map(Duration::from_secs))
                }
                Attempt::Final(error) if matches!(error.kind(), Kind::Refused | Kind::Credentials) => {
                    if !self.urls.leave() {
                        return Err(error);
                    }
                    tracing::warn!("{error}; asking the other URL of the export");
                    continue;
                }
                Attempt::Final(error) => return Err(error),
                other => {
                    self.failed += 1;
                    self.urls.passing(self.failed);
                    return Ok(other.map(|_| Fetched { bytes: 0, received_bytes: 0, gzip: false }));
                }
            };
            match asked {
                Asked::InProgress => self.urls.in_progress(),
                Asked::Unknown => self.urls.unknown(),
                Asked::Gone if !self.urls.gone() => continue,
                Asked::Gone if self.earlier.take().is_some() => {
                    tracing::warn!("the export that was requested before is gone: requesting it anew");
                    self.urls = Urls::of(&request(&mut self.session).await?);
                    continue;
                }
                Asked::Gone => {
                    return Err(Error::new(Kind::Refused, "the export is gone (status 410)")
                        .with_hint("an export lives for a day; run again to request a new one"));
                }
                Asked::Unauthorized if self.refreshed => return Err(unauthorized(WHAT)),
                Asked::Unauthorized => {
                    self.refreshed = true;
                    self.session.drop_token();
                    continue;
                }
            }
            (self.failed, self.refreshed) = (0, false);
            let not_yet = Error::new(Kind::Pending, "the export is not ready");
            return Ok(Attempt::Passing(match wait {
                Some(wait) => not_yet.with_retry_after(wait),
                None => not_yet,
            }));
        }
    }

    async fn forget_what_is_over(&mut self) -> Result<()> {
        let now = self.session.remote.now();
        if self.earlier.take_if(|requested| requested.is_over(now)).is_some() {
            tracing::warn!("the export that was requested before is more than a day old: requesting it anew");
            self.urls = Urls::of(&request(&mut self.session).await?);
        }
        Ok(())
    }

    /// Polls one URL once. If the file comes, reads it to its verified end.
    async fn ask_once(&mut self) -> Result<(Attempt<Read>, Result<Fetched>)> {
        let url = self.urls.current().to_owned();
        let own = self.session.gets_the_token(&url);
        let request = self.session.file_request(&url).await?;
        let classify = |answer: &Answer| match answer.status {
            404 | 410 => {
                Reply::Done(json!({"status": answer.status, "wait": answer.retry_after().map(|wait| wait.as_secs())}))
            }
            401 | 403 if !own => Reply::Fail(without_token(&url, answer.status)),
            401 => Reply::Done(json!({"status": 401})),
            403 => hinting(passing(WHAT, answer), "the API key may not fetch this export"),
            _ => hinting(passing(WHAT, answer), "check source.apsis.request and base_url"),
        };
        let mut download =
            Download { apsis: self.apsis, path: self.path, max: self.max, began: false, wait: None, decoder: None };
        let (mut received_bytes, mut fetched) = (0, None);
        let (file, remote) = (&*self.file, self.session.remote);
        let mut each = |event: Event<'_>| match event {
            Event::Begin(answer) => download.begin(answer, file),
            Event::Piece(piece) => {
                received_bytes += piece.len() as u64;
                download.push(piece)
            }
            Event::End => {
                fetched = download.end(received_bytes)?;
                Ok(())
            }
        };
        let came = remote.read_coded_once(&request, &classify, &mut each).await;
        let came = match (came, &fetched) {
            // the content is not what was requested, and the other URL would return the same
            (Attempt::Final(error), _) if download.began => return Err(error),
            (Attempt::Done(Read::Whole), None) => {
                Attempt::Done(Read::Answered(json!({"status": 202, "wait": download.wait.map(|wait| wait.as_secs())})))
            }
            (came, _) => came,
        };
        Ok((came, fetched.ok_or_else(|| Error::new(Kind::Transient, "the server did not send the export"))))
    }
}

impl Asked {
    fn of(status: &Value) -> Asked {
        match status["status"].as_u64() {
            Some(404) => Asked::Unknown,
            Some(410) => Asked::Gone,
            Some(401) => Asked::Unauthorized,
            _ => Asked::InProgress,
        }
    }
}

/// A file that is being read.
struct Download<'a> {
    apsis: &'a Apsis,
    path: &'a Path,
    max: u64,
    /// True once a 2xx response came.
    began: bool,
    /// If the response means "not yet" (202, 204): the delay it asks for.
    wait: Option<Duration>,
    decoder: Option<(Decoder<&'a File>, bool)>,
}

impl<'a> Download<'a> {
    fn begin(&mut self, answer: &mut StreamAnswer, mut file: &'a File) -> Result<()> {
        self.decoder = None;
        match answer.status {
            200 => self.began = true,
            202 | 204 => {
                self.wait = answer.retry_after();
                return Ok(());
            }
            status => {
                let message = format!("{WHAT}: status {status}, which APSIS One does not document");
                return Err(Error::new(Kind::Refused, message).with_hint("check source.apsis.base_url and the proxy"));
            }
        }
        let gzip = match answer.header("content-encoding").map(|encoding| encoding.trim().to_lowercase()).as_deref() {
            None | Some("" | "identity") => false,
            Some("gzip" | "x-gzip") => true,
            Some(other) => {
                let message = format!("the export arrived in an encoding that was not asked for: {}", printable(other));
                return Err(Error::new(Kind::Refused, message).with_hint("source.apsis.gzip: false asks for none"));
            }
        };
        if let Some(error) = self.apsis.other_kind(answer.header("content-type").unwrap_or_default()) {
            return Err(error);
        }
        if gzip && !answer.has_proven_end() {
            // the trailer of the last member verifies the end
            answer.accept_close_as_end();
        }
        let disk = |error| Error::io(format!("writing {}", self.path.display()), error);
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(disk)?;
        self.decoder = Some((Decoder::new(file, gzip, self.max), gzip));
        Ok(())
    }

    fn push(&mut self, piece: &[u8]) -> Result<()> {
        match &mut self.decoder {
            Some((decoder, _)) => decoder.push(piece).map_err(|error| in_file(error, self.path)),
            None => Ok(()),
        }
    }

    /// Ends the download; `None` if the response was not a file.
    fn end(&mut self, received_bytes: u64) -> Result<Option<Fetched>> {
        let Some((decoder, gzip)) = self.decoder.take() else { return Ok(None) };
        match decoder.finish() {
            Ok(0) => Err(Error::new(Kind::Transient, "the export is empty: it does not even have a header row")
                .with_hint("if it stays empty, look at the report in APSIS One")),
            Ok(bytes) => Ok(Some(Fetched { bytes, received_bytes, gzip })),
            Err(error) => Err(in_file(error, self.path)),
        }
    }
}

impl Apsis {
    /// Returns an error if the response's Content-Type is certainly not the requested format. CSV has many names, or
    /// none.
    fn other_kind(&self, content_type: &str) -> Option<Error> {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let (came, wanted) = match (kind.as_str(), self.options.format) {
            ("text/html" | "application/json", _) => {
                let message = format!("the answer is not an export but {}", printable(&kind));
                return Some(Error::new(Kind::Transient, message).with_hint(
                    "another server may answer instead of APSIS One: check source.apsis.base_url and the proxy",
                ));
            }
            (XLSX, Format::Csv) => ("an Excel file", "csv"),
            ("text/csv" | "application/csv", Format::Xlsx) => ("a CSV file", "xlsx"),
            _ => return None,
        };
        let message = format!("the export is {came} although source.apsis.format is {wanted}");
        let hint = "set source.apsis.format to match";
        Some(Error::new(Kind::Refused, message).with_hint(hint))
    }
}

/// Requests the export again, and stores the request before the first poll.
async fn request(session: &mut Session<'_, '_>) -> Result<Requested> {
    let requested = session.request_report().await?;
    session.remote.store(REQUESTED, requested.to_json())?;
    Ok(requested)
}

fn in_file(error: Error, path: &Path) -> Error {
    match error.kind() {
        Kind::Local => Error::new(Kind::Local, format!("writing {}: {}", path.display(), error.message()))
            .with_hint("is the disk full?"),
        _ => error,
    }
}
