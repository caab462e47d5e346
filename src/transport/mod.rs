//! HTTP for all other rooms: small calls, streamed responses and exact-length uploads, all on hyper http1 over our own
//! connector, with roots, proxy and redirect rules in one place. Knows no platform and never retries.
//!
//! ```text
//! Request ─▶ Route ─▶ connect: name ▸ TCP ▸ proxy ▸ TLS ─▶ exchange: gate(body) ▸ hyper ▸ parked socket ─▶ Answer
//! ```

mod answer;
mod checksum;
mod client;
mod coding;
mod connect;
mod exchange;
mod gate;
mod learn;
mod pace;
mod parked;
mod presigned;
#[cfg(feature = "jobs")]
mod probe;
mod proxy;
mod redirect;
mod roots;
mod urls;

pub use client::Client;
#[doc(hidden)]
pub use connect::{Dial, Dialled, Io};
pub(crate) use learn::learn;
pub use presigned::missing_headers;
#[cfg(feature = "jobs")]
pub(crate) use probe::{Probed, Step as ProbeStep};
#[cfg(feature = "jobs")]
pub(crate) use urls::host_and_port;
pub use urls::{check_foreign, is_loopback, origin, same_origin};

use crate::error::Error;
use crate::secret::{Secret, Taint};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The `network` section of a job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// Proxy: from the environment (default), none, or a URL. Loopback is never proxied.
    pub proxy: Proxy,
    /// A PEM file of roots that replaces the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether plain http to hosts other than loopback is allowed; false by default.
    pub allow_http: bool,
    /// The secrets to keep out of messages; the client adds those of proxies and requests.
    pub taint: Taint,
    /// Replaces TCP for connections without a proxy; none by default.
    #[doc(hidden)]
    pub dial: Option<Arc<dyn Dial>>,
}

/// Which proxy to use.
#[derive(Clone, Debug, Default)]
pub enum Proxy {
    /// From `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (or lower case).
    #[default]
    Env,
    /// None.
    None,
    /// The proxy with this URL (which may contain user-info: a secret).
    Url(Secret),
}

/// The part of a job's `upload` section that concerns a single request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timers {
    /// Maximum time to connect; default 10 s.
    pub connect: Duration,
    /// Maximum time in which the socket takes no byte; default 60 s.
    pub stall: Duration,
    /// Maximum time from the last byte of the body to the head of the response; default 5 min.
    pub response: Duration,
    /// Maximum rate in bytes per second; unlimited by default.
    pub max_rate: Option<u64>,
}

/// A header; secret values are marked so that no log shows them.
#[derive(Clone, Debug)]
pub struct Header {
    /// Name of the header.
    pub name: String,
    /// Value of the header.
    pub value: Secret,
}

/// A small request with its body in memory.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// The absolute URL, sent byte for byte.
    pub url: Secret,
    /// The headers in order, without Content-Length.
    pub headers: Vec<Header>,
    /// The body; `None` if there is none (a POST then sends `Content-Length: 0`). Not used by [`Client::upload`].
    pub body: Option<Vec<u8>>,
    /// If the URL was taken from a response: the base URL of that response. The URL must then not be http if the base
    /// is https, nor a private, loopback or link-local address unless the base is one; this is checked again for the
    /// addresses that its name resolves to.
    pub supplied_by: Option<String>,
    /// For [`Client::upload`] only: follow one 307 or 308, to https or the same origin, if no byte of the body has been
    /// sent or all of it is in memory. Headers that may contain credentials are not sent there. For presigned URLs.
    pub follow_one: bool,
}

impl Request {
    /// Creates a request without headers and body.
    #[must_use]
    pub fn new(method: &'static str, url: Secret) -> Request {
        Request { method, url, headers: Vec::new(), body: None, supplied_by: None, follow_one: false }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push(Header { name: name.to_owned(), value: Secret::new(value) });
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = Some(body.into());
        self
    }

    /// Sets the base URL of the response that contained the URL; see [`Request::supplied_by`].
    #[must_use]
    pub fn supplied_by(mut self, base_url: &str) -> Request {
        self.supplied_by = Some(base_url.to_owned());
        self
    }

    /// Allows one 307 or 308; see [`Request::follow_one`].
    #[must_use]
    pub fn follow_one(mut self) -> Request {
        self.follow_one = true;
        self
    }
}

/// A response with its body in memory (at most 1 MiB). `Debug` shows neither headers nor body.
#[derive(Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The failure of a request without a response. [`Failed::reach`] decides whether it may be retried.
#[derive(Debug)]
pub struct Failed {
    /// How far the request got.
    pub reach: Reach,
    /// The error, with URLs redacted.
    pub error: Error,
}

/// How far a request got before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Nothing was sent: name resolution, connect or TLS handshake failed (temporary).
    NotConnected,
    /// Something was sent, but no response came: reset, stall, timeout, or a response that is cut off or unreadable.
    Lost,
    /// A 2xx came before the body had been sent completely.
    EarlySuccess,
    /// The request would fail again: an invalid certificate, URL or header, or plain http refused.
    Permanent,
    /// The storage has confirmed other bytes than were sent, so the stored object is not the body.
    Altered,
    /// The body failed (source changed, cancelled); the server received an incomplete request.
    Body,
}

/// A response whose body is still to be read.
pub struct StreamAnswer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case with their values.
    pub headers: Vec<(String, String)>,
    heard: exchange::Heard,
    /// Decoder, if the body is gzip-coded.
    gunzip: Option<Box<coding::Gunzip>>,
    /// Received bytes that are not yet decoded.
    coded: bytes::Bytes,
    /// The server, for messages.
    from: String,
    proven: bool,
    pause: Duration,
    taint: Taint,
}

impl Default for NetworkOptions {
    fn default() -> NetworkOptions {
        NetworkOptions { proxy: Proxy::Env, ca_file: None, allow_http: false, taint: Taint::default(), dial: None }
    }
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            response: Duration::from_secs(300),
            max_rate: None,
        }
    }
}
