//! The list sent by FTP: under a temporary name, its size compared, renamed. A cut transfer never has the list's name,
//! and a list that was there is gone only when the new one has taken its place.

use super::request::SEGMENT;
use crate::body::{Body, Frame, Measured, Part};
use crate::calls::{Policy, Remote};
use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, printable};
use http_body_util::BodyExt as _;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use std::time::Duration;
use suppaftp::tokio::AsyncFtpStream;
use suppaftp::types::FileType;
use suppaftp::{FtpError, Status};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use url::Url;

const CONNECT_TIME: Duration = Duration::from_secs(10);
/// For an answer on the control connection, and for the server to take bytes.
const STALL_TIME: Duration = Duration::from_secs(60);

/// Where the list goes and who sends it.
pub(super) struct Target {
    host: String,
    port: u16,
    user: String,
    password: String,
    path: String,
    anonymous: bool,
}

impl Target {
    /// Reads `ftp://user@host:port/dir/list.csv`; the path is relative to where the login leads, `%2F` makes it absolute.
    ///
    /// # Errors
    /// `Usage`.
    pub(super) fn read(url: &Secret, password: Option<&Secret>) -> Result<Target> {
        let wrong = |why: &str| {
            Error::usage(format!("destination.host.ftp.url {why}"))
                .with_hint("for example ftp://user@host/dir/list.csv")
        };
        let url = Url::parse(url.expose()).map_err(|_| wrong("is no URL"))?;
        let decode = |text: &str| -> Result<String> {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| wrong("is not UTF-8"))?.into_owned();
            match text.chars().any(char::is_control) {
                true => Err(wrong("holds a control character")),
                false => Ok(text),
            }
        };
        let path = decode(url.path().strip_prefix('/').unwrap_or_default())?;
        if path.is_empty() || path.ends_with('/') {
            return Err(wrong("names no file"));
        }
        let anonymous = url.username().is_empty();
        let password = match (password, url.password()) {
            (Some(password), _) => password.expose().to_owned(),
            (None, Some(password)) => decode(password)?,
            (None, None) => "anonymous@".to_owned(),
        };
        if password.chars().any(char::is_control) {
            return Err(Error::usage("destination.host.ftp.password holds a control character")
                .with_hint("is there a line end in it?"));
        }
        Ok(Target {
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(21),
            user: if anonymous { "anonymous".to_owned() } else { decode(url.username())? },
            password,
            path,
            anonymous,
        })
    }

    /// The URL to fetch the list from, user and password in it.
    pub(super) fn fetch_url(&self) -> Secret {
        let encode = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
        let user = match self.anonymous {
            true => String::new(),
            false => format!("{}:{}@", encode(&self.user), encode(&self.password)),
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = if self.port == 21 { String::new() } else { format!(":{}", self.port) };
        let path = self.path.strip_prefix('/').map_or_else(|| self.path.clone(), |path| format!("%2F{path}"));
        let path: Vec<String> = path
            .split('/')
            .enumerate()
            .map(|(i, segment)| match segment.strip_prefix("%2F").filter(|_| i == 0) {
                Some(rest) => format!("%2F{}", encode(rest)),
                None => encode(segment),
            })
            .collect();
        Secret::new(format!("ftp://{user}{host}{port}/{}", path.join("/")))
    }
}

/// The names on the server: the list's own, and ours beside it.
struct Names {
    list: String,
    /// While it comes.
    part: String,
    /// Of the list that was there, where the server does not rename onto a file.
    old: String,
}

/// The fact that the old list has, or may have, stepped aside.
const ASIDE: &str = "ftp-aside";

/// What one attempt came to.
enum Fault {
    /// No answer: nobody knows whether it was done.
    Lost(Error),
    /// Refused, and may be better next time.
    Passing(Error),
    Final(Error),
}

impl Fault {
    fn into_error(self) -> Error {
        match self {
            Fault::Lost(error) | Fault::Passing(error) | Fault::Final(error) => error,
        }
    }
}

/// Sends the part, again after passing faults. Repeating it leaves the same file. A list that is there stays until the
/// new one has its name.
pub(super) async fn send(
    target: &Target,
    measured: &Measured,
    part: &Part,
    remote: &mut Remote<'_>,
    policy: &Policy,
) -> Result<()> {
    let ours = remote.seed().random.get(..8).unwrap_or("listferry");
    let names = Names {
        list: target.path.clone(),
        part: format!("{}.{ours}.part", target.path),
        old: format!("{}.{ours}.old", target.path),
    };
    let mut pause = Duration::from_secs(1);
    let mut attempt = 0;
    let sent = loop {
        attempt += 1;
        remote.part_attempt(part.index)?;
        match attempt_once(target, &names, measured.body(part, &Frame::default()), part.bytes, remote).await {
            Ok(()) => break Ok(()),
            Err(Fault::Final(error)) => break Err(error),
            Err(fault) if attempt >= policy.attempts => {
                break Err(fault
                    .into_error()
                    .with_hint("run the job again, or resume the run: the list is sent again"));
            }
            Err(fault) => {
                tracing::warn!(attempt, "{}; trying again in {} s", fault.into_error(), pause.as_secs());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(60));
            }
        }
    };
    if !is_aside(remote)? {
        return sent;
    }
    // the session was lost, or the server refused to undo it
    let settled = match open(target).await {
        Ok(mut session) => {
            let settled = settle(&mut session, &names, remote).await;
            let _ = timeout(CONNECT_TIME, session.quit()).await;
            settled
        }
        Err(fault) => Err(fault),
    };
    match (settled, sent) {
        (Ok(()), sent) => sent,
        (Err(_), Ok(())) => remote.note(&format!(
            "host.ftp: the list that was there before could not be deleted: .{ours}.old behind its name"
        )),
        (Err(_), Err(error)) => Err(error.with_hint(format!(
            "the list that was there may have .{ours}.old behind its name now: give it its name back, or send it again"
        ))),
    }
}

/// A session that is logged in.
async fn open(target: &Target) -> Result<AsyncFtpStream, Fault> {
    let connect = AsyncFtpStream::connect((target.host.as_str(), target.port));
    let mut session = step("connect", CONNECT_TIME, connect).await?;
    // data connections go to the server that was named, whatever address it answers with
    session.set_passive_nat_workaround(true);
    step("login", STALL_TIME, session.login(target.user.as_str(), target.password.as_str())).await?;
    step("TYPE I", STALL_TIME, session.transfer_type(FileType::Binary)).await?;
    Ok(session)
}

async fn attempt_once(
    target: &Target,
    names: &Names,
    body: Body,
    bytes: u64,
    remote: &Remote<'_>,
) -> Result<(), Fault> {
    let mut session = open(target).await?;
    // an attempt or a process before this one ended between two names
    if is_aside(remote).map_err(Fault::Final)?
        && let Err(fault @ (Fault::Lost(_) | Fault::Passing(_))) = settle(&mut session, names, remote).await
    {
        return Err(fault);
    }
    let sent = transfer(&mut session, &names.part, body).await;
    let placed = match sent {
        Ok(()) => place(&mut session, names, bytes, remote).await,
        Err(fault) => Err(fault),
    };
    if placed.is_err() {
        let _ = timeout(CONNECT_TIME, session.rm(&names.part)).await;
    }
    let _ = timeout(CONNECT_TIME, session.quit()).await;
    placed
}

async fn transfer(session: &mut AsyncFtpStream, temporary: &str, mut body: Body) -> Result<(), Fault> {
    let mut data = step("STOR", STALL_TIME, session.put_with_stream(temporary)).await?;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                // the server takes the end of the data for the end of the file: it has the temporary name only
                drop(data);
                let _ = timeout(CONNECT_TIME, session.noop()).await;
                return Err(Fault::Final(error));
            }
        };
        let Ok(piece) = frame.into_data() else { continue };
        match timeout(STALL_TIME, data.write_all(&piece)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(lost(&error)),
            Err(_) => return Err(lost(&"the server takes no byte")),
        }
    }
    step("STOR", STALL_TIME, data.finish()).await
}

/// Gives the list its name once it is whole. A list that has it is replaced; it is never deleted before that.
async fn place(session: &mut AsyncFtpStream, names: &Names, bytes: u64, remote: &Remote<'_>) -> Result<(), Fault> {
    let size = step("SIZE", STALL_TIME, session.size(&names.part)).await? as u64;
    if size != bytes {
        let message = format!("host.ftp: the server has {size} bytes of {bytes}");
        return Err(Fault::Passing(Error::new(Kind::Transient, message)));
    }
    let refused = match rename(session, &names.part, &names.list).await {
        Ok(()) => return Ok(()),
        Err(Fault::Lost(error)) => return Err(Fault::Lost(error)),
        Err(refused) => refused,
    };
    // Some servers do not rename onto a file that is there: it steps aside.
    remote.store(ASIDE, Value::Bool(true)).map_err(Fault::Final)?;
    let placed = match rename(session, &names.list, &names.old).await {
        Ok(()) => rename(session, &names.part, &names.list).await,
        Err(Fault::Lost(error)) => return Err(Fault::Lost(error)),
        // there is no list, or it must stay: it was not that
        Err(_) => Err(refused),
    };
    if !matches!(placed, Err(Fault::Lost(_))) {
        // should this fail, it is tried again in a session of its own
        let _ = settle(session, names, remote).await;
    }
    placed
}

fn is_aside(remote: &Remote<'_>) -> Result<bool> {
    Ok(remote.load(ASIDE)? == Some(Value::Bool(true)))
}

/// After a step aside: where a list has the name, the old one goes; where none has, the old one gets it back.
async fn settle(session: &mut AsyncFtpStream, names: &Names, remote: &Remote<'_>) -> Result<(), Fault> {
    if exists(session, &names.old).await? {
        match exists(session, &names.list).await? {
            true => step("DELE", STALL_TIME, session.rm(&names.old)).await?,
            false => rename(session, &names.old, &names.list).await?,
        }
    }
    remote.store(ASIDE, Value::Bool(false)).map_err(Fault::Final)
}

async fn exists(session: &mut AsyncFtpStream, path: &str) -> Result<bool, Fault> {
    match step("SIZE", STALL_TIME, session.size(path)).await {
        Ok(_) => Ok(true),
        Err(Fault::Final(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

async fn rename(session: &mut AsyncFtpStream, from: &str, to: &str) -> Result<(), Fault> {
    step("RNTO", STALL_TIME, session.rename(from, to)).await
}

async fn step<T>(what: &str, time: Duration, future: impl Future<Output = Result<T, FtpError>>) -> Result<T, Fault> {
    match timeout(time, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(judge(what, &error)),
        Err(_) => Err(lost(&format!("{what}: no answer in {} s", time.as_secs()))),
    }
}

fn lost(why: &dyn std::fmt::Display) -> Fault {
    Fault::Lost(Error::new(Kind::Transient, format!("host.ftp: {why}")))
}

/// 4xx passes, 530 is the login, other 5xx stay.
fn judge(what: &str, error: &FtpError) -> Fault {
    let FtpError::UnexpectedResponse(response) = error else { return lost(&format!("{what}: {error}")) };
    let says = printable(String::from_utf8_lossy(&response.body).trim());
    let message = format!("host.ftp: {what} answered: {says}");
    let refused = match what {
        "RNTO" => {
            "the list that was there was not changed; the user needs the right to rename and to replace files there"
        }
        "SIZE" => "the server has to tell the size of a file (SIZE): a cut list must not get the list's name",
        _ => "check destination.host.ftp.url: the folder must be there, and the user may write in it",
    };
    match response.status.code() {
        530 | 532 | 430 => Fault::Final(
            Error::new(Kind::Credentials, message).with_hint("check destination.host.ftp: user and password"),
        ),
        500.. if response.status != Status::Unknown => {
            Fault::Final(Error::new(Kind::Refused, message).with_hint(refused))
        }
        _ => Fault::Passing(Error::new(Kind::Transient, message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, password: Option<&str>) -> Result<Target> {
        Target::read(&Secret::new(url), password.map(Secret::new).as_ref())
    }

    #[test]
    fn the_fetch_url_has_user_and_password_encoded() {
        let of = |url, password| target(url, password).unwrap().fetch_url().expose().to_owned();
        assert_eq!(
            of("ftp://u@h.example/dir/list.csv", Some("p@:/ä")),
            "ftp://u:p%40%3A%2F%C3%A4@h.example/dir/list.csv"
        );
        assert_eq!(of("ftp://u%40x:pw@h.example:2121/l.csv", None), "ftp://u%40x:pw@h.example:2121/l.csv");
        assert_eq!(of("ftp://h.example/a%20b/l.csv", None), "ftp://h.example/a%20b/l.csv");
        assert_eq!(of("ftp://h.example/%2Fsrv/l.csv", None), "ftp://h.example/%2Fsrv/l.csv");
        assert_eq!(of("ftp://[::1]:2121/l.csv", None), "ftp://[::1]:2121/l.csv");
    }

    #[test]
    fn a_url_without_a_file_or_with_a_line_end_is_refused_without_telling_it() {
        for bad in ["ftp://u:hunter2@h/", "ftp://u:hunter2@h/dir/", "ftp://u:hunter2@h/a%0D%0ADELE%20x"] {
            let error = target(bad, None).err().unwrap();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(!error.to_string().contains("hunter2"));
        }
        assert!(target("ftp://u@h/l", Some("a\nb")).is_err());
    }
}
