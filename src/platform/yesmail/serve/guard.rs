//! A connection that is closed if its peer takes no byte for too long.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Passes reads on; a write that waits longer than `limit` fails.
pub(super) struct Guarded<S> {
    stream: S,
    limit: Duration,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Guarded<S> {
        Guarded { stream, limit, stall: None }
    }

    /// Returns the result of a write, or a timeout.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    fn watch<T>(&mut self, remote: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let limit = self.limit;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        ready!(stall.as_mut().poll(remote));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no byte")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, remote: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(remote, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, remote: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(remote, buf);
        self.watch(remote, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, remote: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(remote);
        self.watch(remote, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, remote: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(remote);
        self.watch(remote, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test of a timer")]
    fn a_peer_that_takes_nothing_is_cut_and_a_slow_one_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(10);
            let mut near = Guarded::new(near, Duration::from_millis(500));
            let slow = async {
                let mut byte = [0; 1];
                for _ in 0..30 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    far.read_exact(&mut byte).await.unwrap();
                }
                far
            };
            let bytes = [7; 40];
            let (sent, _far) = tokio::join!(near.write_all(&bytes), slow);
            sent.unwrap();
            let error = near.write_all(&bytes).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }
}
