//! `listferry export`.

use super::output::To;
use super::session::Session;
use super::temporary::TemporaryDir;
use clap::Args;
use listferry::job::{Report, peak_rss_bytes};
use listferry::{Error, Kind, Result};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Export {
    /// The job file; its source describes the export
    job: PathBuf,
    /// Output file [default: stdout, also `-`]
    #[arg(short, long = "out-file", env = "LISTFERRY_OUT_FILE", value_name = "FILE")]
    out_file: Option<PathBuf>,
}

impl Export {
    pub(crate) fn report_to(&self) -> To {
        To::beside(self.out_file.as_deref())
    }

    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let job = session.open(&self.job, &[])?;
        let env = session.env();
        let to = self.report_to();
        let mut report = Report::new("export");
        report.platform = job.exports_from().map(str::to_owned);
        // nothing is written to stdout before the export is known to be complete
        let (target, dir) = match self.out_file.filter(|_| to == To::Stdout) {
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
        });
        let copied = |fetched| match &dir {
            None => Ok(fetched),
            Some(_) => std::fs::File::open(&target)
                .and_then(|mut file| std::io::copy(&mut file, &mut std::io::stdout().lock()))
                .map(|_| fetched)
                .map_err(|error| Error::io("writing the export", error)),
        };
        match fetched.and_then(copied) {
            Ok(fetched) => {
                report.bytes.source = fetched.received_bytes;
                report.bytes.body = fetched.bytes;
                report.platform_result = json!({ "gzip": fetched.gzip });
            }
            Err(error) => report.fail(error),
        }
        report.peak_rss_bytes = peak_rss_bytes();
        Ok(session.report(report, to))
    }
}
