//! Reports the progress of a command, and stops it when its token is cancelled, from a thread of its own.

use super::env::Env;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Interval at which the token is checked.
const LOOK: Duration = Duration::from_millis(20);
/// Number of intervals between two reports.
const LOOKS_A_REPORT: u32 = 10;

/// Watches a command until it is dropped.
pub(super) struct Watcher {
    ended: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Env {
    /// Starts to watch a command, if the caller wants progress or has a token. If no thread can be started, the command
    /// runs without it.
    pub(super) fn watched(&self) -> Watcher {
        if self.cancel.as_ref().is_some_and(|token| token.is_cancelled()) {
            self.progress().cancelled.store(true, Ordering::Relaxed);
        }
        if self.report_progress.is_none() && self.cancel.is_none() {
            return Watcher { ended: None, thread: None };
        }
        let (ended, is_ended) = channel();
        let env = self.clone();
        let watch = move || {
            let mut looks = 0;
            loop {
                let waited = is_ended.recv_timeout(LOOK);
                if env.cancel.as_ref().is_some_and(|token| token.is_cancelled()) {
                    env.progress().cancelled.store(true, Ordering::Relaxed);
                }
                looks += 1;
                let is_over = waited != Err(RecvTimeoutError::Timeout);
                if let Some(report) = env.report_progress.as_ref().filter(|_| is_over || looks % LOOKS_A_REPORT == 0) {
                    report(&env.snapshot());
                }
                if is_over {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("watcher".to_owned()).stack_size(1 << 20).spawn(watch);
        Watcher { ended: Some(ended), thread: thread.ok() }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.ended.take());
        if let Some(thread) = self.thread.take() {
            // a panic of the caller's function has been printed
            let _ = thread.join();
        }
    }
}
