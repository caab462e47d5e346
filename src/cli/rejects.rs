//! `listferry rejects`.

use super::output;
use super::session::Session;
use clap::{Args, ValueEnum};
use listferry::Result;
use listferry::job::RejectForm;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Rejects {
    /// Run id, job file (its last run) or `last`
    run: String,
    /// File to write, which only you can read [default: stdout, also `-`]
    #[arg(short, long, value_name = "FILE")]
    out_file: Option<PathBuf>,
    /// Format of the rows; text is UTF-8 whatever the source's encoding, with other bytes escaped
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// Begin with a byte order mark, so that spreadsheets show all letters
    #[arg(long)]
    bom: bool,
    /// The rows as they are in the source, in its format and encoding, ready for --set source.path=FILE
    #[arg(long, conflicts_with_all = ["format", "bom"])]
    as_source: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The columns of the source, then position and reason
    Csv,
    /// A JSON object for each row
    Ndjson,
}

impl Rejects {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let form = match (self.as_source, self.format, self.bom) {
            (true, ..) => RejectForm::AsSource,
            (_, Format::Csv, false) => RejectForm::Csv,
            (_, Format::Csv, true) => RejectForm::CsvWithBom,
            (_, Format::Ndjson, false) => RejectForm::Ndjson,
            (_, Format::Ndjson, true) => {
                return Err(listferry::Error::usage("--bom is for CSV: JSON has no byte order mark")
                    .with_hint("leave --bom out, or --format ndjson"));
            }
        };
        let record = listferry::job::state(&session.env())?.find(&self.run)?;
        let target = self.out_file.as_deref().filter(|path| !output::is_stdout(path));
        let copied = match target {
            Some(path) => record.write_rejects(form, path),
            None => record.copy_rejects(form, &mut std::io::stdout().lock()),
        };
        match (copied, target) {
            (Ok(0), _) => output::stderr(&format!("run {} has no rejected rows\n", record.id)),
            (Ok(_), Some(path)) => session.remark(&format!("wrote {}\n", path.display())),
            (Err(error), _) if !output::reader_gone(&error) => return Err(error),
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}
