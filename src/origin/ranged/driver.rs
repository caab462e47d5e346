//! A thread that makes requests, for callers that block.

use crate::error::{Error, Kind, Result};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Returns true once the command was cancelled.
type Cancelled = Arc<dyn Fn() -> bool + Send + Sync>;

/// Interval between checks whether the command was cancelled.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A thread with a runtime. Dropping it cancels everything that it does.
pub(in crate::origin) struct Driver {
    handle: Handle,
    cancelled: Cancelled,
    /// Dropped to end the thread.
    _stop: oneshot::Sender<()>,
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Local`: no thread or runtime can start.
    pub(in crate::origin) fn start(cancelled: Cancelled) -> Result<Arc<Driver>> {
        let failed = |error| {
            Error::io("a thread for reading the source cannot start", error)
                .with_hint("a limit of this process or machine is reached: raise it (ulimit -n, ulimit -u, ulimit -v)")
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("listferry-fetch".to_owned())
            .stack_size(1 << 20)
            .spawn(move || {
                // an error means that the driver was dropped
                let _ = runtime.block_on(stopped);
            })
            .map_err(failed)?;
        Ok(Arc::new(Driver { handle, cancelled, _stop: stop }))
    }

    /// Starts a task.
    pub(in crate::origin) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.handle.spawn(task).abort_handle()
    }

    /// Blocks until a task has ended.
    ///
    /// # Errors
    /// Those of the task; `Interrupted`.
    pub(in crate::origin) fn wait<T, F>(&self, task: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (sender, result) = channel();
        // the receiver is gone if the command was cancelled
        let task = self.spawn(async move { drop(sender.send(task.await)) });
        loop {
            match result.recv_timeout(LOOK_EVERY) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) if self.is_cancelled() => {
                    task.abort();
                    return Err(interrupted());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::new(Kind::Local, "a thread that reads the source ended early: this is a bug"));
                }
            }
        }
    }

    pub(in crate::origin) fn is_cancelled(&self) -> bool {
        (self.cancelled)()
    }
}

pub(super) fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "stopped while the source was read")
}
