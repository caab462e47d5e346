//! `source.xlsx` of a job file.

use super::foreign::looks_like;
use super::options::{SheetChoice, XlsxOptions};
use super::table::Xlsx;
use crate::error::{Error, Result};
use crate::format::entry::{Entry, Options, max_record_bytes, section};
use crate::settings::{Key, KeyKind, NoSecrets, Settings};
use crate::source::OpenSource;
use serde_json::Value;
use std::sync::Arc;

const KEYS: &[Key] = &[
    Key::new("sheet", KeyKind::Any, false, Some("1"), "The sheet to read: its number, from 1, or its name."),
    Key::new(
        "header_row",
        KeyKind::Integer,
        false,
        Some("1"),
        "Number of the row, from 1, that has the names of the columns; rows before it are not read.",
    ),
];

/// Excel workbooks.
pub(in crate::format) const XLSX: Entry<XlsxOptions> = Entry {
    name: "xlsx",
    endings: &["xlsx", "xlsm"],
    looks_like,
    by_position: true,
    section: "xlsx",
    keys: &[Key::new("xlsx", KeyKind::Object(KEYS), false, None, "How Excel workbooks are read.")],
    read,
};

impl Options for XlsxOptions {
    type Format = Xlsx;

    fn open(&self, source: Arc<OpenSource>, wanted: &[&str]) -> Result<Xlsx> {
        Xlsx::open(source, wanted, self.clone())
    }
}

fn read(source: &Settings<'_>) -> Result<XlsxOptions> {
    let map = section(source, "xlsx")?;
    let settings = Settings { map: &map, at: "source.xlsx", secrets: &NoSecrets, folder: source.folder };
    let mut options = XlsxOptions::default();
    options.max_record_bytes = max_record_bytes(source)?.unwrap_or(options.max_record_bytes);
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|n| *n > 0);
    match settings.get("sheet") {
        None => {}
        Some(Value::String(name)) if !name.is_empty() => options.sheet = SheetChoice::Name(name.clone()),
        Some(value) => {
            let number = number(value).ok_or_else(|| {
                Error::usage("source.xlsx.sheet must be the number of a sheet, from 1, or its name")
                    .with_hint("for example sheet: 2, or sheet: Customers; a name of digits needs quotes")
            })?;
            options.sheet = SheetChoice::Number(number);
        }
    }
    if let Some(value) = settings.get("header_row") {
        options.header_row = number(value).ok_or_else(|| {
            Error::usage("source.xlsx.header_row must be the number of a row, from 1")
                .with_hint("the row that has the names of the columns, as the spreadsheet program numbers it")
        })?;
    }
    Ok(options)
}
