//! Shared by all commands: flags, runtime, signals, progress line, and how to open and report a job.

use super::output::{self, To};
use super::{Global, Output, progress, signals};
use listferry::job::{Env, Job, Report};
use listferry::secret::Taint;
use listferry::{Error, Kind, Result};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Number of threads of the runtime.
const WORKERS: usize = 2;

/// Number of descriptors that the runtime opens at its start, plus a reserve.
const DESCRIPTORS: usize = 12;

/// Checks that threads and descriptors are available; without them the runtime panics or hangs.
fn is_room_for_a_runtime() -> Result<()> {
    let mut files = Vec::new();
    let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
    for _ in 0..DESCRIPTORS {
        match std::fs::File::open(null) {
            Ok(file) => files.push(file),
            // a machine without this file may have everything else
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            Err(error) => return Err(cannot_start("no more files can be opened", error)),
        }
    }
    let mut threads = Vec::new();
    let mut failed = None;
    for _ in 0..=WORKERS {
        match std::thread::Builder::new().stack_size(1 << 20).spawn(std::thread::park) {
            Ok(thread) => threads.push(thread),
            Err(error) => failed = Some(error),
        }
    }
    for thread in threads {
        thread.thread().unpark();
        // the thread only slept
        let _ = thread.join();
    }
    failed.map_or(Ok(()), |error| Err(cannot_start("no more threads can be started", error)))
}

fn cannot_start(what: &str, error: std::io::Error) -> Error {
    Error::io(what, error)
        .with_hint("a limit of this process or machine is reached: raise it (ulimit -n, ulimit -u, ulimit -v)")
}

/// The environment of a command.
pub(crate) struct Session<'g> {
    pub(crate) global: &'g Global,
    pub(crate) runtime: tokio::runtime::Runtime,
    stopped: signals::Stopped,
    progress: Arc<listferry::job::Progress>,
    /// The secrets of the jobs.
    taint: Taint,
}

impl<'g> Session<'g> {
    pub(crate) fn new(global: &'g Global, command: &'static str, taint: Taint) -> Result<Session<'g>> {
        is_room_for_a_runtime()?;
        // few threads with small stacks, to save memory; the pipeline starts its own converting threads
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_stack_size(1 << 20)
            .enable_all()
            .build()
            .map_err(|error| cannot_start("the runtime cannot start", error))?;
        signals::report_file_size_limit(&runtime);
        let progress = Arc::<listferry::job::Progress>::default();
        let flags = global.clone();
        let late = move |kind| {
            let error = Error::new(kind, "stopped at once, because the command did not end within two seconds")
                .with_hint("its output may be incomplete; run it again, or resume the run");
            // stdout may be what is blocked
            output::failed(&flags, command, error, To::Stderr);
        };
        let stopped = signals::listen(&runtime, Arc::clone(&progress), late);
        Ok(Session { global, runtime, stopped, progress, taint })
    }

    /// Opens a job file with the overrides of the variable, the flags and `more`; later ones win.
    pub(crate) fn open(&self, path: &Path, more: &[String]) -> Result<Job> {
        Job::open(path, &self.sets(&[], more))
    }

    /// Returns all overrides: `before`, those of the variable, those of the flags, `after`.
    pub(crate) fn sets(&self, before: &[String], after: &[String]) -> Vec<String> {
        let variable = std::env::var("LISTFERRY_SET").unwrap_or_default();
        let mut sets = before.to_vec();
        sets.extend(variable.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        sets.extend_from_slice(&self.global.sets);
        sets.extend_from_slice(after);
        sets
    }

    /// Returns the environment for the library.
    pub(crate) fn env(&self) -> Env {
        let mut env = Env::default();
        env.state_dir.clone_from(&self.global.state_dir);
        if let Some(threads) = self.global.threads {
            env.options.threads = usize::from(threads);
        }
        env.options.progress = Arc::clone(&self.progress);
        env.watch = progress::watch(self.global, &self.progress);
        env.stopped_by = self.stopped.code();
        env.show_values = self.global.show_values;
        env.taint = self.taint.clone();
        // the first line on stderr, also with -q
        env.announce = Some(Arc::new(|line: &str| output::stderr(&format!("{}\n", listferry::job::printable(line)))));
        env
    }

    /// Prints a report. If a signal arrived, it decides between the exit codes 130 and 143.
    pub(crate) fn report(&self, report: Report, to: To) -> ExitCode {
        self.shown(report, to).0
    }

    /// Returns the exit code, and whether the report was written.
    fn shown(&self, mut report: Report, to: To) -> (ExitCode, bool) {
        progress::clear(self.global);
        report.hide(&self.taint);
        if report.exit_code == Kind::Interrupted.exit_code()
            && let (Some(kind), Some(error)) = (self.stopped.kind(), report.error.take())
        {
            report.fail(error.into_kind(kind));
        }
        output::report(self.global, &report, to)
    }

    /// Prints the report of a run. The run has ended once its report has been written to where it was asked for.
    pub(crate) fn report_run(&self, report: Report) -> ExitCode {
        let (env, id) = (self.env(), report.run_id.clone());
        let (code, written) = self.shown(report, To::Stdout);
        if let (true, Some(id)) = (written, id)
            && let Err(error) = listferry::job::reported(&env, &id)
        {
            output::stderr(&format!("warning: the next run gives this report once more: {error}\n"));
        }
        code
    }

    /// Prints an error.
    pub(crate) fn failed(&self, command: &'static str, error: Error, to: To) -> ExitCode {
        progress::clear(self.global);
        let error = match self.stopped.kind() {
            Some(kind) if error.kind() == Kind::Interrupted => error.into_kind(kind),
            _ => error,
        };
        let error = error.map_text(|text| self.taint.own_text(text).into_owned());
        output::failed(self.global, command, error, to)
    }

    /// Whether the output is JSON.
    pub(crate) fn json(&self) -> bool {
        self.global.output == Output::Json
    }

    /// Returns the kind of the signal that arrived, if one did.
    pub(crate) fn stopped(&self) -> Option<Kind> {
        self.stopped.kind()
    }

    /// Returns once a signal has arrived.
    pub(crate) async fn cancelled(&self) {
        while self.stopped.kind().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}
