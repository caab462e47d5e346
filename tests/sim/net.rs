//! The network: streams in memory between client and vendor, with the faults of the plan.

use crate::plan::Fault;
use crate::rng::Rng;
use crate::vendor::{Ans, Req, Vendor};
use crc_fast::{CrcAlgorithm, Digest};
use listferry::transport::{Dial, Dialled, Io};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The record of one exchange.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// Status of the answer; 0 if there was none.
    pub(crate) status: u16,
    /// True if the answer came from a fault, not from the vendor.
    pub(crate) by_fault: bool,
    /// True if the request only asks for something.
    pub(crate) is_read: bool,
}

/// The state shared by all connections.
pub(crate) struct Net {
    pub(crate) vendor: Vendor,
    /// Faults of the current invocation.
    pub(crate) faults: Vec<(u32, Fault)>,
    /// Exchanges of the current invocation.
    pub(crate) said: Vec<Said>,
    digest: Digest,
    /// Each kind of input of the digest, with the digest after it.
    pub(crate) trail: Vec<(&'static str, u64)>,
    /// Lines of a trace, if requested.
    pub(crate) trace: Option<Vec<String>>,
    seed: u64,
    choppy: bool,
    /// Number of exchanges in all invocations.
    exchanges: u64,
    /// Simulated time since the beginning.
    clock: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Net {
    pub(crate) fn new(
        vendor: Vendor,
        seed: u64,
        choppy: bool,
        clock: Arc<dyn Fn() -> Duration + Send + Sync>,
        trace: bool,
    ) -> Net {
        let digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        let trace = trace.then(Vec::new);
        Net {
            vendor,
            faults: Vec::new(),
            said: Vec::new(),
            digest,
            trail: Vec::new(),
            trace,
            seed,
            choppy,
            exchanges: 0,
            clock,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        (self.clock)().as_millis() as u64
    }

    /// Adds an input to the digest.
    pub(crate) fn add(&mut self, what: &'static str, bytes: &[u8]) {
        self.digest.update(bytes);
        self.mark(what);
    }

    fn mark(&mut self, what: &'static str) {
        self.trail.push((what, self.digest.finalize()));
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("  [{:>9}.{:03}] {}", now / 1000, now % 1000, text()));
        }
    }

    /// Starts the next exchange; returns its fault, its number over all invocations, and its number within this one.
    fn begin(&mut self) -> (Option<Fault>, u64, usize) {
        let number = self.said.len() as u32;
        self.exchanges += 1;
        self.said.push(Said { status: 0, by_fault: false, is_read: false });
        let fault = self.faults.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
        (fault, self.exchanges, number as usize)
    }

    /// Handles a complete request: returns the bytes for the client to read, and the delay in milliseconds.
    fn answer(&mut self, req: &Req, fault: Option<Fault>, number: usize) -> (Vec<u8>, u64, bool) {
        let now = self.now();
        self.digest.update(req.method.as_bytes());
        self.digest.update(req.path.as_bytes());
        for (name, value) in &req.headers {
            self.digest.update(name.as_bytes());
            self.digest.update(value.as_bytes());
        }
        self.digest.update(&req.body);
        self.digest.update(&now.to_le_bytes());
        self.mark("a request");
        let plain = |status: u16| Ans { status, headers: Vec::new(), body: String::new() };
        let (ans, by_fault, wait, keep) = match fault {
            Some(Fault::Undone) => (None, true, 0, 1000),
            Some(Fault::Status(status)) => (Some(plain(status)), true, 0, 1000),
            Some(Fault::Later(seconds)) => {
                let mut ans = plain(429);
                ans.headers.push(("Retry-After", seconds.to_string()));
                (Some(ans), true, 0, 1000)
            }
            fault => {
                let ans = self.vendor.answer(req, now);
                match fault {
                    Some(Fault::Lost) => (None, true, 0, 1000),
                    Some(Fault::CutAnswer(keep)) => (Some(ans), true, 0, u64::from(keep)),
                    Some(Fault::Garbage) => {
                        (Some(Ans { body: "<html>welcome</html>".to_owned(), ..plain(200) }), true, 0, 1000)
                    }
                    Some(Fault::DoneStatus(status)) => (Some(plain(status)), true, 0, 1000),
                    Some(Fault::Slow(seconds)) => (Some(ans), true, seconds * 1000, 1000),
                    _ => (Some(ans), false, 0, 1000),
                }
            }
        };
        let status = ans.as_ref().map_or(0, |ans| ans.status);
        self.said[number] = Said { status, by_fault, is_read: req.method == "GET" };
        self.note(|| {
            let effect = size_of_body(req);
            let fault = fault.map(|fault| format!("  ({fault:?})")).unwrap_or_default();
            let status = ans.as_ref().map_or("nothing".to_owned(), |ans| ans.status.to_string());
            format!("call {number}: {} {}{effect} -> {status}{fault}", req.method, req.path)
        });
        let Some(ans) = ans else { return (Vec::new(), wait, false) };
        let mut text =
            format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n", ans.status, ans.body.len());
        for (name, value) in &ans.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.push_str(&ans.body);
        let mut bytes = text.into_bytes();
        self.add("an answer", &bytes);
        let whole = keep >= 1000;
        if !whole {
            let len = bytes.len() as u64 - 1;
            bytes.truncate((len * keep / 1000) as usize);
        }
        (bytes, wait, whole)
    }
}

fn size_of_body(req: &Req) -> String {
    if req.body.is_empty() { String::new() } else { format!(" ({} bytes)", req.body.len()) }
}

/// The shared network as a connector for the client.
#[derive(Clone)]
pub(crate) struct Connector(pub(crate) Arc<Mutex<Net>>);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    pub(crate) fn net(&self) -> MutexGuard<'_, Net> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dial for Connector {
    fn dial<'d>(&'d self, _host: &'d str, port: u16) -> Dialled<'d> {
        Box::pin(async move {
            let (fault, number, mut rng, choppy) = {
                let mut net = self.net();
                let (fault, exchange, number) = net.begin();
                if matches!(fault, Some(Fault::Refused | Fault::Hangs)) {
                    net.note(|| format!("call {number}: {fault:?}"));
                    net.said[number].by_fault = true;
                }
                (fault, number, Rng::new(net.seed, 1_000_000 + exchange), net.choppy)
            };
            let latency = rng.pick(&[0, 1, 40, 900]);
            if latency > 0 {
                tokio::time::sleep(Duration::from_millis(latency)).await;
            }
            match fault {
                _ if port != 8080 => Err(io::Error::other("nothing listens at that port")),
                Some(Fault::Refused) => Err(io::ErrorKind::ConnectionRefused.into()),
                Some(Fault::Hangs) => std::future::pending().await,
                _ => {
                    let stream: Box<dyn Io> = Box::new(Stream::new(self.clone(), fault, number, rng, choppy));
                    Ok(stream)
                }
            }
        })
    }
}

/// The client's end of a connection. Polling it also runs the vendor's end.
struct Stream {
    connector: Connector,
    fault: Option<Fault>,
    number: usize,
    rng: Rng,
    choppy: bool,
    /// Bytes of the request so far.
    came: Vec<u8>,
    /// Length of head and body, known once the head is complete.
    length: Option<(usize, usize)>,
    /// Bytes for the client to read.
    out: Vec<u8>,
    at: usize,
    until: Option<Pin<Box<Sleep>>>,
    end: End,
    reader: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// Closed after the bytes to be read.
    Closed,
    /// Reset after the bytes to be read.
    Reset,
}

impl Stream {
    fn new(connector: Connector, fault: Option<Fault>, number: usize, rng: Rng, choppy: bool) -> Stream {
        Stream {
            connector,
            fault,
            number,
            rng,
            choppy,
            came: Vec::new(),
            length: None,
            out: Vec::new(),
            at: 0,
            until: None,
            end: End::Open,
            reader: None,
        }
    }

    /// Returns true if the stream makes no progress this time.
    fn dawdles(&mut self, cx: &Context<'_>) -> bool {
        let dawdles = self.choppy && self.rng.chance(20);
        if dawdles {
            cx.waker().wake_by_ref();
        }
        dawdles
    }

    fn take(&mut self, bytes: &[u8]) {
        self.came.extend_from_slice(bytes);
        if self.length.is_none()
            && let Some(head) = self.came.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let text = String::from_utf8_lossy(&self.came[..head]).to_ascii_lowercase();
            let value = |name: &str| {
                text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|v| v.trim().to_owned()))
            };
            let length = value("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            if value("expect").is_some() {
                self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            self.length = Some((head + 4, length));
        }
        let whole = self.length.is_some_and(|(head, length)| self.came.len() >= head + length);
        if let Some(Fault::CutRequest(share)) = self.fault {
            let all = self.length.map_or(usize::MAX, |(head, length)| (head + length) * usize::from(share) / 1000);
            if whole || self.came.len() > all {
                self.connector.net().said[self.number].by_fault = true;
                let number = self.number;
                self.connector.net().note(|| format!("call {number}: reset within the request"));
                self.end = End::Reset;
            }
        } else if whole && self.end == End::Open {
            self.finish();
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn finish(&mut self) {
        let Some((head, _)) = self.length else { return };
        let text = String::from_utf8_lossy(&self.came[..head]).into_owned();
        let mut lines = text.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let req = Req {
            method: first.next().unwrap_or_default(),
            path: first.next().unwrap_or_default(),
            headers,
            body: self.came.split_off(head),
        };
        let (bytes, wait, whole) = self.connector.net().answer(&req, self.fault, self.number);
        self.out.extend_from_slice(&bytes);
        self.end = if whole || self.rng.chance(50) { End::Closed } else { End::Reset };
        if wait > 0 {
            self.until = Some(Box::pin(tokio::time::sleep(Duration::from_millis(wait))));
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.dawdles(cx) {
            return Poll::Pending;
        }
        if self.end != End::Open {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let most = if self.choppy { 1 + self.rng.below(700) as usize } else { usize::MAX };
        let n = buf.len().min(most);
        self.take(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.dawdles(cx) {
            return Poll::Pending;
        }
        if let Some(until) = &mut self.until {
            ready!(until.as_mut().poll(cx));
            self.until = None;
        }
        let left = self.out.len() - self.at;
        if left == 0 {
            return match self.end {
                End::Closed => Poll::Ready(Ok(())),
                End::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                End::Open => {
                    self.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        let most = if self.choppy { 1 + self.rng.below(60) as usize } else { usize::MAX };
        let n = left.min(buf.remaining()).min(most);
        let at = self.at;
        buf.put_slice(&self.out[at..at + n]);
        self.at += n;
        Poll::Ready(Ok(()))
    }
}
