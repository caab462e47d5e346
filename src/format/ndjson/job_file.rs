//! `source.ndjson` of a job file.

use super::options::NdjsonOptions;
use super::table::Ndjson;
use crate::error::{Error, Result};
use crate::format::entry::{Entry, Options, max_record_bytes};
use crate::settings::{Key, KeyKind, NoSecrets, Settings};
use crate::source::OpenSource;
use serde_json::{Map, Value};
use std::sync::Arc;

const KEYS: &[Key] = &[
    Key::new("required", KeyKind::Texts, false, None, "Columns that must occur in at least one record, else exit 10."),
    Key::new("optional", KeyKind::Texts, false, None, "Columns that may be missing in all records without a warning."),
];

/// One JSON object on each line.
pub(in crate::format) const NDJSON: Entry<NdjsonOptions> = Entry {
    name: "ndjson",
    endings: &["ndjson", "jsonl"],
    looks_like: super::table::looks_like,
    by_position: false,
    section: "ndjson",
    keys: &[Key::new("ndjson", KeyKind::Object(KEYS), false, None, "Keys of the records.")],
    read,
};

impl Options for NdjsonOptions {
    type Format = Ndjson;

    fn open(&self, source: Arc<OpenSource>, wanted: &[&str]) -> Result<Ndjson> {
        Ndjson::open(source, wanted, self.clone())
    }
}

fn read(source: &Settings<'_>) -> Result<NdjsonOptions> {
    let none = Map::new();
    let map = match source.map.get("ndjson") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(map)) => map,
        Some(_) => return Err(Error::usage("source.ndjson must be a mapping")),
    };
    let settings = Settings { map, at: "source.ndjson", secrets: &NoSecrets, folder: source.folder };
    let mut options = NdjsonOptions::default();
    options.max_record_bytes = max_record_bytes(source)?.unwrap_or(options.max_record_bytes);
    options.required = names(&settings, "required")?;
    options.optional = names(&settings, "optional")?;
    Ok(options)
}

fn names(settings: &Settings<'_>, key: &str) -> Result<Vec<String>> {
    let wrong = || {
        Error::usage(format!("source.ndjson.{key} must be a list of columns"))
            .with_hint(format!("for example {key}: [email, /address/city]"))
    };
    match settings.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(names)) => {
            names.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}
