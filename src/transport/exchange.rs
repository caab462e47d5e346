//! Sends one request and reads the head of its response on one connection, with a stall timer and a response timer but
//! no limit on the whole.

use super::answer::lost;
use super::connect::Connected;
use super::gate::{BodyFailed, Gate, StopOnDrop};
use super::parked::Wire;
use super::{Failed, Reach};
use crate::error::{Error, Kind};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Maximum size of a response's head. hyper queues about as much of a body beyond one frame.
const MAX_HEAD_BYTES: usize = 128 * 1024;
/// Maximum number of fields in a response's head.
const MAX_HEAD_FIELDS: usize = 1000;
/// Maximum number of interim (1xx) responses.
const MAX_INTERIM: u32 = 32;
/// Bytes that the kernels on both sides may still buffer when the last byte has been written.
const ON_THE_WAY: u64 = 4 * 1024 * 1024;

pub(super) struct Head {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
}

pub(super) struct Limits {
    pub(super) stall: Duration,
    pub(super) answer: Duration,
}

/// A connection that is driven by the task that waits for its response.
pub(super) struct Connection(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Connection {
    /// Runs until the connection has ended, then stays pending forever.
    pub(super) async fn run(&mut self) {
        match &mut self.0 {
            Some(connection) => connection.await,
            None => std::future::pending().await,
        }
        self.0 = None;
    }
}

/// A response whose head has been read.
pub(super) struct Heard {
    head: http::response::Parts,
    pub(super) body: Incoming,
    pub(super) connection: Connection,
}

impl Heard {
    pub(super) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        self.head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
    }
}

/// Sends one request and waits for the head of its response.
#[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
pub(super) async fn exchange<B>(
    connected: Connected,
    head: Head,
    gate: &Gate<B>,
    limits: &Limits,
) -> Result<Heard, Failed>
where
    B: Body<Data = Bytes, Error = Error> + Send + 'static,
{
    let Connected { io, wire, .. } = connected;
    let already_taken = wire.taken();
    let length = gate.size_hint().exact().unwrap_or_default();
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEAD_FIELDS)
        .handshake::<_, Gate<B>>(TokioIo::new(io))
        .await
        .map_err(|e| Failed { reach: Reach::NotConnected, error: Error::new(Kind::Transient, e.to_string()) })?;
    let mut connection = Connection(Some(Box::pin(async move {
        // its error is also returned by the response's future
        let _ = connection.await;
    })));

    let mut request = Request::new(gate.clone());
    *request.method_mut() = head.method;
    *request.uri_mut() = head.uri;
    *request.headers_mut() = head.headers;
    hear_interim(&mut request, gate, &wire);

    let mut answer = std::pin::pin!(sender.send_request(request));
    let watch = Watch { wire: &wire, limits, length, already_taken, started: Instant::now() };
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut answer => break answer,
            () = connection.run() => {}
            () = tokio::time::sleep(watch.pause()) => watch.check_timers(gate)?,
        }
    };
    match answer {
        Ok(answer) => heard(answer, connection, gate, &watch),
        Err(error) => Err(no_answer(&error, gate, &wire)),
    }
}

/// Opens the gate on 100. hyper drops the callback at the final head, which closes the gate for good.
fn hear_interim<B>(request: &mut Request<Gate<B>>, gate: &Gate<B>, wire: &Arc<Wire>)
where
    B: Send + 'static,
{
    let stop = StopOnDrop(gate.clone());
    let wire = wire.clone();
    let heard = AtomicU32::new(0);
    hyper::ext::on_informational(request, move |interim| {
        if heard.fetch_add(1, Ordering::Relaxed) >= MAX_INTERIM {
            wire.flood();
        } else if interim.status() == http::StatusCode::CONTINUE {
            stop.0.open();
        }
    });
}

fn heard<B>(
    answer: Response<Incoming>,
    connection: Connection,
    gate: &Gate<B>,
    watch: &Watch<'_>,
) -> Result<Heard, Failed>
where
    B: Body<Data = Bytes, Error = Error>,
{
    gate.stop();
    watch.wire.stop();
    let status = answer.status().as_u16();
    if status < 200 {
        return Err(lost(format!("the server switched protocols ({status}) without being asked")));
    }
    if status < 300 && !watch.taken_whole(gate) {
        if let Some(error) = gate.failure() {
            return Err(Failed { reach: Reach::Body, error });
        }
        let sent = gate.given();
        let message = format!(
            "the server answered {status} after {sent} of {} bytes: this does not count as success",
            watch.length
        );
        return Err(Failed { reach: Reach::EarlySuccess, error: Error::new(Kind::Transient, message) });
    }
    let (head, body) = answer.into_parts();
    Ok(Heard { head, body, connection })
}

fn no_answer<B>(error: &hyper::Error, gate: &Gate<B>, wire: &Wire) -> Failed {
    if let Some(error) = gate.failure() {
        return Failed { reach: Reach::Body, error };
    }
    if wire.flooded() {
        let error = Error::new(Kind::Refused, "the server sends interim answers without end");
        return Failed { reach: Reach::Lost, error };
    }
    if error.is_parse_too_large() {
        let message =
            format!("the head of the answer has more than {MAX_HEAD_FIELDS} fields or {MAX_HEAD_BYTES} bytes");
        let error = Error::new(Kind::Refused, message);
        return Failed { reach: Reach::Lost, error };
    }
    if error.is_parse() {
        return lost(format!("the answer is not HTTP: {error}"));
    }
    // hyper's own message first; the cause (an errno) says more if there is one
    let cause = std::error::Error::source(error)
        .filter(|cause| !cause.is::<BodyFailed>())
        .map(ToString::to_string)
        .or_else(|| wire.write_error())
        .unwrap_or_else(|| error.to_string());
    lost(format!("the connection broke before an answer came: {cause}"))
}

struct Watch<'a> {
    wire: &'a Wire,
    limits: &'a Limits,
    length: u64,
    /// Number of bytes of the handshakes.
    already_taken: u64,
    started: Instant,
}

impl Watch<'_> {
    /// Returns the interval between checks.
    fn pause(&self) -> Duration {
        let shortest = self.limits.stall.min(self.limits.answer);
        (shortest / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    /// Whether hyper was given the last byte and the socket has taken at least as much.
    fn taken_whole<B>(&self, gate: &Gate<B>) -> bool {
        gate.given_whole() && self.wire.taken() - self.already_taken >= self.length
    }

    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    fn check_timers<B>(&self, gate: &Gate<B>) -> Result<(), Failed> {
        let now = Instant::now();
        if let Some(since) = self.wire.blocked_since() {
            if now - since >= self.limits.stall {
                let (sent, length, stall) = (gate.given(), self.length, self.limits.stall);
                return Err(match self.wire.write_error() {
                    Some(why) => lost(format!("writing failed ({why}), and no answer came within {stall:?}")),
                    None => {
                        lost(format!("the server took nothing for {stall:?}, after about {sent} of {length} bytes"))
                    }
                });
            }
            return Ok(());
        }
        if !self.taken_whole(gate) {
            return Ok(());
        }
        // Our last byte may still be in the kernels' buffers. Allow them as much time for it as the same number of
        // bytes took so far.
        let (first, last) = gate.given_at().unwrap_or((self.started, self.started));
        let since = self.wire.last_taken().map_or(last, |taken| taken.max(last));
        let share = if self.length == 0 { 0.0 } else { (ON_THE_WAY as f64 / self.length as f64).min(1.0) };
        let took = since.duration_since(first);
        if now.duration_since(since) >= self.limits.answer + took.mul_f64(share) {
            return Err(lost(format!("no answer within {:?} after the request had been sent", self.limits.answer)));
        }
        Ok(())
    }
}
