//! The schema and the examples agree: a small checker of our own, for the keywords that the schema uses.

use serde_json::Value;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// What is wrong with `value`, in words; unknown keywords are an error, so that the checker stays whole.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
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

fn judge(yaml: &str) -> Result<(), String> {
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
            judge(&std::fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()));
            listferry::job::Job::open(&path, &[]).unwrap();
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} examples");
}

#[test]
fn what_the_reader_refuses_the_schema_refuses() {
    let good = std::fs::read_to_string(root().join("clevertap.yaml")).unwrap();
    judge(&good).unwrap();
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
        assert!(judge(&bad).is_err(), "the schema takes {to}");
    }
}
