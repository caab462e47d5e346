//! The options of lines, as a program or a job file gives them.

/// The options of lines.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinesOptions {
    /// A longer line ends the run; default 8 MiB.
    pub max_record_bytes: u64,
}

impl Default for LinesOptions {
    fn default() -> LinesOptions {
        LinesOptions { max_record_bytes: 8 << 20 }
    }
}
