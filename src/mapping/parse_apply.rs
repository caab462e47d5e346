//! Reads the conversions of `apply`.

use super::parse_word::{scalar, unknown};
use super::spec::{Apply, Hash, Otherwise, ValueTable};
use crate::error::{Error, Result};
use serde_json::{Map, Value};

const CONVERSIONS: [&str; 14] = [
    "trim",
    "lower",
    "upper",
    "digits",
    "nfc",
    "md5",
    "sha1",
    "sha256",
    "replace",
    "prefix",
    "truncate",
    "join",
    "values",
    "strip_invisible",
];
const ELSES: [&str; 3] = ["keep", "empty", "reject"];

/// The list under `apply`, or a single conversion.
pub(super) fn conversions(entry: Option<&Value>, at: &str) -> Result<Vec<Apply>> {
    match entry {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            list.iter().enumerate().map(|(i, entry)| conversion(entry, &format!("{at}.apply[{i}]"))).collect()
        }
        Some(entry) => Ok(vec![conversion(entry, &format!("{at}.apply"))?]),
    }
}

fn conversion(entry: &Value, at: &str) -> Result<Apply> {
    match entry {
        Value::String(name) => Ok(match name.as_str() {
            "trim" => Apply::Trim,
            "lower" => Apply::Lower,
            "upper" => Apply::Upper,
            "digits" => Apply::Digits,
            "nfc" => Apply::Nfc,
            "strip_invisible" => Apply::StripInvisible,
            "md5" | "sha1" | "sha256" => Apply::Hash { hash: hash(name), unless_hashed: false },
            "replace" | "prefix" | "truncate" | "join" | "values" => {
                return Err(Error::usage(format!("{at}: {name} needs an argument")).with_hint(
                    "write { replace: [from, to] }, { prefix: x }, { truncate: n }, { join: \"|\" } or { values: { from: to } }",
                ));
            }
            _ => return Err(unknown(at, "conversion", name, CONVERSIONS)),
        }),
        Value::Object(map) if map.len() == 1 || map.contains_key("values") => with_argument(map, at),
        _ => Err(Error::usage(format!("{at}: a conversion is a name or a mapping with one key"))
            .with_hint(format!("known: {}", CONVERSIONS.join(", ")))),
    }
}

fn hash(name: &str) -> Hash {
    match name {
        "md5" => Hash::Md5,
        "sha1" => Hash::Sha1,
        _ => Hash::Sha256,
    }
}

fn with_argument(map: &Map<String, Value>, at: &str) -> Result<Apply> {
    if let Some(pairs) = map.get("values") {
        return values(pairs, map, at);
    }
    let Some((name, argument)) = map.iter().next() else {
        return Err(
            Error::usage(format!("{at}: a conversion has one key")).with_hint("for example { replace: [from, to] }")
        );
    };
    match name.as_str() {
        "replace" => match argument.as_array().map(Vec::as_slice) {
            Some([from, to]) => match (scalar(from), scalar(to)) {
                (Some(from), Some(to)) if !from.is_empty() => Ok(Apply::Replace(from, to)),
                _ => Err(Error::usage(format!("{at}.replace: two texts, the first not empty"))),
            },
            _ => Err(Error::usage(format!("{at}.replace must be a list of two texts: [from, to]"))),
        },
        "prefix" => {
            scalar(argument).map(Apply::Prefix).ok_or_else(|| Error::usage(format!("{at}.prefix must be a text")))
        }
        "join" => scalar(argument).map(Apply::Join).ok_or_else(|| Error::usage(format!("{at}.join must be a text"))),
        "truncate" => match argument.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if n > 0 => Ok(Apply::Truncate(n)),
            _ => Err(Error::usage(format!("{at}.truncate must be a whole number above 0 (code points)"))),
        },
        "md5" | "sha1" | "sha256" => match argument.as_object().filter(|map| map.len() == 1) {
            Some(map) if map.get("unless_hashed").is_some_and(Value::is_boolean) => {
                Ok(Apply::Hash { hash: hash(name), unless_hashed: map["unless_hashed"] == true })
            }
            _ => Err(Error::usage(format!("{at}.{name} takes unless_hashed: true and nothing else"))
                .with_hint(format!("write only {name}, or {{ {name}: {{ unless_hashed: true }} }}"))),
        },
        "trim" | "lower" | "upper" | "digits" | "nfc" | "strip_invisible" => {
            Err(Error::usage(format!("{at}: {name} takes no argument")).with_hint(format!("write only {name}")))
        }
        _ => Err(unknown(at, "conversion", name, CONVERSIONS)),
    }
}

/// `{ values: { from: to }, else: … }`.
fn values(pairs: &Value, map: &Map<String, Value>, at: &str) -> Result<Apply> {
    if let Some(key) = map.keys().find(|key| !matches!(key.as_str(), "values" | "else")) {
        return Err(unknown(at, "key", key, ["values", "else"]));
    }
    let otherwise = match map.get("else") {
        None => Otherwise::Reject,
        Some(Value::String(word)) => match word.as_str() {
            "keep" => Otherwise::Keep,
            "empty" => Otherwise::Empty,
            "reject" => Otherwise::Reject,
            _ => return Err(unknown(&format!("{at}.else"), "rule", word, ELSES)),
        },
        Some(_) => return Err(Error::usage(format!("{at}.else must be one of {}", ELSES.join(", ")))),
    };
    let wrong = || {
        Error::usage(format!("{at}.values must be a mapping from texts to texts"))
            .with_hint("for example { values: { ja: \"1\", nein: \"0\" }, else: reject }")
    };
    let pairs = pairs.as_object().filter(|pairs| !pairs.is_empty()).ok_or_else(wrong)?;
    if pairs.contains_key("") {
        return Err(Error::usage(format!("{at}.values: an empty value stays empty, it cannot be replaced"))
            .with_hint("use default for a value in place of an empty one"));
    }
    let texts = pairs.iter().map(|(from, to)| scalar(to).map(|to| (from.clone(), to))).collect::<Option<Vec<_>>>();
    Ok(Apply::Values(ValueTable::new(texts.ok_or_else(wrong)?, otherwise)))
}
