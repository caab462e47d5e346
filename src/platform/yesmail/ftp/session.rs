//! A session with an FTP server: connected by IPv6 or IPv4, with TLS if requested, logged in. Each command has a time
//! limit, and the server's answers become errors with hints.

use super::target::Target;
use crate::calls::Attempt;
use crate::error::{Error, Kind};
use crate::secret::printable;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use suppaftp::tokio::{AsyncRustlsConnector, AsyncRustlsFtpStream, AsyncRustlsStream, TransferStream};
use suppaftp::types::{FileType, Mode, Response};
use suppaftp::{FtpError, Status};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Time limit of an answer on the control connection, and of the server taking bytes.
const STALL_TIME: Duration = Duration::from_secs(60);
/// Delay before the next address is tried in parallel.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// The failure of one attempt.
pub(super) enum Fault {
    /// The server was not reached.
    Unreached(Error),
    /// No answer: it is unknown whether the command was carried out.
    Lost(Error),
    /// Refused, but may succeed next time.
    Passing(Error),
    Final(Error),
}

impl<T> From<Fault> for Attempt<T> {
    fn from(fault: Fault) -> Attempt<T> {
        match fault {
            Fault::Unreached(error) => Attempt::Unreached(error),
            Fault::Lost(error) => Attempt::Unclear(error),
            Fault::Passing(error) => Attempt::Passing(error),
            Fault::Final(error) => Attempt::Final(error),
        }
    }
}

/// A session that is logged in.
pub(super) struct Session<'t> {
    ftp: AsyncRustlsFtpStream,
    target: &'t Target,
}

/// The data connection of a transfer.
pub(super) type Data = TransferStream<AsyncRustlsStream>;

impl<'t> Session<'t> {
    /// Connects, with TLS if there are settings for it, and logs in.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) async fn open(target: &'t Target, tls: Option<&Arc<ClientConfig>>) -> Result<Session<'t>, Fault> {
        let stream = match timeout(CONNECT_TIME, dial(&target.host, target.port)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreached(&error.to_string())),
            Err(_) => return Err(unreached(&format!("no connection within {} s", CONNECT_TIME.as_secs()))),
        };
        let greeting = timeout(STALL_TIME, AsyncRustlsFtpStream::connect_with_stream(stream)).await;
        let mut ftp = match greeting {
            Ok(Ok(ftp)) => ftp,
            Ok(Err(error)) => return Err(classify("the greeting", &error, target)),
            Err(_) if target.port == 990 => {
                return Err(Fault::Final(
                    Error::new(Kind::Refused, "host.ftp: no greeting; port 990 is that of implicit TLS").with_hint(
                        "implicit TLS is not supported: use the port of explicit TLS, mostly 21 (ftps://host/…)",
                    ),
                ));
            }
            Err(_) => return Err(lost(&format!("no greeting within {} s", STALL_TIME.as_secs()))),
        };
        if let Some(config) = tls {
            let connector = AsyncRustlsConnector::from(tokio_rustls::TlsConnector::from(Arc::clone(config)));
            ftp = within("AUTH TLS", target, ftp.into_secure(connector, &target.host)).await?;
        }
        // data connections use the server's own address, whatever address it answers with
        ftp.set_passive_nat_workaround(true);
        let mut ftp = ftp.passive_stream_builder(|address| Box::pin(data_connection(address)));
        within("login", target, ftp.login(target.user.as_str(), target.password.as_str())).await?;
        within("TYPE I", target, ftp.transfer_type(FileType::Binary)).await?;
        Ok(Session { ftp, target })
    }

    /// Starts to store a file: with an extended passive connection (EPSV, the only one for IPv6), or else with the
    /// older passive one.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) async fn store(&mut self, name: &str) -> Result<Data, Fault> {
        self.ftp.set_mode(Mode::ExtendedPassive);
        let extended = timeout(STALL_TIME, self.ftp.put_with_stream(name)).await;
        let refused = match extended {
            Ok(Ok(data)) => return Ok(data),
            Ok(Err(error)) => error,
            Err(_) => return Err(lost(&format!("STOR: no answer within {} s", STALL_TIME.as_secs()))),
        };
        if !is_about_passive(&refused) {
            return Err(classify("STOR", &refused, self.target));
        }
        tracing::debug!("host.ftp: no extended passive mode ({refused}); trying PASV");
        self.ftp.set_mode(Mode::Passive);
        within("STOR", self.target, self.ftp.put_with_stream(name)).await
    }

    /// Sends a piece of a file. Fails if the server takes no bytes for too long.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) async fn send(&self, data: &mut Data, mut piece: &[u8]) -> Result<(), Fault> {
        while !piece.is_empty() {
            match timeout(STALL_TIME, data.write(piece)).await {
                Ok(Ok(0)) => return Err(lost("the server accepts no more data")),
                Ok(Ok(taken)) => piece = &piece[taken..],
                Ok(Err(error)) => return Err(lost(&error.to_string())),
                Err(_) => return Err(lost("the server takes no byte")),
            }
        }
        Ok(())
    }

    /// Ends a file.
    pub(super) async fn finish(&self, data: Data) -> Result<(), Fault> {
        within("STOR", self.target, data.finish()).await
    }

    /// Leaves a file unfinished.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) async fn abandon(&mut self, data: Data) {
        drop(data);
        let _ = timeout(CONNECT_TIME, self.ftp.noop()).await;
    }

    /// Returns the size of a file.
    pub(super) async fn size(&mut self, path: &str) -> Result<u64, Fault> {
        Ok(within("SIZE", self.target, self.ftp.size(path)).await? as u64)
    }

    /// Returns whether a file of this name exists.
    pub(super) async fn exists(&mut self, path: &str) -> Result<bool, Fault> {
        match self.size(path).await {
            Ok(_) => Ok(true),
            Err(Fault::Final(_)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn rename(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        within("RNTO", self.target, self.ftp.rename(from, to)).await
    }

    pub(super) async fn delete(&mut self, path: &str) -> Result<(), Fault> {
        within("DELE", self.target, self.ftp.rm(path)).await
    }

    /// Deletes `leftover` if possible, and ends the session.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) async fn quit(mut self, leftover: Option<&str>) {
        if let Some(path) = leftover {
            let _ = timeout(CONNECT_TIME, self.ftp.rm(path)).await;
        }
        let _ = timeout(CONNECT_TIME, self.ftp.quit()).await;
    }
}

/// Connects to the first address of `host` that answers: IPv6 first, then IPv4, each a moment after the one before.
#[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
async fn dial(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv4);
    let mut addresses = addresses.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
    loop {
        if let Some(address) = addresses.next() {
            tries.push(TcpStream::connect(address));
        }
        if tries.is_empty() {
            return Err(last);
        }
        tokio::select! {
            Some(came) = tries.next() => match came {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if addresses.len() > 0 => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
async fn data_connection(address: SocketAddr) -> Result<TcpStream, FtpError> {
    let refused = |error| FtpError::ConnectionError(std::io::Error::other(DataRefused(error)));
    match timeout(CONNECT_TIME, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(refused),
        Err(_) => Err(refused(std::io::ErrorKind::TimedOut.into())),
    }
}

/// The data connection failed, but the control connection works.
#[derive(Debug)]
struct DataRefused(std::io::Error);

impl std::fmt::Display for DataRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "no data connection: {}; check that every firewall on the way allows the server's passive ports",
            self.0
        )
    }
}

impl std::error::Error for DataRefused {}

/// Whether an error may be about the passive mode and not about the file. 550 is either: vsftpd and ProFTPD answer it to a
/// command that their administrator denies. If it was about the file, the older mode gets the same answer.
fn is_about_passive(error: &FtpError) -> bool {
    match error {
        FtpError::UnexpectedResponse(response) => matches!(code_of(response), 425 | 500..=504 | 522 | 550),
        FtpError::ConnectionError(error) => error.get_ref().is_some_and(|inner| inner.is::<DataRefused>()),
        FtpError::BadResponse => true,
        _ => false,
    }
}

/// Returns the code of a reply. One that the library does not know is in the words all the same.
fn code_of(response: &Response) -> u32 {
    match response.status {
        Status::Unknown => {
            let digits = response.body.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
            digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
        }
        known => known.code(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
async fn within<T>(what: &str, target: &Target, future: impl Future<Output = Result<T, FtpError>>) -> Result<T, Fault> {
    match timeout(STALL_TIME, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(classify(what, &error, target)),
        Err(_) => Err(lost(&format!("{what}: no answer within {} s", STALL_TIME.as_secs()))),
    }
}

fn lost(why: &str) -> Fault {
    Fault::Lost(Error::new(Kind::Transient, format!("host.ftp: {why}")))
}

fn unreached(why: &str) -> Fault {
    Fault::Unreached(Error::new(Kind::Transient, format!("host.ftp: the server cannot be reached: {why}")))
}

/// Classifies a failure of step `what`: 4xx is temporary; a refused login and every other 5xx are final.
fn classify(what: &str, error: &FtpError, target: &Target) -> Fault {
    let response = match error {
        FtpError::UnexpectedResponse(response) => response,
        FtpError::SecureError(why) => return insecure(what, why),
        other => return lost(&format!("{what}: {}", printable(&other.to_string()))),
    };
    let says = printable(String::from_utf8_lossy(&response.body).trim());
    let message = format!("host.ftp: {what} answered: {says}");
    let code = code_of(response);
    let lower = says.to_ascii_lowercase();
    let wants_tls = !target.tls && ["tls", "ssl", "encrypt", "secure"].iter().any(|word| lower.contains(word));
    let hint = match (what, code) {
        (_, 421 | 500..) if wants_tls => "the server wants TLS: write ftps:// in destination.host.ftp.url",
        ("AUTH TLS", _) => {
            "the server has no explicit TLS: check host and port, or use ftp:// if the way to it is safe"
        }
        ("login", 400..) => "check destination.host.ftp: user and password",
        (_, 421) => "the server has too many connections, or is closing",
        (_, 425 | 426) => {
            "the data connection failed: check that every firewall on the way allows the server's passive ports"
        }
        (_, 452 | 552) => "the server's disk or the user's quota is full",
        ("STOR", 451) => "the server could not write the file: is its disk or the user's quota full?",
        (_, 553) => "the server does not accept this name: choose another one in destination.host.ftp.url",
        ("RNTO", _) => {
            "the previous list was not changed; the user needs the right to rename and to replace files there"
        }
        ("SIZE", _) => {
            "the server has to report the size of a file (SIZE), because an incomplete list must not get the list's name"
        }
        ("STOR", 522) => "the server wants protected data connections: write ftps:// in destination.host.ftp.url",
        _ => "check destination.host.ftp.url: the folder must exist, and the user must have the right to write there",
    };
    match code {
        430 | 530 | 532 if what != "AUTH TLS" && !wants_tls => {
            Fault::Final(Error::new(Kind::Credentials, message).with_hint(hint))
        }
        421 if wants_tls => Fault::Final(Error::new(Kind::Refused, message).with_hint(hint)),
        500..=599 => Fault::Final(Error::new(Kind::Refused, message).with_hint(hint)),
        // the retry loop's own hint says when it gave up
        _ => Fault::Passing(Error::new(Kind::Transient, format!("{message} ({hint})"))),
    }
}

/// Returns the failure of a TLS handshake. An untrusted certificate is final.
fn insecure(what: &str, why: &str) -> Fault {
    let message = format!("host.ftp: {what}: {}", printable(why));
    match why.to_ascii_lowercase().contains("certificate") {
        true => Fault::Final(Error::new(Kind::Refused, message).with_hint(
            "check the host in destination.host.ftp.url; if it is your own authority, name its PEM file in \
             network.ca_file",
        )),
        false => lost(&format!("{what}: {}", printable(why))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn answered(what: &str, url: &str, code: u32, text: &str) -> (&'static str, Error) {
        let target = Target::read(&Secret::new(url), None).expect("a target");
        let error = FtpError::UnexpectedResponse(Response::new(Status::from(code), text.as_bytes().to_vec()));
        match classify(what, &error, &target) {
            Fault::Unreached(error) => ("unreached", error),
            Fault::Lost(error) => ("lost", error),
            Fault::Passing(error) => ("passing", error),
            Fault::Final(error) => (error.kind().name(), error),
        }
    }

    #[test]
    fn each_reply_has_a_hint_that_fits_it() {
        for (what, code, text, class, says) in [
            ("login", 530, "530 Login incorrect.", "credentials", "user and password"),
            ("login", 530, "530 Non-anonymous sessions must use encryption.", "refused", "ftps://"),
            // Pure-FTPd: asked again it says the same
            ("login", 421, "421 Please reconnect using TLS security mechanisms.", "refused", "ftps://"),
            ("login", 421, "421 TLS is required", "refused", "ftps://"),
            ("login", 534, "534 A TLS connection is required on the control channel", "refused", "ftps://"),
            ("STOR", 522, "522 Data connection must be protected", "refused", "protected"),
            ("the greeting", 421, "421 Too many users", "passing", "too many connections"),
            ("AUTH TLS", 502, "502 no such command", "refused", "no explicit TLS"),
            // vsftpd without TLS
            ("AUTH TLS", 530, "530 Please login with USER and PASS.", "refused", "no explicit TLS"),
            ("STOR", 451, "451 Failure writing to local file.", "passing", "quota full"),
            ("STOR", 425, "425 Can't open data connection", "passing", "passive ports"),
            ("STOR", 452, "452 Disk full", "passing", "disk"),
            ("STOR", 552, "552 Quota exceeded", "refused", "quota"),
            ("STOR", 553, "553 File name not allowed", "refused", "another one"),
            ("STOR", 550, "550 Permission denied", "refused", "folder"),
            ("RNTO", 550, "550 Rename failed", "refused", "right to rename"),
            ("SIZE", 502, "502 what", "refused", "SIZE"),
        ] {
            let (came, error) = answered(what, "ftp://ann:pw-canary@h.example/l.csv", code, text);
            assert_eq!(came, class, "{text}");
            let words = format!("{} {}", error.message(), error.hint().unwrap_or_default());
            assert!(words.contains(says), "{text}: {words}");
        }
    }

    /// vsftpd (cmds_denied) and ProFTPD (Limit) answer 550 to an EPSV that is denied: the list was refused.
    #[test]
    fn a_denied_epsv_is_tried_again_as_pasv() {
        let about = |code: u32| {
            let body = format!("{code} Denied").into_bytes();
            is_about_passive(&FtpError::UnexpectedResponse(Response::new(Status::from(code), body)))
        };
        for code in [425, 500, 501, 502, 504, 522, 550] {
            assert!(about(code), "{code}");
        }
        for code in [421, 426, 451, 452, 530, 552, 553] {
            assert!(!about(code), "{code}");
        }
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_followed_by_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // "localhost" resolves to ::1 first on most machines, where nothing listens
        let stream = dial("localhost", port).await.expect("connected");
        assert!(stream.peer_addr().expect("a peer").is_ipv4());
        drop(listener);
        assert!(dial("localhost", port).await.is_err());
    }
}
