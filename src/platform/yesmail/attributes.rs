//! The attributes of target lists: `GET /v2/target-lists?view=schema`. The documents name the array `targetList` and
//! say that it is empty if no attributes have been set up. The form of its entries is not documented, so all likely
//! ones are read.

use crate::error::{Error, Kind, nearest};
use serde_json::Value;

/// The key of a member, which every list has.
const ID: &str = "id";
/// Keys under which an entry may have its name, the likeliest first.
const NAME_KEYS: [&str; 6] = ["name", "attribute", "attributename", "column", "columnname", "key"];
/// Keys under which the list of attributes may be, the likeliest first.
const LIST_KEYS: [&str; 7] = ["targetlist", "targetlists", "attributes", "schema", "columns", "fields", "properties"];

/// Returns the names of the attributes; `None` if the answer has no readable ones.
pub(super) fn names(body: &[u8]) -> Option<Vec<String>> {
    let tree: Value = serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()?;
    let names = in_list(&tree)?;
    (!names.is_empty()).then_some(names)
}

/// Whether the answer says that no attributes have been set up.
pub(super) fn is_empty(body: &[u8]) -> bool {
    let Ok(tree) = serde_json::from_slice::<Value>(body) else { return false };
    in_list(&tree).is_some_and(|names| names.is_empty())
}

fn member<'v>(value: &'v Value, wanted: &str) -> Option<&'v Value> {
    value.as_object()?.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
}

fn in_list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(entries) => entries.iter().map(of_entry).collect::<Option<Vec<_>>>().map(|names| names.concat()),
        Value::Object(_) => {
            LIST_KEYS.iter().find_map(|key| member(value, key)).and_then(|list| in_list(list).or_else(|| by_key(list)))
        }
        _ => None,
    }
}

/// Reads an entry: a name, an object with a name, an object with a list of its own, or one with a name as its only key.
fn of_entry(entry: &Value) -> Option<Vec<String>> {
    if let Value::String(name) = entry {
        return Some(vec![name.trim().to_owned()]);
    }
    let name = NAME_KEYS.iter().find_map(|key| member(entry, key)).and_then(Value::as_str);
    let single = || entry.as_object().filter(|keys| keys.len() == 1).and_then(|keys| keys.keys().next());
    match name {
        Some(name) => Some(vec![name.trim().to_owned()]),
        None => in_list(entry).or_else(|| Some(vec![single()?.trim().to_owned()])),
    }
}

/// Reads an object whose keys are the names, each with a description.
fn by_key(list: &Value) -> Option<Vec<String>> {
    let keys = list.as_object()?;
    keys.values().all(Value::is_object).then(|| keys.keys().map(|key| key.trim().to_owned()).collect())
}

/// Validates that each column of the map is an attribute.
///
/// # Errors
/// `Refused`, with the nearest attribute.
pub(super) fn compare<'c>(columns: impl Iterator<Item = &'c str>, names: &[String]) -> Result<(), Error> {
    for column in columns.filter(|column| *column != ID) {
        if names.iter().any(|name| name == column) {
            continue;
        }
        let hint = match nearest(column, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("it has {}", shown(names)),
        };
        let message = format!("map.{column}: Yesmail's target lists have no attribute of that name");
        return Err(Error::new(Kind::Refused, message).with_hint(format!("{hint} Nothing was sent")));
    }
    Ok(())
}

/// Returns the first few names, for a hint.
fn shown(names: &[String]) -> String {
    const MAX_SHOWN: usize = 20;
    let listed: Vec<&str> = names.iter().map(String::as_str).take(MAX_SHOWN).collect();
    let more = if names.len() > MAX_SHOWN { ", …" } else { "." };
    crate::secret::printable(&format!("{}{more}", listed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_read_from_every_likely_form() {
        for body in [
            r#"{"targetList":[{"name":"firstname","type":"String"},{"name":"lastname","type":"String"}]}"#,
            r#"{"targetList":["firstname","lastname"]}"#,
            r#"[{"Name ":"firstname"},{"name":"lastname"}]"#,
            r#"{"targetLists":[{"attributes":[{"attributeName":"firstname"},{"attributeName":"lastname"}]}]}"#,
            r#"{"schema":{"firstname":{"type":"String"},"lastname":{}}}"#,
            r#"{"targetList":[{"firstname":"String"},{"lastname":"String"}]}"#,
            r#"{"total":2,"attributes":{"columns":["firstname","lastname"]}}"#,
        ] {
            assert_eq!(names(body.as_bytes()), Some(vec!["firstname".to_owned(), "lastname".to_owned()]), "{body}");
            assert!(!is_empty(body.as_bytes()));
        }
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            "7",
            r#"{"targetList":[]}"#,
            r#"{"targetList":[1]}"#,
            r#"{"lists":[{"name":"x"}]}"#,
        ] {
            assert_eq!(names(body.as_bytes()), None, "{body}");
        }
        assert!(is_empty(br#"{"targetList":[]}"#) && !is_empty(b"{}"));
    }

    #[test]
    fn an_unknown_column_is_refused_with_the_nearest_name() {
        let names = ["firstname".to_owned(), "lastname".to_owned()];
        assert!(compare(["id", "lastname"].into_iter(), &names).is_ok());
        let error = compare(["id", "fistname"].into_iter(), &names).expect_err("unknown");
        assert_eq!(error.kind().exit_code(), 12);
        assert!(error.message().contains("map.fistname"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("\"firstname\"")), "{error}");
        let error = compare(["zzzzzzzz"].into_iter(), &names).expect_err("unknown");
        assert!(error.hint().is_some_and(|hint| hint.contains("firstname, lastname.")), "{error}");
    }
}
