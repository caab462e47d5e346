//! The `listferry` binary: parses the arguments, runs the command, prints its report and returns its exit code.

#[allow(clippy::disallowed_methods, reason = "progress, signals and temporary files belong to the real process")]
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match cli::usage::read() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let taint = listferry::secret::Taint::default();
    let screen = cli::progress::Screen::new(&arguments.global);
    let held = cli::log::start(&arguments.global, &taint, &screen);
    let (global, command) = (&arguments.global, arguments.command);
    match cli::session::Session::new(global, command.name(), (taint, held, screen)) {
        Ok(session) => cli::run(command, &session),
        Err(error) => cli::output::failed(global, command.name(), error, command.errors_to()),
    }
}
