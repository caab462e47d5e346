//! HTTP for everybody: small calls, streamed answers and exact-length uploads, all on hyper http1 over our own connector;
//! roots, proxy and redirect rules in one place. Knows no platform, repeats nothing.
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
mod proxy;
mod redirect;
mod roots;
mod urls;

pub use client::Client;
#[doc(hidden)]
pub use connect::{Dial, Dialled, Io};
pub(crate) use learn::learn;
pub use presigned::missing_headers;
pub use urls::{check_foreign, is_loopback, origin, same_origin};

use crate::error::Error;
use crate::secret::{Secret, Taint};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `network` of a job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// Proxy from the environment (default), none, or a URL. Loopback is never proxied.
    pub proxy: Proxy,
    /// A PEM file of roots instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Allow plain http to hosts other than loopback; default false.
    pub allow_http: bool,
    /// The secrets to keep out of messages; the client adds those of proxies and requests.
    pub taint: Taint,
    /// Connections that are not TCP's, made in place of those where no proxy is used; default none.
    #[doc(hidden)]
    pub dial: Option<Arc<dyn Dial>>,
}

/// Which proxy.
#[derive(Clone, Debug, Default)]
pub enum Proxy {
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` (and lower case).
    #[default]
    Env,
    /// None.
    None,
    /// This one (may hold user-info: a secret).
    Url(Secret),
}

/// `upload` of a job, as far as one request goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timers {
    /// Default 10 s.
    pub connect: Duration,
    /// No byte taken by the socket for so long; default 60 s.
    pub stall: Duration,
    /// From the last byte of the body to the head of the answer; default 5 min.
    pub response: Duration,
    /// Bytes a second; default none.
    pub max_rate: Option<u64>,
}

/// A header; secret values are marked so that no log shows them.
#[derive(Clone, Debug)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
}

/// A small request, its body in memory.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// Absolute; sent byte-identical.
    pub url: Secret,
    /// In order; no Content-Length.
    pub headers: Vec<Header>,
    /// The body; `None`: none at all (a POST then says `Content-Length: 0`). Not used by [`Client::upload`].
    pub body: Option<Vec<u8>>,
    /// Where the URL was taken from an answer: the base URL whose answer it was. Then no http from an https base, and no
    /// private, loopback or link-local address unless the base is one (judged again on what the name resolves to).
    pub supplied_by: Option<String>,
    /// [`Client::upload`] only: one 307 or 308 may be followed, to https or the same origin, if no byte of the body has
    /// gone out or all of it is in memory; headers that may hold credentials stay behind. For presigned URLs.
    pub follow_one: bool,
}

impl Request {
    /// A request without headers and body.
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

    /// Says whose answer the URL came from; see [`Request::supplied_by`].
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

/// An answer, its body in memory (at most 1 MiB). `Debug` shows neither headers nor body.
#[derive(Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer. What it means for a repetition is decided by [`Failed::reach`].
#[derive(Debug)]
pub struct Failed {
    /// How far the request had come.
    pub reach: Reach,
    /// What went wrong, URL redacted.
    pub error: Error,
}

/// How far a request had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Nothing was written: name resolution, connect, TLS handshake (transient).
    NotConnected,
    /// Something was written, no answer came: reset, stall, timeout, cut or unreadable answer.
    Lost,
    /// A 2xx came before the body had been sent whole.
    EarlySuccess,
    /// It will fail again: an invalid certificate, a URL or header that cannot be, plain http refused.
    Permanent,
    /// The storage has confirmed other bytes than were sent: what lies there is not the body.
    Altered,
    /// Our own body failed (source changed, cancelled); the request is incomplete on the other side.
    Body,
}

/// An answer whose body is still to be read.
pub struct StreamAnswer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case with their values.
    pub headers: Vec<(String, String)>,
    heard: exchange::Heard,
    /// For a body that is gzip-coded.
    gunzip: Option<Box<coding::Gunzip>>,
    /// What came and is still to be decoded.
    coded: bytes::Bytes,
    /// Whose answer it is, for messages.
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
