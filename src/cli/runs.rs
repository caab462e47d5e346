//! `listferry runs`.

use super::output;
use super::session::Session;
use clap::Args;
use listferry::Result;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Runs {
    /// A run's id, a job file (its last run) or `last`; none: all, oldest first
    run: Option<String>,
}

impl Runs {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
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
