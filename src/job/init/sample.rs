//! The columns of a source, with the values of its first records.

use super::dialect::{Detected, detect};
use super::reading::{MAX_COLUMNS, Opener, Setting, cut};
use crate::error::{Error, Result};
use crate::secret::printable;
use serde_json::Value;
use std::collections::HashMap;

/// Maximum length of a name that is proposed, in bytes: YAML limits keys.
const MAX_NAME_BYTES: usize = 1000;

/// The first records of a source.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// Name of the format.
    pub(super) format: &'static str,
    /// The keys of `source` besides `path`.
    pub(super) settings: Vec<Setting>,
    pub(super) columns: Vec<Column>,
    /// The names of columns that no map may have, and why.
    pub(super) left_out: Vec<(String, &'static str)>,
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
    /// Whether an array contains objects, arrays or null.
    pub(super) is_nested: bool,
}

/// Reads a sample of a source.
///
/// # Errors
/// Those of reading it.
pub(super) fn sample(opener: &Opener<'_>) -> Result<Sample> {
    let Detected { reading, settings, choices } = detect(opener)?;
    let mut sample = Sample { format: reading.format, settings, choices, ..Sample::default() };
    if sample.format == "ndjson" {
        sample.of_json(&reading.texts);
        sample.leave_out();
        return Ok(sample);
    }
    sample.records = reading.rows.len();
    let columns = reading.names.iter().zip(&reading.lists).take(MAX_COLUMNS);
    sample.columns =
        columns.map(|(name, &is_list)| Column { name: name.clone(), is_list, ..Column::default() }).collect();
    if reading.all_columns > MAX_COLUMNS {
        sample
            .choices
            .push(format!("the source has {} columns; the first {MAX_COLUMNS} are here", reading.all_columns));
    }
    for row in reading.rows.into_iter().flatten() {
        for (column, value) in sample.columns.iter_mut().zip(row) {
            column.add(value);
        }
    }
    sample
        .left_out
        .extend(reading.unsendable.into_iter().map(|name| (name, "its values are neither texts nor lists of texts")));
    sample.leave_out();
    Ok(sample)
}

impl Column {
    fn add(&mut self, value: String) {
        self.empty += u64::from(value.trim().is_empty());
        self.values.push(value);
    }
}

impl Sample {
    /// Removes the columns that a job file cannot name, or that would be rejected.
    fn leave_out(&mut self) {
        let mut times: HashMap<String, usize> = HashMap::new();
        for column in &self.columns {
            *times.entry(column.name.clone()).or_default() += 1;
        }
        let reason = |column: &Column| match &column.name {
            name if name.is_empty() => Some("it has no name"),
            name if times.get(name).is_some_and(|times| *times > 1) => Some("this name occurs twice"),
            name if name.contains("${") => Some("a job file cannot contain a name with ${"),
            name if name.len() > MAX_NAME_BYTES => Some("its name is too long"),
            _ if column.is_nested => Some("its arrays contain objects or null"),
            _ => None,
        };
        for column in std::mem::take(&mut self.columns) {
            match reason(&column) {
                None => self.columns.push(column),
                Some(_) if self.left_out.iter().any(|(name, _)| *name == column.name) => {}
                Some(reason) => self.left_out.push((column.name, reason)),
            }
        }
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
        let column = &mut self.columns[at];
        column.is_list |= is_list;
        column.is_nested |= value.as_array().is_some_and(|elements| {
            elements.iter().any(|element| element.is_object() || element.is_array() || element.is_null())
        });
        column.add(cut(&text));
    }

    /// Returns the error for a source without a column that can be proposed.
    pub(super) fn nothing(&self, path: &str) -> Error {
        let path = printable(path);
        match self.left_out.first() {
            Some((name, reason)) => {
                Error::data(format!("{path} has no column that a map can have")).with_hint(format!(
                    "{}: {reason}; without a source, `listferry init PLATFORM` writes a template",
                    super::yaml::shown(name)
                ))
            }
            None => Error::data(format!("{path} has no columns to propose a map from"))
                .with_hint("is it empty? without a source, `listferry init PLATFORM` writes a template"),
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
