//! `listferry convert`: writes to stdout, or to a file that appears only when it is complete.

use super::output::To;
use super::session::Session;
use clap::Args;
use listferry::Result;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Convert {
    /// The job file
    job: PathBuf,
    /// Output file, compressed if it ends in .gz or .zst [default: stdout, also `-`]
    #[arg(short, long = "out-file", env = "LISTFERRY_OUT_FILE", value_name = "FILE")]
    out_file: Option<PathBuf>,
}

impl Convert {
    pub(crate) fn report_to(&self) -> To {
        To::beside(self.out_file.as_deref())
    }

    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let job = session.open(&self.job, &[])?;
        let env = session.env();
        let to = self.report_to();
        let report = match self.out_file.filter(|_| to == To::Stdout) {
            Some(path) => job.convert_to_file(&env, &path),
            None => job.convert(&env, &mut Stdout(std::io::stdout())),
        };
        Ok(session.report(report, to))
    }
}

/// Stdout. Each slab ends with a line end, so the line buffer passes it on as a whole.
struct Stdout(std::io::Stdout);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().flush()
    }
}
