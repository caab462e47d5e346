//! Reads [`ValueSpec`] and [`Condition`] from the job file's value tree.

use super::spec::{Apply, Condition, Empty, From, TemplatePart, Test, TimeUnit, Type, ValueSpec};
use crate::error::{Error, Result, nearest};
use serde_json::{Map, Value};

const KEYS: [&str; 9] = ["column", "value", "template", "apply", "default", "empty", "split", "type", "format"];
const UNIT: &str = "unit";
const CONVERSIONS: [&str; 11] =
    ["trim", "lower", "upper", "digits", "nfc", "md5", "sha1", "sha256", "replace", "prefix", "truncate"];
const TYPES: [&str; 7] = ["string", "integer", "decimal", "boolean", "date", "timestamp", "json"];
const EMPTIES: [&str; 4] = ["omit", "keep", "null", "reject"];
const TESTS: [&str; 6] = ["equals", "not_equals", "in", "not_in", "matches", "empty"];

pub(super) fn value(value: &Value, at: &str, extra: &[&str]) -> Result<ValueSpec> {
    match value {
        Value::String(column) => Ok(ValueSpec {
            from: From::Column(column.clone()),
            apply: Vec::new(),
            default: None,
            empty: None,
            split: None,
            r#type: None,
            bare: true,
        }),
        Value::Object(map) => object(map, at, extra),
        Value::Number(_) | Value::Bool(_) => Err(Error::usage(format!("{at}: a bare value must be a column's name"))
            .with_hint("for a constant write { value: … }; a column's name that is a number goes in quotes")),
        Value::Null | Value::Array(_) => Err(Error::usage(format!("{at} must be a column's name or a mapping"))
            .with_hint("write a column's name, { column: … }, { value: … } or { template: … }")),
    }
}

fn object(map: &Map<String, Value>, at: &str, extra: &[&str]) -> Result<ValueSpec> {
    for key in map.keys() {
        let known = KEYS.iter().chain([&UNIT]).chain(extra);
        if !known.clone().any(|known| known == key) {
            return Err(unknown(at, "key", key, known.copied()));
        }
    }
    let get = |key: &str| map.get(key).filter(|value| !value.is_null() && !extra.contains(&key));
    let from = match (get("column"), get("value"), get("template")) {
        (Some(column), None, None) => match column {
            Value::String(name) => From::Column(name.clone()),
            _ => {
                return Err(Error::usage(format!("{at}.column must be a column's name"))
                    .with_hint("a number as a name in quotes: \"7\""));
            }
        },
        (None, Some(constant), None) => From::Constant(scalar(constant).ok_or_else(|| {
            Error::usage(format!("{at}.value must be a text, a number, true or false"))
                .with_hint("for example { value: UPDATE }")
        })?),
        (None, None, Some(template)) => match template {
            Value::String(text) => From::Template(parse_template(text, at)?),
            _ => {
                return Err(Error::usage(format!("{at}.template must be a text"))
                    .with_hint("for example { template: \"{first_name} {last_name}\" }"));
            }
        },
        (None, None, None) => {
            return Err(Error::usage(format!("{at}: one of column, value and template is required"))
                .with_hint("for example { column: email }"));
        }
        _ => {
            return Err(Error::usage(format!("{at}: only one of column, value and template can be given"))
                .with_hint("to put columns and constants together, use template alone"));
        }
    };
    let apply = match get("apply") {
        None => Vec::new(),
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(i, entry)| conversion(entry, &format!("{at}.apply[{i}]")))
            .collect::<Result<_>>()?,
        Some(entry) => vec![conversion(entry, &format!("{at}.apply"))?],
    };
    let default = match get("default") {
        None => None,
        Some(value) => Some(scalar(value).ok_or_else(|| {
            Error::usage(format!("{at}.default must be a text, a number, true or false"))
                .with_hint("for example { column: country, default: SE }")
        })?),
    };
    // `empty: null` in YAML is the null itself, and means it.
    let empty = match map.get("empty").filter(|_| !extra.contains(&"empty")) {
        None => None,
        Some(Value::Null) => Some(Empty::Null),
        Some(Value::String(word)) => Some(match word.as_str() {
            "omit" => Empty::Omit,
            "keep" => Empty::Keep,
            "null" => Empty::Null,
            "reject" => Empty::Reject,
            _ => return Err(unknown(&format!("{at}.empty"), "rule", word, EMPTIES)),
        }),
        Some(_) => {
            return Err(Error::usage(format!("{at}.empty must be one of {}", EMPTIES.join(", ")))
                .with_hint("what becomes of an empty value; without it required values reject the row"));
        }
    };
    let split = match get("split") {
        None => None,
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(_) => {
            return Err(Error::usage(format!("{at}.split must be a text of at least one character"))
                .with_hint("for example split: \"|\""));
        }
    };
    let r#type = parse_type(get("type"), get("format"), get(UNIT), at)?;
    Ok(ValueSpec { from, apply, default, empty, split, r#type, bare: false })
}

/// A text, number or boolean as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn unknown<'a>(at: &str, what: &str, name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Error {
    let hint = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Error::usage(format!("{at}: unknown {what} \"{name}\"")).with_hint(hint)
}

fn conversion(entry: &Value, at: &str) -> Result<Apply> {
    match entry {
        Value::String(name) => Ok(match name.as_str() {
            "trim" => Apply::Trim,
            "lower" => Apply::Lower,
            "upper" => Apply::Upper,
            "digits" => Apply::Digits,
            "nfc" => Apply::Nfc,
            "md5" => Apply::Md5,
            "sha1" => Apply::Sha1,
            "sha256" => Apply::Sha256,
            "replace" | "prefix" | "truncate" => {
                return Err(Error::usage(format!("{at}: {name} needs an argument"))
                    .with_hint("write { replace: [from, to] }, { prefix: x } or { truncate: n }"));
            }
            _ => return Err(unknown(at, "conversion", name, CONVERSIONS)),
        }),
        Value::Object(map) if map.len() == 1 => with_argument(map, at),
        _ => Err(Error::usage(format!("{at}: a conversion is a name or a mapping with one key"))
            .with_hint(format!("known: {}", CONVERSIONS.join(", ")))),
    }
}

fn with_argument(map: &Map<String, Value>, at: &str) -> Result<Apply> {
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
        "truncate" => match argument.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if n > 0 => Ok(Apply::Truncate(n)),
            _ => Err(Error::usage(format!("{at}.truncate must be a whole number above 0 (code points)"))),
        },
        "trim" | "lower" | "upper" | "digits" | "nfc" | "md5" | "sha1" | "sha256" => {
            Err(Error::usage(format!("{at}: {name} takes no argument")).with_hint(format!("write only {name}")))
        }
        _ => Err(unknown(at, "conversion", name, CONVERSIONS)),
    }
}

fn parse_type(name: Option<&Value>, format: Option<&Value>, unit: Option<&Value>, at: &str) -> Result<Option<Type>> {
    let name = match name {
        None => None,
        Some(Value::String(name)) => Some(name.as_str()),
        Some(_) => {
            return Err(Error::usage(format!("{at}.type must be one of {}", TYPES.join(", ")))
                .with_hint("leave it out for text"));
        }
    };
    if format.is_some() && !matches!(name, Some("date" | "timestamp")) {
        return Err(Error::usage(format!("{at}.format goes with type: date or type: timestamp only"))
            .with_hint("add the type, or leave format out"));
    }
    if unit.is_some() && name != Some("timestamp") {
        return Err(Error::usage(format!("{at}.unit goes with type: timestamp only"))
            .with_hint("add type: timestamp, or leave unit out"));
    }
    let format = match format {
        None => None,
        Some(Value::String(format)) => Some(check_format(format, name == Some("timestamp"), at)?),
        Some(_) => {
            return Err(Error::usage(format!("{at}.format must be a text like \"%d.%m.%Y\""))
                .with_hint("%d day, %m month, %Y year, %H %M %S time"));
        }
    };
    Ok(Some(match name {
        None => return Ok(None),
        Some("string") => Type::String,
        Some("integer") => Type::Integer,
        Some("decimal") => Type::Decimal,
        Some("boolean") => Type::Boolean,
        Some("json") => Type::Json,
        Some("date") => Type::Date(format),
        Some("timestamp") => match unit.and_then(Value::as_str) {
            Some("s") => Type::Timestamp(format, TimeUnit::Seconds),
            Some("ms") => Type::Timestamp(format, TimeUnit::Milliseconds),
            _ => {
                return Err(
                    Error::usage(format!("{at}: type timestamp needs its unit")).with_hint("write unit: s or unit: ms")
                );
            }
        },
        Some(other) => return Err(unknown(&format!("{at}.type"), "type", other, TYPES)),
    }))
}

fn check_format(format: &str, is_timestamp: bool, at: &str) -> Result<String> {
    super::moment::judge(format, is_timestamp)
        .map_err(|(wrong, hint)| Error::usage(format!("{at}.format: {wrong}")).with_hint(hint))?;
    Ok(format.to_owned())
}

fn parse_template(text: &str, at: &str) -> Result<Vec<TemplatePart>> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                literal.push(c);
            }
            '{' => {
                let mut name = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some('{') | None => {
                            return Err(Error::usage(format!("{at}.template: a {{ is not closed"))
                                .with_hint("write {{ for a brace"));
                        }
                        Some(c) => name.push(c),
                    }
                }
                if name.is_empty() {
                    return Err(Error::usage(format!("{at}.template: {{}} names no column"))
                        .with_hint("a column's name goes into the braces; {{ and }} are braces"));
                }
                if !literal.is_empty() {
                    parts.push(TemplatePart::Literal(std::mem::take(&mut literal)));
                }
                parts.push(TemplatePart::Column(name));
            }
            '}' => {
                return Err(
                    Error::usage(format!("{at}.template: a }} without its {{")).with_hint("write }} for a brace")
                );
            }
            _ => literal.push(c),
        }
    }
    if !literal.is_empty() || parts.is_empty() {
        parts.push(TemplatePart::Literal(literal));
    }
    Ok(parts)
}

pub(super) fn conditions(value: &Value) -> Result<Vec<Condition>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => {
            list.iter().enumerate().map(|(i, entry)| condition(entry, &format!("where[{i}]"))).collect()
        }
        _ => Err(Error::usage("where must be a list of conditions")
            .with_hint("write where: [{ column: country, equals: DE }]")),
    }
}

fn condition(entry: &Value, at: &str) -> Result<Condition> {
    let Value::Object(map) = entry else {
        return Err(Error::usage(format!("{at} must be a mapping")).with_hint("write { column: country, equals: DE }"));
    };
    if let Some(key) = map.keys().find(|key| *key != "column" && !TESTS.contains(&key.as_str())) {
        return Err(unknown(at, "key", key, ["column"].into_iter().chain(TESTS).collect::<Vec<_>>()));
    }
    let column = match map.get("column") {
        Some(Value::String(name)) => name.clone(),
        Some(_) => return Err(Error::usage(format!("{at}.column must be a column's name"))),
        None => return Err(Error::usage(format!("{at}.column is required"))),
    };
    let mut tests = map.iter().filter(|(key, _)| *key != "column");
    let (Some((name, argument)), None) = (tests.next(), tests.next()) else {
        return Err(Error::usage(format!("{at}: one test is required: {}", TESTS.join(", ")))
            .with_hint("several conditions are several entries of the list"));
    };
    let text =
        || scalar(argument).ok_or_else(|| Error::usage(format!("{at}.{name} must be a text, a number, true or false")));
    let texts = || -> Result<Vec<String>> {
        let list = argument.as_array().ok_or_else(|| Error::usage(format!("{at}.{name} must be a list")))?;
        list.iter()
            .map(|entry| scalar(entry).ok_or_else(|| Error::usage(format!("{at}.{name} must be a list of texts"))))
            .collect()
    };
    let test = match name.as_str() {
        "equals" => Test::Equals(text()?),
        "not_equals" => Test::NotEquals(text()?),
        "in" => Test::In(texts()?),
        "not_in" => Test::NotIn(texts()?),
        "matches" => {
            let pattern = text()?;
            if let Err(error) = regex::bytes::Regex::new(&pattern) {
                return Err(Error::usage(format!("{at}.matches: not a regular expression: {error}")));
            }
            Test::Matches(pattern)
        }
        _ => match argument {
            Value::Bool(flag) => Test::Empty(*flag),
            _ => return Err(Error::usage(format!("{at}.empty must be true or false"))),
        },
    };
    Ok(Condition { column, test })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: Value) -> Result<ValueSpec> {
        ValueSpec::parse(&value, "map.x", &["op"])
    }

    #[test]
    fn a_value_has_four_forms() {
        assert_eq!(parse(json!("a")).unwrap().from, From::Column("a".into()));
        assert!(parse(json!("a")).unwrap().bare);
        assert_eq!(parse(json!({"column": "a"})).unwrap().from, From::Column("a".into()));
        assert_eq!(parse(json!({"value": 0})).unwrap().from, From::Constant("0".into()));
        assert_eq!(parse(json!({"value": true})).unwrap().from, From::Constant("true".into()));
        assert_eq!(
            parse(json!({"template": "{{{a} b}}{c}"})).unwrap().from,
            From::Template(vec![
                TemplatePart::Literal("{".into()),
                TemplatePart::Column("a".into()),
                TemplatePart::Literal(" b}".into()),
                TemplatePart::Column("c".into()),
            ])
        );
    }

    #[test]
    fn conversions_are_a_name_or_a_list() {
        assert_eq!(parse(json!({"column": "a", "apply": "lower"})).unwrap().apply, [Apply::Lower]);
        assert_eq!(
            parse(json!({"column": "a", "apply": ["trim", {"replace": ["-", ""]}, {"prefix": 49}, {"truncate": 3}, "sha256"]}))
                .unwrap()
                .apply,
            [
                Apply::Trim,
                Apply::Replace("-".into(), String::new()),
                Apply::Prefix("49".into()),
                Apply::Truncate(3),
                Apply::Sha256
            ]
        );
    }

    #[test]
    fn empty_null_is_the_null_of_yaml_too() {
        assert_eq!(parse(json!({"column": "a", "empty": null})).unwrap().empty, Some(Empty::Null));
        assert_eq!(parse(json!({"column": "a", "empty": "null"})).unwrap().empty, Some(Empty::Null));
        assert_eq!(parse(json!({"column": "a"})).unwrap().empty, None);
        let spec = ValueSpec::parse(&json!({"column": "a", "empty": "delete"}), "x", &["empty"]).unwrap();
        assert_eq!(spec.empty, None);
    }

    #[test]
    fn what_is_wrong_is_named_with_the_nearest() {
        for (value, message, hint) in [
            (json!({"colum": "a"}), "unknown key \"colum\"", "column"),
            (json!({"column": "a", "apply": ["lowr"]}), "unknown conversion \"lowr\"", "lower"),
            (json!({"column": "a", "apply": {"prefx": 1}}), "unknown conversion \"prefx\"", "prefix"),
            (json!({"column": "a", "type": "int"}), "unknown type \"int\"", "integer"),
            (json!({"column": "a", "empty": "ommit"}), "unknown rule \"ommit\"", "omit"),
            (json!({"column": "a", "apply": "truncate"}), "needs an argument", "truncate"),
            (json!({"column": "a", "type": "timestamp"}), "unit", "unit: s"),
            (json!(5), "column's name", "{ value: … }"),
            (json!({"template": "{a"}), "not closed", "{{"),
            (json!({"template": "a}"}), "without", "}}"),
        ] {
            let error = parse(value.clone()).unwrap_err();
            assert!(error.message().contains(message), "{value}: {error:?}");
            assert!(error.hint().unwrap_or_default().contains(hint), "{value}: {error:?}");
            assert_eq!(error.kind(), crate::Kind::Usage);
        }
        for value in [
            json!({}),
            json!({"column": "a", "value": "b"}),
            json!({"column": 1}),
            json!({"column": "a", "split": ""}),
            json!({"column": "a", "format": "%Y"}),
            json!({"column": "a", "type": "integer", "unit": "s"}),
            json!({"column": "a", "type": "date", "format": "%Q"}),
            json!({"column": "a", "apply": {"replace": ["", "b"]}}),
            json!({"column": "a", "apply": {"truncate": 0}}),
            json!({"column": "a", "apply": {"lower": 1}}),
            json!(null),
            json!([1]),
        ] {
            assert!(parse(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn types_take_their_sibling_keys() {
        let of = |value| parse(value).unwrap().r#type.unwrap();
        assert_eq!(of(json!({"column": "a", "type": "date"})), Type::Date(None));
        assert_eq!(
            of(json!({"column": "a", "type": "date", "format": "%d.%m.%Y"})),
            Type::Date(Some("%d.%m.%Y".into()))
        );
        assert_eq!(
            of(json!({"column": "a", "type": "timestamp", "unit": "ms"})),
            Type::Timestamp(None, TimeUnit::Milliseconds)
        );
    }

    #[test]
    fn conditions_hold_one_test_each() {
        let list = Condition::parse_all(&json!([
            {"column": "a", "equals": 1}, {"column": "b", "in": ["x", 2]}, {"column": "c", "empty": false}
        ]))
        .unwrap();
        assert!(matches!(&list[0].test, Test::Equals(text) if text == "1"));
        assert!(matches!(&list[1].test, Test::In(texts) if texts == &["x", "2"]));
        assert!(matches!(&list[2].test, Test::Empty(false)));
        for wrong in [
            json!({"column": "a"}),
            json!([{"column": "a"}]),
            json!([{"equals": "a"}]),
            json!([{"column": "a", "equals": "x", "in": []}]),
            json!([{"column": "a", "matches": "("}]),
            json!([{"column": "a", "empty": "yes"}]),
        ] {
            assert!(Condition::parse_all(&wrong).is_err(), "{wrong}");
        }
        let error = Condition::parse_all(&json!([{"column": "a", "equal": "x"}])).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean \"equals\"?"));
    }
}
