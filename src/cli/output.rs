//! Reports and data to stdout, everything else to stderr. A reader that has gone is not an error. Control and bidirectional
//! characters of every text are escaped here, whatever it was made of.

use super::{Global, Output};
use listferry::job::{Report, escaped_json, escaped_lines};
use listferry::{Error, Result};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

/// Writes a text to stdout; a reader that has gone is passed over.
///
/// # Errors
/// `Local`: stdout takes nothing, a full disk mostly.
pub(crate) fn stdout(text: &str) -> Result<()> {
    styled(&escaped_lines(text))
}

/// As [`stdout`], with the colours of the text itself.
///
/// # Errors
/// As [`stdout`].
pub(crate) fn styled(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::io("writing to stdout", error)),
        _ => Ok(()),
    }
}

/// Whether an error is that nobody reads what is written any more, as behind `| head`.
pub(crate) fn reader_gone(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// Whether `-o` means stdout, under whatever name: the report then goes to stderr.
pub(crate) fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// A JSON text that is safe for a terminal.
pub(crate) fn json(value: &impl std::fmt::Display) -> String {
    escaped_json(&format!("{value}")).into_owned()
}

/// Writes a text to stderr; a closed stderr is passed over.
pub(crate) fn stderr(text: &str) {
    terminal(&escaped_lines(text));
}

/// As [`stderr`], with the colours and the movements of the text itself.
pub(crate) fn terminal(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Where a report goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Stdout,
    /// stdout has the data.
    Stderr,
}

impl To {
    /// Where the report of a command goes that writes data to `-o`.
    pub(crate) fn beside(out_file: Option<&Path>) -> To {
        if out_file.is_none_or(is_stdout) { To::Stderr } else { To::Stdout }
    }
}

/// Shows a report; returns the exit code, and whether it was written. A reader that has gone counts as written.
pub(crate) fn report(global: &Global, report: &Report, to: To) -> (ExitCode, bool) {
    let text = match (global.output, &report.error, report.status) {
        (Output::Json, ..) => json_line(report),
        // Usage: nothing was done, so there is nothing else to tell.
        (Output::Text, Some(error), None) => error_text(error),
        (Output::Text, ..) => report.to_text(),
    };
    let people = global.output == Output::Text;
    let shown = match to {
        To::Stderr if people && global.quiet && report.error.is_none() => Ok(()),
        To::Stdout if people && report.status.is_none() => put(&text, To::Stderr),
        to => put(&text, to),
    };
    let written = shown.is_ok();
    (or_lost(report.exit_code, shown), written)
}

/// A command that came to nothing: the error alone for people, the whole object for machines.
pub(crate) fn failed(global: &Global, command: &'static str, error: Error, to: To) -> ExitCode {
    let code = error.kind().exit_code();
    let text = error_text(&error);
    let shown = match global.output {
        Output::Json => put(&json_line(&Report::failed(command, error)), to),
        Output::Text => put(&text, To::Stderr),
    };
    if shown.is_err() {
        stderr(&text);
    }
    ExitCode::from(code)
}

/// Shows the object alone, before it is known what else was wanted.
pub(crate) fn object(report: &Report, to: To) -> ExitCode {
    or_lost(report.exit_code, put(&json_line(report), to))
}

/// The exit code of a command whose report was shown or not: what became of it matters more than who could read of it.
pub(crate) fn or_lost(code: u8, shown: Result<()>) -> ExitCode {
    let Err(error) = shown else { return ExitCode::from(code) };
    stderr(&error_text(&error));
    ExitCode::from(if code == 0 { error.kind().exit_code() } else { code })
}

fn json_line(report: &Report) -> String {
    format!("{}\n", json(&report.to_json()))
}

fn put(text: &str, to: To) -> Result<()> {
    match to {
        To::Stdout => stdout(text),
        To::Stderr => {
            stderr(text);
            Ok(())
        }
    }
}

fn error_text(error: &Error) -> String {
    let hint = error.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
    let value = error.value().map(|value| format!("  value: {value}\n")).unwrap_or_default();
    format!("error: {error}\n{value}{hint}")
}
