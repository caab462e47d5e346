//! A format as the job file names it, and the keys of `source` that all text formats read.

use crate::error::{Error, Result};
#[cfg(feature = "jobs")]
use crate::settings::{Key, Settings};
#[cfg(feature = "jobs")]
use crate::source::Source;
#[cfg(feature = "jobs")]
use std::sync::Arc;

/// A format of the job file.
#[cfg(feature = "jobs")]
pub(crate) struct Entry<O: 'static> {
    /// `source.format`.
    pub(crate) name: &'static str,
    /// Endings of file names that mean this format, without the dot.
    pub(crate) endings: &'static [&'static str],
    /// The key of `source` that its options are under.
    pub(crate) section: &'static str,
    /// Its keys in `source`.
    pub(crate) keys: &'static [Key],
    /// Reads its options from `source`.
    pub(crate) read: fn(&Settings<'_>) -> Result<O>,
}

/// The options of a format.
#[cfg(feature = "jobs")]
pub(crate) trait Options {
    /// The format.
    type Format;

    /// Opens a source. `wanted` are the columns that the job names: all that formats without a header can offer.
    ///
    /// # Errors
    /// What is wrong with the source or its header.
    fn open(&self, source: Arc<Source>, wanted: &[&str]) -> Result<Self::Format>;
}

/// Validates the bound of a record.
pub(super) fn validate_max_record_bytes(bytes: u64) -> Result<()> {
    if !(64..=(1 << 30)).contains(&bytes) {
        return Err(Error::usage("source.max_record_bytes must lie between 64 bytes and 1 GiB"));
    }
    Ok(())
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
