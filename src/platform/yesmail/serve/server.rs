//! The pull server: listens, gives connections their slots, and lets them speak.
//!
//! It runs inside the delivery, as a future beside the import's steps: dropping the delivery closes it.

use super::super::options::ServeOptions;
use super::answer::Answers;
use super::door::{Door, Guest};
use super::download::{Served, Told};
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

/// Connections at a time, those that are being closed included; more wait to be accepted.
const MAX_CONNECTIONS: usize = 160;
/// For the TLS handshake, and for the head of each request, the pause before it included. A connection that has not
/// given the password by then is closed.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// A client that takes no byte for so long is cut.
const STALL_TIME: Duration = Duration::from_secs(60);
const MAX_HEAD_BYTES: usize = 16 << 10;

/// The user that goes with the run's password.
const USER: &str = "listferry";

/// The list, its address, and who may have it.
pub(in crate::platform::yesmail) struct PullServer {
    listener: TcpListener,
    tls: Option<Tls>,
    password: String,
    answers: Answers,
    door: Door,
    told: Arc<Told>,
}

impl PullServer {
    /// Listens. `at` is where an earlier process of this run did. Path and password come from the run's seed, so that
    /// a resumed run serves the same address.
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
                .with_hint("another program may have the port")
        })?;
        let drawn = |what: &str| {
            let digest = Sha256::digest(format!("{what} {} {}", seed.random, seed.run_id));
            digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let password = drawn("yesmail serve password");
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
        let told = Arc::<Told>::default();
        let served = Served {
            measured: Arc::new(measured.clone()),
            part: part.clone(),
            sessions: Sessions::new(measured.threads()),
            told: Arc::clone(&told),
        };
        let path = format!("/{}/list.csv", drawn("yesmail serve path"));
        let answers = Answers::new(served, path, format!("Basic {pair}"));
        Ok(PullServer { listener, tls, password, answers, door: Door::default(), told })
    }

    /// Where it listens.
    pub(in crate::platform::yesmail) fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| Error::io("destination.host.serve", error))
    }

    /// What nobody else may know: the name of the folder and the password.
    pub(in crate::platform::yesmail) fn secrets(&self) -> [&str; 2] {
        [self.answers.path().trim_start_matches('/').split('/').next().unwrap_or_default(), &self.password]
    }

    /// The URL to pull from, user and password in it.
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

    /// Serves until it cannot: never returns otherwise.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(in crate::platform::yesmail) async fn run(&self) -> Error {
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
            if let Some(fault) = self.told.take_fault() {
                return fault;
            }
        }
    }

    /// Ends when a client has the list: was given its last byte, and has closed the connection or said no more for a while.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(in crate::platform::yesmail) async fn pulled(&self) {
        self.told.pulled().await;
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
