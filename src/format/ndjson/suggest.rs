//! Suggests a key for one that no record has.

use crate::format::text::Front;
use crate::source::OpenSource;
use serde_json::Value;
use std::collections::BTreeSet;

/// Maximum number of records to read for a suggestion.
const MAX_RECORDS: usize = 1_000;
/// Maximum number of bytes to read.
const MAX_BYTES: usize = 1 << 20;
/// Maximum number of names to collect.
const MAX_NAMES: usize = 1_000;

/// Returns the names in the first records; a key inside an object is a JSON Pointer.
pub(super) fn first_keys(source: &OpenSource) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some(input) = source.inputs().first() else { return names };
    // an error here would have been reported before, and a suggestion is optional
    let Ok(mut front) = Front::new(input) else { return names };
    let _ = front.more(MAX_BYTES);
    let lines = front.bytes[front.bom()..].split(|byte| *byte == b'\n');
    for line in lines.take(MAX_RECORDS) {
        let Ok(Value::Object(map)) = serde_json::from_slice(line) else { continue };
        for (key, value) in map {
            if let Value::Object(inner) = value {
                names.extend(inner.keys().map(|inner| format!("/{}/{}", escaped(&key), escaped(inner))));
            }
            names.insert(key);
        }
        if names.len() > MAX_NAMES {
            break;
        }
    }
    names
}

/// Returns a key as a step of a JSON Pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
