//! Reads the first records of a source, and finds out how it has to be read.

use crate::body;
use crate::error::{Error, Result};
use crate::format::{self, FORMATS, Found};
use crate::job::config::Config;
use crate::job::env::Env;
use crate::mapping::{Cells, Field, Plan, Quoting, Rules, Separator, Shape, ValueSpec};
use crate::origin::Passes;
use crate::settings::NoSecrets;
use crate::source::OpenSource;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Number of records that are looked at.
const RECORDS: usize = 1000;
/// Number of bytes of a value that are looked at.
const MAX_VALUE: usize = 256;
/// Maximum number of columns that are proposed.
const MAX_COLUMNS: usize = 500;

/// The first records of a source.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// Name of the format.
    pub(super) format: &'static str,
    /// The keys of `source` besides `path`, with their comments.
    pub(super) settings: Vec<(String, &'static str)>,
    pub(super) columns: Vec<Column>,
    /// Number of records read.
    pub(super) records: usize,
    /// The choices that are left to the user.
    pub(super) choices: Vec<String>,
}

/// A column with the values of the first records.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) values: Vec<String>,
    /// Number of records in which it is empty.
    pub(super) empty: u64,
    /// Whether the format has arrays there.
    pub(super) is_list: bool,
}

/// The first records, read with some settings.
struct Reading {
    format: &'static str,
    names: Vec<String>,
    /// Cells in the order of the names; `None` if the record could not be split.
    rows: Vec<Option<Vec<String>>>,
    /// Text of the records.
    texts: Vec<String>,
}

impl Reading {
    fn ragged(&self) -> usize {
        self.rows.iter().filter(|row| row.is_none()).count()
    }
}

/// Reads a sample of the source at `path`.
///
/// # Errors
/// Those of reading it.
pub(super) fn sample(path: &str, folder: &Path, env: &Env) -> Result<Sample> {
    let mut sample = Sample::default();
    let first = sample.encoding(path, folder, env)?;
    sample.format = first.format;
    if sample.format == "ndjson" {
        sample.of_json(&first.texts);
        return Ok(sample);
    }
    let reading = if sample.format == "csv" { sample.dialect(path, folder, env, first)? } else { first };
    sample.records = reading.rows.len();
    sample.columns =
        reading.names.iter().take(MAX_COLUMNS).map(|name| Column { name: name.clone(), ..Column::default() }).collect();
    if reading.names.len() > MAX_COLUMNS {
        sample
            .choices
            .push(format!("the source has {} columns; the first {MAX_COLUMNS} are here", reading.names.len()));
    }
    for row in reading.rows.into_iter().flatten() {
        for (column, value) in sample.columns.iter_mut().zip(row) {
            column.add(value);
        }
    }
    Ok(sample)
}

impl Column {
    fn add(&mut self, value: String) {
        self.empty += u64::from(value.trim().is_empty());
        self.values.push(value);
    }
}

/// Opens the source with these settings and reads its first records.
fn read(path: &str, folder: &Path, env: &Env, settings: &[(String, &str)]) -> Result<Reading> {
    let mut text = format!("source:\n  path: {}\n", Value::from(path));
    for (line, _) in settings {
        text.push_str(&format!("  {line}\n"));
    }
    let config = Config::read(&text, "job file", folder, "init", &[])?;
    let source = config.open_offline(env, &NoSecrets, Passes::Several)?;
    let format = name_of(path, &source)?;
    let options = config.source.format_of(&source)?;
    let names = options.open(Arc::clone(&source), &[])?.columns().to_vec();
    let wanted: Vec<&str> = names.iter().map(String::as_str).take(MAX_COLUMNS).collect();
    let table = options.open(source, &wanted)?;
    let mut reading = Reading { format, names, rows: Vec::new(), texts: Vec::new() };
    body::preview(&table, &Arc::new(constant()?), &env.options, &mut |row| {
        let cells = row
            .source
            .cells()
            .map(|cells| cells.map(|cell| cut(&String::from_utf8_lossy(&cell.into_value()))).collect());
        reading.rows.push(cells);
        if format == "ndjson" {
            reading.texts.push(String::from_utf8_lossy(&row.source.text()).into_owned());
        }
        Ok(reading.rows.len() < RECORDS)
    })?;
    Ok(reading)
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_VALUE)).unwrap_or(text).to_owned()
}

fn name_of(path: &str, source: &OpenSource) -> Result<&'static str> {
    Ok(match format::find(FORMATS, None, Some(path))? {
        Found::ByName(entry) => entry.name,
        Found::ByContent(entry) => format::by_content(source)?.map_or(entry.name, |found| found.name),
    })
}

/// A plan that accepts every record.
fn constant() -> Result<Plan> {
    let value = ValueSpec::parse(&json!({ "value": "x" }), "init", &[])?;
    let field = Field { at: "init".to_owned(), name: "x".to_owned(), value, required: false, rules: Rules::default() };
    let shape = Shape::Delimited(Cells {
        fields: vec![field],
        header: false,
        separator: Separator::Byte(b','),
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    });
    Plan::compile(&shape, &[], &[])
}

impl Sample {
    /// Finds the encoding: that of Windows, if the text is not UTF-8.
    fn encoding(&mut self, path: &str, folder: &Path, env: &Env) -> Result<Reading> {
        let first = read(path, folder, env, &[]);
        let is_damaged = |reading: &Reading| {
            let mut cells = reading.rows.iter().flatten().flatten().chain(&reading.names);
            cells.any(|cell| cell.contains(char::REPLACEMENT_CHARACTER))
        };
        if first.as_ref().is_ok_and(|reading| !is_damaged(reading)) {
            return first;
        }
        let line = "encoding: windows-1252".to_owned();
        match read(path, folder, env, &[(line.clone(), "")]) {
            Ok(reading) if !is_damaged(&reading) => {
                self.choices.push("the source is not UTF-8; windows-1252 is a guess".to_owned());
                self.settings.push((line, "the text is not UTF-8; choose: or another encoding"));
                Ok(reading)
            }
            _ => first,
        }
    }

    /// Finds delimiter and header.
    fn dialect(&mut self, path: &str, folder: &Path, env: &Env, first: Reading) -> Result<Reading> {
        let mut best = (first, None);
        for delimiter in [";", "\t", "|"] {
            let line = format!("csv: {{ delimiter: {} }}", Value::from(delimiter));
            let settings: Vec<_> = self.settings.iter().cloned().chain([(line, "")]).collect();
            let Ok(reading) = read(path, folder, env, &settings) else { continue };
            let worth = |reading: &Reading| (reading.names.len() > 1 && reading.ragged() == 0, reading.names.len());
            if worth(&reading) > worth(&best.0) {
                best = (reading, Some(delimiter));
            }
        }
        let (reading, delimiter) = best;
        if reading.ragged() * 20 > reading.rows.len() {
            let (ragged, all) = (reading.ragged(), reading.rows.len());
            self.choices.push(format!("{ragged} of the first {all} records do not have the columns of the header"));
        }
        let setting = delimiter.map(|delimiter| format!("delimiter: {}", Value::from(delimiter)));
        if !reading.names.iter().any(|name| is_value(name)) {
            let line = setting.map(|setting| (format!("csv: {{ {setting} }}"), "found in the header"));
            self.settings.extend(line);
            return Ok(reading);
        }
        self.choices.push(
            "the first line looks like a record, so the columns have no names: name them in source.csv.columns"
                .to_owned(),
        );
        let columns: Vec<String> = (1..=reading.names.len()).map(|n| format!("column_{n}")).collect();
        let delimiter = setting.map(|setting| format!("{setting}, ")).unwrap_or_default();
        let line = format!("csv: {{ {delimiter}header: false, columns: [{}] }}", columns.join(", "));
        self.settings.push((line, "names of your own, in the order of the columns"));
        read(path, folder, env, &self.settings)
    }

    /// Collects the keys of JSON objects, nested ones as pointers.
    fn of_json(&mut self, texts: &[String]) {
        self.records = texts.len();
        for text in texts {
            if let Ok(Value::Object(object)) = serde_json::from_str(text) {
                for (key, value) in &object {
                    self.json_value(key, &format!("/{}", key.replace('~', "~0").replace('/', "~1")), value);
                }
            }
        }
        let records = self.records as u64;
        for column in &mut self.columns {
            column.empty += records - column.values.len() as u64;
        }
    }

    fn json_value(&mut self, name: &str, pointer: &str, value: &Value) {
        let (text, is_list) = match value {
            Value::Object(object) => {
                for (key, value) in object {
                    let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                    self.json_value(&pointer, &pointer, value);
                }
                return;
            }
            Value::Array(elements) => (elements.iter().map(plain).collect::<Vec<_>>().join("|"), true),
            value => (plain(value), false),
        };
        let name = if name.starts_with('/') { pointer } else { name };
        let at = match self.columns.iter().position(|column| column.name == name) {
            Some(at) => at,
            None if self.columns.len() >= MAX_COLUMNS => return,
            None => {
                self.columns.push(Column { name: name.to_owned(), ..Column::default() });
                self.columns.len() - 1
            }
        };
        self.columns[at].is_list |= is_list;
        self.columns[at].add(cut(&text));
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns true if a cell of a first line cannot be the name of a column.
fn is_value(name: &str) -> bool {
    let name = name.trim();
    name.contains('@')
        || !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'/' | b':'))
}

/// The error for a source that has no records to look at.
pub(super) fn nothing(path: &str) -> Error {
    Error::data(format!("{path} has no columns to propose a map from"))
        .with_hint("is it empty? without a source, `listferry init PLATFORM` writes a template")
}
