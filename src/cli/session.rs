//! Shared by all commands: flags, runtime, signals, progress line, and how to open and report a job.

use super::held::Held;
use super::output::{self, To};
use super::progress::{Screen, Shown};
use super::{Global, Output, progress, signals};
use listferry::job::{Env, Job, Report, Stage};
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

/// Words as a shell reads them.
fn command_line(words: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let quoted: Vec<String> = words
        .iter()
        .map(|word| match !word.is_empty() && word.chars().all(is_plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', "'\\''")),
        })
        .collect();
    quoted.join(" ")
}

/// The environment of a command.
pub(crate) struct Session<'g> {
    pub(crate) global: &'g Global,
    pub(crate) runtime: tokio::runtime::Runtime,
    stopped: signals::Stopped,
    progress: Arc<listferry::job::Progress>,
    /// The secrets of the jobs.
    taint: Taint,
    /// The log, which may have to wait.
    held: Held,
    screen: Screen,
}

impl<'g> Session<'g> {
    pub(crate) fn new(
        global: &'g Global,
        command: &'static str,
        (taint, held, screen): (Taint, Held, Screen),
    ) -> Result<Session<'g>> {
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
        let (flags, log) = (global.clone(), held.clone());
        let late = move |kind| {
            log.release();
            let error = Error::new(kind, "stopped at once, because the command did not end within two seconds")
                .with_hint("its output may be incomplete; `listferry runs last` shows what was sent, and the same command again continues");
            // stdout may be what is blocked
            output::failed(&flags, command, error, To::Stderr);
        };
        let stopped = signals::listen(&runtime, Arc::clone(&progress), late);
        Ok(Session { global, runtime, stopped, progress, taint, held, screen })
    }

    /// Opens a job file with the overrides of the variable, the flags and `more`; later ones win.
    pub(crate) fn open(&self, path: &Path, more: &[String]) -> Result<Job> {
        Job::open_with(path, &self.sets(&[], more))
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
        self.env_with_passes(1)
    }

    fn env_with_passes(&self, passes: u8) -> Env {
        let mut env = Env::default();
        env.state_dir.clone_from(&self.global.state_dir);
        if let Some(threads) = self.global.threads {
            env.options.threads = usize::from(threads);
        }
        env.options.progress = Arc::clone(&self.progress);
        let shown = Shown { global: self.global, screen: &self.screen, held: &self.held, passes };
        env.watch = progress::watch(&shown, &self.progress);
        env.stopped_by = self.stopped.code();
        env.show_values = self.global.show_values;
        env.taint = self.taint.clone();
        env
    }

    /// The surroundings of a run: what becomes of an open run is the first line on stderr, also with `-q`.
    pub(crate) fn env_of_run(&self) -> Env {
        let mut env = self.env_with_passes(2);
        self.held.hold();
        let (screen, log, format) = (self.screen.clone(), self.held.clone(), self.global.log_format);
        env.announce = Some(Arc::new(move |line: &str| {
            screen.above(|| output::note(format, &listferry::job::printable(line)));
            log.release();
        }));
        let (watch, log) = (env.watch.take(), self.held.clone());
        env.watch = Some(Arc::new(move |stage| {
            if stage == Stage::Decided {
                log.release();
            }
            if let Some(watch) = &watch {
                watch(stage);
            }
        }));
        env
    }

    /// Prints a report. If a signal arrived, it decides between the exit codes 130 and 143.
    pub(crate) fn report(&self, report: Report, to: To) -> ExitCode {
        self.shown(report, to).0
    }

    /// Returns the exit code, and whether the report was written.
    fn shown(&self, mut report: Report, to: To) -> (ExitCode, bool) {
        self.screen.clear();
        self.held.release();
        report.hide(&self.taint);
        if report.exit_code == Kind::Interrupted.exit_code()
            && let (Some(kind), Some(error)) = (self.stopped.kind(), report.error.take())
        {
            report.fail(error.into_kind(kind));
        }
        self.name_command(&mut report);
        let shown = output::report(self.global, &report, to);
        if let (Some(_), Some(error)) = (&report.stopped, &report.error) {
            let hint = error.hint().unwrap_or_default();
            output::note(self.global.log_format, &format!("stopped: {hint}"));
        }
        shown
    }

    /// Puts the command that continues an interrupted run into its report, as it can be typed here.
    fn name_command(&self, report: &mut Report) {
        let Some(stopped) = report.stopped.clone() else { return };
        let typed: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let line = match &stopped.run_id {
            Some(id) => {
                let program = typed.first().cloned().unwrap_or_else(|| "listferry".to_owned());
                let mut words = vec![program, "resume".to_owned(), id.clone()];
                // the variable is still set
                let dir = self.global.state_dir.as_ref();
                if let Some(dir) =
                    dir.filter(|dir| std::env::var_os("LISTFERRY_STATE_DIR").as_deref() != Some(dir.as_os_str()))
                {
                    words.extend(["--state-dir".to_owned(), dir.to_string_lossy().into_owned()]);
                }
                command_line(&words)
            }
            None => command_line(&typed),
        };
        // a secret in it is hidden, and then it cannot be typed
        match self.taint.own_text(&line) == line {
            true => report.continue_with(&line),
            false => report.continue_with("the same command again"),
        }
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
        self.screen.clear();
        self.held.release();
        let error = match self.stopped.kind() {
            Some(kind) if error.kind() == Kind::Interrupted => error.into_kind(kind),
            _ => error,
        };
        let error = error.map_text(|text| self.taint.own_text(text).into_owned());
        output::failed(self.global, command, error, to)
    }

    /// Prints a remark to stderr, unless only errors are wanted.
    pub(crate) fn remark(&self, text: &str) {
        if !self.global.quiet {
            output::stderr(text);
        }
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
