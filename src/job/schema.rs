//! JSON Schema of the job file, from the tables that are also used for reading it.

use super::keys;
use super::reject_codes::REJECT_CODES;
use crate::platform::{Entry, PLATFORMS};
use crate::settings::{Key, KeyKind};
use serde_json::{Map, Value, json};

/// Returns the JSON Schema (2020-12) of the job file, with one branch per platform.
///
/// ```
/// let schema = listferry::job::schema();
/// assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
/// ```
#[must_use]
pub fn schema() -> Value {
    let mut top = mapping(keys::TOP, false);
    top["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    top["title"] = "listferry job file".into();
    top["required"] = json!(["source"]);
    top["properties"]["where"] = json!({ "description": doc(keys::TOP, "where"), "type": ["array", "null"], "items": { "$ref": "#/$defs/condition" } });
    top["properties"]["tests"] = json!({ "description": doc(keys::TOP, "tests"), "type": ["array", "null"], "items": { "$ref": "#/$defs/test" } });
    top["properties"]["map"] = json!({ "description": doc(keys::TOP, "map"), "type": "object" });
    top["properties"]["destination"] = json!({
        "description": doc(keys::TOP, "destination"),
        "type": "object",
        "properties": { "platform": { "enum": PLATFORMS.iter().map(|e| e.name).collect::<Vec<_>>() } },
        "required": ["platform"],
    });
    top["allOf"] = PLATFORMS.iter().map(branch).collect();
    top["$defs"] = definitions();
    top
}

/// Returns what applies if `destination.platform` is this one.
fn branch(entry: &Entry) -> Value {
    let mut destination = mapping(keys::DESTINATION, true);
    let own = mapping(entry.keys, true);
    if let (Some(into), Value::Object(own)) = (destination["properties"].as_object_mut(), &own["properties"]) {
        into.extend(own.clone());
    }
    destination["properties"]["platform"] = json!({ "const": entry.name });
    destination["required"] = required(keys::DESTINATION.iter().chain(entry.keys));
    json!({
        "if": {
            "properties": { "destination": { "properties": { "platform": { "const": entry.name } }, "required": ["platform"] } },
            "required": ["destination"],
        },
        "then": {
            "properties": { "destination": destination, "map": mapping(entry.map_keys, false) },
            "required": ["map"],
        },
    })
}

/// `variables`: whether texts may be those of the environment.
fn mapping(keys: &[Key], variables: bool) -> Value {
    let properties: Map<String, Value> =
        keys.iter().filter(|key| key.name != "*").map(|key| (key.name.to_owned(), property(key, variables))).collect();
    let further = keys.iter().find(|key| key.name == "*");
    json!({
        "type": "object",
        "properties": properties,
        "required": required(keys),
        "additionalProperties": further.map_or(Value::Bool(keys.is_empty()), |key| property(key, variables)),
    })
}

fn required<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Value {
    keys.into_iter().filter(|key| key.required).map(|key| Value::from(key.name)).collect()
}

fn property(key: &Key, variables: bool) -> Value {
    let mut schema = match key.kind {
        KeyKind::Text | KeyKind::Name | KeyKind::Id => json!({ "type": ["string", "number"] }),
        KeyKind::Texts => json!({ "type": "array", "items": { "type": ["string", "number"] } }),
        KeyKind::Secret | KeyKind::Url | KeyKind::PathOrUrl => json!({ "$ref": "#/$defs/secret" }),
        KeyKind::Bool => json!({ "type": "boolean" }),
        KeyKind::Integer => json!({ "type": "integer", "minimum": 0 }),
        KeyKind::Number => {
            json!({ "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "pattern": "%$" }] })
        }
        KeyKind::Size => json!({ "$ref": "#/$defs/size" }),
        KeyKind::Duration => json!({ "$ref": "#/$defs/duration" }),
        KeyKind::OneOf(words) => json!({ "enum": words }),
        KeyKind::Object(keys) => mapping(keys, variables),
        KeyKind::Value => json!({ "$ref": "#/$defs/value" }),
        KeyKind::ValueOrIndex => json!({ "anyOf": [{ "$ref": "#/$defs/value" }, { "type": "integer", "minimum": 0 }] }),
        KeyKind::Any => json!({}),
    };
    if variables && matches!(key.kind, KeyKind::Text | KeyKind::Name | KeyKind::Id | KeyKind::OneOf(_)) {
        schema = json!({ "anyOf": [schema, { "$ref": "#/$defs/variable" }] });
    }
    // `null` counts as absent
    if !key.required && !matches!(key.kind, KeyKind::Any) {
        schema = json!({ "anyOf": [schema, { "type": "null" }] });
    }
    schema["description"] = key.doc.into();
    if let Some(default) = key.default {
        schema["default"] = match (key.kind, default.parse::<u64>(), default) {
            (KeyKind::Integer, Ok(number), _) => number.into(),
            (KeyKind::Bool, _, word @ ("true" | "false")) => (word == "true").into(),
            (_, _, text) => text.into(),
        };
    }
    schema
}

fn doc(keys: &[Key], name: &str) -> &'static str {
    keys.iter().find(|key| key.name == name).map_or("", |key| key.doc)
}

fn described(schema: &Value, doc: &str) -> Value {
    let mut schema = schema.clone();
    schema["description"] = doc.into();
    schema
}

// one table of data
fn definitions() -> Value {
    let text = json!({ "type": ["string", "number", "boolean"], "description": "Numbers keep their spelling." });
    let unless_hashed = json!({
        "description": "A value of exactly that many hex digits is kept, in lower case.",
        "type": "object", "properties": { "unless_hashed": { "type": "boolean" } }, "required": ["unless_hashed"],
        "additionalProperties": false,
    });
    json!({
        "secret": {
            "description": "From the environment, from a file, from the output of a command (no shell, 30 s; a last line end is dropped), or (with a warning) literal.",
            "anyOf": [
                { "type": "object", "properties": { "env": { "type": "string" } }, "required": ["env"], "additionalProperties": false },
                { "type": "object", "properties": { "file": { "type": "string" } }, "required": ["file"], "additionalProperties": false },
                {
                    "type": "object",
                    "properties": { "command": { "type": "array", "items": { "type": ["string", "number"] }, "minItems": 1 } },
                    "required": ["command"], "additionalProperties": false,
                },
                { "type": ["string", "number"] },
            ],
        },
        "variable": {
            "description": "The value of a variable of the environment; not a secret.",
            "type": "object", "properties": { "env": { "type": "string" } }, "required": ["env"],
            "additionalProperties": false,
        },
        "size": {
            "description": "Bytes: 95MB is 95,000,000, 8MiB is 8,388,608.",
            "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9.]+ *([kKMGT]?B|[KMGT]iB)?$" }],
        },
        "duration": {
            "description": "90s, 15m, 2h; a number is seconds.",
            "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "pattern": "^[0-9.]+ *(ms|s|m|min|h|d)?$" }],
        },
        "value": {
            "description": "A source column by name, or a mapping with column, value, template or object.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": {
                        "column": described(&text, "A source column."),
                        "value": described(&text, "A constant."),
                        "template": described(&text, "Text with {column}; {{ and }} for braces."),
                        "needs": {
                            "description": "A template is empty if any of its columns is (all), or only if all of them are (any).",
                            "enum": ["all", "any", null], "default": "all",
                        },
                        "object": {
                            "description": "A JSON object of values, for fields that contain JSON. Empty members are left out unless their own empty says otherwise.",
                            "type": "object",
                            "additionalProperties": { "$ref": "#/$defs/value" },
                        },
                        "apply": { "$ref": "#/$defs/apply" },
                        "default": text,
                        "empty": { "enum": ["omit", "keep", "null", "reject", "delete", null] },
                        "missing": {
                            "description": "A key that a record does not have counts as one with an empty value: its empty rule acts.",
                            "enum": ["empty", null],
                        },
                        "split": described(&text, "Separates the elements of an array."),
                        "type": { "enum": ["string", "integer", "decimal", "boolean", "date", "timestamp", "json", "email", "e164"] },
                        "format": described(&text, "strftime."),
                        "unit": { "enum": ["s", "ms"] },
                    },
                    "additionalProperties": false,
                },
            ],
        },
        "apply": {
            "anyOf": [
                { "$ref": "#/$defs/conversion" },
                { "type": "array", "items": { "$ref": "#/$defs/conversion" } },
                { "type": "null" },
            ],
        },
        "conversion": {
            "anyOf": [
                { "enum": ["trim", "lower", "upper", "digits", "nfc", "md5", "sha1", "sha256", "strip_invisible"] },
                { "type": "object", "properties": { "replace": { "type": "array", "items": text, "minItems": 2, "maxItems": 2 } }, "required": ["replace"], "additionalProperties": false },
                { "type": "object", "properties": { "prefix": text }, "required": ["prefix"], "additionalProperties": false },
                { "type": "object", "properties": { "truncate": { "type": "integer", "minimum": 1 } }, "required": ["truncate"], "additionalProperties": false },
                {
                    "description": "One text of the elements of a list, with this between them.",
                    "type": "object", "properties": { "join": text }, "required": ["join"], "additionalProperties": false,
                },
                { "type": "object", "properties": { "md5": unless_hashed }, "required": ["md5"], "additionalProperties": false },
                { "type": "object", "properties": { "sha1": unless_hashed }, "required": ["sha1"], "additionalProperties": false },
                { "type": "object", "properties": { "sha256": unless_hashed }, "required": ["sha256"], "additionalProperties": false },
                {
                    "description": "One text for another; what is not listed is kept, made empty or rejects the record (the default).",
                    "type": "object",
                    "properties": {
                        "values": { "type": "object", "additionalProperties": text },
                        "else": { "enum": ["keep", "empty", "reject"], "default": "reject" },
                    },
                    "required": ["values"],
                    "additionalProperties": false,
                },
            ],
        },
        "test": {
            "description": "Rows, and exactly one of out, rejected and filtered.",
            "type": "object",
            "properties": {
                "rows": { "type": "array", "minItems": 1, "items": { "type": ["object", "array"] }, "description": "Columns and their values; with columns, lists of values." },
                "columns": { "type": "array", "items": text },
                "out": { "type": "array", "minItems": 1, "items": text, "description": "The lines of all rows, without the header line." },
                "rejected": { "enum": REJECT_CODES, "description": "All rows are rejected with this code." },
                "filtered": { "const": true, "description": "All rows are filtered." },
            },
            "required": ["rows"],
            "oneOf": [{ "required": ["out"] }, { "required": ["rejected"] }, { "required": ["filtered"] }],
            "additionalProperties": false,
        },
        "condition": {
            "type": "object",
            "properties": {
                "column": text,
                "equals": text, "not_equals": text,
                "in": { "type": "array", "items": text }, "not_in": { "type": "array", "items": text },
                "matches": text, "empty": { "type": "boolean" },
            },
            "required": ["column"],
            "additionalProperties": false,
        },
    })
}
