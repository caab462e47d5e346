//! Runs a command on a thread of its own, while the calling thread, without the interpreter lock, waits for it, looks for
//! signals, and reports progress.

use crate::source::Raised;
use listferry::job::{Report, Stage};
use listferry::{Env, Error, Kind};
use pyo3::prelude::*;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Interval at which signals are looked for.
const LOOK: Duration = Duration::from_millis(50);
/// Number of intervals between two calls of the progress function.
const LOOKS_A_REPORT: u32 = 4;

/// Runs `work` and returns its result, or the exception of a signal, of the progress function or of the source.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    env: &Env,
    progress: Option<&Bound<'_, PyAny>>,
    raised: &Raised,
    work: impl FnOnce(&Env) -> T + Send + 'static,
) -> PyResult<T> {
    let (done, mut result) = channel();
    let env_of_work = env.clone();
    let work = move || {
        // the receiver waits for it
        let _ = done.send(work(&env_of_work));
    };
    let thread = std::thread::Builder::new().name("listferry".to_owned()).stack_size(2 << 20).spawn(work)?;
    let mut looks = 0;
    let ended = loop {
        // a receiver can be moved to the thread that waits, not lent to it
        let (back, came) = py.detach(move || {
            let came = result.recv_timeout(LOOK);
            (result, came)
        });
        result = back;
        match came {
            Ok(ended) => break Some(ended),
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        looks += 1;
        let called = py.check_signals().and_then(|()| match progress.filter(|_| looks % LOOKS_A_REPORT == 0) {
            Some(progress) => call(progress, env),
            None => Ok(()),
        });
        if let Err(error) = called {
            // the command ends with a report, so that a run can be continued
            raised.set(error);
            env.progress().cancelled.store(true, Ordering::Relaxed);
        }
    };
    py.detach(|| drop(thread.join()));
    if let Some(progress) = progress.filter(|_| ended.is_some()) {
        call(progress, env)?;
    }
    match (raised.take(), ended) {
        (Some(error), _) => Err(error),
        (None, Some(ended)) => Ok(ended),
        (None, None) => {
            let error = Error::new(Kind::Local, "a thread ended early: this is a bug of listferry");
            Err(crate::errors::exception(py, &error))
        }
    }
}

fn call(progress: &Bound<'_, PyAny>, env: &Env) -> PyResult<()> {
    let now = env.snapshot();
    let stage = match now.stage {
        Some(Stage::Measure { .. }) => "measure",
        Some(Stage::Send { .. }) => "send",
        Some(Stage::End) => "end",
        _ => "start",
    };
    progress.call1((stage, now.bytes, now.total_bytes, now.records, now.rejected)).map(drop)
}

/// Returns a report as JSON. Errors of usage and of the state are exceptions.
pub(crate) fn reported(py: Python<'_>, report: Report) -> PyResult<String> {
    match report.exit_code {
        2 | 3 => match report.into_result() {
            Err(error) => Err(crate::errors::exception(py, &error)),
            Ok(report) => Ok(report.to_json().to_string()),
        },
        _ => Ok(report.to_json().to_string()),
    }
}
