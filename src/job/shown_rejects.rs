//! Gives the rejected rows of a run to people and programs: on a stream or in a file, in several formats.

use super::journal::RunRecord;
use super::json_rows::JsonRows;
use super::shown_text;
use crate::body::as_source_path;
use crate::error::{Error, Result};
use crate::source::temporary::{Temporary, is_special};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The form in which rejected rows are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectForm {
    /// CSV in UTF-8; bytes that are not are escaped (`\xff`).
    #[default]
    Csv,
    /// The same with a byte order mark, which spreadsheets need to see that a file is UTF-8.
    CsvWithBom,
    /// A JSON object for each row, with the columns as keys. Values are texts, positions are numbers.
    Ndjson,
    /// The rows as they are in the source, with its header and in its encoding: a source that the same job can read.
    AsSource,
}

impl RunRecord {
    /// Copies the rejected rows to `out`. Returns the number of bytes that were read for it, 0 if there are no rows.
    ///
    /// # Errors
    /// `Local`: the file is missing, or `out` fails.
    pub fn copy_rejects(&self, form: RejectForm, out: &mut dyn Write) -> Result<u64> {
        let Some(path) = self.rejects_path(form) else { return Ok(0) };
        let what = || format!("the rejected rows of run {} in {}", self.id, path.display());
        let mut file = File::open(&path).map_err(|error| {
            let is_gone = error.kind() == ErrorKind::NotFound;
            let error = Error::io(what(), error);
            match (is_gone, form) {
                (true, RejectForm::AsSource) if self.rejects_path(RejectForm::Csv).is_some_and(|csv| csv.exists()) => {
                    error.with_hint("without --as-source the rows are shown as CSV; runs of older versions have no others")
                }
                (true, _) => error.with_hint(
                    "rejected rows are deleted after state.keep_rejects (30d): `check` of the same list finds them again",
                ),
                (false, _) => error,
            }
        })?;
        let copied = match form {
            RejectForm::Csv => shown_text::copy(&mut file, out),
            RejectForm::CsvWithBom => {
                out.write_all("\u{feff}".as_bytes()).and_then(|()| shown_text::copy(&mut file, out))
            }
            RejectForm::Ndjson => {
                let mut rows = JsonRows::new(BufWriter::with_capacity(64 << 10, out));
                shown_text::copy(&mut file, &mut rows).and_then(|bytes| rows.finish().map(|()| bytes))
            }
            RejectForm::AsSource => std::io::copy(&mut file, out),
        };
        copied.map_err(|error| Error::io(what(), error))
    }

    /// Writes the rejected rows to a file that only its owner can read, and that has its name only when it is complete.
    /// A device or a pipe is written in place. Returns the number of bytes that were read for it; if there are no rows,
    /// the file is empty.
    ///
    /// # Errors
    /// `Local`: the rows are missing, or the file cannot be written.
    pub fn write_rejects(&self, form: RejectForm, to: &Path) -> Result<u64> {
        if is_special(to) {
            let file = File::options().write(true).open(to);
            let mut file = file.map_err(|error| Error::io(to.display().to_string(), error))?;
            return self.copy_rejects(form, &mut file);
        }
        let mut temporary = Temporary::private(to)?;
        let bytes = self.copy_rejects(form, &mut temporary.file)?;
        temporary.replace()?;
        Ok(bytes)
    }

    /// Returns the path of the rows in the state.
    fn rejects_path(&self, form: RejectForm) -> Option<PathBuf> {
        if form == RejectForm::AsSource {
            return self.rejects_file.as_deref().map(as_source_path);
        }
        let in_report = || self.report.as_ref()?.get("rejects_file")?.as_str().map(PathBuf::from);
        self.rejects_file.clone().or_else(in_report)
    }
}
