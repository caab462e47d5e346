//! `map` of a profile import: the customer id and the list of changes, as a row shape.

use super::{PROFILES, customer_id};
use crate::error::{Error, Result, nearest};
use crate::mapping::{Empty, Field, From, Json, MapSpec, Rules, Shape, Type, Unit, ValueSpec};
use crate::settings::{NoSecrets, Settings};
use serde_json::{Map, Value};

/// Maximum length of a text value.
const MAX_CODE_POINTS: usize = 255;

const OPS: [&str; 5] = ["assign", "set-add", "set-remove", "increment", "delete"];

/// The operation on an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Assign,
    SetAdd,
    SetRemove,
    Increment,
    Delete,
}

/// Returns the row of a profile import.
pub(super) fn shape(map: &MapSpec, max_record_bytes: Option<u64>) -> Result<Shape> {
    let folder = std::path::Path::new("");
    Settings { map: &map.0, at: "map", secrets: &NoSecrets, folder }.check(PROFILES.map_keys)?;
    let changes = entries(map)?.iter().enumerate();
    let changes = changes.map(|(index, entry)| change(entry, &format!("map.changes[{index}]")));
    let customer_id = std::iter::once_with(|| customer_id(&map.0["customer_id"]));
    let mut units = Error::collect(customer_id.chain(changes))?;
    Ok(Shape::Json(Json {
        lead: vec![units.remove(0)],
        open: ",\"changes\":[".to_owned(),
        units,
        close: "]}".to_owned(),
        filter_without_units: true,
        checks: Vec::new(),
        max_record_bytes,
    }))
}

/// Returns true if sending the same file twice does not change the result: `increment` would add again.
pub(super) fn repeatable(map: &MapSpec) -> bool {
    !entries(map).unwrap_or(&[]).iter().any(|entry| entry.get("op").and_then(Value::as_str) == Some("increment"))
}

/// Returns true if all changes are increments: in whatever order they are applied, the sums are the same.
pub(super) fn only_increments(map: &MapSpec) -> bool {
    let entries = entries(map).unwrap_or(&[]);
    !entries.is_empty() && entries.iter().all(|entry| entry.get("op").and_then(Value::as_str) == Some("increment"))
}

fn entries(map: &MapSpec) -> Result<&[Value]> {
    match map.0.get("changes") {
        Some(Value::Array(entries)) if !entries.is_empty() => Ok(entries),
        _ => Err(Error::usage("map.changes must be a list of at least one change")
            .with_hint("for example: - { op: assign, attr: first_name, column: first_name }")),
    }
}

fn change(entry: &Value, at: &str) -> Result<Unit> {
    let Value::Object(entry) = entry else {
        return Err(Error::usage(format!("{at} must be a mapping"))
            .with_hint("for example { op: assign, attr: first_name, column: first_name }"));
    };
    let op = op(entry, at)?;
    let attribute = attr(entry, at)?;
    // as a JSON string
    let attr = Value::from(attribute.as_str()).to_string();
    let delete = format!("{{\"op\":\"delete\",\"attr\":{attr}}}");
    if op == Op::Delete {
        if let Some(key) = entry.keys().find(|key| !matches!(key.as_str(), "op" | "attr")) {
            let hint = "to delete where a cell is empty, use: { op: assign, attr: …, column: …, empty: delete }";
            return Err(Error::usage(format!("{at}: delete takes no value; remove \"{key}\"")).with_hint(hint));
        }
        return Ok(Unit { before: delete, field: None, after: String::new(), when_empty: None });
    }
    let mut entry = entry.clone();
    let delete_when_empty = entry.get("empty").and_then(Value::as_str) == Some("delete");
    if delete_when_empty {
        entry.remove("empty");
    }
    let mut value = ValueSpec::parse(&Value::Object(entry), at, &["op", "attr"])?;
    if delete_when_empty {
        value.empty = Some(Empty::Omit);
    }
    let rules = rules(op, &value, at)?;
    let name = op.name();
    Ok(Unit {
        before: format!("{{\"op\":\"{name}\",\"attr\":{attr},\"value\":"),
        field: Some(Field { at: at.to_owned(), name: attribute, value, required: false, rules }),
        after: "}".to_owned(),
        when_empty: delete_when_empty.then_some(delete),
    })
}

impl Op {
    fn name(self) -> &'static str {
        OPS[self as usize]
    }
}

/// Returns the error for an unknown key that resembles a missing one.
fn misspelt(entry: &Map<String, Value>, missing: &str, at: &str) -> Option<Error> {
    let is_other = |key: &&str| !ValueSpec::is_key(key) && !matches!(*key, "op" | "attr");
    let key = nearest(missing, entry.keys().map(String::as_str).filter(is_other))?;
    let path = format!("{at}.{key}");
    let error = Error::usage(format!("{at}: unknown key \"{}\"", crate::secret::shown_key(key)));
    Some(error.with_hint(format!("did you mean \"{missing}\"?")).with_key(path))
}

fn op(entry: &Map<String, Value>, at: &str) -> Result<Op> {
    let Some(Value::String(name)) = entry.get("op") else {
        return Err(misspelt(entry, "op", at).unwrap_or_else(|| {
            Error::usage(format!("{at}.op is required")).with_hint(format!("one of {}", OPS.join(", ")))
        }));
    };
    match name.as_str() {
        "assign" => Ok(Op::Assign),
        "set-add" => Ok(Op::SetAdd),
        "set-remove" => Ok(Op::SetRemove),
        "increment" => Ok(Op::Increment),
        "delete" => Ok(Op::Delete),
        other => {
            let hint = match nearest(other, OPS) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("one of {}", OPS.join(", ")),
            };
            Err(Error::usage(format!("{at}.op: unknown operation \"{other}\"")).with_hint(hint))
        }
    }
}

/// Reads the attribute's name.
fn attr(entry: &Map<String, Value>, at: &str) -> Result<String> {
    let name = match entry.get("attr") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => {
            return Err(misspelt(entry, "attr", at).unwrap_or_else(|| {
                Error::usage(format!("{at}.attr is required: the name of the attribute"))
                    .with_hint("for example attr: first_name")
            }));
        }
    };
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::usage(format!("{at}.attr is empty or contains a control character"))
            .with_hint("the attribute's name as Localytics shows it, on one line"));
    }
    Ok(name)
}

/// Only types that the vendor documents are allowed: integers, texts, dates and arrays of these.
fn rules(op: Op, value: &ValueSpec, at: &str) -> Result<Rules> {
    let refused = |what: &str, hint: &str| Err(Error::usage(format!("{at}: {what}")).with_hint(hint));
    match &value.r#type {
        Some(Type::Decimal) => {
            return refused(
                "Localytics documents no decimal values",
                "leave `type` out to send the number as text, or bring a whole number (cents) and use type: integer",
            );
        }
        Some(Type::Boolean) => {
            return refused(
                "Localytics documents no boolean values",
                "leave `type` out to send the cell as text, or bring 1 and 0 and use type: integer",
            );
        }
        Some(Type::Json) => {
            return refused(
                "Localytics takes integers, text, dates and arrays of these, no other JSON",
                "leave `type` out to send the cell as text, or use split for an array",
            );
        }
        Some(Type::String | Type::Date(_)) if op == Op::Increment => {
            return refused("increment adds an integer", "leave `type` out or use type: integer");
        }
        _ => {}
    }
    if value.empty == Some(Empty::Null) {
        return refused("Localytics documents no null", "use empty: delete to delete the attribute");
    }
    if op == Op::Increment {
        if value.split.is_some() {
            return refused("increment adds one integer, it cannot be split", "use set-add for arrays");
        }
        if let From::Constant(text) = &value.from
            && value.apply.is_empty()
            && text.parse::<i64>().is_err()
        {
            return refused("increment adds an integer, and this constant is not one", "for example { value: 1 }");
        }
    }
    let default_type = (op == Op::Increment).then_some(Type::Integer);
    let array = matches!(op, Op::SetAdd | Op::SetRemove);
    Ok(Rules {
        default_type,
        max_code_points: Some(MAX_CODE_POINTS),
        array,
        list: op != Op::Increment,
        ..Rules::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use serde_json::json;

    fn spec(value: Value) -> MapSpec {
        MapSpec(value.as_object().unwrap().clone())
    }

    fn json_shape(value: Value) -> Json {
        match shape(&spec(value), None).unwrap() {
            Shape::Json(json) => json,
            Shape::Delimited(_) => panic!("a profile import is JSON"),
        }
    }

    fn refused(change: Value) -> Error {
        let error = shape(&spec(json!({ "customer_id": "id", "changes": [change] })), None).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.message().contains("map.changes[0]"), "{error}");
        error
    }

    #[test]
    fn the_five_operations_in_the_order_of_the_map() {
        let json = json_shape(json!({ "changes": [
            { "op": "delete", "attr": "legacy \"flag\"" },
            { "op": "assign", "attr": "city", "column": "city", "empty": "delete" },
            { "op": "set-add", "attr": "tags", "column": "tags", "split": "|" },
            { "op": "set-remove", "attr": "tags", "column": "old" },
            { "op": "increment", "attr": "points", "column": "points" },
        ], "customer_id": "id" }));
        assert_eq!(json.lead[0].before, r#"{"customer_id":"#);
        assert_eq!((json.open.as_str(), json.close.as_str()), (r#","changes":["#, "]}"));
        assert!(json.filter_without_units);
        let before: Vec<&str> = json.units.iter().map(|unit| unit.before.as_str()).collect();
        assert_eq!(
            before,
            [
                r#"{"op":"delete","attr":"legacy \"flag\""}"#,
                r#"{"op":"assign","attr":"city","value":"#,
                r#"{"op":"set-add","attr":"tags","value":"#,
                r#"{"op":"set-remove","attr":"tags","value":"#,
                r#"{"op":"increment","attr":"points","value":"#,
            ]
        );
        assert_eq!(json.units[1].when_empty.as_deref(), Some(r#"{"op":"delete","attr":"city"}"#));
        assert!(json.units[2].field.as_ref().unwrap().rules.array && json.units[3].field.as_ref().unwrap().rules.array);
        let names = json.units[1..].iter().map(|unit| unit.field.as_ref().unwrap().name.as_str());
        assert_eq!(names.collect::<Vec<&str>>(), ["city", "tags", "tags", "points"], "messages name the attribute");
        assert_eq!(json.units[4].field.as_ref().unwrap().rules.default_type, Some(Type::Integer));
        assert_eq!(json.units[1].field.as_ref().unwrap().rules.max_code_points, Some(255));
    }

    #[test]
    fn undocumented_types_are_refused_with_a_way_out() {
        for kind in ["decimal", "boolean", "json"] {
            let error = refused(json!({ "op": "assign", "attr": "a", "column": "c", "type": kind }));
            assert!(error.hint().unwrap().contains("leave `type` out"), "{error:?}");
        }
        refused(json!({ "op": "increment", "attr": "a", "column": "c", "type": "string" }));
        refused(json!({ "op": "increment", "attr": "a", "column": "c", "split": "|" }));
        refused(json!({ "op": "increment", "attr": "a", "value": "x" }));
        refused(json!({ "op": "assign", "attr": "a", "column": "c", "empty": "null" }));
    }

    #[test]
    fn what_is_no_change_is_told_apart() {
        assert!(refused(json!({ "op": "asign", "attr": "a", "column": "c" })).hint().unwrap().contains("\"assign\""));
        assert!(refused(json!({ "attr": "a", "column": "c" })).message().contains(".op is required"));
        assert!(refused(json!({ "op": "assign", "column": "c" })).message().contains(".attr is required"));
        let misspelt = refused(json!({ "op": "assign", "atr": "a", "column": "c" }));
        assert!(misspelt.message().contains("map.changes[0]: unknown key \"atr\""), "{misspelt}");
        assert_eq!(misspelt.hint(), Some("did you mean \"attr\"?"));
        assert!(refused(json!({ "opp": "assign", "attr": "a" })).message().contains("\"opp\""));
        assert!(refused(json!({ "op": "delete", "attr": "a", "column": "c" })).message().contains("takes no value"));
        refused(json!({ "op": "assign", "attr": "a\nb", "column": "c" }));
        refused(json!("first_name"));
        refused(json!({ "op": "assign", "attr": "a" }));
        refused(json!({ "op": "assign", "attr": "a", "colum": "c" }));
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let error = shape(&spec(json!({ "customer_id": "id", "change": [] })), None).unwrap_err();
        assert!(error.hint().unwrap().contains("\"changes\""), "{error:?}");
        let error = shape(&spec(json!({ "customer_id": "id", "changes": [] })), None).unwrap_err();
        assert!(error.message().contains("map.changes"), "{error}");
        let delete = json!([{ "op": "delete", "attr": "a" }]);
        let error = shape(&spec(json!({ "changes": delete })), None).unwrap_err();
        assert!(error.message().contains("map.customer_id is required"), "{error}");
    }

    #[test]
    fn only_increment_must_not_be_repeated() {
        let with =
            |op: &str| spec(json!({ "customer_id": "id", "changes": [{ "op": op, "attr": "a", "column": "c" }] }));
        assert!(!repeatable(&with("increment")));
        assert!(["assign", "set-add", "set-remove", "delete"].iter().all(|op| repeatable(&with(op))));
        assert!(only_increments(&with("increment")));
        assert!(!["assign", "set-add", "set-remove", "delete"].iter().any(|op| only_increments(&with(op))));
    }
}
