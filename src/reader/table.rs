//! A source read as a table: dialect, header, where the data starts in each file.

use crate::error::Result;
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

/// A [`Source`] whose header has been read. Kept open across both passes.
pub struct Table {
    pub(crate) source: Arc<Source>,
    pub(crate) options: CsvOptions,
    pub(crate) columns: Arc<[String]>,
}

impl Table {
    /// Reads the header of every file.
    ///
    /// # Errors
    /// [`crate::error::Kind::Data`]: no header at all, headers that differ between files, UTF-16 or UTF-32, a header
    /// over `max_record_bytes`. [`crate::error::Kind::Local`]: the source cannot be read.
    pub fn open(source: Arc<Source>, options: CsvOptions) -> Result<Table> {
        let _ = (source, options);
        todo!()
    }

    /// The names of the columns, in file order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The source itself.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }
}
