//! Wrong flags: clap's message and exit 2, as an object where JSON was asked for.

use super::output;
use clap::error::ErrorKind;
use listferry::job::Report;
use listferry::{Error, Kind};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Help and version go to stdout with 0; everything else is a usage error.
pub(crate) fn answer(error: &clap::Error) -> ExitCode {
    let text = error.render();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let colours = std::io::stdout().is_terminal();
        output::stdout(&if colours { text.ansi().to_string() } else { text.to_string() });
        return ExitCode::SUCCESS;
    }
    if wants_json() {
        let whole = text.to_string();
        let message = whole.lines().next().unwrap_or("wrong usage");
        let error = Error::usage(message.trim_start_matches("error: ")).with_hint("see listferry --help");
        output::stdout(&format!("{}\n", Report::failed("listferry", error).to_json()));
    } else {
        let colours = std::io::stderr().is_terminal();
        output::stderr(&if colours { text.ansi().to_string() } else { text.to_string() });
    }
    ExitCode::from(Kind::Usage.exit_code())
}

/// The flags could not be read, so they are looked at by hand.
fn wants_json() -> bool {
    let mut wants = std::env::var("LISTFERRY_OUTPUT").is_ok_and(|form| form == "json");
    let arguments: Vec<_> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    for (i, argument) in arguments.iter().enumerate() {
        match argument.strip_prefix("--output") {
            Some("") => wants = arguments.get(i + 1).is_some_and(|form| form == "json"),
            Some(form) => wants = form == "=json",
            None => {}
        }
    }
    wants
}
