//! The dialect of delimited text and its limits, set by a program or a job file.

use crate::error::{Error, Result};
use crate::format::entry::validate_max_record_bytes;
use crate::scan::Dialect;

/// The dialect of delimited text and its limits, as in `source` of a job file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CsvOptions {
    /// Separates cells: an ASCII byte other than CR, LF and the quote; default `,`.
    pub delimiter: u8,
    /// Whether the delimiter is the one of `;`, `,` and tab that the header contains most often outside quotes;
    /// default false. If it contains none, it is `delimiter`.
    pub detect_delimiter: bool,
    /// Quotes cells; default `"`. `None`: quotes are ordinary characters.
    pub quote: Option<u8>,
    /// Whether a backslash takes the meaning of the next byte; default false. After it, `n t r b f v 0` stand for the
    /// control characters and any other byte for itself, and a quote is not doubled.
    pub escape: bool,
    /// Unquoted cells with one of these texts are empty; compared before escapes are decoded. Default none.
    pub nulls: Vec<Vec<u8>>,
    /// First byte of lines that are skipped; default none.
    pub comment: Option<u8>,
    /// Number of lines at the start of each file that are skipped; default 0.
    pub skip_lines: u64,
    /// Whether the first record contains the names of the columns; default true.
    pub header: bool,
    /// The names of the columns if there is no header.
    pub columns: Option<Vec<String>>,
    /// Maximum length of a record, in bytes; a longer one ends the run. Default 8 MiB.
    pub max_record_bytes: u64,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions {
            delimiter: b',',
            detect_delimiter: false,
            quote: Some(b'"'),
            escape: false,
            nulls: Vec::new(),
            comment: None,
            skip_lines: 0,
            header: true,
            columns: None,
            max_record_bytes: 8 << 20,
        }
    }
}

impl CsvOptions {
    /// Returns delimiter and quote.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect { delimiter: self.delimiter, quote: self.quote, marked: b'"' }
    }

    /// Returns true if rows need more than splitting at delimiters and quotes.
    pub(super) fn is_special(&self) -> bool {
        self.escape || !self.nulls.is_empty() || self.comment.is_some()
    }
}

/// The escape byte.
pub(super) const ESCAPE: u8 = b'\\';

/// Validates options that a program has set.
pub(super) fn validate(options: &CsvOptions) -> Result<()> {
    let CsvOptions { delimiter, quote, comment, .. } = *options;
    let bad = |byte: u8| !byte.is_ascii() || matches!(byte, b'\n' | b'\r');
    if bad(delimiter) || quote == Some(delimiter) {
        return Err(Error::usage(
            "source.csv.delimiter must be one ASCII character other than the quote and line ends",
        )
        .with_hint("quote: null if no cell is quoted"));
    }
    if quote.is_some_and(|byte| bad(byte) || byte == 0) {
        return Err(Error::usage("source.csv.quote must be one ASCII character other than line ends and NUL")
            .with_hint("quote: null if no cell is quoted"));
    }
    if comment.is_some_and(|byte| bad(byte) || quote == Some(byte) || delimiter == byte) {
        return Err(Error::usage(
            "source.csv.comment must be one ASCII character other than the delimiter, the quote and line ends",
        )
        .with_hint("for example comment: \"#\""));
    }
    if options.escape && [Some(delimiter), quote, comment].contains(&Some(ESCAPE)) {
        return Err(Error::usage("source.csv.escape: the backslash is also the delimiter, the quote or the comment")
            .with_hint("escape: null if nothing is escaped"));
    }
    if !options.header && options.detect_delimiter {
        return Err(Error::usage(
            "source.csv.delimiter is required if source.csv.header is false: only a header shows it",
        )
        .with_hint("set source.csv.delimiter, for example \";\""));
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
