//! Finds the format of a job's source by `source.format`, otherwise by the name of the file.

use super::entry::Entry;
use crate::error::{Error, Result};

/// Formats that a build may leave out.
const OPTIONAL: [&str; 3] = ["parquet", "arrow", "xlsx"];
/// Formats of other programs, by the endings of their files.
const OTHERS: [&str; 4] = ["xls", "xlsb", "ods", "avro"];

/// How the format of a source is known.
pub(crate) enum Found<O: 'static> {
    /// By `source.format` or by the name of the file.
    ByName(&'static Entry<O>),
    /// Its content must tell; it is the first format unless it looks like another one.
    ByContent(&'static Entry<O>),
}

/// Returns the format called `written`, otherwise that of a file with that path.
///
/// # Errors
/// `Usage`: the name is unknown or not supported yet.
pub(crate) fn find<O>(formats: &'static [Entry<O>], written: Option<&str>, path: Option<&str>) -> Result<Found<O>> {
    let names = || formats.iter().map(|entry| entry.name).collect::<Vec<_>>();
    let written = written.filter(|name| *name != "auto");
    let (name, at) = match written {
        Some(name) => (name.to_owned(), "source.format"),
        None => (ending(path.unwrap_or_default()), "source.path"),
    };
    let found = formats.iter().find(|entry| match written {
        Some(name) => entry.name == name,
        None => entry.endings.contains(&&*name),
    });
    match found {
        Some(entry) => Ok(Found::ByName(entry)),
        None if OPTIONAL.contains(&&*name) => {
            Err(Error::usage(format!("{at}: this build was made without the feature {name}"))
                .with_hint(format!("it reads {}", listed(&names(), "and"))))
        }
        None if OTHERS.contains(&&*name) => {
            let hint = match &*name {
                "avro" => "export it as Parquet or CSV",
                _ if cfg!(feature = "xlsx") => "save it as xlsx, or as CSV (UTF-8)",
                _ => "save it as CSV (UTF-8)",
            };
            Err(Error::usage(format!("{at}: {name} is not supported"))
                .with_hint(format!("{hint}; if the file is something else, set source.format")))
        }
        None if written.is_none() => Ok(Found::ByContent(&formats[0])),
        None => Err(Error::usage(format!("source.format must be auto, {}", listed(&names(), "or")))
            .with_hint("auto goes by the name of the file, then by its content")),
    }
}

/// Returns the ending of a file name, without the ending of a compression.
fn ending(path: &str) -> String {
    let whole = path.to_ascii_lowercase();
    // a glob usually ends with a placeholder for the ending of a compression
    let mut name = whole.trim_end_matches(['*', '?']).trim_end_matches('.');
    for packed in [".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".lz4"] {
        name = name.strip_suffix(packed).unwrap_or(name);
    }
    name.rsplit_once('.').map_or("", |(_, ending)| ending).to_owned()
}

fn listed(names: &[&str], last: &str) -> String {
    match names {
        [names @ .., end] if !names.is_empty() => format!("{} {last} {end}", names.join(", ")),
        names => names.join(", "),
    }
}
