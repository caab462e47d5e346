//! `listferry runs`.

use super::output;
use super::session::Session;
use clap::{Args, Subcommand};
use listferry::Result;
use listferry::job::journal::{ClosedAs, Init};
use std::process::ExitCode;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Runs {
    /// Run id, job file (its open or last run) or `last`; without it: all runs, oldest first
    run: Option<String>,
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
}

impl Runs {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        match self.action {
            Some(Action::Close { run }) => return close(session, &run),
            Some(Action::Init { force }) => return init(session, force),
            None => {}
        }
        let state = listferry::job::state(&session.env())?;
        if let Some(run) = self.run {
            let record = state.find(&run)?;
            let object = record.to_report();
            let (line, whole) = (record.to_line(), output::json(&format_args!("{object:#}")));
            output::stdout(&if session.json() {
                format!("{}\n", output::json(&object))
            } else {
                format!("{line}\n{whole}\n")
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut first = true;
        state.runs(&mut |record| {
            output::stdout(&match (session.json(), first) {
                (true, true) => format!("[{}", output::json(&record.to_report())),
                (true, false) => format!(",\n{}", output::json(&record.to_report())),
                (false, _) => format!("{}\n", record.to_line()),
            })?;
            first = false;
            Ok(())
        })?;
        match (session.json(), first) {
            (true, true) => output::stdout("[]\n")?,
            (true, false) => output::stdout("]\n")?,
            (false, true) => output::stderr("no runs yet\n"),
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

fn init(session: &Session<'_>, force: bool) -> Result<ExitCode> {
    let env = session.env();
    let done = listferry::job::init(&env, force)?;
    let dir = env.state_dir()?;
    output::stdout(&match (session.json(), done) {
        (true, Init::Replaced(aside)) => {
            format!("{}\n", serde_json::json!({"command": "runs", "state_dir": dir, "made": true, "set_aside": aside}))
        }
        (true, done) => {
            let made = done == Init::Made;
            format!("{}\n", serde_json::json!({"command": "runs", "state_dir": dir, "made": made, "set_aside": null}))
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
