//! `listferry schema`.

use super::output;
use listferry::Result;
use std::process::ExitCode;

pub(crate) fn run() -> Result<ExitCode> {
    output::stdout(&format!("{:#}\n", listferry::job::schema()))?;
    Ok(ExitCode::SUCCESS)
}
