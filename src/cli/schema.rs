//! `listferry schema`.

use super::output;
use clap::Args;
use listferry::Result;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Schema {
    /// The schema of the report (`--output json`) instead
    #[arg(long)]
    report: bool,
}

impl Schema {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let schema = if self.report { listferry::job::report_schema() } else { listferry::job::schema() };
        output::stdout(&format!("{schema:#}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
