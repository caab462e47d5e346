//! The options of lines, set by a program or a job file.

/// The options of lines.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinesOptions {
    /// Maximum length of a line, in bytes; a longer one ends the run. Default 8 MiB.
    pub max_record_bytes: u64,
}

impl Default for LinesOptions {
    fn default() -> LinesOptions {
        LinesOptions { max_record_bytes: 8 << 20 }
    }
}
