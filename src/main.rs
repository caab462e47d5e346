//! The `listferry` binary: flags, the command, its report, the exit code.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return cli::usage::answer(&error),
    };
    cli::log::start(&arguments.global);
    let session = match cli::session::Session::new(&arguments.global) {
        Ok(session) => session,
        Err(error) => return cli::output::failed(&arguments.global, arguments.command.name(), error),
    };
    cli::run(arguments.command, &session)
}
