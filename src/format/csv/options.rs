//! The dialect of delimited text and its limits, set by a program or a job file.

use crate::error::{Error, Result};
use crate::format::entry::validate_max_record_bytes;
use crate::scan::Dialect;

/// The dialect of delimited text and its limits, as in `source` of a job file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CsvOptions {
    /// Separates cells; default `,`.
    pub delimiter: u8,
    /// Quotes cells; default `"`. `None`: quotes are ordinary characters.
    pub quote: Option<u8>,
    /// Whether the first record contains the names of the columns; default true.
    pub header: bool,
    /// The names of the columns if there is no header.
    pub columns: Option<Vec<String>>,
    /// Maximum length of a record, in bytes; a longer one ends the run. Default 8 MiB.
    pub max_record_bytes: u64,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions { delimiter: b',', quote: Some(b'"'), header: true, columns: None, max_record_bytes: 8 << 20 }
    }
}

impl CsvOptions {
    /// Returns delimiter and quote.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect { delimiter: self.delimiter, quote: self.quote, marked: b'"' }
    }
}

/// Validates options that a program has set.
pub(super) fn validate(options: &CsvOptions) -> Result<()> {
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
    validate_max_record_bytes(options.max_record_bytes)
}
