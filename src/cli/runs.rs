//! `listferry runs`.

use super::session::Session;
use super::temporary::TemporaryDir;
use super::{output, usage};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use listferry::Result;
use listferry::job::StateSize;
use listferry::job::journal::{ClosedAs, Init, RunFilter, RunRecord};
use listferry::settings::size_in_words as size;
use serde_json::json;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Runs {
    /// Run id, job file (its open or last run) or `last`; without it: all runs, oldest first
    run: Option<String>,
    /// Only runs of jobs with this name
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    job: Option<String>,
    /// Only runs with this status, for example done, partial or unknown
    #[arg(long, conflicts_with = "run", value_parser = PossibleValuesParser::new(RunRecord::statuses()), hide_possible_values = true)]
    status: Option<String>,
    /// Only runs that started since then: a duration like 7d, or a time like 2026-11-30T00:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = usage::since, conflicts_with = "run")]
    since: Option<SystemTime>,
    /// Only the newest N runs
    #[arg(long, value_name = "N", conflicts_with = "run")]
    limit: Option<u64>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Abandon an open run without sending anything; of one that has ended its verdict is not asked for any more
    Close {
        /// Run id
        run: String,
    },
    /// Create the state in the state directory, for jobs with `state.require`
    Init {
        /// Set a damaged state aside and create a new one
        #[arg(long)]
        force: bool,
    },
    /// Delete ended runs and their rejected rows; never an open or doubtful run, nor the last done one of a job
    Prune {
        /// Delete runs that ended longer ago than this
        #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = usage::duration)]
        older_than: Duration,
    },
}

impl Runs {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        match self.action {
            Some(Action::Close { run }) => return close(session, &run),
            Some(Action::Init { force }) => return init(session, force),
            Some(Action::Prune { older_than }) => return prune(session, older_than),
            None => {}
        }
        let state = listferry::job::state(&session.env())?;
        if let Some(run) = self.run {
            let record = state.find(&run)?;
            output::stdout(&match session.json() {
                true => format!("{}\n", output::json(&record.to_report())),
                false => record.to_text(),
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut filter = RunFilter::default();
        (filter.job, filter.status, filter.since, filter.limit) = (self.job, self.status, self.since, self.limit);
        let is_all = filter == RunFilter::default();
        let mut first = true;
        state.runs_matching(&filter, &mut |record| {
            output::stdout(&match (session.json(), first) {
                (true, true) => format!("[{}", output::json(&record.to_report())),
                (true, false) => format!(",\n{}", output::json(&record.to_report())),
                (false, true) => format!("{}\n{}\n", RunRecord::HEAD, record.to_line()),
                (false, false) => format!("{}\n", record.to_line()),
            })?;
            first = false;
            Ok(())
        })?;
        match (session.json(), first) {
            (true, true) => output::stdout("[]\n")?,
            (true, false) => output::stdout("]\n")?,
            (false, true) if is_all => output::stderr("no runs yet\n"),
            (false, true) => output::stderr("no such runs\n"),
            (false, false) if is_all => {
                let dir = state.dir().display();
                session.remark(&format!("{} in {dir}\n", in_words(&state.size()?)));
            }
            (false, false) => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn close(session: &Session<'_>, run: &str) -> Result<ExitCode> {
    let record = listferry::job::close(&session.env(), run)?;
    output::stdout(&if session.json() {
        format!("{}\n", record.to_report())
    } else {
        let file = record.job_file.as_ref().map(|file| format!(" of {}", file.display())).unwrap_or_default();
        let text = match record.closed_as {
            Some(ClosedAs::Abandoned) => {
                format!("run {}{file} is abandoned; what the platform has accepted stays there", record.id)
            }
            _ => format!("run {}{file} has ended; its verdict is not asked for any more", record.id),
        };
        format!("{}\n", listferry::job::printable(&text))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn prune(session: &Session<'_>, older_than: Duration) -> Result<ExitCode> {
    let mut pruned = listferry::job::prune(&session.env(), older_than)?;
    let (files, bytes) = TemporaryDir::remove_left();
    (pruned.files, pruned.bytes) = (pruned.files + files, pruned.bytes + bytes);
    let left = listferry::job::state(&session.env())?.size()?;
    output::stdout(&match session.json() {
        true => format!(
            "{}\n",
            json!({
                "command": "runs", "runs": pruned.runs, "files": pruned.files, "bytes": pruned.bytes, "locks": pruned.locks,
                "left": {
                    "runs": left.runs, "record_bytes": left.record_bytes, "rejects_bytes": left.rejects_bytes,
                    "spool_bytes": left.spool_bytes,
                },
            })
        ),
        false => {
            let (runs, files) = (counted(pruned.runs, "run"), counted(pruned.files, "file"));
            format!("{runs} deleted, {files} with {}; left: {}\n", size(pruned.bytes), in_words(&left))
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Returns what a state directory contains, in words.
fn in_words(state: &StateSize) -> String {
    format!(
        "{}, {} of record, {} of rejected rows, {} of copies of streams",
        counted(state.runs, "run"),
        size(state.record_bytes),
        size(state.rejects_bytes),
        size(state.spool_bytes)
    )
}

fn counted(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn init(session: &Session<'_>, force: bool) -> Result<ExitCode> {
    let env = session.env();
    let done = listferry::job::init(&env, force)?;
    let dir = env.state_dir()?;
    output::stdout(&match (session.json(), done) {
        (true, Init::Replaced(aside)) => {
            format!("{}\n", json!({"command": "runs", "state_dir": dir, "made": true, "set_aside": aside}))
        }
        (true, done) => {
            let made = done == Init::Made;
            format!("{}\n", json!({"command": "runs", "state_dir": dir, "made": made, "set_aside": null}))
        }
        (false, Init::Replaced(None)) => {
            format!("state.db was gone; a new state is in {}: it does not know the lists sent before\n", dir.display())
        }
        (false, Init::Replaced(Some(aside))) => format!(
            "the damaged state was moved to {}; a new one is in {}: it does not know the lists sent before\n",
            aside.display(),
            dir.display()
        ),
        (false, Init::Exists) => format!("{} has a state already\n", dir.display()),
        (false, _) => format!("the state is in {}\n", dir.display()),
    })?;
    Ok(ExitCode::SUCCESS)
}
