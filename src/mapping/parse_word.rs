//! Scalars of the job file, and words that must be one of a list.

use crate::error::{Error, nearest};
use serde_json::Value;

/// A text, number or boolean as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The error for a word that is not known, with the nearest one that is.
pub(super) fn unknown<'a>(at: &str, what: &str, name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Error {
    let hint = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    let error = Error::usage(format!("{at}: unknown {what} \"{name}\"")).with_hint(hint);
    if what == "key" { error.with_key(format!("{at}.{name}")) } else { error }
}
