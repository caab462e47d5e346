//! The pull server: one measured list for whoever has its path and password, until the ticket is final.
//!
//! It runs inside the delivery, as a future beside the import's steps: dropping the delivery closes it.

use super::guard::Guarded;
use super::options::ServeOptions;
use super::range::{Conditions, Wanted};
use crate::body::{Body, Frame, Measured, Part};
use crate::calls::{BoxFuture, JobSeed};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use base64::Engine as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Connections at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 16;
/// Bodies at a time, each of which converts; more wait.
const MAX_BODIES: usize = 4;
/// For the TLS handshake, and for the head of each request, the pause before it included.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// A client that takes no byte for so long is cut.
const STALL_TIME: Duration = Duration::from_secs(60);
const MAX_HEAD_BYTES: usize = 16 << 10;

/// The user that goes with the run's password.
const USER: &str = "listferry";

/// What a TLS server needs.
#[derive(Clone)]
pub(super) struct Tls(Arc<rustls::ServerConfig>);

impl Tls {
    /// Reads a certificate chain and its key, both PEM.
    pub(super) fn load(cert: &Path, key: &Path) -> Result<Tls> {
        let wrong = |path: &Path, why: &dyn std::fmt::Display| {
            Error::usage(format!("destination.host.serve: {}: {why}", path.display()))
                .with_hint("tls_cert and tls_key are PEM files of a certificate chain and its private key")
        };
        let chain = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(cert, &error))?;
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key_der))
                .map_err(|error| wrong(cert, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls(Arc::new(config)))
    }
}

/// The list, its address, and who may have it.
pub(super) struct PullServer<'m> {
    measured: &'m Measured,
    part: &'m Part,
    listener: TcpListener,
    tls: Option<Tls>,
    path: String,
    authorization: String,
    password: String,
    etag: String,
    bodies: Arc<Semaphore>,
    state: Arc<State>,
}

/// What the bodies tell the server.
#[derive(Default)]
struct State {
    /// The list cannot be served (any more): the source changed.
    fault: Mutex<Option<Error>>,
    /// Somebody was given its last byte.
    pulled: AtomicBool,
    told: Notify,
    connections: AtomicUsize,
}

type Reply = Response<UnsyncBoxBody<Bytes, Error>>;

impl<'m> PullServer<'m> {
    /// Listens. `at` is where an earlier process of this run did. Path and password come from the run's seed, so that
    /// a resumed run serves the same address.
    ///
    /// # Errors
    /// `Local`: the address is taken; `Usage`: the certificate.
    pub(super) async fn bind(
        options: &ServeOptions,
        at: Option<SocketAddr>,
        measured: &'m Measured,
        part: &'m Part,
        seed: &JobSeed,
    ) -> Result<PullServer<'m>> {
        let tls = options.load_tls()?;
        let at = at.unwrap_or(options.listen);
        let listener = TcpListener::bind(at).await.map_err(|error| {
            Error::io(format!("destination.host.serve cannot listen on {at}"), error)
                .with_hint("another program may have the port")
        })?;
        let drawn = |what: &str| {
            let digest = Sha256::digest(format!("{what} {} {}", seed.random, seed.run_id));
            digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let password = drawn("yesmail serve password");
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
        Ok(PullServer {
            measured,
            part,
            listener,
            tls,
            path: format!("/{}/list.csv", drawn("yesmail serve path")),
            authorization: format!("Basic {pair}"),
            password,
            etag: format!("\"crc64nvme-{:016x}\"", part.crc),
            bodies: Arc::new(Semaphore::new(MAX_BODIES)),
            state: Arc::default(),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| Error::io("destination.host.serve", error))
    }

    /// What nobody else may know: the name of the folder and the password.
    pub(super) fn secrets(&self) -> [&str; 2] {
        [self.path.trim_start_matches('/').split('/').next().unwrap_or_default(), &self.password]
    }

    /// The URL to pull from, user and password in it.
    pub(super) fn url(&self, options: &ServeOptions) -> Result<Secret> {
        let own = || -> Result<String> {
            let scheme = if self.tls.is_some() { "https" } else { "http" };
            Ok(format!("{scheme}://{}", self.address()?))
        };
        let origin = match &options.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => own()?,
        };
        let (scheme, authority) = origin.split_once("://").unwrap_or(("https", &origin));
        Ok(Secret::new(format!("{scheme}://{USER}:{}@{authority}{}", self.password, self.path)))
    }

    /// Serves until it cannot: never returns otherwise.
    pub(super) async fn run(&self) -> Error {
        let mut connections = FuturesUnordered::<BoxFuture<'_, ()>>::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => connections.push(Box::pin(self.connection(stream))),
                    // out of descriptors, mostly: those that are open go on
                    Err(error) => {
                        tracing::warn!("the pull server cannot accept: {error}");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                Some(()) = connections.next(), if !connections.is_empty() => {}
            }
            if let Some(fault) = self.state.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return fault;
            }
        }
    }

    /// Ends when somebody has the list: was given its last byte, and has closed the connection or said no more for a while.
    pub(super) async fn pulled(&self) {
        loop {
            let told = self.state.told.notified();
            if self.state.pulled.load(Ordering::Acquire) {
                break;
            }
            told.await;
        }
        let until = tokio::time::Instant::now() + HEAD_TIME;
        while self.state.connections.load(Ordering::Acquire) > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn connection(&self, stream: TcpStream) {
        self.state.connections.fetch_add(1, Ordering::AcqRel);
        self.speak(stream).await;
        self.state.connections.fetch_sub(1, Ordering::AcqRel);
    }

    async fn speak(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.http(stream).await,
            Some(Tls(config)) => {
                let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(config));
                match tokio::time::timeout(HEAD_TIME, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => self.http(stream).await,
                    Ok(Err(error)) => tracing::debug!("pull server: TLS handshake: {error}"),
                    Err(_) => tracing::debug!("pull server: no TLS handshake in time"),
                }
            }
        }
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin + Send>(&self, stream: S) {
        let service = hyper::service::service_fn(|request| async move { Ok::<_, Error>(self.answer(&request).await) });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Guarded::new(stream, STALL_TIME)), service)
            .await;
        if let Err(error) = served {
            tracing::debug!("pull server: {error}");
        }
    }

    async fn answer<B>(&self, request: &Request<B>) -> Reply {
        let reply = self.judge(request).await;
        // neither path nor credentials
        tracing::info!(method = %request.method(), status = reply.status().as_u16(), "pull server answered");
        reply
    }

    async fn judge<B>(&self, request: &Request<B>) -> Reply {
        if !same(request.uri().path(), &self.path) {
            return plain(StatusCode::NOT_FOUND, "not found\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut reply = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return reply;
        }
        let given = joined(request.headers(), header::AUTHORIZATION).unwrap_or_default();
        if !same(&given, &self.authorization) {
            let mut reply = plain(StatusCode::UNAUTHORIZED, "user and password please\n");
            let challenge = HeaderValue::from_static("Basic realm=\"list\"");
            reply.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return reply;
        }
        self.list(request.method(), request.headers()).await
    }

    async fn list(&self, method: &Method, headers: &HeaderMap) -> Reply {
        let [if_match, if_none_match, if_range, range] =
            [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_RANGE, header::RANGE]
                .map(|name| joined(headers, name));
        let conditions = Conditions {
            if_match: if_match.as_deref(),
            if_none_match: if_none_match.as_deref(),
            if_range: if_range.as_deref(),
            range: range.as_deref().filter(|_| method == Method::GET),
        };
        let length = self.part.bytes;
        let (status, range) = match conditions.judge(&self.etag, length) {
            Wanted::Whole => (StatusCode::OK, 0..length),
            Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Wanted::NotModified => return self.dressed(empty(StatusCode::NOT_MODIFIED)),
            Wanted::Failed => return self.dressed(empty(StatusCode::PRECONDITION_FAILED)),
            Wanted::Unsatisfiable => {
                let mut reply = plain(StatusCode::RANGE_NOT_SATISFIABLE, "no such range\n");
                put(&mut reply, header::CONTENT_RANGE, &format!("bytes */{length}"));
                return self.dressed(reply);
            }
        };
        let mut reply = empty(status);
        put(&mut reply, header::CONTENT_TYPE, "text/csv; charset=utf-8");
        put(&mut reply, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
        if status == StatusCode::PARTIAL_CONTENT {
            put(&mut reply, header::CONTENT_RANGE, &format!("bytes {}-{}/{length}", range.start, range.end - 1));
        }
        if method == Method::GET {
            let Ok(permit) = Arc::clone(&self.bodies).acquire_owned().await else { return reply };
            // hyper does not ask for an end where it knows the length
            let left = (range.end == length).then_some(range.end - range.start);
            let body = match status {
                StatusCode::OK => self.measured.body(self.part, &Frame::default()),
                _ => self.measured.range(self.part, range),
            };
            let body = Watched { body, left, state: Arc::clone(&self.state), _permit: permit };
            *reply.body_mut() = body.boxed_unsync();
        }
        self.dressed(reply)
    }

    fn dressed(&self, mut reply: Reply) -> Reply {
        put(&mut reply, header::ETAG, &self.etag);
        put(&mut reply, header::ACCEPT_RANGES, "bytes");
        put(&mut reply, header::CACHE_CONTROL, "no-store");
        reply
    }
}

fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default().map_err(|never| match never {}).boxed_unsync());
    *reply.status_mut() = status;
    reply
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    let mut reply = Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync());
    *reply.status_mut() = status;
    put(&mut reply, header::CONTENT_TYPE, "text/plain");
    reply
}

fn put(reply: &mut Reply, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

fn joined(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Compares in a time that depends on the lengths alone.
fn same(given: &str, wanted: &str) -> bool {
    let (given, wanted) = (given.as_bytes(), wanted.as_bytes());
    let mut differs = u8::from(given.len() != wanted.len());
    for (i, byte) in wanted.iter().enumerate() {
        differs |= byte ^ given.get(i).copied().unwrap_or(0);
    }
    std::hint::black_box(differs) == 0
}

/// A list on its way out; a source that changed ends the server.
struct Watched {
    body: Body,
    /// Bytes that are still to come, where it goes to the end of the list.
    left: Option<u64>,
    state: Arc<State>,
    _permit: OwnedSemaphorePermit,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        remote: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(remote) {
            Poll::Ready(Some(Err(error))) => {
                let told = Error::new(Kind::Local, "the list cannot be served any more");
                *self.state.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Poll::Ready(Some(Err(told)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(bytes);
                    if *left == 0 {
                        self.state.pulled.store(true, Ordering::Release);
                        self.state.told.notify_waiters();
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_is_the_same() {
        assert!(same("/abc", "/abc"));
        for other in ["", "/ab", "/abd", "/abcd", "/ABC"] {
            assert!(!same(other, "/abc"), "{other}");
        }
        assert!(!same("x", ""));
    }
}
