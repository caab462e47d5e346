//! The options of Arrow IPC, set by a program or a job file.

/// The options of Arrow IPC.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArrowOptions {
    /// Maximum length of a row, in bytes of the text of the columns that are read; a longer one ends the run. Default
    /// 8 MiB.
    pub max_record_bytes: u64,
}

impl Default for ArrowOptions {
    fn default() -> ArrowOptions {
        ArrowOptions { max_record_bytes: 8 << 20 }
    }
}
