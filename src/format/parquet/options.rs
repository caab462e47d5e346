//! The options of Parquet, set by a program or a job file.

/// The options of Parquet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParquetOptions {
    /// Maximum length of a row, in bytes of the text of the columns that are read; a longer one ends the run. Default
    /// 8 MiB.
    pub max_record_bytes: u64,
    /// Maximum size of a page or dictionary of a column that is read, and of the footer, in bytes; a larger one ends the
    /// run before it is read. Memory use grows with it. Default 64 MiB.
    pub max_page_bytes: u64,
}

impl Default for ParquetOptions {
    fn default() -> ParquetOptions {
        ParquetOptions { max_record_bytes: 8 << 20, max_page_bytes: 64 << 20 }
    }
}
