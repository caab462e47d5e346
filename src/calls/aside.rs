//! Blocking work beside asynchronous code.

use crate::error::{Error, Kind, Result};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::Thread;

/// Runs blocking work on a new thread, or in line. The runtime's `spawn_blocking` is not used: it panics or waits
/// forever if no thread can start.
///
/// # Errors
/// `Local`: the thread cannot start.
pub(crate) async fn aside<T: Send + 'static>(in_line: bool, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if in_line {
        return Ok(work());
    }
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("pass".to_owned())
        .stack_size(1 << 20)
        // the receiver is gone if the run was stopped
        .spawn(move || drop(done.send(work())))
        .map_err(|error| {
            Error::io("a thread cannot be started", error).with_hint(
                "the limit on processes or memory is reached: raise it (ulimit -u, ulimit -v); then run again",
            )
        })?;
    result.await.map_err(|_| Error::new(Kind::Local, "a thread ended early: this is a bug"))
}

/// Waits for a future that needs no runtime of its caller.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Unpark>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
