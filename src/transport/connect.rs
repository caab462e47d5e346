//! From a URL to a connection: name resolution, TCP, a proxy's CONNECT, TLS, all within one timer.

use super::client::Shared;
use super::parked::{Parked, Wire};
use super::proxy::{ProxyServer, all_loopback};
use super::urls::{Target, inside, is_inside, is_link_local, judge_foreign, permanent, plain_http};
use super::{Failed, Reach};
use crate::error::{Error, Kind};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Delay before the next address is tried in parallel.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Maximum number of unsent bytes in the kernel: small, so that the timers see what the server accepts. More is no
/// faster on loopback (measured).
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 16 * 1024;

/// Maximum size of the head of a proxy's response to CONNECT.
const MAX_PROXY_HEAD: usize = 16 * 1024;

/// A connection before TLS.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Makes connections in another way than by name and TCP, for the simulation.
pub trait Dial: std::fmt::Debug + Send + Sync {
    /// Connects to a host and port.
    fn dial<'d>(&'d self, host: &'d str, port: u16) -> Dialled<'d>;
}

/// The result of [`Dial::dial`].
pub type Dialled<'d> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send + 'd>>;

pub(super) struct Connected {
    pub(super) io: Box<dyn Io>,
    pub(super) wire: Arc<Wire>,
    /// Plain http through a proxy: the request line contains the whole URL, and the proxy's authorization is sent
    /// along.
    pub(super) through: Option<ProxyServer>,
}

/// Connects to `target`. `base` is the server whose response contained the URL.
#[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
pub(super) async fn connect(shared: &Shared, target: &Target, base: Option<&Target>) -> Result<Connected, Failed> {
    if let Some(base) = base {
        judge_foreign(target, base).map_err(permanent)?;
    }
    if !target.https && !target.is_loopback() && !shared.allow_http {
        return Err(permanent(match base {
            Some(_) => plain_http(target),
            None => Error::usage(format!("plain http is not allowed: {}", target.origin()))
                .with_hint("use https, or set network.allow_http: true"),
        }));
    }
    let limit = shared.timers.connect;
    match tokio::time::timeout(limit, connect_untimed(shared, target, base)).await {
        Ok(connected) => connected,
        Err(_) => {
            let failed = not_connected(format!("no connection to {} within {limit:?}", target.host_and_port()));
            Err(match shared.proxies.server_for(target)? {
                Some(proxy) => proxy.not_reached(failed),
                None => failed,
            })
        }
    }
}

async fn connect_untimed(shared: &Shared, target: &Target, base: Option<&Target>) -> Result<Connected, Failed> {
    let wire = Arc::new(Wire::default());
    let Some(proxy) = shared.proxies.server_for(target)? else {
        let tcp: Box<dyn Io> = match &shared.dial {
            Some(dial) => {
                dial.dial(&target.bare_host(), target.port).await.map_err(|error| no_connection(target, &error))?
            }
            None => {
                let addresses = resolve(target).await?;
                check_addresses(target, base, &addresses).await?;
                Box::new(dial(target, addresses).await?)
            }
        };
        let io = secured(shared, target, Box::new(Parked::new(tcp, wire.clone()))).await?;
        return Ok(Connected { io, wire, through: None });
    };
    // the proxy resolves names itself; the URL has been checked as far as possible
    if let Some(base) = base
        && target.is_plainly_inside()
        && !base.is_plainly_inside()
    {
        return Err(permanent(inside(target)));
    }
    tracing::debug!(proxy = %proxy.at.origin(), to = %target.origin(), "through a proxy");
    let mut io = proxy_connection(shared, proxy, &wire).await.map_err(|failed| proxy.not_reached(failed))?;
    if !target.https {
        return Ok(Connected { io, wire, through: Some(proxy.clone()) });
    }
    tunnel(&mut io, proxy, target).await?;
    let io = secured(shared, target, io).await?;
    Ok(Connected { io, wire, through: None })
}

/// Connects to the proxy itself, by TLS if its URL says so.
async fn proxy_connection(shared: &Shared, proxy: &ProxyServer, wire: &Arc<Wire>) -> Result<Box<dyn Io>, Failed> {
    let tcp = dial(&proxy.at, resolve(&proxy.at).await?).await?;
    secured(shared, &proxy.at, Box::new(Parked::new(tcp, wire.clone()))).await
}

pub(super) async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Failed> {
    if let Some(ip) = target.literal_ip() {
        return Ok(vec![SocketAddr::new(ip, target.port)]);
    }
    let host = target.bare_host();
    let wrong = |why: String| not_connected(format!("the name {host} could not be resolved: {why}"));
    let found = tokio::net::lookup_host((host.as_str(), target.port)).await.map_err(|e| wrong(e.to_string()))?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(wrong("it has no address".to_owned()));
    }
    // plain http and no proxy are allowed for the name `localhost`, so it must be a loopback address
    if target.is_loopback() && !all_loopback(&found) {
        return Err(wrong("it is not a loopback address".to_owned()));
    }
    Ok(found)
}

/// Checks that a URL from a response leads to an internal address only if the base is internal too, whatever its name
/// resolves to.
async fn check_addresses(target: &Target, base: Option<&Target>, addresses: &[SocketAddr]) -> Result<(), Failed> {
    let Some(base) = base else { return Ok(()) };
    let link_local = addresses.iter().any(|address| is_link_local(address.ip()));
    if link_local && !base.literal_ip().is_some_and(is_link_local) {
        return Err(permanent(inside(target)));
    }
    if !addresses.iter().any(|address| is_inside(address.ip())) || base.is_plainly_inside() {
        return Ok(());
    }
    let base = resolve(base).await?;
    if base.iter().any(|address| is_inside(address.ip())) {
        return Ok(());
    }
    Err(permanent(inside(target)))
}

/// Connects to the first address that answers. The next one is tried after a failure or a quarter second.
#[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
pub(super) async fn dial(target: &Target, addresses: Vec<SocketAddr>) -> Result<TcpStream, Failed> {
    let mut rest = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut last = None;
    loop {
        match rest.next() {
            Some(address) => running.push(TcpStream::connect(address)),
            None if running.is_empty() => {
                let last = last.unwrap_or_else(|| io::Error::other("no address"));
                return Err(no_connection(target, &last));
            }
            None => {}
        }
        tokio::select! {
            Some(dialled) = running.next() => match dialled {
                Ok(tcp) => {
                    tune(&tcp);
                    return Ok(tcp);
                }
                Err(error) => last = Some(error),
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if rest.len() > 0 => {}
        }
    }
}

/// Tunes the socket. Nothing here is needed for correctness, so errors are ignored.
fn tune(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    let socket = socket2::SockRef::from(tcp);
    let _ = socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)));
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
}

pub(super) async fn secured(shared: &Shared, target: &Target, io: Box<dyn Io>) -> Result<Box<dyn Io>, Failed> {
    if !target.https {
        return Ok(io);
    }
    let config = shared.roots.config().map_err(permanent)?;
    let name = match target.literal_ip() {
        Some(ip) => ServerName::from(ip),
        None => ServerName::try_from(target.bare_host())
            .map_err(|_| permanent(Error::usage(format!("no name for TLS: {}", target.host_and_port()))))?,
    };
    match TlsConnector::from(config).connect(name, io).await {
        Ok(tls) => Ok(Box::new(tls)),
        Err(error) => Err(tls_failed(target, &error)),
    }
}

fn tls_failed(target: &Target, error: &io::Error) -> Failed {
    use rustls::{AlertDescription, CertificateError, Error as Tls};
    let at = target.host_and_port();
    let refused = |message: String, hint: &str| permanent(Error::new(Kind::Refused, message).with_hint(hint));
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>());
    match tls {
        // cut off or reset during the handshake
        None => not_connected(format!("the TLS handshake with {at} failed: {}", plain_words(error))),
        Some(Tls::InvalidCertificate(why)) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                refused(format!("the certificate of {at} has expired"), "is this machine's clock right?")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                refused(format!("the certificate of {at} is not valid yet"), "is this machine's clock right?")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                refused(format!("the certificate of {at} is for another name"), "check the host in the URL")
            }
            // the second: by one with the name of a trusted one, and another key
            CertificateError::UnknownIssuer | CertificateError::BadSignature => refused(
                format!("the certificate of {at} is signed by an authority that this machine does not trust"),
                "if it is your own authority, name its PEM file in network.ca_file",
            ),
            other => refused(
                format!("the certificate of {at} is not acceptable: {other:?}"),
                "if it is your own authority, name its PEM file in network.ca_file",
            ),
        },
        Some(Tls::InvalidMessage(_)) => refused(
            format!("{at} does not speak TLS"),
            "if this is a plain http port, use http:// in the URL (and network.allow_http)",
        ),
        Some(Tls::AlertReceived(AlertDescription::InternalError | AlertDescription::UserCanceled)) => {
            not_connected(format!("the TLS handshake with {at} failed: {error}"))
        }
        Some(other) => refused(format!("no TLS connection with {at}: {other}"), "the server's TLS settings do not fit"),
    }
}

/// Asks the proxy for a tunnel to the target.
pub(super) async fn tunnel(io: &mut Box<dyn Io>, proxy: &ProxyServer, target: &Target) -> Result<(), Failed> {
    let at = proxy.at.host_and_port();
    let cut = |e: io::Error| not_connected(format!("the proxy {at} did not answer: {}", plain_words(&e)));
    let to = target.host_and_port();
    let mut head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
    if let Some(authorization) = proxy.authorization() {
        head.push_str("Proxy-Authorization: ");
        head.push_str(authorization.expose());
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    io.write_all(head.as_bytes()).await.map_err(cut)?;
    io.flush().await.map_err(cut)?;
    // byte by byte, since what follows the head belongs to TLS; the head is short, and read once per connection
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_PROXY_HEAD {
            return Err(not_connected(format!("the proxy {at} sent an endless answer")));
        }
        answer.push(io.read_u8().await.map_err(cut)?);
    }
    let status = std::str::from_utf8(&answer)
        .ok()
        .and_then(|answer| answer.strip_prefix("HTTP/1."))
        .and_then(|rest| rest.get(2..5))
        .and_then(|digits| digits.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(status @ 400..=499) => Err(proxy.refused(status, &to)),
        Some(status) => Err(not_connected(format!("the proxy {at} could not connect to {to} ({status})"))),
        None => Err(not_connected(format!("the proxy {at} did not answer in HTTP"))),
    }
}

fn plain_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::UnexpectedEof => "the other side closed the connection".to_owned(),
        _ => error.to_string(),
    }
}

fn no_connection(target: &Target, error: &io::Error) -> Failed {
    not_connected(format!("no connection to {}: {}", target.host_and_port(), plain_words(error)))
}

pub(super) fn not_connected(message: String) -> Failed {
    Failed { reach: Reach::NotConnected, error: Error::new(Kind::Transient, message) }
}
