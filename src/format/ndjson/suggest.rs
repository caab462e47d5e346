//! Names of keys to suggest for one that no record has.

use crate::format::text::Front;
use crate::source::Source;
use serde_json::Value;
use std::collections::BTreeSet;

/// Records that are looked at.
const MAX_RECORDS: usize = 1_000;
/// Bytes of them.
const MAX_BYTES: usize = 1 << 20;
/// Names that are collected.
const MAX_NAMES: usize = 1_000;

/// Returns the names that the first records have; JSON Pointers for those within an object.
pub(super) fn first_keys(source: &Source) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Some(input) = source.inputs().first() else { return names };
    // a failure was reported when the records were read; this is but a suggestion
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

/// A key as a step of a JSON Pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
