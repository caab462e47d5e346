//! `listferry rejects`.

use super::output;
use super::session::Session;
use clap::Args;
use listferry::Result;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Rejects {
    /// Run id, job file (its last run) or `last`
    run: String,
}

impl Rejects {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let record = listferry::job::state(&session.env())?.find(&self.run)?;
        match record.copy_rejects(&mut std::io::stdout().lock()) {
            Ok(0) => output::stderr(&format!("run {} has no rejected rows\n", record.id)),
            Err(error) if !output::reader_gone(&error) => return Err(error),
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}
