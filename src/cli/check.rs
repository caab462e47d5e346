//! `listferry check`.

use super::output::To;
use super::session::Session;
use clap::Args;
use listferry::Result;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Check {
    /// The job file
    job: PathBuf,
}

impl Check {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let job = session.open(&self.job, &[])?;
        Ok(session.report(job.check(&session.env()), To::Stdout))
    }
}
