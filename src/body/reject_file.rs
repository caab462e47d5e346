//! The reject file: the user's own rows with position and reason, as CSV that can be corrected and sent again.

use super::replay::Written;
use super::sink::{Reject, RejectSink};
use super::source_record::SourceRecord;
use super::source_rows::{SourceRows, is_device, private, remove};
use crate::error::{Error, Kind, Result};
use crate::format::Tabular;
use crate::format::cells::Cell;
use crate::secret::escaped;
use std::fs::File;
#[cfg(feature = "jobs")]
use std::io::{BufRead, BufReader};
use std::io::{BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum number of rows in a reject file; more are only counted.
pub const MAX_REJECT_ROWS: u64 = 1_000_000;

/// The columns that follow those of the source.
const MARKS: &str = "_stage,_file,_record,_line,_byte,_place,_column,_code,_reason,_raw";

/// The same in files of versions before 0.2.
const OLD_MARKS: &str = "_stage,_file,_record,_line,_byte,_column,_code,_reason,_raw";

/// Returns the position of a reject file's columns in a source that is one, since they are not repeated.
fn marks_in(columns: &[String]) -> Range<usize> {
    let range = |marks: &str| {
        let marks: Vec<&str> = marks.split(',').collect();
        let at = columns.windows(marks.len()).position(|window| window == marks)?;
        Some(at..at + marks.len())
    };
    range(MARKS).or_else(|| range(OLD_MARKS)).unwrap_or(0..0)
}

/// Returns the path of the rows as they are in the source, beside the reject file at `path`.
pub(crate) fn as_source_path(path: &Path) -> PathBuf {
    path.with_extension("rows")
}

/// A reject file, created (0600) with its first row.
pub struct RejectFile {
    path: PathBuf,
    /// Columns of the source.
    columns: Arc<[String]>,
    /// Columns that are left out, since a reject file adds them.
    marks: Range<usize>,
    out: Option<BufWriter<File>>,
    /// True if the path is a device or a pipe, which is written to and neither synced nor removed.
    device: bool,
    rows: u64,
    /// The same rows as they are in the source.
    as_source: Option<SourceRows>,
    /// Length of the rows that were there before, which are kept whatever happens.
    kept_bytes: u64,
}

/// The cells of a row after those of the source.
struct Marks<'a> {
    stage: &'a str,
    column: &'a str,
    code: &'a str,
    reason: &'a str,
}

impl RejectFile {
    /// Returns a file at `path` for rows of a source with these columns. If the source is a reject file itself, the columns
    /// that one adds are left out. A reject file of an earlier run at `path` is removed.
    ///
    /// # Errors
    /// `Usage`: there is another file. `Local`: the old one cannot be removed.
    pub fn new(path: &Path, columns: impl Into<Arc<[String]>>) -> Result<RejectFile> {
        let existing = inspect_target(path)?;
        if existing == Existing::RejectFile {
            std::fs::remove_file(path).map_err(|error| failed(path, error))?;
        }
        let device = existing == Existing::Device;
        let (path, columns) = (path.to_owned(), columns.into());
        let marks = marks_in(&columns);
        Ok(RejectFile { path, columns, marks, out: None, device, rows: 0, as_source: None, kept_bytes: 0 })
    }

    /// Returns the existing file at `path`, to which [`RejectFile::unplaced`] adds rows after the first `kept_bytes`.
    ///
    /// # Errors
    /// `Local`: it cannot be read or cut.
    #[cfg(feature = "jobs")]
    pub(crate) fn reopen(path: &Path, kept_bytes: u64) -> Result<RejectFile> {
        let open = || {
            let cells = count_cells(BufReader::new(File::open(path)?))?;
            let file = File::options().append(true).open(path)?;
            file.set_len(kept_bytes)?;
            Ok((cells, file))
        };
        let (cells, file) = open().map_err(|error| failed(path, error))?;
        let columns: Arc<[String]> = vec![String::new(); cells.saturating_sub(MARKS.split(',').count())].into();
        let out = Some(BufWriter::new(file));
        Ok(RejectFile {
            path: path.to_owned(),
            columns,
            marks: 0..0,
            out,
            device: false,
            rows: 0,
            as_source: None,
            kept_bytes,
        })
    }

    /// Writes the rows of a table to another file, too, as they are in the source: see [`as_source_path`].
    ///
    /// # Errors
    /// `Local`: an old file cannot be removed.
    #[cfg_attr(not(feature = "jobs"), allow(dead_code, reason = "only runs have them"))]
    pub(crate) fn with_source_rows(mut self, table: &dyn Tabular) -> Result<RejectFile> {
        let path = as_source_path(&self.path);
        self.as_source = Some(SourceRows::new(&path, table).map_err(|error| failed(&path, error))?);
        Ok(self)
    }

    /// Returns its path, once it has a row.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.out.is_some().then_some(self.path.as_path())
    }

    /// Adds a row that the platform refused, with the vendor's message.
    ///
    /// # Errors
    /// `Local`: it cannot be written.
    pub fn platform(&mut self, row: &Written<'_>, message: &str) -> Result<()> {
        self.write(Some(&row.source), &Marks { stage: "platform", column: "", code: "platform", reason: message })
    }

    /// Adds a row that the platform refused and that cannot be looked up: only the platform's message.
    ///
    /// # Errors
    /// `Local`: it cannot be written.
    pub fn unplaced(&mut self, reason: &str) -> Result<()> {
        self.write(None, &Marks { stage: "platform", column: "", code: "platform", reason })
    }

    /// Renames the file; it replaces the one of that name, also as long as it has no row.
    ///
    /// # Errors
    /// `Local`.
    pub fn rename(&mut self, path: &Path) -> Result<()> {
        let replaced = match (self.device, self.out.is_some()) {
            (true, _) => Ok(()),
            (false, true) => std::fs::rename(&self.path, path),
            (false, false) => remove(path),
        };
        replaced.map_err(|error| failed(path, error))?;
        path.clone_into(&mut self.path);
        let path = as_source_path(path);
        self.as_source.as_mut().map_or(Ok(()), |rows| rows.rename(&path)).map_err(|error| failed(&path, error))
    }

    /// Removes the files, because their run does not start.
    #[cfg(feature = "jobs")]
    pub(crate) fn discard(mut self) {
        let _ = self.remove();
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// `Local`.
    pub fn flush(&mut self) -> Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        let device = self.device;
        let written = out.flush().and_then(|()| if device { Ok(()) } else { out.get_ref().sync_data() });
        let written = written.and_then(|()| self.as_source.as_mut().map_or(Ok(()), SourceRows::flush));
        written.map_err(|error| self.give_up(error))
    }

    fn create(&mut self) -> Result<()> {
        if self.out.is_none() {
            let file = private(&self.path).map_err(|error| failed(&self.path, error))?;
            let out = self.out.insert(BufWriter::with_capacity(32 << 10, file));
            let head = |out: &mut BufWriter<File>| {
                for column in self.columns[..self.marks.start].iter().chain(&self.columns[self.marks.end..]) {
                    cell(out, column.as_bytes())?;
                    out.write_all(b",")?;
                }
                writeln!(out, "{MARKS}")
            };
            head(out).map_err(|error| self.give_up(error))?;
        }
        Ok(())
    }

    fn write(&mut self, source: Option<&SourceRecord<'_>>, row: &Marks<'_>) -> Result<()> {
        if self.rows >= MAX_REJECT_ROWS {
            return Ok(());
        }
        self.rows += 1;
        self.create()?;
        let Some(out) = &mut self.out else { return Ok(()) };
        let written = put(out, source, row, self.columns.len(), &self.marks);
        let written = written.and_then(|()| match (&mut self.as_source, source) {
            (Some(rows), Some(source)) => rows.write(source),
            _ => Ok(()),
        });
        written.map_err(|error| self.give_up(error))
    }

    /// Removes the file: an incomplete one could be mistaken for a complete one, and keeps a full disk full.
    fn give_up(&mut self, error: std::io::Error) -> Error {
        // the first error is the one to report
        let _ = self.remove();
        failed(&self.path, error)
    }

    fn remove(&mut self) -> std::io::Result<()> {
        let Some(out) = self.out.take() else { return Ok(()) };
        let (file, _) = out.into_parts();
        if self.kept_bytes > 0 {
            return file.set_len(self.kept_bytes);
        }
        drop(file);
        self.as_source.as_mut().map_or(Ok(()), SourceRows::remove)?;
        if self.device { Ok(()) } else { std::fs::remove_file(&self.path) }
    }
}

impl RejectSink for RejectFile {
    fn reject(&mut self, reject: &Reject<'_>) -> Result<()> {
        let (column, error) = (reject.column.unwrap_or_default(), reject.error);
        let marks = Marks { stage: "local", column, code: error.code, reason: &error.reason };
        self.write(Some(&reject.source), &marks)
    }

    fn restart(&mut self) -> Result<()> {
        self.rows = 0;
        self.remove().map_err(|error| failed(&self.path, error))
    }
}

/// An existing file at the path of a reject file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    None,
    /// The reject file of an earlier run.
    RejectFile,
    /// A device or a pipe.
    Device,
}

/// Examines the path of a reject file.
///
/// # Errors
/// `Usage`: there is another file.
pub(crate) fn inspect_target(path: &Path) -> Result<Existing> {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(Existing::None) };
    if is_device(&meta) {
        return Ok(Existing::Device);
    }
    let mut start = vec![0; 64 << 10];
    let ours = meta.is_file() && {
        let read = File::open(path).and_then(|mut file| file.read(&mut start));
        let start = &start[..read.unwrap_or(0)];
        let has = |marks: &str| start.windows(marks.len()).any(|window| window == marks.as_bytes());
        start.is_empty() || has(MARKS) || has(OLD_MARKS)
    };
    if !ours {
        let message = format!("rejects.file: {} already exists and is not a reject file", path.display());
        return Err(Error::new(Kind::Usage, message).with_hint("name another file, or remove it"));
    }
    Ok(Existing::RejectFile)
}

/// Returns the number of cells of the first record.
#[cfg(feature = "jobs")]
fn count_cells(mut file: impl BufRead) -> std::io::Result<usize> {
    let (mut cells, mut is_quoted) = (1, false);
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            return Ok(cells);
        }
        for byte in piece {
            match byte {
                // a doubled quote changes it twice
                b'"' => is_quoted = !is_quoted,
                b',' if !is_quoted => cells += 1,
                b'\n' if !is_quoted => return Ok(cells),
                _ => {}
            }
        }
        let read = piece.len();
        file.consume(read);
    }
}

/// Returns the error for rows that cannot be written, with a hint.
pub(crate) fn failed(path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let what = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => "make room, or choose a place with more of it",
        _ => "choose another place",
    };
    Error::io(format!("the reject file {}", path.display()), error)
        .with_hint(format!("{what}: rejects.file, and --state-dir, where a run keeps its own"))
}

/// Writes a row directly, because it may be large: `columns` cells of the source except those in `marks`, then the
/// further cells.
fn put(
    out: &mut impl Write,
    source: Option<&SourceRecord<'_>>,
    row: &Marks<'_>,
    columns: usize,
    marks: &Range<usize>,
) -> std::io::Result<()> {
    let mut count = 0;
    for (n, value) in source.and_then(SourceRecord::cells).into_iter().flatten().enumerate() {
        if !marks.contains(&n) {
            value_of(out, &value)?;
            out.write_all(b",")?;
            count += 1;
        }
    }
    for _ in count..columns - marks.len() {
        out.write_all(b",")?;
    }
    cell(out, row.stage.as_bytes())?;
    out.write_all(b",")?;
    match source {
        None => out.write_all(b",,,,,")?,
        Some(source) => {
            let shown = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
            cell(out, source.file.as_bytes())?;
            write!(out, ",{},{},{},", source.record, shown(source.line), shown(source.byte))?;
            cell(out, source.place().unwrap_or_default().as_bytes())?;
            out.write_all(b",")?;
        }
    }
    for mark in [row.column, row.code, &escaped(row.reason)] {
        cell(out, mark.as_bytes())?;
        out.write_all(b",")?;
    }
    if let Some(raw) = source.and_then(SourceRecord::raw) {
        cell(out, &raw)?;
    }
    out.write_all(b"\n")
}

/// Writes a value piece by piece, so that a large one is not copied.
fn value_of(out: &mut impl Write, value: &Cell<'_>) -> std::io::Result<()> {
    let mut pieces = value.pieces();
    if !value.pieces().any(is_special) {
        return pieces.try_for_each(|piece| out.write_all(piece));
    }
    out.write_all(b"\"")?;
    pieces.try_for_each(|piece| escaped_quotes(out, piece))?;
    out.write_all(b"\"")
}

/// Whether a cell with this text is quoted in the reject file.
fn is_special(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
}

fn cell(out: &mut impl Write, text: &[u8]) -> std::io::Result<()> {
    if !is_special(text) {
        return out.write_all(text);
    }
    out.write_all(b"\"")?;
    escaped_quotes(out, text)?;
    out.write_all(b"\"")
}

/// Writes a text with its quotes doubled.
fn escaped_quotes(out: &mut impl Write, text: &[u8]) -> std::io::Result<()> {
    for (n, piece) in text.split(|&byte| byte == b'"').enumerate() {
        if n > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::csv::{Csv, CsvOptions};
    use crate::row::RowError;
    use crate::source::{OpenSource, SourceOptions};

    /// A source of one column, used for its dialect.
    fn csv(delimiter: u8) -> Csv {
        let source = OpenSource::from_bytes("a,b.csv", b"id\n".to_vec(), &SourceOptions::default()).unwrap();
        Csv::open(Arc::new(source), CsvOptions { delimiter, ..CsvOptions::default() }).unwrap()
    }

    fn reject(file: &mut RejectFile, table: &Csv, raw: &[u8], is_split: bool) {
        let source = SourceRecord::for_test((3, 5, 77), raw, is_split, table);
        let error = RowError { code: "empty", column: Some(0), reason: "map.id is empty".to_owned() };
        file.reject(&Reject { source, column: Some("id"), error: &error }).unwrap();
    }

    #[test]
    fn a_row_comes_back_as_the_users_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.csv");
        let columns = ["id".to_owned(), "no\"te".to_owned()];
        let mut file = RejectFile::new(&path, &columns[..]).unwrap();
        assert_eq!(file.path(), None);
        reject(&mut file, &csv(b';'), b"x \"y\";\"a;\"\"b\"\"\n\"", true);
        reject(&mut file, &csv(b';'), b"\"x\"y", false);
        file.flush().unwrap();
        assert_eq!(file.path(), Some(path.as_path()));
        let text = std::fs::read_to_string(&path).unwrap();
        let marks = "local,\"a,b.csv\",3,5,77,,id,empty,map.id is empty,";
        assert_eq!(
            text,
            format!("id,\"no\"\"te\",{MARKS}\n\"x \"\"y\"\"\",\"a;\"\"b\"\"\n\",{marks}\n,,{marks}\"\"\"x\"\"y\"\n")
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_reject_file_that_is_read_again_does_not_grow_columns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.csv");
        let columns: Vec<String> = format!("id,{MARKS},mine").split(',').map(str::to_owned).collect();
        let mut file = RejectFile::new(&path, &columns[..]).unwrap();
        reject(&mut file, &csv(b','), b"1,local,x.csv,1,2,3,,id,empty,\"a, b\",,\"m\"", true);
        file.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let marks = "local,\"a,b.csv\",3,5,77,,id,empty,map.id is empty,";
        assert_eq!(text, format!("id,mine,{MARKS}\n1,m,{marks}\n"));
        // those of a version without `_place`
        let columns: Vec<String> = format!("id,{OLD_MARKS}").split(',').map(str::to_owned).collect();
        assert_eq!(marks_in(&columns), 1..columns.len());
        // a column of the user with such a name stays
        let columns = ["id".to_owned(), "_file".to_owned()];
        assert_eq!(marks_in(&columns), 0..0);
    }

    #[cfg(feature = "jobs")]
    #[test]
    fn rows_of_the_platform_are_added_to_those_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.csv");
        let mut file = RejectFile::new(&path, ["id".to_owned(), "no\"te,\n".to_owned()].as_slice()).unwrap();
        reject(&mut file, &csv(b','), b"1,2", true);
        file.flush().unwrap();
        drop(file);
        let before = std::fs::read_to_string(&path).unwrap();
        // twice: the first process was killed before it could record the end of the run
        for _ in 0..2 {
            let mut file = RejectFile::reopen(&path, before.len() as u64).unwrap();
            file.unplaced("row 7: no such user").unwrap();
            file.flush().unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{before},,platform,,,,,,,platform,row 7: no such user,\n"));
        RejectFile::reopen(&path, before.len() as u64).unwrap().discard();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    }

    /// A run was continued whose first process had stored rows of the platform: "File exists".
    #[test]
    fn a_file_without_rows_replaces_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let (own, aside) = (dir.path().join("a.csv"), dir.path().join("a.again.csv"));
        std::fs::write(&own, format!("id,{MARKS}\n")).unwrap();
        let mut file = RejectFile::new(&aside, ["id".to_owned()]).unwrap();
        file.rename(&own).unwrap();
        reject(&mut file, &csv(b','), b"1", true);
        file.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&own).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_value_in_pieces_is_written_like_one_text() {
        for text in ["", "a", "a,b", "a''b", "''a", "\"''", "ab\n", "", "it''s \"x\"''"] {
            let piecewise = Cell::with_doubled(text.as_bytes(), b'\'');
            let (mut ours, mut plain) = (Vec::new(), Vec::new());
            value_of(&mut ours, &piecewise).unwrap();
            cell(&mut plain, text.replace("''", "'").as_bytes()).unwrap();
            assert_eq!(String::from_utf8(ours), String::from_utf8(plain), "{text:?}");
        }
    }

    #[test]
    fn an_old_reject_file_goes_and_another_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv");
        std::fs::write(&path, "id\n1\n").unwrap();
        let error = RejectFile::new(&path, ["id".to_owned()]).map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        std::fs::write(&path, format!("id,{MARKS}\n")).unwrap();
        RejectFile::new(&path, ["id".to_owned()]).unwrap();
        assert!(!path.exists());
    }

    /// A FIFO, since an error with /dev/null would remove the machine's own.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_to_and_neither_synced_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut reader = File::options().read(true).write(true).open(&path).unwrap();
        let mut file = RejectFile::new(&path, ["id".to_owned()]).unwrap();
        reject(&mut file, &csv(b','), b"1", true);
        file.flush().unwrap();
        assert_eq!(file.path(), Some(path.as_path()));
        file.restart().unwrap();
        assert!(path.exists());
        let mut start = [0; 10];
        reader.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"id,_stage,");
    }

    #[test]
    fn a_restart_forgets_all_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv");
        let mut file = RejectFile::new(&path, ["id".to_owned()]).unwrap();
        reject(&mut file, &csv(b','), b"1", true);
        file.restart().unwrap();
        assert!(!path.exists());
        reject(&mut file, &csv(b','), b"2", true);
        file.flush().unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("\n2,local,"));
    }
}
