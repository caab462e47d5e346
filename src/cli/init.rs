//! `listferry init`.

use super::output;
use super::session::Session;
use clap::Args;
use listferry::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Init {
    /// clevertap, localytics-profiles, localytics-audience, mediarithmics or yesmail
    platform: String,
    /// The list; without it, a template is written
    source: Option<String>,
    /// File to write [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    out_file: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let target = self.out_file.as_deref().filter(|path| !output::is_stdout(path));
        if let Some(path) = target.filter(|path| path.exists() && !self.force) {
            return Err(Error::usage(format!("{} exists already", path.display()))
                .with_hint("name another file with -o, or replace it with --force"));
        }
        let folder = target.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
        let source = self.source.map(|source| from(&source, folder));
        let here = folder.unwrap_or_else(|| Path::new("."));
        let draft = listferry::job::draft(&self.platform, source.as_deref(), here, &session.env())?;
        match target {
            None => output::stdout(&draft.text)?,
            Some(path) => write(path, &draft.text, self.force)?,
        }
        for choice in &draft.choices {
            output::stderr(&format!("choose: {choice}\n"));
        }
        if let Some(path) = target {
            output::stderr(&format!("wrote {0}; next: listferry check {0}\n", path.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns a path as it is seen from the job file's folder: unchanged if that is the current one.
fn from(source: &str, folder: Option<&Path>) -> String {
    let is_local = source != "-" && !source.contains("://") && Path::new(source).is_relative();
    if folder.is_none() || !is_local {
        return source.to_owned();
    }
    std::path::absolute(source).map_or_else(|_| source.to_owned(), |path| path.to_string_lossy().into_owned())
}

fn write(path: &Path, text: &str, force: bool) -> Result<()> {
    let failed = |error| Error::io(format!("{} cannot be written", path.display()), error);
    let mut options = std::fs::File::options();
    options.write(true);
    match force {
        true => options.create(true).truncate(true),
        // another process may have made it meanwhile
        false => options.create_new(true),
    };
    options.open(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
}
