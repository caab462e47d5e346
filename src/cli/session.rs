//! What all commands share: flags, runtime, signals, progress line, the way from a job file to a report.

use super::output::{self, To};
use super::{Global, Output, progress, signals};
use listferry::job::{Env, Job, Report};
use listferry::secret::Taint;
use listferry::{Error, Kind, Result};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Threads of the runtime.
const WORKERS: usize = 2;

/// Descriptors that the runtime opens when it starts, and some for what follows.
const DESCRIPTORS: usize = 12;

/// Tries whether threads and descriptors are to be had: the runtime panics or hangs where they are not.
fn is_room_for_a_runtime() -> Result<()> {
    let mut files = Vec::new();
    let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
    for _ in 0..DESCRIPTORS {
        match std::fs::File::open(null) {
            Ok(file) => files.push(file),
            // a machine without that file may have all the rest
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
        // it only slept
        let _ = thread.join();
    }
    failed.map_or(Ok(()), |error| Err(cannot_start("no more threads can be started", error)))
}

fn cannot_start(what: &str, error: std::io::Error) -> Error {
    Error::io(what, error)
        .with_hint("a limit of this process or machine is reached: raise it (ulimit -n, ulimit -u, ulimit -v)")
}

/// The surroundings of a command.
pub(crate) struct Session<'g> {
    pub(crate) global: &'g Global,
    pub(crate) runtime: tokio::runtime::Runtime,
    stopped: signals::Stopped,
    progress: Arc<listferry::job::Progress>,
    /// Secrets of the jobs.
    taint: Taint,
}

impl<'g> Session<'g> {
    pub(crate) fn new(global: &'g Global, command: &'static str, taint: Taint) -> Result<Session<'g>> {
        is_room_for_a_runtime()?;
        // Few threads with small stacks: memory is a promise. The converting threads are the pipeline's own.
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
            let error = Error::new(kind, "stopped in the middle: what it was doing did not end within two seconds")
                .with_hint("half a file may lie where it was writing; run it again, or resume the run");
            // stdout may be what is stuck
            output::failed(&flags, command, error, To::Stderr);
        };
        let stopped = signals::listen(&runtime, Arc::clone(&progress), late);
        Ok(Session { global, runtime, stopped, progress, taint })
    }

    /// The job file with the overrides of the variable, the flags and `more`, later ones winning.
    pub(crate) fn open(&self, path: &Path, more: &[String]) -> Result<Job> {
        Job::open(path, &self.sets(&[], more))
    }

    /// Overrides: `before`, the variable's, the flags', `after`.
    pub(crate) fn sets(&self, before: &[String], after: &[String]) -> Vec<String> {
        let variable = std::env::var("LISTFERRY_SET").unwrap_or_default();
        let mut sets = before.to_vec();
        sets.extend(variable.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        sets.extend_from_slice(&self.global.sets);
        sets.extend_from_slice(after);
        sets
    }

    /// The surroundings for the library.
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

    /// Shows a report; a signal that came says which kind of interruption it was.
    pub(crate) fn report(&self, report: Report, to: To) -> ExitCode {
        self.shown(report, to).0
    }

    /// The exit code, and whether the report was written.
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

    /// Shows the report of a run; once it is written to where it was asked for, the run has ended.
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

    /// Shows an error.
    pub(crate) fn failed(&self, command: &'static str, error: Error, to: To) -> ExitCode {
        progress::clear(self.global);
        let error = match self.stopped.kind() {
            Some(kind) if error.kind() == Kind::Interrupted => error.into_kind(kind),
            _ => error,
        };
        let error = error.map_text(|text| self.taint.own_text(text).into_owned());
        output::failed(self.global, command, error, to)
    }

    /// Whether machines read along.
    pub(crate) fn json(&self) -> bool {
        self.global.output == Output::Json
    }

    /// The signal that came, if one did.
    pub(crate) fn stopped(&self) -> Option<Kind> {
        self.stopped.kind()
    }

    /// Returns once a signal came.
    pub(crate) async fn cancelled(&self) {
        while self.stopped.kind().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}
