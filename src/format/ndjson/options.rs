//! The options of NDJSON in a job file.

/// Maximum length of a line, and keys that must or need not occur.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NdjsonOptions {
    /// Maximum length of a line, in bytes; a longer one ends the run. Default 8 MiB.
    pub max_record_bytes: u64,
    /// Columns that must occur in at least one record.
    pub required: Vec<String>,
    /// Columns that may be missing in all records, without a warning.
    pub optional: Vec<String>,
}

impl Default for NdjsonOptions {
    fn default() -> NdjsonOptions {
        NdjsonOptions { max_record_bytes: 8 << 20, required: Vec::new(), optional: Vec::new() }
    }
}
