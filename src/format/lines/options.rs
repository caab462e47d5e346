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

#[cfg(feature = "jobs")]
pub(in crate::format) use job_file::LINES;

#[cfg(feature = "jobs")]
mod job_file {
    use super::LinesOptions;
    use crate::error::Result;
    use crate::format::entry::{Entry, Options, max_record_bytes};
    use crate::format::lines::Lines;
    use crate::source::Source;
    use std::sync::Arc;

    /// `source.format: lines`. No ending of a file's name means it, and it has no keys of its own.
    pub(in crate::format) const LINES: Entry<LinesOptions> = Entry {
        name: "lines",
        endings: &[],
        keys: &[],
        read: |source| {
            let default = LinesOptions::default();
            Ok(LinesOptions { max_record_bytes: max_record_bytes(source)?.unwrap_or(default.max_record_bytes) })
        },
    };

    impl Options for LinesOptions {
        type Format = Lines;

        fn open(&self, source: Arc<Source>, _wanted: &[&str]) -> Result<Lines> {
            Lines::open(source, self.clone())
        }
    }
}
