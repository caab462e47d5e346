//! `source.csv` of a job file.

use super::options::{CsvOptions, validate};
use super::table::Csv;
use crate::error::{Error, Result};
use crate::format::entry::{Entry, Options, max_record_bytes};
use crate::settings::{Key, KeyKind, NoSecrets, Settings};
use crate::source::OpenSource;
use serde_json::{Map, Value};
use std::sync::Arc;

const fn key(name: &'static str, kind: KeyKind, default: Option<&'static str>, doc: &'static str) -> Key {
    Key::new(name, kind, false, default, doc)
}

const KEYS: &[Key] = &[
    key(
        "preset",
        KeyKind::OneOf(&PRESET_NAMES),
        None,
        "Sets delimiter, quote, escape and nulls as a program writes them; keys beside it override it.",
    ),
    key("delimiter", KeyKind::Text, Some(","), "Between cells, any ASCII character; tab for tsv."),
    key("quote", KeyKind::Text, Some("\""), "Around cells; null: quotes are text."),
    key(
        "escape",
        KeyKind::Text,
        None,
        "A backslash: after it, n t r b f v 0 stand for control characters and any other character for itself; quotes are not doubled.",
    ),
    key("nulls", KeyKind::Texts, Some("[]"), "Texts of unquoted cells that are empty, for example \"\\\\N\"."),
    key("comment", KeyKind::Text, None, "First character of lines that are skipped."),
    key("skip_lines", KeyKind::Integer, Some("0"), "Number of lines at the start of each file that are skipped."),
    key("header", KeyKind::Bool, Some("true"), "Whether the first record names the columns."),
    key("columns", KeyKind::Texts, None, "The names of the columns, if header is false."),
];

/// The dialect that a program writes.
struct Preset {
    name: &'static str,
    /// `None`: the header shows it.
    delimiter: Option<u8>,
    quote: Option<u8>,
    escape: bool,
    nulls: &'static [&'static str],
}

const PRESETS: [Preset; 4] = [
    // COPY … TO, format text
    Preset { name: "postgres-text", delimiter: Some(b'\t'), quote: None, escape: true, nulls: &["\\N"] },
    // SELECT … INTO OUTFILE, mysqldump --tab
    Preset { name: "mysql", delimiter: Some(b'\t'), quote: None, escape: true, nulls: &["\\N"] },
    // text files
    Preset { name: "hive", delimiter: Some(1), quote: None, escape: false, nulls: &["\\N"] },
    // the delimiter is that of the country
    Preset { name: "excel", delimiter: None, quote: Some(b'"'), escape: false, nulls: &[] },
];

const PRESET_NAMES: [&str; PRESETS.len()] = [PRESETS[0].name, PRESETS[1].name, PRESETS[2].name, PRESETS[3].name];

/// Cells between commas.
pub(in crate::format) const CSV: Entry<CsvOptions> = Entry {
    name: "csv",
    endings: &["csv"],
    looks_like: |_| false,
    by_position: false,
    section: "csv",
    keys: &[key("csv", KeyKind::Object(KEYS), None, "The dialect.")],
    read: |source| read(source, b','),
};

/// Cells between tabs; its dialect is in `source.csv`, too.
pub(in crate::format) const TSV: Entry<CsvOptions> = Entry {
    name: "tsv",
    endings: &["tsv"],
    looks_like: |_| false,
    by_position: false,
    section: "csv",
    keys: &[],
    read: |source| read(source, b'\t'),
};

impl Options for CsvOptions {
    type Format = Csv;

    fn open(&self, source: Arc<OpenSource>, _wanted: &[&str]) -> Result<Csv> {
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
    let mut csv = preset(&settings, delimiter)?;
    if let Some(delimiter) = settings.opt_text("delimiter")? {
        (csv.delimiter, csv.detect_delimiter) = (byte("delimiter", &delimiter)?, false);
    }
    match map.get("quote") {
        None => {}
        Some(Value::Null) => csv.quote = None,
        Some(Value::String(text)) if text.is_empty() => csv.quote = None,
        Some(_) => csv.quote = Some(byte("quote", &settings.text("quote")?)?),
    }
    if csv.quote == Some(csv.delimiter) {
        return Err(
            Error::usage("source.csv: delimiter and quote are the same").with_hint("quote: null if no cell is quoted")
        );
    }
    match map.get("escape") {
        None => {}
        Some(Value::Null) => csv.escape = false,
        Some(Value::String(text)) if text == "\\" => csv.escape = true,
        Some(_) => {
            return Err(Error::usage("source.csv.escape must be a backslash or null").with_hint("escape: \"\\\\\""));
        }
    }
    if let Some(nulls) = texts(&settings, "nulls")? {
        csv.nulls = nulls.into_iter().map(String::into_bytes).collect();
    }
    if let Some(comment) = settings.opt_text("comment")?.filter(|text| !text.is_empty()) {
        csv.comment = Some(byte("comment", &comment)?);
    }
    csv.skip_lines = settings.opt_integer("skip_lines")?.unwrap_or(0);
    csv.header = settings.bool_or("header", true)?;
    csv.columns = texts(&settings, "columns")?;
    csv.max_record_bytes = max_record_bytes(source)?.unwrap_or(csv.max_record_bytes);
    match (csv.header, &csv.columns) {
        (false, None) => Err(Error::usage("source.csv.columns is required if header is false")
            .with_hint("name the columns in file order: columns: [id, email]")),
        (true, Some(_)) => Err(Error::usage("source.csv.columns is for files without a header")
            .with_hint("set source.csv.header: false, or leave columns out")),
        _ => validate(&csv).map(|()| csv),
    }
}

/// Returns the options of `preset`, or the default ones.
fn preset(settings: &Settings<'_>, delimiter: u8) -> Result<CsvOptions> {
    let csv = CsvOptions { delimiter, ..CsvOptions::default() };
    let Some(name) = settings.one_of("preset", &PRESET_NAMES)? else { return Ok(csv) };
    let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else { return Ok(csv) };
    Ok(CsvOptions {
        delimiter: preset.delimiter.unwrap_or(delimiter),
        detect_delimiter: preset.delimiter.is_none(),
        quote: preset.quote,
        escape: preset.escape,
        nulls: preset.nulls.iter().map(|text| text.as_bytes().to_vec()).collect(),
        ..csv
    })
}

fn byte(key: &str, text: &str) -> Result<u8> {
    match (text, text.as_bytes()) {
        ("\\t" | "tab", _) => Ok(b'\t'),
        (_, &[byte]) if byte.is_ascii() && byte != b'\n' && byte != b'\r' => Ok(byte),
        _ => Err(Error::usage(format!("source.csv.{key} must be one ASCII character other than a line end"))
            .with_hint("in quotes: \";\", a tab as \"\\t\", Ctrl-A as \"\\x01\"")),
    }
}

fn texts(settings: &Settings<'_>, key: &str) -> Result<Option<Vec<String>>> {
    let wrong = || {
        let (example, what) = match key {
            "columns" => ("columns: [email, first_name]", "names"),
            _ => (r#"nulls: ["\\N", "NULL"]"#, "texts"),
        };
        Error::usage(format!("source.csv.{key} must be a list of {what}")).with_hint(format!("for example {example}"))
    };
    let text = |text: &Value| match text {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        _ => Err(wrong()),
    };
    match settings.get(key) {
        None => Ok(None),
        Some(Value::Array(all)) => all.iter().map(text).collect::<Result<_>>().map(Some),
        Some(_) => Err(wrong()),
    }
}
