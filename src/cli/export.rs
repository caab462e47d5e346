//! `listferry export`.

use super::output::{self, is_stdout};
use super::session::Session;
use super::temporary::TemporaryDir;
use clap::Args;
use listferry::{Error, Kind, Result};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Export {
    /// The job file; its source.apsis names the export
    job: PathBuf,
    /// Where it goes; none or `-`: stdout
    #[arg(short, long = "out-file", env = "LISTFERRY_OUT_FILE", value_name = "FILE")]
    out_file: Option<PathBuf>,
}

impl Export {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let job = session.open(&self.job, &[])?;
        let env = session.env();
        // stdout gets nothing before the export is proven whole
        let (target, to_stdout) = match self.out_file.filter(|path| !is_stdout(path)) {
            Some(path) => (path, None),
            None => {
                let dir = TemporaryDir::new("export")?;
                (dir.path().join("export"), Some(dir))
            }
        };
        let fetched = session.runtime.block_on(async {
            tokio::select! {
                fetched = job.export(&env, &target) => fetched,
                () = session.cancelled() => Err(Error::new(Kind::Interrupted, "stopped before the export was whole")),
            }
        })?;
        let object = json!({
            "command": "export", "status": "done", "exit_code": 0, "bytes": fetched.bytes,
            "received_bytes": fetched.received_bytes, "gzip": fetched.gzip, "error": null,
        });
        let text = format!("export: done, {} bytes\n", fetched.bytes);
        let report = if session.json() { format!("{object}\n") } else { text };
        match to_stdout {
            None => output::stdout(&report),
            Some(_dir) => {
                let copied = std::fs::File::open(&target)
                    .and_then(|mut file| std::io::copy(&mut file, &mut std::io::stdout().lock()));
                copied.map_err(|error| Error::io("writing the export", error))?;
                output::stderr(&report);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
