//! `source.parquet` of a job file.

use super::options::ParquetOptions;
use super::table::Parquet;
use crate::error::{Error, Result};
use crate::format::entry::{Entry, Options, max_record_bytes, section};
use crate::settings::{Key, KeyKind, NoSecrets, Settings};
use crate::source::OpenSource;
use std::sync::Arc;

const KEYS: &[Key] = &[Key::new(
    "max_page_bytes",
    KeyKind::Size,
    false,
    Some("64MiB"),
    "Largest page or dictionary of a mapped column; a larger one ends the run with 10 before it is read.",
)];

/// Parquet files.
pub(in crate::format) const PARQUET: Entry<ParquetOptions> = Entry {
    name: "parquet",
    endings: &["parquet", "pq"],
    looks_like: |first| first.starts_with(b"PAR1\x15"),
    by_position: true,
    section: "parquet",
    keys: &[Key::new("parquet", KeyKind::Object(KEYS), false, None, "Limits of Parquet files.")],
    read,
};

impl Options for ParquetOptions {
    type Format = Parquet;

    fn open(&self, source: Arc<OpenSource>, wanted: &[&str]) -> Result<Parquet> {
        Parquet::open(source, wanted, self.clone())
    }
}

fn read(source: &Settings<'_>) -> Result<ParquetOptions> {
    let map = section(source, "parquet")?;
    let settings = Settings { map: &map, at: "source.parquet", secrets: &NoSecrets, folder: source.folder };
    let mut options = ParquetOptions::default();
    options.max_record_bytes = max_record_bytes(source)?.unwrap_or(options.max_record_bytes);
    if let Some(max) = settings.opt_size("max_page_bytes")? {
        if max == 0 {
            return Err(Error::usage("source.parquet.max_page_bytes must be above 0").with_hint("for example 64MiB"));
        }
        options.max_page_bytes = max;
    }
    Ok(options)
}
