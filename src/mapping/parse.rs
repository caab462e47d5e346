//! Reads [`ValueSpec`] and [`Condition`] from the job file's value tree.

use super::parse_word::{scalar, unknown};
use super::spec::{Condition, Empty, From, TemplateNeeds, Test, TimeUnit, Type, ValueSpec};
use super::{parse_apply, template};
use crate::error::{Error, Faults, Result};
use serde_json::{Map, Value};

const KEYS: [&str; 12] = [
    "column", "value", "template", "object", "needs", "apply", "default", "empty", "missing", "split", "type", "format",
];
const UNIT: &str = "unit";
const TYPES: [&str; 9] = ["string", "integer", "decimal", "boolean", "date", "timestamp", "json", "email", "e164"];
const EMPTIES: [&str; 4] = ["omit", "keep", "null", "reject"];
const TESTS: [&str; 6] = ["equals", "not_equals", "in", "not_in", "matches", "empty"];

impl ValueSpec {
    /// Reads one value of `map`. `at` is its path for messages (`map.identity`); keys in `extra` are the platform's and
    /// passed over.
    ///
    /// # Errors
    /// `Usage`: no or several of column, value, template, object; an unknown key, conversion or type.
    pub fn parse(value: &Value, at: &str, extra: &[&str]) -> Result<ValueSpec> {
        self::value(value, at, extra)
    }

    /// Whether a value may have this key.
    #[cfg(feature = "upload")]
    pub(crate) fn is_key(name: &str) -> bool {
        KEYS.contains(&name) || name == UNIT
    }
}

impl Condition {
    /// Reads the list under `where`.
    ///
    /// # Errors
    /// `Usage`: not a list, an unknown key, a regular expression that does not compile.
    pub fn parse_all(value: &Value) -> Result<Vec<Condition>> {
        conditions(value)
    }
}

fn value(value: &Value, at: &str, extra: &[&str]) -> Result<ValueSpec> {
    match value {
        Value::String(column) => Ok(ValueSpec {
            from: From::Column(column.clone()),
            apply: Vec::new(),
            default: None,
            empty: None,
            missing_is_empty: false,
            split: None,
            r#type: None,
            bare: true,
        }),
        Value::Object(map) => object(map, at, extra),
        Value::Number(_) | Value::Bool(_) => Err(Error::usage(format!("{at}: a bare value must be a column's name"))
            .with_hint("for a constant write { value: … }; a column's name that is a number goes in quotes")),
        Value::Null | Value::Array(_) => Err(Error::usage(format!("{at} must be a column's name or a mapping"))
            .with_hint("write a column's name, { column: … }, { value: … }, { template: … } or { object: … }")),
    }
}

fn object(map: &Map<String, Value>, at: &str, extra: &[&str]) -> Result<ValueSpec> {
    let mut faults = Faults::default();
    for key in map.keys() {
        let known = KEYS.iter().chain([&UNIT]).chain(extra);
        if !known.clone().any(|known| known == key) {
            faults.add(unknown(at, "key", key, known.copied()));
        }
    }
    let get = |key: &str| map.get(key).filter(|value| !value.is_null() && !extra.contains(&key));
    // a misspelt key may be the origin
    let from = match origin(map, at, &get) {
        Err(_)
            if !faults.is_empty()
                && !["column", "value", "template", "object"].iter().any(|key| get(key).is_some()) =>
        {
            None
        }
        from => faults.or_none(from),
    };
    let apply = faults.or_default(parse_apply::conversions(get("apply"), at));
    let default = get("default").map(|value| {
        scalar(value).ok_or_else(|| {
            Error::usage(format!("{at}.default must be a text, a number, true or false"))
                .with_hint("for example { column: country, default: SE }")
        })
    });
    let default = faults.or_default(default.transpose());
    let empty = faults.or_default(empty(map.get("empty").filter(|_| !extra.contains(&"empty")), at));
    let missing_is_empty = faults.or_default(match get("missing") {
        None => Ok(false),
        Some(Value::String(word)) if word == "empty" => Ok(true),
        Some(_) => Err(Error::usage(format!("{at}.missing can only be: empty"))
            .with_hint("a key that a record does not have then counts as one with an empty value")),
    });
    let split = faults.or_default(match get("split") {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(Error::usage(format!("{at}.split must be a text of at least one character"))
            .with_hint("for example split: \"|\"")),
    });
    let r#type = faults.or_default(parse_type(get("type"), get("format"), get(UNIT), at));
    let (Some(from), true) = (from, faults.is_empty()) else { return Err(faults.into_error()) };
    Ok(ValueSpec { from, apply, default, empty, missing_is_empty, split, r#type, bare: false })
}

/// The rule for an empty value.
fn empty(value: Option<&Value>, at: &str) -> Result<Option<Empty>> {
    Ok(match value {
        None => None,
        // `empty: null` in YAML is the null itself, and means it.
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
    })
}

/// Column, constant, template or object.
fn origin<'m>(map: &'m Map<String, Value>, at: &str, get: &dyn Fn(&str) -> Option<&'m Value>) -> Result<From> {
    const KINDS: [&str; 4] = ["column", "value", "template", "object"];
    let mut given = KINDS.into_iter().filter_map(|kind| get(kind).map(|value| (kind, value)));
    let (kind, value) = given.next().ok_or_else(|| {
        Error::usage(format!("{at}: one of column, value, template and object is required"))
            .with_hint("for example { column: email }")
    })?;
    if given.next().is_some() {
        return Err(Error::usage(format!("{at}: only one of column, value, template and object can be given"))
            .with_hint("to put columns and constants together, use template alone"));
    }
    if kind != "template" && get("needs").is_some() {
        return Err(Error::usage(format!("{at}.needs goes with template only"))
            .with_hint("leave needs out, or write a template"));
    }
    let must = |what: &str, hint: &str| Error::usage(format!("{at}.{kind} must be {what}")).with_hint(hint);
    match (kind, value) {
        ("column", Value::String(name)) => Ok(From::Column(name.clone())),
        ("column", _) => Err(must("a column's name", "a number as a name in quotes: \"7\"")),
        ("value", value) => scalar(value)
            .map(From::Constant)
            .ok_or_else(|| must("a text, a number, true or false", "for example { value: UPDATE }")),
        ("template", Value::String(text)) => Ok(From::Template(template::parse(text, at)?, needs(get("needs"), at)?)),
        ("template", _) => Err(must("a text", "for example { template: \"{first_name} {last_name}\" }")),
        (_, Value::Object(members)) if !members.is_empty() => object_of(members, map, at),
        _ => Err(must("a mapping from keys to values", "for example { object: { plan: plan } }")),
    }
}

fn needs(word: Option<&Value>, at: &str) -> Result<TemplateNeeds> {
    match word {
        None => Ok(TemplateNeeds::All),
        Some(Value::String(word)) if word == "all" => Ok(TemplateNeeds::All),
        Some(Value::String(word)) if word == "any" => Ok(TemplateNeeds::Any),
        Some(_) => Err(Error::usage(format!("{at}.needs must be all or any"))
            .with_hint("all: empty if any of its columns is; any: empty only if all of them are")),
    }
}

/// The members of an `object`; `map` has its other keys.
fn object_of(members: &Map<String, Value>, map: &Map<String, Value>, at: &str) -> Result<From> {
    let given = |key: &&str| map.get(*key).is_some_and(|value| !value.is_null());
    if let Some(key) = ["apply", "split", "default"].into_iter().find(given) {
        return Err(Error::usage(format!("{at}.{key} is not for objects"))
            .with_hint(format!("write {key} at the members that need it")));
    }
    if map.get("type").is_some_and(|kind| !kind.is_null() && kind != "json") {
        return Err(Error::usage(format!("{at}.type: an object is JSON")).with_hint("leave type out"));
    }
    let member =
        |(key, member): (&String, &Value)| Ok((key.clone(), value(member, &format!("{at}.object.{key}"), &[])?));
    Error::collect(members.iter().map(member)).map(From::Object)
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
        Some("email") => Type::Email,
        Some("e164") => Type::E164,
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
    super::moment::check(format, is_timestamp)
        .map_err(|(wrong, hint)| Error::usage(format!("{at}.format: {wrong}")).with_hint(hint))?;
    Ok(format.to_owned())
}

fn conditions(value: &Value) -> Result<Vec<Condition>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => {
            Error::collect(list.iter().enumerate().map(|(i, entry)| condition(entry, &format!("where[{i}]"))))
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
    use super::super::spec::{Apply, Hash, Otherwise, TemplatePart, ValueTable};
    use super::*;
    use serde_json::json;

    fn parse(value: Value) -> Result<ValueSpec> {
        ValueSpec::parse(&value, "map.x", &["op"])
    }

    #[test]
    fn a_value_has_five_forms() {
        assert_eq!(parse(json!("a")).unwrap().from, From::Column("a".into()));
        assert!(parse(json!("a")).unwrap().bare);
        assert_eq!(parse(json!({"column": "a"})).unwrap().from, From::Column("a".into()));
        assert_eq!(parse(json!({"value": 0})).unwrap().from, From::Constant("0".into()));
        assert_eq!(parse(json!({"value": true})).unwrap().from, From::Constant("true".into()));
        assert_eq!(
            parse(json!({"template": "{{{a} b}}{c}"})).unwrap().from,
            From::Template(
                vec![
                    TemplatePart::Literal("{".into()),
                    TemplatePart::Column("a".into()),
                    TemplatePart::Literal(" b}".into()),
                    TemplatePart::Column("c".into()),
                ],
                TemplateNeeds::All
            )
        );
        let any = parse(json!({"template": "{a}", "needs": "any"})).unwrap().from;
        assert_eq!(any, From::Template(vec![TemplatePart::Column("a".into())], TemplateNeeds::Any));
        let object = parse(json!({"object": {"k": "a", "n": {"object": {"m": {"value": 1}}}}})).unwrap().from;
        let From::Object(members) = object else { panic!("an object") };
        assert_eq!(members[0], ("k".to_owned(), parse(json!("a")).unwrap()));
        assert!(matches!(&members[1].1.from, From::Object(inner) if inner[0].1.from == From::Constant("1".into())));
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
                Apply::Hash { hash: Hash::Sha256, unless_hashed: false }
            ]
        );
        let table = |otherwise| ValueTable::new([("ja".into(), "1".into()), ("nein".into(), "0".into())], otherwise);
        let values = json!({"ja": 1, "nein": "0"});
        assert_eq!(
            parse(json!({"column": "a", "apply": [
                {"sha1": {"unless_hashed": true}}, "md5", {"values": values}, {"values": values, "else": "keep"},
                "strip_invisible",
            ]}))
            .unwrap()
            .apply,
            [
                Apply::Hash { hash: Hash::Sha1, unless_hashed: true },
                Apply::Hash { hash: Hash::Md5, unless_hashed: false },
                Apply::Values(table(Otherwise::Reject)),
                Apply::Values(table(Otherwise::Keep)),
                Apply::StripInvisible,
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
            (json!({"template": "{a}", "needs": "some"}), "needs must be all or any", "all: empty if any"),
            (json!({"column": "a", "needs": "any"}), "needs goes with template only", "template"),
            (json!({"object": {"k": "a"}, "apply": "trim"}), "map.x.apply is not for objects", "members"),
            (json!({"object": {"k": "a"}, "split": "|"}), "map.x.split is not for objects", "members"),
            (json!({"object": {"k": "a"}, "default": "{}"}), "map.x.default is not for objects", "members"),
            (json!({"object": {"k": "a"}, "type": "string"}), "an object is JSON", "type"),
            (json!({"object": {}}), "map.x.object must be a mapping", "object: {"),
            (json!({"object": {"k": {"colum": "a"}}}), "map.x.object.k: unknown key \"colum\"", "column"),
            (json!({"object": {"k": 5}}), "map.x.object.k: a bare value must be a column's name", "{ value: … }"),
            (json!({"column": "a", "apply": "values"}), "needs an argument", "values: {"),
            (json!({"column": "a", "apply": {"values": ["a"]}}), "values must be a mapping", "ja:"),
            (json!({"column": "a", "apply": {"values": {"": "x"}}}), "an empty value stays empty", "default"),
            (json!({"column": "a", "apply": {"values": {"a": "b"}, "els": "keep"}}), "unknown key \"els\"", "else"),
            (json!({"column": "a", "apply": {"values": {"a": "b"}, "else": "kep"}}), "unknown rule \"kep\"", "keep"),
            (
                json!({"column": "a", "apply": {"sha256": {"unless": true}}}),
                "takes unless_hashed",
                "unless_hashed: true",
            ),
            (json!({"column": "a", "type": "mail"}), "unknown type \"mail\"", "email"),
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
