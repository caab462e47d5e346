//! SIGINT and SIGTERM: the first one stops cleanly within two seconds, a second one at once.

use listferry::Kind;
use listferry::job::Progress;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// The signal that arrived; 0 if none.
#[derive(Clone, Default)]
pub(crate) struct Stopped(Arc<AtomicU8>);

impl Stopped {
    /// Returns the shared signal number, for code that has to stop.
    pub(crate) fn code(&self) -> Arc<AtomicU8> {
        Arc::clone(&self.0)
    }

    /// Returns how the process has to end, if a signal arrived.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.0.load(Ordering::Relaxed) {
            130 => Some(Kind::Interrupted),
            143 => Some(Kind::Terminated),
            _ => None,
        }
    }
}

/// Listens for as long as the runtime lives. Calls `late` if the process does not stop in time.
pub(crate) fn listen(
    runtime: &tokio::runtime::Runtime,
    progress: Arc<Progress>,
    late: impl FnOnce(Kind) + Send + 'static,
) -> Stopped {
    let stopped = Stopped::default();
    let flag = stopped.clone();
    runtime.spawn(async move {
        let Some(code) = next().await else { return };
        flag.0.store(code, Ordering::Relaxed);
        progress.cancelled.store(true, Ordering::Relaxed);
        // the journal is synced at every step, so exiting in the middle of one is safe
        let again = tokio::time::timeout(Duration::from_millis(1700), next()).await;
        if let (Err(_), Some(kind)) = (&again, flag.kind()) {
            // stderr may be what is blocked
            let (sender, written) = std::sync::mpsc::channel();
            let write = move || {
                late(kind);
                let _ = sender.send(());
            };
            // if no thread can be started, the message is lost
            let _ = std::thread::Builder::new().spawn(write);
            let _ = written.recv_timeout(Duration::from_millis(200));
        }
        std::process::exit(i32::from(again.ok().flatten().unwrap_or(code)));
    });
    stopped
}

/// Turns writes beyond the limit on file sizes (`ulimit -f`) into errors. By default they end the process without a
/// message.
#[cfg(unix)]
pub(crate) fn report_file_size_limit(runtime: &tokio::runtime::Runtime) {
    let _context = runtime.enter();
    // the handler stays installed after this is dropped
    let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(libc::SIGXFSZ));
}

#[cfg(not(unix))]
pub(crate) fn report_file_size_limit(_: &tokio::runtime::Runtime) {}

#[cfg(unix)]
async fn next() -> Option<u8> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).ok()?;
    let mut terminate = signal(SignalKind::terminate()).ok()?;
    tokio::select! {
        _ = interrupt.recv() => Some(130),
        _ = terminate.recv() => Some(143),
    }
}

#[cfg(not(unix))]
async fn next() -> Option<u8> {
    tokio::signal::ctrl_c().await.ok().map(|()| 130)
}
