//! A source read as a table: dialect, header, where the data starts in each file.

use super::header::{self, Head};
use crate::error::{Error, Place, Result};
use crate::scan::{Dialect, Scanner};
use crate::source::Source;
use std::sync::Arc;

/// The dialect of a delimited text and its bounds, as the job file's `source` has them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CsvOptions {
    /// Between cells; default `,`.
    pub delimiter: u8,
    /// Around cells; default `"`. `None`: quotes are text.
    pub quote: Option<u8>,
    /// Whether the first record names the columns; default true.
    pub header: bool,
    /// The names of the columns where there is no header.
    pub columns: Option<Vec<String>>,
    /// A longer record ends the run; default 8 MiB.
    pub max_record_bytes: u64,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions { delimiter: b',', quote: Some(b'"'), header: true, columns: None, max_record_bytes: 8 << 20 }
    }
}

impl CsvOptions {
    /// What separates and what quotes.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect { delimiter: self.delimiter, quote: self.quote, marked: b'"' }
    }
}

/// A [`Source`] whose header has been read. Kept open across both passes.
pub struct Table {
    source: Arc<Source>,
    options: CsvOptions,
    columns: Arc<[String]>,
    starts: Vec<DataStart>,
    scanner: Scanner,
    /// The first file's header as it was written; empty if there is none.
    header_line: Vec<u8>,
}

/// Where the records of an input start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataStart {
    /// Byte offset in the decompressed content, behind BOM and header.
    pub(crate) byte: u64,
    /// Physical lines before it.
    pub(crate) lines: u64,
}

impl Table {
    /// Reads the header of every file.
    ///
    /// # Errors
    /// [`crate::error::Kind::Data`]: no header at all, headers that differ between files, UTF-16 or UTF-32, a header
    /// over `max_record_bytes`. [`crate::error::Kind::Local`]: the source cannot be read.
    /// [`crate::error::Kind::Usage`]: a delimiter or quote that cannot be, no column names where there is no header.
    pub fn open(source: Arc<Source>, mut options: CsvOptions) -> Result<Table> {
        judge(&options)?;
        let mut columns: Option<Vec<String>> = if options.header { None } else { options.columns.clone() };
        let mut starts = Vec::with_capacity(source.inputs().len());
        let mut header_line = Vec::new();
        for input in source.inputs() {
            let head = header::read(input, &options).map_err(|mut error| {
                error.place_mut().file.get_or_insert_with(|| input.name().to_owned());
                error
            })?;
            let Head { names, start, delimiter, line } = head;
            if starts.is_empty() {
                options.delimiter = delimiter.unwrap_or(options.delimiter);
                header_line = line;
            } else if delimiter.is_some_and(|delimiter| delimiter != options.delimiter) {
                return Err(other_delimiter(input.name(), source.inputs()[0].name()));
            }
            starts.push(start);
            let Some(names) = names else { continue };
            match &columns {
                None => columns = Some(names),
                Some(first) if *first == names => {}
                Some(first) => {
                    return Err(Error::data(format!(
                        "its header differs from that of {}: {}",
                        source.inputs()[0].name(),
                        difference(&names, first)
                    ))
                    .with_place(Place { file: Some(input.name().to_owned()), ..Place::default() })
                    .with_hint(
                        "all files of a glob must have the same columns in the same order; if the first line of a file \
                         is data already, see source.csv.header",
                    ));
                }
            }
        }
        let columns = columns.unwrap_or_default().into();
        let scanner = Scanner::new(options.dialect());
        Ok(Table { source, options, columns, starts, scanner, header_line })
    }

    /// The names of the columns, in file order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The names, not copied: there may be very many.
    #[cfg(feature = "jobs")]
    pub(crate) fn shared_columns(&self) -> Arc<[String]> {
        self.columns.clone()
    }

    /// The source itself.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The dialect and its bounds; the delimiter is that of a first line `sep=X` if there is one.
    #[must_use]
    pub fn options(&self) -> &CsvOptions {
        &self.options
    }

    pub(crate) fn start_of(&self, input: usize) -> DataStart {
        self.starts[input]
    }

    pub(crate) fn scanner(&self) -> Scanner {
        self.scanner
    }

    /// The first file's header as it was written, without its line end; empty if there is none.
    pub(crate) fn header_line(&self) -> &[u8] {
        &self.header_line
    }
}

fn other_delimiter(file: &str, first: &str) -> Error {
    Error::data(format!("its first line names another delimiter than that of {first}"))
        .with_place(Place { file: Some(file.to_owned()), ..Place::default() })
        .with_hint("all files of a glob must have the same delimiter")
}

pub(super) fn judge(options: &CsvOptions) -> Result<()> {
    let bad = |byte: u8| !byte.is_ascii() || matches!(byte, b'\n' | b'\r' | 0);
    if bad(options.delimiter) || options.quote == Some(options.delimiter) {
        return Err(Error::usage(
            "source.csv.delimiter must be one ASCII character other than the quote and line ends",
        ));
    }
    if options.quote.is_some_and(bad) {
        return Err(Error::usage("source.csv.quote must be one ASCII character other than line ends"));
    }
    if !options.header && options.columns.as_ref().is_none_or(Vec::is_empty) {
        return Err(Error::usage("source.csv.columns must name the columns where source.csv.header is false"));
    }
    if options.header && options.columns.is_some() {
        return Err(Error::usage("source.csv.columns is for sources without a header")
            .with_hint("set source.csv.header to false, or leave columns out"));
    }
    if !(64..=(1 << 30)).contains(&options.max_record_bytes) {
        return Err(Error::usage("source.max_record_bytes must lie between 64 bytes and 1 GiB"));
    }
    Ok(())
}

/// How a header differs from the first one. The names are not told: what stands in a first line may be data.
fn difference(names: &[String], first: &[String]) -> String {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    if names.len() != first.len() {
        format!("{} columns here, {} there", names.len(), first.len())
    } else if sorted(names) == sorted(first) {
        "the same columns in another order".to_owned()
    } else {
        let at = names.iter().zip(first).position(|(name, first)| name != first).unwrap_or_default();
        format!("column {} of {} has another name", at + 1, first.len())
    }
}

/// A name of a column for a message: cut, and in quotes with escapes where it would not be read as one otherwise.
pub(crate) fn shown(name: &str) -> String {
    let cut: String = name.chars().take(32).collect();
    let more = if cut.len() < name.len() { "…" } else { "" };
    let plain = !cut.is_empty()
        && cut.trim() == cut
        && cut
            .chars()
            .all(|c| !c.is_control() && !matches!(c, ',' | '"' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'));
    if plain { format!("{cut}{more}") } else { format!("{cut:?}{more}") }
}

/// Names of columns for a message: the first twenty.
pub(crate) fn listed(names: &[String]) -> String {
    let more = if names.len() > 20 { ", …" } else { "" };
    names.iter().take(20).map(|name| shown(name)).collect::<Vec<_>>().join(", ") + more
}
