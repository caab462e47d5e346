//! The pull server: listens, gives connections their slots, and serves them.
//!
//! It runs inside the delivery, as a future beside the steps of the import. Dropping the delivery closes it.

use super::super::options::ServeOptions;
use super::answer::Answers;
use super::door::{Door, Guest};
use super::download::{Served, Shared};
use super::guard::Guarded;
use super::sessions::Sessions;
use super::tls::Tls;
use crate::body::{Measured, Part};
use crate::calls::{BoxFuture, JobSeed};
use crate::error::{Error, Result};
use crate::secret::Secret;
use base64::Engine as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Maximum number of connections, including those being closed; more wait to be accepted.
const MAX_CONNECTIONS: usize = 160;
/// Time limit of the TLS handshake, and of the head of each request including the pause before it. A connection that
/// has not sent the password by then is closed.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// A client that takes no byte for this long is disconnected.
const STALL_TIME: Duration = Duration::from_secs(60);
const MAX_HEAD_BYTES: usize = 16 << 10;

/// The user name that belongs to the run's password.
const USER: &str = "listferry";

/// The list, its address, and its credentials.
pub(in crate::platform::yesmail) struct PullServer {
    listener: TcpListener,
    tls: Option<Tls>,
    password: String,
    answers: Answers,
    door: Door,
    shared: Arc<Shared>,
}

impl PullServer {
    /// Listens. `at` is the address that an earlier process of this run used. Path and password come from the run's
    /// seed, so that a resumed run serves the same address.
    ///
    /// # Errors
    /// `Local`: the address is taken; `Usage`: the certificate.
    pub(in crate::platform::yesmail) async fn bind(
        options: &ServeOptions,
        at: Option<SocketAddr>,
        measured: &Measured,
        part: &Part,
        seed: &JobSeed,
    ) -> Result<PullServer> {
        let tls = options.load_tls()?;
        let at = at.unwrap_or(options.listen);
        let listener = TcpListener::bind(at).await.map_err(|error| {
            Error::io(format!("destination.host.serve cannot listen on {at}"), error)
                .with_hint("another program may be using the port")
        })?;
        let drawn = |what: &str| {
            let digest = Sha256::digest(format!("{what} {} {}", seed.random, seed.run_id));
            digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let password = drawn("yesmail serve password");
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
        let shared = Arc::<Shared>::default();
        let served = Served {
            measured: Arc::new(measured.clone()),
            part: part.clone(),
            sessions: Sessions::new(measured.threads()),
            shared: Arc::clone(&shared),
        };
        let path = format!("/{}/list.csv", drawn("yesmail serve path"));
        let answers = Answers::new(served, path, format!("Basic {pair}"));
        Ok(PullServer { listener, tls, password, answers, door: Door::default(), shared })
    }

    /// Returns the listening address.
    pub(in crate::platform::yesmail) fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| Error::io("destination.host.serve", error))
    }

    /// Returns the secrets: the name of the folder and the password.
    pub(in crate::platform::yesmail) fn secrets(&self) -> [&str; 2] {
        [self.answers.path().trim_start_matches('/').split('/').next().unwrap_or_default(), &self.password]
    }

    /// Returns the URL to pull from, including user and password.
    pub(in crate::platform::yesmail) fn url(&self, options: &ServeOptions) -> Result<Secret> {
        let own = || -> Result<String> {
            let scheme = if self.tls.is_some() { "https" } else { "http" };
            Ok(format!("{scheme}://{}", self.address()?))
        };
        let origin = match &options.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => own()?,
        };
        let (scheme, authority) = origin.split_once("://").unwrap_or(("https", &origin));
        Ok(Secret::new(format!("{scheme}://{USER}:{}@{authority}{}", self.password, self.answers.path())))
    }

    /// Serves until an error occurs, which it returns.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(in crate::platform::yesmail) async fn run(&self) -> Error {
        let mut connections = FuturesUnordered::<BoxFuture<'_, ()>>::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => connections.push(Box::pin(self.connection(stream))),
                    // usually out of descriptors: open connections continue
                    Err(error) => {
                        tracing::warn!("the pull server cannot accept: {error}");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                Some(()) = connections.next(), if !connections.is_empty() => {}
            }
            if let Some(fault) = self.shared.take_fault() {
                return fault;
            }
        }
    }

    /// Returns when a client has the list: it was given the last byte, and has closed the connection or sent no more
    /// for a while.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(in crate::platform::yesmail) async fn pulled(&self) {
        self.shared.pulled().await;
        let until = Instant::now() + HEAD_TIME;
        while self.door.has_known() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    async fn connection(&self, stream: TcpStream) {
        let guest = self.door.enter();
        let stranger = async {
            tokio::time::sleep(HEAD_TIME).await;
            if guest.is_known() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.speak(stream, &guest) => {}
            () = guest.evicted() => tracing::debug!("pull server: another connection needed the slot"),
            () = stranger => tracing::debug!("pull server: no password in time"),
        }
        self.door.leave(&guest);
    }

    async fn speak(&self, stream: TcpStream, guest: &Arc<Guest>) {
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.http(stream, guest).await,
            Some(tls) => match tls.acceptor().accept(stream).await {
                Ok(stream) => self.http(stream, guest).await,
                Err(error) => tracing::debug!("pull server: TLS handshake: {error}"),
            },
        }
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin + Send>(&self, stream: S, guest: &Arc<Guest>) {
        let service = hyper::service::service_fn(|request: hyper::Request<_>| {
            let reply = self.answers.answer(&request, guest, &self.door);
            async move { Ok::<_, Error>(reply) }
        });
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
}
