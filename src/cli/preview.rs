//! `listferry preview`.

use super::output;
use super::session::Session;
use clap::Args;
use listferry::Result;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Preview {
    /// The job file
    job: PathBuf,
    /// Number of records
    #[arg(short = 'n', long, env = "LISTFERRY_ROWS", value_name = "N", default_value_t = 10, value_parser = super::usage::rows)]
    rows: usize,
}

impl Preview {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let job = session.open(&self.job, &[])?;
        let rows = job.preview(&session.env(), self.rows)?;
        if session.json() {
            let rows: Vec<Value> = rows.iter().map(listferry::job::PreviewRow::to_json).collect();
            let object = json!({
                "command": "preview", "platform": job.platform(), "status": "done", "exit_code": 0,
                "rows": rows, "error": null, "errors": [],
            });
            output::stdout(&format!("{}\n", output::json(&object)))?;
        } else {
            for row in &rows {
                output::stdout(&row.to_text())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
