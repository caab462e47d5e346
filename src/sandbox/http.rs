//! Request bodies, read as they arrive, and responses.

use super::digest::Crc;
use super::ledger::Ledger;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Response, StatusCode};
use serde_json::Value;
use std::convert::Infallible;
use std::io;
use std::task::Poll;

pub(super) type Head = ::http::request::Parts;
pub(super) type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

/// Returns the value of Content-Length.
pub(super) fn declared(head: &Head) -> Option<u64> {
    header(head, "content-length")?.parse().ok()
}

pub(super) fn header<'a>(head: &'a Head, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

/// Makes the server cut the connection without a response.
pub(super) fn cut<T>() -> io::Result<T> {
    Err(io::Error::from(io::ErrorKind::ConnectionReset))
}

/// A request body, counted and digested while it is read.
pub(super) struct Received<'a> {
    body: Option<Incoming>,
    seq: usize,
    ledger: &'a Ledger,
    bytes: u64,
    crc: Crc,
    complete: bool,
}

impl<'a> Received<'a> {
    pub(super) fn new(body: Incoming, seq: usize, ledger: &'a Ledger) -> Received<'a> {
        Received { body: Some(body), seq, ledger, bytes: 0, crc: Crc::new(), complete: false }
    }

    /// Returns the next piece; `None` at the verified end. An error if the client closed the connection before.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(body) = &mut self.body else { return Ok(None) };
            match body.frame().await {
                None => {
                    self.complete = true;
                    self.body = None;
                    return Ok(None);
                }
                Some(Err(error)) => {
                    self.body = None;
                    return Err(io::Error::other(error));
                }
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.bytes += data.len() as u64;
                    self.crc.update(&data);
                    return Ok(Some(data));
                }
            }
        }
    }

    /// Reads a small body completely; more than 1 MiB is an error.
    pub(super) async fn small(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(data) = self.next().await? {
            all.extend_from_slice(&data);
            if all.len() > 1 << 20 {
                return Err(io::Error::other("too large"));
            }
        }
        Ok(all)
    }

    /// Reads at least `bytes` bytes, or to the end.
    pub(super) async fn some(&mut self, bytes: u64) -> io::Result<()> {
        while self.bytes < bytes && self.next().await?.is_some() {}
        Ok(())
    }

    pub(super) fn received(&self) -> u64 {
        self.bytes
    }

    pub(super) fn digest(&self) -> String {
        self.crc.text()
    }

    pub(super) fn note(&self, key: &str, value: Value) {
        self.ledger.update(self.seq, |entry| {
            entry.notes.insert(key.to_owned(), value);
        });
    }

    pub(super) fn finish(self, status: u16) {
        let (bytes, digest) = (self.bytes, self.crc.text());
        let complete = self.complete || self.body.as_ref().is_some_and(hyper::body::Body::is_end_stream);
        self.ledger.update(self.seq, |entry| {
            entry.received = bytes;
            entry.digest = digest;
            entry.complete = complete;
            entry.status = status;
        });
    }
}

/// A response.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
        let headers = vec![("content-type", content_type.to_owned())];
        Answer { status, headers, body: Full::new(body.into()).boxed() }
    }

    pub(super) fn json(status: u16, value: &Value) -> Answer {
        Answer::new(status, "application/json", value.to_string())
    }

    pub(super) fn text(status: u16, text: &str) -> Answer {
        Answer::new(status, "text/plain", text.to_owned())
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// Creates a response that is generated while it is sent. `next` returns the next block, empty at the end.
    pub(super) fn stream<F>(status: u16, content_type: &'static str, next: F) -> Answer
    where
        F: FnMut() -> Vec<u8> + Send + Sync + 'static,
    {
        Answer::broken_stream(status, content_type, false, next)
    }

    /// Like [`Answer::stream`]; if `broken`, the connection is closed without a proper end.
    pub(super) fn broken_stream<F>(status: u16, content_type: &'static str, broken: bool, mut next: F) -> Answer
    where
        F: FnMut() -> Vec<u8> + Send + Sync + 'static,
    {
        // the pause lets the generated data leave before hyper closes the connection
        let mut pause = broken.then(|| Box::pin(tokio::time::sleep(std::time::Duration::from_millis(50))));
        let blocks = futures_util::stream::poll_fn(move |cx| {
            let block = next();
            if !block.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from(block)))));
            }
            match &mut pause {
                Some(pause) => pause.as_mut().poll(cx).map(|()| None),
                None => Poll::Ready(None),
            }
        });
        let mut answer = Answer::new(status, content_type, Bytes::new());
        answer.body = BodyExt::boxed(StreamBody::new(blocks));
        if broken {
            // announce more than is sent
            answer.headers.push(("content-length", u32::MAX.to_string()));
        }
        answer
    }

    /// Returns the same response without its second half.
    pub(super) fn cut(mut self) -> Answer {
        // a body made from bytes is available at once
        let whole = match self.body.collect().now_or_never() {
            Some(Ok(whole)) => whole.to_bytes(),
            None => Bytes::new(),
        };
        self.headers.push(("content-length", whole.len().to_string()));
        let half = whole.slice(..whole.len() / 2);
        // the pause lets the first half leave; hyper closes the connection because less is sent than announced
        let pieces = futures_util::stream::unfold(Some(half), |half| async move {
            match half {
                Some(half) => Some((Ok(Frame::data(half)), None)),
                None => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    None
                }
            }
        });
        Answer { body: BodyExt::boxed(StreamBody::new(pieces)), ..self }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// Returns the value of a query parameter, percent-decoded.
pub(super) fn query(head: &Head, name: &str) -> Option<String> {
    head.uri.query()?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| {
            let value = value.replace('+', " ");
            percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned()
        })
    })
}

/// Returns 128 random bits in hex.
pub(super) fn random() -> String {
    let mut bytes = [0u8; 16];
    // without randomness ids would repeat, which is harmless here
    let _ = getrandom::fill(&mut bytes);
    super::digest::hex(&bytes)
}
