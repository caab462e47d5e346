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
    /// The rows as they are in the source, in its format and encoding, ready for --set source.path=FILE
    #[arg(long)]
    as_source: bool,
}

impl Rejects {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let record = listferry::job::state(&session.env())?.find(&self.run)?;
        let out = &mut std::io::stdout().lock();
        let copied = if self.as_source { record.copy_rejects_as_source(out) } else { record.copy_rejects(out) };
        match copied {
            Ok(0) => output::stderr(&format!("run {} has no rejected rows\n", record.id)),
            Err(error) if !output::reader_gone(&error) => return Err(error),
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}
