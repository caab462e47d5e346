//! SIGINT and SIGTERM: the first stops cleanly within two seconds, the second at once.

use listferry::Kind;
use listferry::job::Progress;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Which signal came; 0: none.
#[derive(Clone, Default)]
pub(crate) struct Stopped(Arc<AtomicU8>);

impl Stopped {
    /// Shared with whoever has to end.
    pub(crate) fn code(&self) -> Arc<AtomicU8> {
        Arc::clone(&self.0)
    }

    /// How the process has to end, where a signal came.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.0.load(Ordering::Relaxed) {
            130 => Some(Kind::Interrupted),
            143 => Some(Kind::Terminated),
            _ => None,
        }
    }
}

/// Listens for as long as the runtime lives. `late` says what is so where the process does not stop in time.
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
        // What does not stop in time is stopped: the journal is synced at every step anyway.
        let again = tokio::time::timeout(Duration::from_millis(1700), next()).await;
        if let (Err(_), Some(kind)) = (&again, flag.kind()) {
            // whoever reads stderr may be what is stuck
            let (told, is_told) = std::sync::mpsc::channel();
            let tell = move || {
                late(kind);
                let _ = told.send(());
            };
            // without a thread for it nothing is said
            let _ = std::thread::Builder::new().spawn(tell);
            let _ = is_told.recv_timeout(Duration::from_millis(200));
        }
        std::process::exit(i32::from(again.ok().flatten().unwrap_or(code)));
    });
    stopped
}

/// Writes beyond the limit on the size of files (`ulimit -f`) are errors from now on; by default they end the process, and
/// nobody learns why.
#[cfg(unix)]
pub(crate) fn report_file_size_limit(runtime: &tokio::runtime::Runtime) {
    let _context = runtime.enter();
    // the handler stays when this is dropped
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
