//! `tests` of a job file: rows, and what is expected of them.

use super::reject_codes::REJECT_CODES;
use crate::error::{Error, Faults, Result, nearest};
use crate::secret::printable;
use serde_json::{Map, Value};

/// The path of the key in the job file.
pub(super) const TESTS: &str = "tests";

const KEYS: [&str; 5] = ["rows", "columns", "out", "rejected", "filtered"];

/// Rows, and what is expected of them.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    /// The values of each row by column.
    pub(super) rows: Vec<Map<String, Value>>,
    pub(super) expected: Expected,
}

/// The expectation of an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// All rows are written; the lines without their line ends.
    Out(Vec<String>),
    /// All rows are rejected with this code.
    Rejected(&'static str),
    /// All rows are filtered.
    Filtered,
}

/// Reads `tests`.
///
/// # Errors
/// `Usage`, with all faults.
pub(crate) fn read(tests: Option<&Value>) -> Result<Vec<Example>> {
    match tests {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(tests)) => {
            let mut faults = Faults::default();
            let read: Vec<_> = tests
                .iter()
                .enumerate()
                .filter_map(|(n, test)| faults.or_none(example(test, &format!("{TESTS}[{n}]"))))
                .collect();
            faults.into_result(read)
        }
        Some(_) => Err(Error::usage("tests must be a list").with_hint(EXAMPLE)),
    }
}

const EXAMPLE: &str = "for example tests: [{ rows: [{ id: 17 }], out: [\"i,17\"] }]";

fn example(test: &Value, at: &str) -> Result<Example> {
    let Value::Object(test) = test else {
        return Err(Error::usage(format!("{at} must be a mapping")).with_hint(EXAMPLE).with_key(at));
    };
    if let Some(key) = test.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let hint = match nearest(key, KEYS) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("known here: {}", KEYS.join(", ")),
        };
        let path = format!("{at}.{key}");
        return Err(Error::usage(format!("unknown key \"{}\"", printable(&path))).with_hint(hint).with_key(path));
    }
    let given = |key: &str| test.get(key).filter(|value| !value.is_null());
    let rows = rows(given("rows"), given("columns"), at)?;
    let expected = match (given("out"), given("rejected"), given("filtered")) {
        (Some(out), None, None) => Expected::Out(out_lines(out, &format!("{at}.out"))?),
        (None, Some(code), None) => Expected::Rejected(reject_code(code, &format!("{at}.rejected"))?),
        (None, None, Some(Value::Bool(true))) => Expected::Filtered,
        (None, None, Some(_)) => {
            let error = Error::usage(format!("{at}.filtered can only be true"));
            return Err(error.with_hint("rows that are written have out: [ … ]").with_key(format!("{at}.filtered")));
        }
        _ => {
            let error = Error::usage(format!("{at}: exactly one of out, rejected and filtered is required"));
            return Err(error.with_hint("out: lines, rejected: a code, filtered: true").with_key(at));
        }
    };
    Ok(Example { rows, expected })
}

/// Reads rows as objects, or as lists of values for `columns`.
fn rows(rows: Option<&Value>, columns: Option<&Value>, at: &str) -> Result<Vec<Map<String, Value>>> {
    let key = format!("{at}.rows");
    let wrong = |message: String, hint: &str| Err(Error::usage(message).with_hint(hint).with_key(&*key));
    let Some(Value::Array(rows)) = rows else {
        return wrong(
            format!("{key} must be a list of rows"),
            "for example rows: [{ id: 17, email: ann@example.com }]",
        );
    };
    if rows.is_empty() {
        return wrong(format!("{key} is empty"), "for example rows: [{ id: 17, email: ann@example.com }]");
    }
    let columns = columns.map(|columns| names(columns, &format!("{at}.columns"))).transpose()?;
    let mut read = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        read.push(match (row, &columns) {
            (Value::Object(row), None) => row.clone(),
            (Value::Array(cells), Some(columns)) if cells.len() == columns.len() => {
                columns.iter().cloned().zip(cells.iter().cloned()).collect()
            }
            (Value::Array(cells), Some(columns)) => {
                let message = format!("{key}[{n}] has {} values for {} columns", cells.len(), columns.len());
                return wrong(message, "null or \"\" for a value that is empty");
            }
            (_, None) => {
                return wrong(format!("{key}[{n}] must be a mapping"), "columns and their values; or give columns");
            }
            (_, Some(_)) => return wrong(format!("{key}[{n}] must be a list"), "a value for each of columns"),
        });
    }
    Ok(read)
}

fn names(columns: &Value, at: &str) -> Result<Vec<String>> {
    let wrong = |message: &str| {
        let error = Error::usage(format!("{at} {message}"));
        error.with_hint("for example columns: [id, email]").with_key(at)
    };
    let texts =
        columns.as_array().filter(|columns| !columns.is_empty()).ok_or_else(|| wrong("must be a list of names"))?;
    let names: Vec<String> = texts.iter().filter_map(text).collect();
    if names.len() < texts.len() {
        return Err(wrong("must be a list of names"));
    }
    match names.iter().enumerate().find(|(n, name)| names[..*n].contains(name)) {
        Some((_, name)) => Err(wrong(&format!("has \"{}\" twice", printable(name)))),
        None => Ok(names),
    }
}

fn out_lines(out: &Value, at: &str) -> Result<Vec<String>> {
    let lines = out.as_array().and_then(|lines| lines.iter().map(text).collect::<Option<Vec<_>>>());
    lines.filter(|lines| !lines.is_empty()).ok_or_else(|| {
        let error = Error::usage(format!("{at} must be a list of lines"));
        error.with_hint("for example out: [\"i,17\"], without the header line").with_key(at)
    })
}

fn reject_code(code: &Value, at: &str) -> Result<&'static str> {
    let code = code.as_str().unwrap_or_default();
    REJECT_CODES.iter().find(|known| **known == code).copied().ok_or_else(|| {
        let hint = match nearest(code, REJECT_CODES.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "docs/CONTRACT.md lists the codes of rejected rows".to_owned(),
        };
        Error::usage(format!("{at}: there is no code \"{}\"", printable(code))).with_hint(hint).with_key(at)
    })
}

/// Returns the text of a scalar.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(word) => Some(word.to_string()),
        _ => None,
    }
}
