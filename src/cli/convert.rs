//! `listferry convert`: to stdout, or to a file that appears only when it is whole.

use super::output::{To, is_stdout};
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
    /// Where the converted file goes; none or `-`: stdout
    #[arg(short, long = "out-file", env = "LISTFERRY_OUT_FILE", value_name = "FILE")]
    out_file: Option<PathBuf>,
}

impl Convert {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let job = session.open(&self.job, &[])?;
        let env = session.env();
        let Some(path) = self.out_file.filter(|path| !is_stdout(path)) else {
            let mut out = Stdout(std::io::stdout());
            return Ok(session.report(job.convert(&env, &mut out), To::Stderr));
        };
        Ok(session.report(job.convert_to_file(&env, &path), To::Stdout))
    }
}

/// stdout. Slabs end with a line, so that its line buffer passes them on whole.
struct Stdout(std::io::Stdout);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().flush()
    }
}
