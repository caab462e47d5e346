//! The description of a format for job files, and the keys of `source` that all text formats have.

use crate::error::{Error, Result};
#[cfg(feature = "jobs")]
use crate::settings::{Key, Settings};
#[cfg(feature = "jobs")]
use crate::source::OpenSource;
#[cfg(all(feature = "jobs", any(feature = "parquet", feature = "xlsx")))]
use serde_json::{Map, Value};
#[cfg(feature = "jobs")]
use std::sync::Arc;

/// A format of the job file.
#[cfg(feature = "jobs")]
pub(crate) struct Entry<O: 'static> {
    /// Name of the format: the value of `source.format`.
    pub(crate) name: &'static str,
    /// File name endings of this format, without the dot.
    pub(crate) endings: &'static [&'static str],
    /// Returns true if a content that starts with these bytes looks like this format and like no other.
    pub(crate) looks_like: fn(&[u8]) -> bool,
    /// True if it must be read by position, so that a stream is copied to a file first.
    pub(crate) by_position: bool,
    /// Key of `source` that contains the options of the format.
    pub(crate) section: &'static str,
    /// Keys of the options.
    pub(crate) keys: &'static [Key],
    /// Reads the options from `source`.
    pub(crate) read: fn(&Settings<'_>) -> Result<O>,
}

/// The options of a format.
#[cfg(feature = "jobs")]
pub(crate) trait Options {
    /// The format.
    type Format;

    /// Opens a source. `wanted` are the columns that the job names; a format without a header has no other columns.
    ///
    /// # Errors
    /// An error of the source or its header.
    fn open(&self, source: Arc<OpenSource>, wanted: &[&str]) -> Result<Self::Format>;
}

/// Validates the maximum length of a record.
pub(super) fn validate_max_record_bytes(bytes: u64) -> Result<()> {
    if !(64..=(1 << 30)).contains(&bytes) {
        return Err(Error::usage("source.max_record_bytes must be between 64 bytes and 1 GiB"));
    }
    Ok(())
}

/// Returns the mapping `source.NAME`, or an empty one.
#[cfg(all(feature = "jobs", any(feature = "parquet", feature = "xlsx")))]
pub(super) fn section(source: &Settings<'_>, name: &str) -> Result<Map<String, Value>> {
    match source.map.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(_) => Err(Error::usage(format!("source.{name} must be a mapping"))),
    }
}

/// Reads `source.max_record_bytes`.
#[cfg(feature = "jobs")]
pub(super) fn max_record_bytes(source: &Settings<'_>) -> Result<Option<u64>> {
    let max = source.opt_size("max_record_bytes")?;
    if max == Some(0) {
        return Err(
            Error::usage("source.max_record_bytes must be above 0").with_hint("for example max_record_bytes: 8MiB")
        );
    }
    Ok(max)
}
