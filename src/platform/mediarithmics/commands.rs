//! `map` of a segment import: the fields of a user segment command, as a row shape.

use super::ENTRY;
use crate::error::{Error, Result};
use crate::mapping::{
    Cells, Check, Field, From, Json, MapSpec, Quoting, Rules, Separator, Shape, Type, Unit, ValueSpec,
};
use crate::settings::{NoSecrets, Settings};

/// The fields in the order of the output.
const FIELDS: [&str; 10] = [
    "operation",
    "compartment_id",
    "user_account_id",
    "email_hash",
    "user_agent_id",
    "segment_id",
    "segment_technical_name",
    "expiration_duration",
    "expiration_ts",
    "data_bag",
];
const IDENTIFIERS: [&str; 3] = ["user_account_id", "email_hash", "user_agent_id"];
const SEGMENTS: [&str; 2] = ["segment_id", "segment_technical_name"];
const OPERATIONS: &[&str] = &["UPDATE", "DELETE"];

/// The format of the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Ndjson,
    Csv,
}

/// Returns the row of a segment import; a record that is larger than a part is rejected.
pub(super) fn shape(map: &MapSpec, format: Format, max_part_bytes: u64) -> Result<Shape> {
    let folder = std::path::Path::new("");
    Settings { map: &map.0, at: "map", secrets: &NoSecrets, folder }.check(ENTRY.map_keys)?;
    let given = FIELDS.into_iter().filter_map(|name| Some((name, map.0.get(name).filter(|value| !value.is_null())?)));
    let fields = Error::collect(given.map(|(name, value)| {
        let at = format!("map.{name}");
        field(name, ValueSpec::parse(value, &at, &[])?, at)
    }))?;
    let checks = checks(&fields)?;
    match format {
        Format::Ndjson => {
            let unit = |field: Field| Unit {
                before: format!("\"{}\":", field.name),
                field: Some(field),
                after: String::new(),
                when_empty: None,
            };
            Ok(Shape::Json(Json {
                open: "{".to_owned(),
                units: fields.into_iter().map(unit).collect(),
                close: "}".to_owned(),
                checks,
                max_record_bytes: Some(max_part_bytes),
                ..Json::default()
            }))
        }
        Format::Csv => {
            let header: usize = fields.iter().map(|field| field.name.len() + 1).sum();
            Ok(Shape::Delimited(Cells {
                fields,
                header: true,
                separator: Separator::Byte(b','),
                quoting: Quoting::Rfc4180,
                checks,
                max_record_bytes: Some(max_part_bytes.saturating_sub(header as u64)),
            }))
        }
    }
}

/// Returns true if one file can contain both operations, so that the order of the parts matters.
pub(super) fn mixes_operations(map: &MapSpec) -> bool {
    constant_operation(map).is_none()
}

/// Returns the operation of all commands if the map gives one as a constant.
pub(super) fn constant_operation(map: &MapSpec) -> Option<String> {
    match map.0.get("operation").map(|value| ValueSpec::parse(value, "map.operation", &[])) {
        Some(Ok(ValueSpec { from: From::Constant(operation), .. })) => Some(operation),
        _ => None,
    }
}

fn field(name: &'static str, value: ValueSpec, at: String) -> Result<Field> {
    let refused = |what: &str, hint: &str| Err(Error::usage(format!("{at} must be {what}")).with_hint(hint));
    if value.split.is_some() {
        return refused("a single value, it cannot be split", "leave `split` out");
    }
    let mut rules = Rules::default();
    match name {
        "operation" => {
            rules.one_of = Some(OPERATIONS);
            rules.constants = OPERATIONS;
        }
        "expiration_duration" => {
            if !matches!(value.r#type, None | Some(Type::Integer)) {
                return refused("an integer: minutes", "leave `type` out, or use type: integer");
            }
            rules.not_negative = true;
            rules.default_type = Some(Type::Integer);
        }
        "expiration_ts" => {
            if !matches!(value.r#type, None | Some(Type::Integer | Type::Timestamp(..))) {
                return refused(
                    "an integer or a timestamp",
                    "for example { column: until, type: timestamp, unit: ms }",
                );
            }
            rules.default_type = Some(Type::Integer);
        }
        "data_bag" => {
            if !matches!(value.r#type, None | Some(Type::Json)) {
                return refused("JSON", "leave `type` out, or use type: json");
            }
            rules.default_type = Some(Type::Json);
            rules.as_text = true;
        }
        _ => {
            rules.as_text = true;
            rules.identifier = IDENTIFIERS.contains(&name);
        }
    }
    let required = matches!(name, "operation" | "expiration_duration");
    Ok(Field { at, name: name.to_owned(), value, required, rules })
}

fn checks(fields: &[Field]) -> Result<Vec<Check>> {
    let at = |name: &str| fields.iter().position(|field| field.name == name);
    let among = |names: &[&str], what: &str| match names.iter().filter_map(|name| at(name)).collect::<Vec<usize>>() {
        mapped if mapped.is_empty() => {
            let error = format!("map: {what} is required, exactly one per record: {}", names.join(", "));
            Err(Error::usage(error).with_hint(format!("for example {}: the_column", names[0])))
        }
        mapped => Ok(Check::ExactlyOne(mapped)),
    };
    let mut checks = vec![among(&IDENTIFIERS, "an identifier of the user")?, among(&SEGMENTS, "the segment")?];
    if let (Some(duration), Some(ts)) = (at("expiration_duration"), at("expiration_ts")) {
        checks.push(Check::NotBothNonZero(duration, ts));
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use serde_json::{Value, json};

    fn spec(value: Value) -> MapSpec {
        MapSpec(value.as_object().unwrap().clone())
    }

    fn all() -> Value {
        json!({
            "data_bag": "bag", "expiration_ts": "ts", "expiration_duration": "minutes", "segment_technical_name": "name",
            "segment_id": "segment", "user_agent_id": "agent", "email_hash": "hash", "user_account_id": "account",
            "compartment_id": { "value": "1000" }, "operation": "op",
        })
    }

    #[test]
    fn fields_stand_in_the_documented_order_whatever_the_map_says() {
        let Shape::Json(json) = shape(&spec(all()), Format::Ndjson, 95_000_000).unwrap() else { panic!("JSON") };
        let names: Vec<&str> = json.units.iter().map(|unit| unit.field.as_ref().unwrap().name.as_str()).collect();
        assert_eq!(names, FIELDS);
        assert_eq!(json.units[0].before, "\"operation\":");
        assert_eq!((json.open.as_str(), json.close.as_str(), json.max_record_bytes), ("{", "}", Some(95_000_000)));
        assert!(matches!(&json.checks[0], Check::ExactlyOne(of) if of == &[2, 3, 4]));
        assert!(matches!(&json.checks[1], Check::ExactlyOne(of) if of == &[5, 6]));
        assert!(matches!(json.checks[2], Check::NotBothNonZero(7, 8)));
        let rules = |name: &str| {
            &json.units.iter().find(|u| u.field.as_ref().unwrap().name == name).unwrap().field.as_ref().unwrap().rules
        };
        assert!(rules("data_bag").as_text && rules("data_bag").default_type == Some(Type::Json));
        assert!(rules("segment_id").as_text && !rules("expiration_ts").as_text);
        assert_eq!(rules("expiration_duration").default_type, Some(Type::Integer));
    }

    #[test]
    fn csv_has_the_mapped_fields_only_and_its_header_counts() {
        let map = json!({ "operation": "op", "user_account_id": "a", "segment_id": "s", "expiration_duration": "m" });
        let Shape::Delimited(cells) = shape(&spec(map), Format::Csv, 1000).unwrap() else { panic!("cells") };
        let names: Vec<&str> = cells.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["operation", "user_account_id", "segment_id", "expiration_duration"]);
        let header = "operation,user_account_id,segment_id,expiration_duration\n";
        assert_eq!(cells.max_record_bytes, Some(1000 - header.len() as u64));
        assert!(cells.header && cells.separator == Separator::Byte(b','));
    }

    #[test]
    fn a_missing_key_or_another_type_is_an_error_of_the_job_file() {
        let with = |key: &str, value: Value| {
            let mut map = all();
            map[key] = value;
            shape(&spec(map), Format::Ndjson, 1000)
        };
        for (key, value) in [
            ("operation", Value::Null),
            ("expiration_duration", Value::Null),
            ("expiration_duration", json!({ "column": "m", "type": "decimal" })),
            ("expiration_ts", json!({ "column": "m", "type": "date" })),
            ("data_bag", json!({ "column": "m", "type": "string" })),
            ("segment_id", json!({ "column": "m", "split": "|" })),
            ("segment", json!("s")),
        ] {
            let error = with(key, value).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.message().contains(key), "{error}");
        }
        let map = json!({ "operation": "op", "segment_id": "s", "expiration_duration": "m" });
        assert!(shape(&spec(map), Format::Ndjson, 1000).unwrap_err().message().contains("email_hash"));
        let map = json!({ "operation": "op", "email_hash": "s", "expiration_duration": "m" });
        assert!(shape(&spec(map), Format::Ndjson, 1000).unwrap_err().message().contains("segment_technical_name"));
    }

    #[test]
    fn a_constant_operation_does_not_mix() {
        assert!(!mixes_operations(&spec(json!({ "operation": { "value": "UPDATE" } }))));
        assert!(mixes_operations(&spec(json!({ "operation": "op" }))));
        assert!(mixes_operations(&spec(json!({ "operation": { "column": "op", "default": "UPDATE" } }))));
    }
}
