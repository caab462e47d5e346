//! `listferry check`.

use super::output::{self, To};
use super::session::Session;
use clap::Args;
use listferry::Result;
use listferry::job::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Check {
    /// The job file
    job: PathBuf,
    /// Also write the plan of the run, for review and `run --plan`; `-`: to stdout
    #[arg(long, env = "LISTFERRY_OUT", value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Check {
    pub(crate) fn report_to(&self) -> To {
        match self.out.as_deref() {
            Some(path) if output::is_stdout(path) => To::Stderr,
            _ => To::Stdout,
        }
    }

    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let job = session.open(&self.job, &[])?;
        let mut report = job.check(&session.env());
        if let Some(out) = self.out.as_deref()
            && let Err(error) = write(&report, out)
        {
            report.fail(error);
        }
        Ok(session.report(report, self.report_to()))
    }
}

/// Writes the plan, if the check is done.
fn write(report: &Report, out: &Path) -> Result<()> {
    match &report.plan {
        Some(plan) if output::is_stdout(out) => output::stdout(&plan.to_text()?),
        Some(plan) => plan.write(out),
        None => Ok(()),
    }
}
