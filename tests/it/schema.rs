//! The schema and the examples agree. Uses a small validator of our own for the keywords that the schema uses.

use crate::report_schema::Valid as _;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Returns why `value` is invalid. Unknown keywords are an error, so that the validator stays complete.
pub(crate) fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return if schema == &Value::Bool(false) { Err(format!("{at}: not allowed")) } else { Ok(()) };
    };
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "$defs" | "then" => {}
            "$ref" => {
                let target = root
                    .pointer(rule.as_str().unwrap().trim_start_matches('#'))
                    .expect("a reference that leads somewhere");
                check(root, target, value, at)?;
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("type {other}"),
                };
                if !rule.as_array().map_or_else(|| is(rule), |any| any.iter().any(is)) {
                    return Err(format!("{at}: not of type {rule}"));
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => return Err(format!("{at}: none of {rule}")),
            "const" if rule != value => return Err(format!("{at}: not {rule}")),
            "enum" | "const" => {}
            "minimum" => {
                if value.as_f64().is_some_and(|n| n < rule.as_f64().unwrap()) {
                    return Err(format!("{at}: below {rule}"));
                }
            }
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().unwrap()).unwrap();
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    return Err(format!("{at}: not like {rule}"));
                }
            }
            "minItems" | "maxItems" => {
                let n = rule.as_u64().unwrap() as usize;
                let wrong = |list: &Vec<Value>| if keyword == "minItems" { list.len() < n } else { list.len() > n };
                if value.as_array().is_some_and(wrong) {
                    return Err(format!("{at}: {keyword} {n}"));
                }
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}[{i}]"))?;
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.as_object().is_some_and(|map| !map.contains_key(name.as_str().unwrap())) {
                        return Err(format!("{at}: {name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(root, rule, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten() {
                    if !known.is_some_and(|known| known.contains_key(name)) {
                        check(root, rule, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "allOf" => rule.as_array().unwrap().iter().try_for_each(|rule| check(root, rule, value, at))?,
            "anyOf" => {
                let tried: Vec<_> = rule.as_array().unwrap().iter().map(|rule| check(root, rule, value, at)).collect();
                if tried.iter().all(Result::is_err) {
                    return Err(tried.into_iter().filter_map(Result::err).collect::<Vec<_>>().join(" or "));
                }
            }
            "if" => {
                if check(root, rule, value, at).is_ok() {
                    check(root, &schema["then"], value, at)?;
                }
            }
            other => panic!("the checker does not know the keyword {other}"),
        }
    }
    Ok(())
}

fn validate(yaml: &str) -> Result<(), String> {
    let schema = listferry::job::schema();
    let value: Value = serde_saphyr::from_str(yaml).unwrap();
    check(&schema, &schema, &value, "job")
}

#[test]
fn every_example_follows_the_schema() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            validate(&std::fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()));
            listferry::job::Job::open(&path).unwrap();
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} examples");
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let good = std::fs::read_to_string(root().join("clevertap.yaml")).unwrap();
    validate(&good).unwrap();
    for (from, to) in [
        ("  path: customers.csv", "  paht: customers.csv"),
        ("  segment:", "  segmant:"),
        ("  identity: customer_id", "  identity: [customer_id]"),
        ("platform: clevertap", "platform: clevertop"),
        ("  replace: false", "  replace: sometimes"),
        ("{ env: CLEVERTAP_PASSCODE }", "{ environment: X }"),
        ("    min_records: 10", "    min_records: ten"),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        assert!(validate(&bad).is_err(), "the schema accepts {to}");
    }
}

/// Collects the paths of all keys of a mapping in the schema.
fn paths(schema: &Value, at: &str, into: &mut Vec<String>) {
    let schema = schema.get("anyOf").and_then(|any| any.get(0)).unwrap_or(schema);
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}/{name}");
        paths(below, &path, into);
        into.push(path);
    }
}

#[test]
fn schema_and_reader_agree_on_what_a_key_may_hold() {
    let schema = listferry::job::schema();
    let samples = ["7", "1.5", "true", "\"x\"", "[\"x\"]", "{\"x\":1}", "{\"env\":\"X\"}", "null"];
    let mut compared = 0;
    for platform in ["clevertap", "localytics-audience", "localytics-profiles", "mediarithmics", "yesmail"] {
        let text = std::fs::read_to_string(root().join(format!("{platform}.yaml"))).unwrap();
        let good: Value = serde_saphyr::from_str(&text).unwrap();
        let mut keys = Vec::new();
        let branches = schema["allOf"].as_array().unwrap();
        let of =
            |branch: &&Value| branch["if"]["properties"]["destination"]["properties"]["platform"]["const"] == platform;
        paths(&branches.iter().find(of).unwrap()["then"], "", &mut keys);
        if platform == "clevertap" {
            paths(&schema, "", &mut keys);
        }
        for path in keys.iter().filter(|path| !matches!(path.as_str(), "/destination" | "/map" | "/source")) {
            for sample in samples {
                let (above, name) = path.rsplit_once('/').unwrap();
                let mut job = good.clone();
                let mapping = above.split('/').skip(1).fold(&mut job, |node, key| &mut node[key]);
                mapping[name] = serde_json::from_str(sample).unwrap();
                let wanted = check(&schema, &schema, &job, "job");
                let read = listferry::job::Job::from_yaml(&job.to_string());
                let wrong = match read {
                    Err(error) => Some(error),
                    Ok(job) => job.check(&listferry::job::Env::default()).valid().error,
                };
                let wrong = wrong.filter(|error| error.kind() == listferry::Kind::Usage).map(|error| error.to_string());
                let path = path[1..].replace('/', ".");
                // a schema cannot express what else is wrong with a value
                let types =
                    ["a text", "a mapping", "a list", "a whole number", "a size", "a duration", "true or", "{ env"];
                let of_type =
                    |wrong: &String| types.iter().any(|name| wrong.contains(&format!("{path} must be {name}")));
                match (&wanted, &wrong) {
                    (Ok(()), Some(wrong)) if !matches!(&*path, "destination.error_threshold" | "map.changes") => {
                        assert!(!of_type(wrong), "{platform}: the schema takes {sample}: {wrong}");
                    }
                    (Err(wanted), None) => panic!("{platform}: the reader takes {sample} for {path}: {wanted}"),
                    _ => compared += 1,
                }
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

/// A word of Rust or of the YAML library that means nothing to the user.
fn of_rust(message: &str) -> Option<&str> {
    static WORDS: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
        regex::Regex::new(
            r"\b(?:[iu](?:8|16|32|64|128|size)|f(?:32|64)|bool|str|String|char|Vec|Option|HashMap|BTreeMap|struct|enum|variant|newtype|tuple|untagged|serde|saphyr|[Dd]eserializ\w+|DuplicateKeyPolicy|Spanned)\b|::|[Ii]nvalid type|NaN\b",
        )
        .unwrap()
    });
    WORDS.find(message).map(|found| found.as_str())
}

#[test]
fn no_message_about_a_key_has_a_word_of_rust() {
    let schema = listferry::job::schema();
    let samples = [
        "-1",
        "1.5",
        "99999999999999999999999",
        "-99999999999999999999",
        "1e999",
        ".nan",
        "-.inf",
        "0x",
        "true",
        "null",
        "''",
        "x",
        "[]",
        "[x, 1]",
        "[[x]]",
        "{}",
        "{x: 1}",
        "{1: 2}",
        "{[a]: b}",
        "{env: 1}",
        "{env: [X]}",
        "{file: {}}",
        "{column: [x]}",
        "{column: x, apply: 7}",
        "{column: x, apply: [7]}",
        "{column: x, apply: [{replace: x}]}",
        "{column: x, type: 7}",
        "{column: x, apply: [{truncate: -1}]}",
        "{column: x, type: timestamp, unit: 3}",
        "{value: {}}",
        "{object: 3}",
        "!!int x",
        "!!float x",
        "!!bool x",
        "!!null x",
        "!!binary '?'",
        "!own x",
        "*gone",
        "&a [*a]",
        "\"\\q\"",
        "[",
        "{a: 1, a: 2}",
        "2026-01-01",
        "1h x",
        "12 parsecs",
        "10%",
    ];
    let mut wrong = 0;
    for platform in ["clevertap", "localytics-audience", "localytics-profiles", "mediarithmics", "yesmail"] {
        let text = std::fs::read_to_string(root().join(format!("{platform}.yaml"))).unwrap();
        let mut keys = vec!["/where".to_owned(), "/where/0".to_owned()];
        let branches = schema["allOf"].as_array().unwrap();
        let of =
            |branch: &&Value| branch["if"]["properties"]["destination"]["properties"]["platform"]["const"] == platform;
        paths(&branches.iter().find(of).unwrap()["then"], "", &mut keys);
        if platform == "clevertap" {
            paths(&schema, "", &mut keys);
        }
        for key in &keys {
            let key = key[1..].replace('/', ".");
            for sample in samples {
                let set = [format!("{key}={sample}")];
                let error = match listferry::job::Job::read(&text, &root(), &set) {
                    Err(error) => Some(error),
                    Ok(job) => job.check(&listferry::job::Env::default()).valid().error,
                };
                let Some(error) = error else { continue };
                wrong += 1;
                let said = format!("{error} {}", error.hint().unwrap_or_default());
                // what the sample itself says may be quoted
                let said = said.replace(&set[0], "").replace(&format!("\"{sample}\""), "");
                assert_eq!(of_rust(&said), None, "{platform}, {}: {said}", set[0]);
            }
        }
    }
    assert!(wrong > 3000, "{wrong}");
}

#[test]
fn a_word_of_rust_in_a_message_is_seen() {
    for (message, word) in [
        ("invalid type: f64, expected bool", Some("invalid type")),
        ("expected u64", Some("u64")),
        ("missing field in struct Config", Some("struct")),
        ("map.id must be a text", None),
    ] {
        assert_eq!(of_rust(message), word, "{message}");
    }
}
