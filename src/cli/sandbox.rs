//! `listferry sandbox`, and `run --sandbox`.

use super::session::Session;
use clap::Args;
use listferry::{Error, Result};
use std::path::Path;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Sandbox {
    /// Where to listen
    #[arg(long, env = "LISTFERRY_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8099")]
    listen: std::net::SocketAddr,
    /// Inject a fault
    #[arg(long, env = "LISTFERRY_FAULT", value_name = "NAME[=N]", value_delimiter = ',')]
    fault: Vec<String>,
}

impl Sandbox {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let _ = (session, self.listen, self.fault);
        Err(Error::usage("the sandbox is not here yet"))
    }
}

/// A job against a sandbox of its own.
pub(crate) fn run_job(session: &Session<'_>, job: &Path, faults: &[String]) -> Result<ExitCode> {
    let _ = (session.json(), job, faults);
    Err(Error::usage("the sandbox is not here yet"))
}
