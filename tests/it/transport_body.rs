//! Bodies for uploads, and the clients that send them.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use listferry::transport::{Client, NetworkOptions, Proxy, Timers};
use listferry::{Error, Secret};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

pub(crate) const MIB: u64 = 1024 * 1024;
const FRAME: u64 = 256 * 1024;

/// A body that announces `length` bytes and contains `holds`, in pieces of 256 KiB, then perhaps fails.
pub(crate) struct Pattern {
    length: u64,
    left: u64,
    fails: Option<Error>,
    drawn: Arc<AtomicU64>,
    frame: Bytes,
}

impl Pattern {
    pub(crate) fn new(length: u64) -> Pattern {
        let frame = Bytes::from(vec![b'x'; FRAME as usize]);
        Pattern { length, left: length, fails: None, drawn: Arc::default(), frame }
    }

    pub(crate) fn holding(mut self, holds: u64) -> Pattern {
        self.left = holds;
        self
    }

    pub(crate) fn failing(mut self, error: Error) -> Pattern {
        self.fails = Some(error);
        self
    }

    /// Returns the number of bytes read so far, also readable once the body is gone.
    pub(crate) fn drawn(&self) -> Arc<AtomicU64> {
        self.drawn.clone()
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(self.fails.take().map(Err));
        }
        let size = self.left.min(FRAME);
        self.left -= size;
        self.drawn.fetch_add(size, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(self.frame.slice(..size as usize)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

pub(crate) fn timers() -> Timers {
    let mut timers = Timers::default();
    timers.connect = Duration::from_secs(5);
    timers.stall = Duration::from_secs(10);
    timers.response = Duration::from_secs(10);
    timers
}

pub(crate) fn client(timers: &Timers) -> Client {
    client_for(timers, |_| {}, &[])
}

/// A client with its own environment, so that the process's proxy variables have no effect.
pub(crate) fn client_for(timers: &Timers, change: impl FnOnce(&mut NetworkOptions), env: &[(&str, String)]) -> Client {
    let mut network = NetworkOptions::default();
    network.proxy = Proxy::Env;
    change(&mut network);
    let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    Client::with_env(&network, timers, &get).unwrap()
}

pub(crate) fn secret(text: impl Into<String>) -> Secret {
    Secret::new(text.into())
}
