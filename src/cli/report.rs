//! `listferry report`.

use super::output;
use super::session::Session;
use clap::Args;
use listferry::Result;
use listferry::job::HtmlOptions;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Report {
    /// Run id, job file (its last run) or `last`
    run: String,
    /// File to write [default: stdout, also `-`]
    #[arg(short, long, value_name = "FILE")]
    out_file: Option<PathBuf>,
}

impl Report {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let env = session.env();
        let state = listferry::job::state(&env)?;
        let record = state.find(&self.run)?;
        let mut options = HtmlOptions::default();
        options.show_values = env.show_values;
        match self.out_file.as_deref().filter(|path| !output::is_stdout(path)) {
            // its texts are escaped already
            None => output::styled(&state.html(&record, options)?)?,
            Some(path) => {
                state.write_html(&record, options, path)?;
                session.remark(&format!("wrote {}\n", path.display()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
