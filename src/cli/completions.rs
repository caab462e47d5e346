//! `listferry completions` and `listferry man`.

use super::{Arguments, output};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use listferry::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "listferry", &mut script);
        output::styled(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub(crate) struct Man {
    /// Write listferry.1 and a page for each command into this directory, which must exist
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.dir {
            Some(dir) => clap_mangen::generate_to(Arguments::command(), &dir)
                .map_err(|error| Error::io(format!("{} cannot be written", dir.display()), error))?,
            None => {
                let mut page = Vec::new();
                let made = clap_mangen::Man::new(Arguments::command()).render(&mut page);
                made.map_err(|error| Error::io("the page cannot be made", error))?;
                output::styled(&String::from_utf8_lossy(&page))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
