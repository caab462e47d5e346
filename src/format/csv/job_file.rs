//! `source.csv` of a job file.

use super::options::CsvOptions;
use super::table::Csv;
use crate::error::{Error, Result};
use crate::format::entry::{Entry, Options, max_record_bytes};
use crate::settings::{Key, KeyKind, NoSecrets, Settings};
use crate::source::Source;
use serde_json::{Map, Value};
use std::sync::Arc;

const fn key(name: &'static str, kind: KeyKind, default: Option<&'static str>, doc: &'static str) -> Key {
    Key::new(name, kind, false, default, doc)
}

const KEYS: &[Key] = &[
    key("delimiter", KeyKind::Text, Some(","), "Between cells; tab for tsv."),
    key("quote", KeyKind::Text, Some("\""), "Around cells; null: quotes are text."),
    key("header", KeyKind::Bool, Some("true"), "Whether the first record names the columns."),
    key("columns", KeyKind::Texts, None, "The names of the columns, where header is false."),
];

/// Cells between commas.
pub(in crate::format) const CSV: Entry<CsvOptions> = Entry {
    name: "csv",
    endings: &["csv"],
    looks_like: |_| false,
    section: "csv",
    keys: &[key("csv", KeyKind::Object(KEYS), None, "The dialect.")],
    read: |source| read(source, b','),
};

/// Cells between tabs; its dialect is in `source.csv`, too.
pub(in crate::format) const TSV: Entry<CsvOptions> = Entry {
    name: "tsv",
    endings: &["tsv"],
    looks_like: |_| false,
    section: "csv",
    keys: &[],
    read: |source| read(source, b'\t'),
};

impl Options for CsvOptions {
    type Format = Csv;

    fn open(&self, source: Arc<Source>, _wanted: &[&str]) -> Result<Csv> {
        Csv::open(source, self.clone())
    }
}

fn read(source: &Settings<'_>, delimiter: u8) -> Result<CsvOptions> {
    let none = Map::new();
    let map = match source.map.get("csv") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(map)) => map,
        Some(_) => return Err(Error::usage("source.csv must be a mapping")),
    };
    let settings = Settings { map, at: "source.csv", secrets: &NoSecrets, folder: source.folder };
    let mut csv = CsvOptions { delimiter, ..CsvOptions::default() };
    if let Some(delimiter) = settings.opt_text("delimiter")? {
        csv.delimiter = byte("delimiter", &delimiter)?;
    }
    match map.get("quote") {
        None => {}
        Some(Value::Null) => csv.quote = None,
        Some(Value::String(text)) if text.is_empty() => csv.quote = None,
        Some(_) => csv.quote = Some(byte("quote", &settings.text("quote")?)?),
    }
    if csv.quote == Some(csv.delimiter) {
        return Err(Error::usage("source.csv: delimiter and quote are the same")
            .with_hint("quote: \"\" where no cell is quoted"));
    }
    csv.header = settings.bool_or("header", true)?;
    csv.columns = columns(&settings)?;
    csv.max_record_bytes = max_record_bytes(source)?.unwrap_or(csv.max_record_bytes);
    match (csv.header, &csv.columns) {
        (false, None) => Err(Error::usage("source.csv.columns is required where header is false")
            .with_hint("name the columns in file order: columns: [id, email]")),
        (true, Some(_)) => Err(Error::usage("source.csv.columns is for files without a header")
            .with_hint("set source.csv.header: false, or leave columns out")),
        _ => Ok(csv),
    }
}

fn byte(key: &str, text: &str) -> Result<u8> {
    match (text, text.as_bytes()) {
        ("\\t" | "tab", _) => Ok(b'\t'),
        (_, &[byte]) if byte.is_ascii() && byte != b'\n' && byte != b'\r' && byte != 0 => Ok(byte),
        _ => Err(Error::usage(format!("source.csv.{key} must be one ASCII character other than a line end"))
            .with_hint("in quotes: \";\", a tab as \"\\t\"")),
    }
}

fn columns(settings: &Settings<'_>) -> Result<Option<Vec<String>>> {
    let wrong = || {
        Error::usage("source.csv.columns must be a list of names").with_hint("for example columns: [email, first_name]")
    };
    let name = |name: &Value| match name {
        Value::String(name) if !name.is_empty() => Ok(name.clone()),
        _ => Err(wrong()),
    };
    match settings.get("columns") {
        None => Ok(None),
        Some(Value::Array(names)) => names.iter().map(name).collect::<Result<_>>().map(Some),
        Some(_) => Err(wrong()),
    }
}
