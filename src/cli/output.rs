//! Reports and data to stdout, everything else to stderr. A reader that has gone is no error.

use super::{Global, Output};
use listferry::Error;
use listferry::job::Report;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Writes a text to stdout; a closed stdout is passed over.
pub(crate) fn stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Whether `-o` means stdout, under whatever name: the report then goes to stderr.
pub(crate) fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// Writes a text to stderr; a closed stderr is passed over.
pub(crate) fn stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Where a report goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Stdout,
    /// stdout has the data.
    Stderr,
}

/// Shows a report and turns it into the exit code.
pub(crate) fn report(global: &Global, report: &Report, to: To) -> ExitCode {
    let text = match (global.output, &report.error, report.status) {
        (Output::Json, ..) => format!("{}\n", report.to_json()),
        // Usage: nothing was done, so there is nothing else to tell.
        (Output::Text, Some(error), None) => error_text(error),
        (Output::Text, ..) => report.to_text(),
    };
    let people = global.output == Output::Text;
    match to {
        To::Stderr if people && global.quiet && report.error.is_none() => {}
        To::Stderr => stderr(&text),
        To::Stdout if people && report.status.is_none() => stderr(&text),
        To::Stdout => stdout(&text),
    }
    ExitCode::from(report.exit_code)
}

/// A command that came to nothing: the error alone for people, the whole object for machines.
pub(crate) fn failed(global: &Global, command: &'static str, error: Error) -> ExitCode {
    let code = error.kind().exit_code();
    match global.output {
        Output::Json => stdout(&format!("{}\n", Report::failed(command, error).to_json())),
        Output::Text => stderr(&error_text(&error)),
    }
    ExitCode::from(code)
}

fn error_text(error: &Error) -> String {
    let hint = error.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
    let value = error.value().map(|value| format!("  value: {value}\n")).unwrap_or_default();
    format!("error: {error}\n{value}{hint}")
}
