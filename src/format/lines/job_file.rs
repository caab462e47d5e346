//! `source.format: lines` of a job file.

use super::options::LinesOptions;
use super::table::Lines;
use crate::error::Result;
use crate::format::entry::{Entry, Options, max_record_bytes};
use crate::source::OpenSource;
use std::sync::Arc;

/// `source.format: lines`. No file name ending selects it, and it has no keys of its own.
pub(in crate::format) const LINES: Entry<LinesOptions> = Entry {
    name: "lines",
    endings: &[],
    looks_like: |_| false,
    by_position: false,
    section: "lines",
    keys: &[],
    read: |source| {
        let default = LinesOptions::default();
        Ok(LinesOptions { max_record_bytes: max_record_bytes(source)?.unwrap_or(default.max_record_bytes) })
    },
};

impl Options for LinesOptions {
    type Format = Lines;

    fn open(&self, source: Arc<OpenSource>, _wanted: &[&str]) -> Result<Lines> {
        Lines::open(source, self.clone())
    }
}
