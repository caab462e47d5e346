//! A source opened as XLSX.

use super::at::At;
use super::batches::{Batches, Files};
use super::columns::Named;
use super::decode::{Opened, row_in_words};
use super::options::XlsxOptions;
use super::reader::{RowReader, Rowwise};
use crate::error::{Error, Result};
use crate::format::block::{self, ColumnKind};
use crate::format::cells::Cells;
use crate::format::chunk::ChunkId;
use crate::format::entry::validate_max_record_bytes;
use crate::format::reader::{Format, Tabular};
use crate::row::{Columns, GroupRow};
use crate::source::OpenSource;
use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

/// An [`OpenSource`] of Excel workbooks (XLSX), of each of which one sheet is read. Its columns are those requested when it was
/// opened, as far as the header has them.
pub struct Xlsx {
    source: Arc<OpenSource>,
    options: XlsxOptions,
    columns: Named,
    kinds: Vec<ColumnKind>,
    /// The name of the sheet in each input.
    sheets: Vec<Arc<str>>,
}

impl Xlsx {
    /// Reads the header of every workbook. `columns` are names of columns; a repeated name counts once, and one that the
    /// header does not have is left out. If there are none, all columns with a name are read.
    ///
    /// # Errors
    /// [`crate::error::Kind::Data`]: a file is not XLSX, is damaged or encrypted, or has no header or other columns than
    /// the first. [`crate::error::Kind::Local`]: the source cannot be read. [`crate::error::Kind::Usage`]: there is no
    /// such sheet.
    pub fn open(source: Arc<OpenSource>, columns: &[&str], options: XlsxOptions) -> Result<Xlsx> {
        validate_max_record_bytes(options.max_record_bytes)?;
        let (mut found, mut sheets): (Option<Named>, Vec<Arc<str>>) = (None, Vec::new());
        for (number, input) in source.inputs().iter().enumerate() {
            let placed = |mut error: Error| {
                error.place_mut().file.get_or_insert_with(|| input.name().to_owned());
                error
            };
            let at = At { source: Arc::clone(&source), input: number };
            let (opened, header) = Opened::open(at, &options).map_err(placed)?;
            match &found {
                None => found = Some(Named::find(columns, header)),
                Some(found) => drop(found.places(&header).map_err(placed)?),
            }
            let sheet = opened.book.sheet_name;
            let same = sheets.last().filter(|last| ***last == *sheet).cloned();
            sheets.push(same.unwrap_or_else(|| sheet.into()));
        }
        // a source has at least one input
        let columns = found.unwrap_or_default();
        let kinds = vec![ColumnKind::Value; columns.names.len()];
        Ok(Xlsx { source, options, columns, kinds, sheets })
    }
}

impl Columns for Xlsx {
    fn names(&self) -> &[String] {
        &self.columns.names
    }

    fn have_lists(&self) -> bool {
        false
    }

    fn missing(&self, name: &str) -> Option<String> {
        Some(self.columns.missing(name))
    }
}

impl Tabular for Xlsx {
    fn source(&self) -> &Arc<OpenSource> {
        &self.source
    }

    #[cfg(feature = "jobs")]
    fn shared_columns(&self) -> &Arc<[String]> {
        &self.columns.names
    }

    fn lines_before(&self, _input: usize) -> u64 {
        0
    }

    fn row_in_words(&self, input: usize, at: GroupRow) -> String {
        row_in_words(self.sheets.get(input).map_or("", |sheet| sheet), at.row)
    }

    fn cells<'k>(&self, kept: &'k [u8]) -> Cells<'k> {
        block::cells(kept)
    }

    fn write_as_source(&self, kept: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
        block::write_line(kept, &self.columns.names, out)
    }

    fn text<'k>(&self, kept: &'k [u8]) -> Cow<'k, [u8]> {
        block::text(kept, &self.columns.names)
    }
}

impl Rowwise for Xlsx {
    fn kinds(&self) -> &[ColumnKind] {
        &self.kinds
    }

    fn longest(&self) -> usize {
        usize::try_from(self.options.max_record_bytes).unwrap_or(usize::MAX)
    }
}

impl Format for Xlsx {
    type Chunks<'f> = Batches<'f>;
    type Reader = RowReader;

    fn chunks(&self, from: ChunkId, chunk_bytes: usize, _threads: usize) -> Batches<'_> {
        let (source, options, columns) = (&self.source, &self.options, &self.columns);
        Batches::new(Files { source, options, columns }, from, chunk_bytes)
    }

    fn reader(&self, marked: Option<u8>, _chunk_bytes: usize) -> RowReader {
        RowReader::new(marked)
    }
}
