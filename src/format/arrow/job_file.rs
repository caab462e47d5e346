//! `source.format: arrow` of a job file.

use super::options::ArrowOptions;
use super::table::Arrow;
use crate::error::Result;
use crate::format::entry::{Entry, Options, max_record_bytes};
use crate::source::OpenSource;
use std::sync::Arc;

/// Arrow IPC, files and streams.
pub(in crate::format) const ARROW: Entry<ArrowOptions> = Entry {
    name: "arrow",
    endings: &["arrow", "arrows", "feather", "ipc"],
    looks_like: super::content::looks_like,
    by_position: false,
    section: "arrow",
    keys: &[],
    read: |source| {
        let default = ArrowOptions::default();
        Ok(ArrowOptions { max_record_bytes: max_record_bytes(source)?.unwrap_or(default.max_record_bytes) })
    },
};

impl Options for ArrowOptions {
    type Format = Arrow;

    fn open(&self, source: Arc<OpenSource>, wanted: &[&str]) -> Result<Arrow> {
        Arrow::open(source, wanted, self.clone())
    }
}
