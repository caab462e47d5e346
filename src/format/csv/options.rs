//! The dialect of a delimited text and its bounds, as a program or a job file gives them.

use crate::error::{Error, Result};
use crate::format::entry::validate_max_record_bytes;
use crate::scan::Dialect;

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
    /// The names of the columns if there is no header.
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

/// Validates options that a program made.
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
