//! Simulated platforms on loopback, with faults on demand. Shares no code with the client, so that faults of the client
//! show.
//!
//! One address serves all platforms, distinguished by path. Bodies are validated as they arrive and never kept.

mod apsis;
mod clevertap;
mod digest;
mod faults;
mod http;
mod ledger;
mod localytics;
mod mediarithmics;
mod members;
mod multipart;
mod pull;
mod rows;
mod s3;
mod xlsx;
mod yesmail;

pub use faults::Fault;
pub use ledger::Entry;

use http::{Answer, Received};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Options of a sandbox.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The faults to inject.
    pub faults: Vec<Fault>,
    /// The window of the hourly quota; one hour by default.
    pub quota_window: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { faults: Vec::new(), quota_window: Duration::from_secs(3600) }
    }
}

/// A running sandbox; stops when dropped.
pub struct Sandbox {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// State shared by all connections.
pub(crate) struct State {
    /// `http://host:port`.
    base: String,
    ledger: ledger::Ledger,
    faults: faults::Faults,
    clevertap: clevertap::CleverTap,
    localytics: localytics::Localytics,
    mediarithmics: mediarithmics::Mediarithmics,
    yesmail: yesmail::Yesmail,
    apsis: apsis::Apsis,
}

impl Sandbox {
    /// Listens on `listen` (port 0 picks a free one) in the caller's runtime.
    ///
    /// # Errors
    /// The address is not available.
    pub async fn start(listen: SocketAddr, options: Options) -> io::Result<Sandbox> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let base = format!("http://{address}");
        let state = Arc::new(State {
            ledger: ledger::Ledger::default(),
            faults: faults::Faults::new(options.faults),
            clevertap: clevertap::CleverTap::default(),
            localytics: localytics::Localytics::new(options.quota_window),
            mediarithmics: mediarithmics::Mediarithmics::default(),
            yesmail: yesmail::Yesmail::default(),
            apsis: apsis::Apsis::default(),
            base,
        });
        let task = tokio::spawn(accept(listener, state.clone()));
        Ok(Sandbox { address, state, task })
    }

    /// Returns `http://host:port`, for `base_url`.
    #[must_use]
    pub fn url(&self) -> String {
        self.state.base.clone()
    }

    /// Returns the address that the sandbox listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the requests received so far, oldest first.
    #[must_use]
    pub fn ledger(&self) -> Vec<Entry> {
        self.state.ledger.all()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(state.clone(), request));
            // a client that closes its connection is not an error of the sandbox
            let _ = hyper::server::conn::http1::Builder::new()
                .max_buf_size(512 << 10)
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> io::Result<hyper::Response<http::Body>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if head.method == Method::GET && path == "/_ledger" {
        return Ok(Answer::json(200, &serde_json::json!(state.ledger.all())).into_response());
    }
    if head.method == Method::GET && path == "/_state" {
        let objects = serde_json::json!({
            "clevertap": state.clevertap.state(),
            "localytics": state.localytics.state(),
            "mediarithmics": state.mediarithmics.state(),
            "yesmail": state.yesmail.state(),
            "apsis": state.apsis.state(),
        });
        return Ok(Answer::json(200, &objects).into_response());
    }
    let platform = match path.as_str() {
        "/get_custom_list_segment_url" | "/upload_custom_list_segment_completed" => "clevertap",
        _ if path.starts_with("/_s3/") => "s3",
        _ if path.starts_with("/v1/imports/") || path.starts_with("/_errors/") => "localytics",
        _ if path.starts_with("/v1/datamarts/") || path.starts_with("/v1/data_file/") => "mediarithmics",
        "/oauth/token" => "apsis",
        _ if path.starts_with("/audience/") || path.starts_with("/v2/audience/") => "apsis",
        _ if path.starts_with("/v2/") => "yesmail",
        _ => "unknown",
    };
    let entry = state.ledger.begin(platform, head.method.as_str(), &path, http::declared(&head));
    let mut received = Received::new(body, entry, &state.ledger);
    let answer = match platform {
        "clevertap" => state.clevertap.serve(&state, &head, &mut received).await,
        "s3" => s3::serve(&state, &head, &mut received).await,
        "localytics" => state.localytics.serve(&state, &head, &mut received).await,
        "mediarithmics" => state.mediarithmics.serve(&state, &head, &mut received).await,
        "yesmail" => yesmail::Yesmail::serve(&state, &head, &mut received).await,
        "apsis" => state.apsis.serve(&state, &head, &mut received).await,
        _ => Ok(Answer::json(404, &serde_json::json!({"error": "the sandbox does not know this path"}))),
    };
    let status = answer.as_ref().map_or(0, |answer| answer.status);
    received.finish(status);
    // an error closes the connection without a response
    answer.map(Answer::into_response)
}

#[cfg(test)]
mod tests;
