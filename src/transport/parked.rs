//! The socket as hyper sees it. Defers a write error as long as a response may still be readable: a server that refused
//! and closed has sent the reason, but hyper would report the failed write and never read it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// State of the socket, shared with the exchange.
#[derive(Default)]
pub(super) struct Wire(Mutex<State>);

#[derive(Default)]
struct State {
    /// Number of bytes that the socket has taken.
    taken: u64,
    last_taken: Option<Instant>,
    /// Since when the socket has taken nothing although there is something to write.
    blocked_since: Option<Instant>,
    /// The reason why writing failed.
    write_error: Option<String>,
    stopped: bool,
    flooded: bool,
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn taken(&self) -> u64 {
        self.state().taken
    }

    pub(super) fn last_taken(&self) -> Option<Instant> {
        self.state().last_taken
    }

    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.state().blocked_since
    }

    pub(super) fn write_error(&self) -> Option<String> {
        self.state().write_error.clone()
    }

    /// Stops writing, because the response has come.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
    }

    /// Makes reading fail, because of too many interim responses.
    pub(super) fn flood(&self) {
        self.state().flooded = true;
    }

    pub(super) fn flooded(&self) -> bool {
        self.state().flooded
    }
}

pub(super) struct Parked<S> {
    inner: S,
    wire: Arc<Wire>,
    failed: Option<io::Error>,
    read_over: bool,
    writer: Option<Waker>,
}

impl<S> Parked<S> {
    pub(super) fn new(inner: S, wire: Arc<Wire>) -> Parked<S> {
        Parked { inner, wire, failed: None, read_over: false, writer: None }
    }

    /// Whether writing is blocked or over; `None` if it may continue.
    fn held(&mut self, cx: &Context<'_>) -> Option<Poll<io::Error>> {
        if self.read_over
            && let Some(error) = self.failed.take()
        {
            return Some(Poll::Ready(error));
        }
        if self.failed.is_some() || self.wire.state().stopped {
            self.writer = Some(cx.waker().clone());
            return Some(Poll::Pending);
        }
        None
    }

    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    fn deferred(&mut self, cx: &Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        let mut state = self.wire.state();
        match written {
            Poll::Ready(Ok(n)) => {
                state.taken += n as u64;
                state.last_taken = Some(now);
                state.blocked_since = None;
                Poll::Ready(Ok(n))
            }
            Poll::Pending => {
                state.blocked_since.get_or_insert(now);
                Poll::Pending
            }
            Poll::Ready(Err(error)) => {
                state.write_error = Some(error.to_string());
                if self.read_over {
                    return Poll::Ready(Err(error));
                }
                state.blocked_since.get_or_insert(now);
                self.failed = Some(error);
                self.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Parked<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.wire.flooded() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "too many interim answers")));
        }
        let before = buf.filled().len();
        let room = buf.remaining() > 0;
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        let over = match &read {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => room && buf.filled().len() == before,
            Poll::Ready(Err(_)) => true,
        };
        if over {
            self.read_over = true;
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Parked<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(held) = self.held(cx) {
            return held.map(Err);
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.deferred(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(held) = self.held(cx) {
            return held.map(Err);
        }
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.deferred(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(held) = self.held(cx) {
            return held.map(Err);
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
