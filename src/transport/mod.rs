//! HTTP for everybody: small calls (reqwest), exact-length uploads (hyper http1 on our own connector), roots, proxy
//! and redirect rules in one place. Knows no platform.

use crate::error::{Error, Result};
use crate::secret::Secret;
use std::path::PathBuf;
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
    /// gone out; headers that may hold credentials stay behind. For presigned URLs.
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

/// An answer, its body in memory (at most 1 MiB).
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// How long `Retry-After` asks to wait: seconds or an HTTP date; garbage is `None`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        todo!()
    }
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
    /// Our own body failed (source changed, cancelled); the request is incomplete on the other side.
    Body,
}

/// Shared connector, roots and proxy rules. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    _private: (),
}

impl Client {
    /// Reads roots and proxy rules.
    ///
    /// # Errors
    /// `Usage`: a CA file that cannot be read, a proxy URL that is none.
    pub fn new(network: &NetworkOptions, timers: &Timers) -> Result<Client> {
        let _ = (network, timers);
        todo!()
    }

    /// One attempt of a small call. Redirects are answers.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn call(&self, request: &Request) -> Result<Answer, Failed> {
        let _ = request;
        todo!()
    }

    /// One attempt of a call whose answer is read as a stream; never decompressed.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn stream(&self, request: &Request) -> Result<StreamAnswer, Failed> {
        let _ = request;
        todo!()
    }

    /// One attempt of an upload on a fresh HTTP/1.1 connection: `Content-Length` from the body's exact size hint, body
    /// behind `Expect: 100-continue` (1 s), an early answer seen even after a write error, stall watchdog, response timer.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn upload<B>(&self, request: &Request, body: B) -> Result<Answer, Failed>
    where
        B: http_body::Body<Data = bytes::Bytes, Error = Error> + Send + 'static,
    {
        let _ = (request, body);
        todo!()
    }
}

/// An answer whose body is still to be read.
pub struct StreamAnswer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case with their values.
    pub headers: Vec<(String, String)>,
    // body: reading it ends with an error where the transfer is cut (Content-Length short, chunked without its end)
}

impl StreamAnswer {
    /// The next piece of the body; `None` at its proven end.
    ///
    /// # Errors
    /// `Lost`: cut before its end.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Failed> {
        todo!()
    }
}

impl Default for NetworkOptions {
    fn default() -> NetworkOptions {
        NetworkOptions { proxy: Proxy::Env, ca_file: None, allow_http: false }
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
