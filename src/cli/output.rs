//! Writes reports and data to stdout, everything else to stderr. A closed pipe is not an error. Control and
//! bidirectional characters are escaped here in every text, whatever its origin.

use super::{Global, Output, When};
use listferry::job::{Report, escaped_json, escaped_lines};
use listferry::{Error, Result};
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Writes a text to stdout. Ignores a closed pipe.
///
/// # Errors
/// `Local`: stdout cannot be written, for example because the disk is full.
pub(crate) fn stdout(text: &str) -> Result<()> {
    styled(&escaped_lines(text))
}

/// Like [`stdout`], but keeps the colours in the text.
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

/// Whether an error means that the reader has closed the pipe, as `| head` does.
pub(crate) fn reader_gone(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// Whether `-o` means stdout, under any of its names. The report then goes to stderr.
pub(crate) fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// Returns a JSON text that is safe for a terminal.
pub(crate) fn json(value: &impl std::fmt::Display) -> String {
    escaped_json(&format!("{value}")).into_owned()
}

/// Writes a text to stderr. Ignores a closed stderr.
pub(crate) fn stderr(text: &str) {
    terminal(&escaped_lines(text));
}

/// Writes a line to stderr that is shown whatever the level of the log, in its format.
pub(crate) fn note(format: Output, line: &str) {
    match format {
        Output::Text => stderr(&format!("{line}\n")),
        Output::Json => {
            let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
            let now = now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            let event = serde_json::json!({
                "timestamp": now, "level": "INFO", "fields": { "message": line }, "target": "listferry",
            });
            stderr(&format!("{}\n", json(&event)));
        }
    }
}

/// Like [`stderr`], but keeps colours and cursor movements in the text.
pub(crate) fn terminal(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The stream that a report is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Stdout,
    /// Stderr, since stdout has the data.
    Stderr,
}

impl To {
    /// Returns where a command that writes data to `-o` prints its report.
    pub(crate) fn beside(out_file: Option<&Path>) -> To {
        if out_file.is_none_or(is_stdout) { To::Stderr } else { To::Stdout }
    }
}

/// Prints a report. Returns the exit code, and whether the report was written; a closed pipe counts as written.
pub(crate) fn report(global: &Global, report: &Report, to: To) -> (ExitCode, bool) {
    let text = match (global.output, &report.error, report.status) {
        (Output::Json, ..) => json_line(report),
        // a usage error: nothing was done, so there is nothing else to report
        (Output::Text, Some(error), None) => error_text(error),
        (Output::Text, ..) => report.to_text(),
    };
    let people = global.output == Output::Text;
    let shown = match to {
        To::Stderr if people && global.quiet && report.error.is_none() => Ok(()),
        To::Stdout if people && report.status.is_none() => {
            errors(global, &text);
            Ok(())
        }
        to => put(&text, to),
    };
    let written = shown.is_ok();
    (or_lost(report.exit_code, shown), written)
}

/// Prints the error of a command that has no report: as text the error alone, as JSON a whole report.
pub(crate) fn failed(global: &Global, command: &'static str, error: Error, to: To) -> ExitCode {
    let code = error.kind().exit_code();
    let text = error_text(&error);
    let shown = match global.output {
        Output::Json => put(&json_line(&Report::failed(command, error)), to),
        Output::Text => {
            errors(global, &text);
            Ok(())
        }
    };
    if shown.is_err() {
        stderr(&text);
    }
    ExitCode::from(code)
}

/// Prints the JSON object of a report, for errors that occur before the arguments are known.
pub(crate) fn object(report: &Report, to: To) -> ExitCode {
    or_lost(report.exit_code, put(&json_line(report), to))
}

/// If printing the report failed, keeps the command's own failure code; only success turns into the I/O error's code.
pub(crate) fn or_lost(code: u8, shown: Result<()>) -> ExitCode {
    let Err(error) = shown else { return ExitCode::from(code) };
    stderr(&error_text(&error));
    ExitCode::from(if code == 0 { error.kind().exit_code() } else { code })
}

/// Writes the text of errors to stderr, in the colours of clap's own.
fn errors(global: &Global, text: &str) {
    let text = escaped_lines(text);
    if !colours(global.color, &std::io::stderr()) {
        return terminal(&text);
    }
    let painted = text.split_inclusive('\n').map(|line| match line.strip_prefix("error:") {
        Some(rest) => format!("\x1b[1m\x1b[31merror:\x1b[0m{rest}"),
        None => match line.strip_prefix("  hint:") {
            Some(rest) => format!("  \x1b[32mhint:\x1b[0m{rest}"),
            None => line.replace('^', "\x1b[1m\x1b[31m^\x1b[0m"),
        },
    });
    terminal(&painted.collect::<String>());
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

/// Returns true if a stream gets colours: `--color`, else `CLICOLOR_FORCE`, else a terminal without `NO_COLOR` and with
/// a `TERM` other than dumb.
pub(crate) fn colours(choice: When, stream: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match choice {
        When::Always => true,
        When::Never => false,
        When::Auto if is_set("NO_COLOR") => false,
        When::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") => true,
        When::Auto => stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// Returns an error for people, and those that were found together with it.
fn error_text(error: &Error) -> String {
    let one = |error: &Error| {
        let excerpt = error.excerpt().unwrap_or_default().lines().map(|line| format!("  {line}\n")).collect::<String>();
        let hint = error.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
        let value = error.value().map(|value| format!("  value: {value}\n")).unwrap_or_default();
        format!("error: {error}\n{excerpt}{value}{hint}")
    };
    error.all().map(one).collect::<Vec<_>>().join("\n")
}
