//! From arguments to a job to an exit code: one small file per command.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod doctor;
pub(crate) mod export;
mod held;
pub(crate) mod init;
pub(crate) mod lists;
pub(crate) mod log;
pub(crate) mod output;
pub(crate) mod preview;
pub(crate) mod progress;
mod progress_state;
pub(crate) mod rejects;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod sandbox;
pub(crate) mod schema;
pub(crate) mod session;
pub(crate) mod signals;
mod temporary;
pub(crate) mod test;
pub(crate) mod usage;

use self::output::To;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// Streams lists of people into the bulk-import APIs of marketing platforms
#[derive(Parser)]
#[command(name = "listferry", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Global options. Each has a variable; options override variables, variables override the job file.
#[derive(Args, Clone)]
pub(crate) struct Global {
    /// Override a key of the job file; the value is read as YAML (LISTFERRY_SET takes one a line)
    #[arg(long = "set", global = true, value_name = "KEY.PATH=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Format of the report
    #[arg(long, global = true, env = "LISTFERRY_OUTPUT", value_enum, default_value = "text")]
    pub(crate) output: Output,
    /// The progress line on stderr; auto: if stderr is a terminal
    #[arg(long, global = true, env = "LISTFERRY_PROGRESS", value_enum, default_value = "auto")]
    pub(crate) progress: When,
    /// Colours; auto: on a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(long, global = true, env = "LISTFERRY_COLOR", value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: When,
    /// Format of the log on stderr
    #[arg(long, global = true, env = "LISTFERRY_LOG_FORMAT", value_enum, default_value = "text")]
    pub(crate) log_format: Output,
    /// Print errors only, no progress
    #[arg(short, long, global = true, env = "LISTFERRY_QUIET", value_parser = BoolishValueParser::new())]
    pub(crate) quiet: bool,
    /// Print more of the log; repeat for still more
    #[arg(short, long, global = true, env = "LISTFERRY_VERBOSE", action = clap::ArgAction::Count, value_parser = usage::verbosity)]
    pub(crate) verbose: u8,
    /// Number of converting threads [default: the available cores, at most 8]
    #[arg(long, global = true, env = "LISTFERRY_THREADS", value_name = "N", value_parser = usage::threads)]
    pub(crate) threads: Option<u16>,
    /// Directory of the journal, quotas, spool and reject files [default: $XDG_STATE_HOME/listferry, else
    /// ~/.local/state/listferry]
    #[arg(long, global = true, env = "LISTFERRY_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Add row values to messages, escaped and cut to 32 characters
    #[arg(long, global = true)]
    pub(crate) show_values: bool,
}

/// Format of reports and logs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

/// Whether progress or colours are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write a commented job file for a platform and a source
    Init(init::Init),
    /// Measure, upload, finalise, wait for the platform's verdict, report
    Run(run::Run),
    /// Run the first pass only; contacts no platform, needs no credentials
    Check(check::Check),
    /// Check everything around a run (source, secrets, state, network, clock, credentials); sends and creates nothing
    Doctor(doctor::Doctor),
    /// Run the examples that a job file has under `tests`; needs no source, secrets or network
    Test(test::Test),
    /// Show the first rows: source record, output record or the reason it is rejected
    Preview(preview::Preview),
    /// Write the converted file; contacts no platform, needs no credentials
    Convert(convert::Convert),
    /// Continue an interrupted run
    Resume(resume::Resume),
    /// List past runs, or show one
    Runs(runs::Runs),
    /// Print the rejected rows of a run as CSV or NDJSON
    Rejects(rejects::Rejects),
    /// Write the report of a run as one HTML page
    Report(report::Report),
    /// List, rename or delete audience lists of Localytics
    Lists(lists::Lists),
    /// Download the export that is the source of a job
    Export(export::Export),
    /// Serve simulated platforms on this machine, for trying and testing
    Sandbox(sandbox::Sandbox),
    /// Print the JSON Schema of the job file, or of the report
    Schema(schema::Schema),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Print the manual page, or write the pages of all commands into a directory
    Man(completions::Man),
}

impl Command {
    /// Returns the name used in reports.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Command::Init(_) => "init",
            Command::Run(run) if run.dry_run => "check",
            Command::Run(_) => "run",
            Command::Check(_) => "check",
            Command::Doctor(_) => "doctor",
            Command::Test(_) => "test",
            Command::Preview(_) => "preview",
            Command::Convert(_) => "convert",
            Command::Resume(_) => "resume",
            Command::Runs(_) => "runs",
            Command::Rejects(_) => "rejects",
            Command::Report(_) => "report",
            Command::Lists(_) => "lists",
            Command::Export(_) => "export",
            Command::Sandbox(_) => "sandbox",
            Command::Schema(_) => "schema",
            Command::Completions(_) => "completions",
            Command::Man(_) => "man",
        }
    }

    /// Returns where an error object is written: to stdout, unless data goes there.
    pub(crate) fn errors_to(&self) -> To {
        match self {
            Command::Check(check) => check.report_to(),
            Command::Convert(convert) => convert.report_to(),
            Command::Export(export) => export.report_to(),
            Command::Rejects(_) | Command::Report(_) => To::Stderr,
            _ => To::Stdout,
        }
    }
}

/// Runs a command and returns its exit code.
pub(crate) fn run(command: Command, session: &session::Session<'_>) -> ExitCode {
    let (name, to) = (command.name(), command.errors_to());
    let done = match command {
        Command::Init(init) => init.run(session),
        Command::Run(run) => run.run(session),
        Command::Check(check) => check.run(session),
        Command::Doctor(doctor) => doctor.run(session),
        Command::Test(test) => test.run(session),
        Command::Preview(preview) => preview.run(session),
        Command::Convert(convert) => convert.run(session),
        Command::Resume(resume) => resume.run(session),
        Command::Runs(runs) => runs.run(session),
        Command::Rejects(rejects) => rejects.run(session),
        Command::Report(report) => report.run(session),
        Command::Lists(lists) => lists.run(session),
        Command::Export(export) => export.run(session),
        Command::Sandbox(sandbox) => sandbox.run(session),
        Command::Schema(schema) => schema.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    };
    done.unwrap_or_else(|error| session.failed(name, error, to))
}
