//! The plan against a straightforward evaluator: literals between values, conversions, separators.

use listferry::body::{self, DiscardRejects, Options};
use listferry::format::Table;
use listferry::format::csv::{Csv, CsvOptions};
use listferry::mapping::{Cells, Field, Json, Plan, Quoting, Rules, Separator, Shape, Type, Unit, ValueSpec};
use listferry::source::{OpenSource, SourceOptions};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

fn field(name: &str, value: &Value, required: bool) -> Field {
    Field {
        at: format!("map.{name}"),
        name: name.to_owned(),
        value: ValueSpec::parse(value, &format!("map.{name}"), &[]).unwrap(),
        required,
        rules: Rules::default(),
    }
}

fn unit(name: &str, value: &Value) -> Unit {
    Unit {
        before: format!("{}:", Value::from(name)),
        field: Some(field(name, value, false)),
        after: String::new(),
        when_empty: None,
    }
}

/// Converts rows with the columns c0, c1, …; returns the output as text and the number of rejects.
fn convert(shape: &Shape, rows: &[Vec<String>]) -> (String, u64) {
    let columns = rows[0].len();
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record((0..columns).map(|i| format!("c{i}"))).unwrap();
    rows.iter().for_each(|row| csv.write_record(row).unwrap());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &csv.into_inner().unwrap()).unwrap();
    let source = OpenSource::open(file.path().to_str().unwrap(), &SourceOptions::default()).unwrap();
    let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).unwrap());
    let plan = Arc::new(Plan::compile(shape, &[], table.columns()).unwrap());
    let mut out = Vec::new();
    let mut write = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let mut options = Options::default();
    options.threads = 1;
    let counts = body::convert(&table, &plan, &options, &mut write, &mut DiscardRejects).unwrap();
    (String::from_utf8(out).unwrap(), counts.rejected)
}

#[test]
fn a_separator_that_a_constant_holds_is_not_tried() {
    for quoting in [Quoting::Rfc4180, Quoting::Never] {
        let shape = Shape::Delimited(Cells {
            fields: vec![field("a", &json!("c0"), true), field("b", &json!({"value": "x\ty"}), true)],
            header: true,
            separator: Separator::Auto,
            quoting,
            checks: Vec::new(),
            max_record_bytes: None,
        });
        let plan = Plan::compile(&shape, &[], &["c0".to_owned()]).unwrap();
        assert_eq!(plan.separator(), Some(b'|'));
        assert_eq!(plan.head(), b"a|b\n");
        assert_eq!(plan.next_separator().unwrap().separator(), Some(b';'));
    }
}

/// An object with one key.
fn object(value: &Value) -> Json {
    let mut json = Json::default();
    json.units.push(unit("a", value));
    json.open.push('{');
    json.close.push('}');
    json
}

#[test]
fn a_template_is_filled_in_whatever_is_done_to_it() {
    let rows = [vec!["7".to_owned(), "Ann".to_owned()], vec!["8".to_owned(), String::new()]];
    for (rest, want) in [
        (json!({}), ["7-Ann B", "8- B"]),
        (json!({"apply": ["trim"]}), ["7-Ann B", "8- B"]),
        (json!({"apply": ["lower"]}), ["7-ann b", "8- b"]),
        (json!({"apply": ["upper"]}), ["7-ANN B", "8- B"]),
        (json!({"default": "none"}), ["7-Ann B", "8- B"]),
    ] {
        let mut value = json!({"template": "{c0}-{c1} B", "needs": "any"});
        value.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let cells = Shape::Delimited(Cells {
            fields: vec![field("a", &value, true)],
            header: false,
            separator: Separator::Byte(b','),
            quoting: Quoting::Rfc4180,
            checks: Vec::new(),
            max_record_bytes: None,
        });
        assert_eq!(convert(&cells, &rows), (format!("{}\n{}\n", want[0], want[1]), 0), "{value}");
        let json = object(&value);
        let want = want.map(|text| format!("{{\"a\":\"{text}\"}}\n")).concat();
        assert_eq!(convert(&Shape::Json(json), &rows), (want, 0), "{value}");
    }
    // also if it is cast or split
    for (rest, want) in [(json!({"type": "integer"}), "75"), (json!({"split": "5"}), "[\"7\",\"\"]")] {
        let mut value = json!({"template": "{c0}5"});
        value.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        assert_eq!(convert(&Shape::Json(object(&value)), &rows[..1]).0, format!("{{\"a\":{want}}}\n"), "{value}");
    }
}

#[test]
fn a_template_sends_no_half_identifier() {
    let rows = [["49", "171"], ["", "171"], ["49", " \u{a0}"], ["", "\t"]].map(|row| row.map(str::to_owned).to_vec());
    let written = |value: &Value| convert(&Shape::Json(object(value)), &rows);
    // values that used to send "+171", "+49" and "+"
    for value in [json!({"template": "+{c0}{c1}"}), json!({"template": "+{c0}{c1}", "needs": "all"})] {
        assert_eq!(written(&value), ("{\"a\":\"+49171\"}\n{}\n{}\n{}\n".to_owned(), 0), "{value}");
    }
    let any = json!({"template": "+{c0}{c1}", "needs": "any", "apply": "trim"});
    let want = "{\"a\":\"+49171\"}\n{\"a\":\"+171\"}\n{\"a\":\"+49\"}\n{}\n";
    assert_eq!(written(&any), (want.to_owned(), 0));
    // an emptied template behaves like any other empty value
    let default = json!({"template": "+{c0}{c1}", "apply": {"prefix": "x"}, "default": "none"});
    assert_eq!(written(&default).0.matches("none").count(), 3);
    assert_eq!(written(&json!({"template": "+{c0}{c1}", "empty": "reject"})).1, 3);
    // text alone needs nothing
    assert_eq!(written(&json!({"template": "x"})).0, "{\"a\":\"x\"}\n".repeat(4));
}

/// A field that contains JSON, directly or as text.
fn json_field(value: &Value, as_text: bool) -> Shape {
    let mut json = object(value);
    let rules = &mut json.units[0].field.as_mut().unwrap().rules;
    rules.default_type = Some(Type::Json);
    rules.as_text = as_text;
    Shape::Json(json)
}

#[test]
fn an_object_quotes_whatever_a_cell_has() {
    let nasty = ["a\\b", "x\",\"admin\":\"1", "{\"k\":1}", "\u{1}\u{7f}\u{2028}é\r\n", "C:\\new", "'"];
    let rows: Vec<Vec<String>> = nasty.iter().map(|cell| vec![(*cell).to_owned(), "7".to_owned()]).collect();
    let value =
        json!({"object": {"we\"ird\\": "c0", "n": {"column": "c1", "type": "integer"}, "s": {"template": "{c0}!"}}});
    for as_text in [false, true] {
        let (got, rejected) = convert(&json_field(&value, as_text), &rows);
        assert_eq!((got.lines().count(), rejected), (nasty.len(), 0));
        for (line, cell) in got.lines().zip(nasty) {
            let mut read = serde_json::from_str::<Value>(line).unwrap()["a"].clone();
            if as_text {
                read = serde_json::from_str(read.as_str().unwrap()).unwrap();
            }
            assert_eq!(read, json!({"we\"ird\\": cell, "n": 7, "s": format!("{cell}!")}), "{line}");
        }
    }
}

#[test]
fn members_of_an_object_have_their_own_rules() {
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let convert = |members: Value, cells: [&str; 3]| {
        let (out, rejected) = convert(&json_field(&json!({"object": members}), false), &[row(cells)]);
        if rejected == 0 { out.trim_end().to_owned() } else { format!("rejected {rejected}") }
    };
    let full = json!({
        "plan": {"column": "c0", "apply": ["trim", "lower"]},
        "tags": {"column": "c1", "split": "|", "empty": "keep"},
        "raw": {"column": "c2", "type": "json"},
        "deep": {"object": {"plan": "c0", "deeper": {"object": {"raw": {"column": "c2", "type": "json", "empty": "null"}}}}},
        "source": {"value": "crm \"x\""}, "v": {"value": 2, "type": "integer"}, "none": {"value": ""},
        "kept": {"value": "", "empty": "keep"},
    });
    assert_eq!(
        convert(full.clone(), [" Gold", "a|b", "{\n \"x\": [1,\n2]}"]),
        r#"{"a":{"plan":"gold","tags":["a","b"],"raw":{ "x": [1,2]},"deep":{"plan":" Gold","deeper":{"raw":{ "x": [1,2]}}},"source":"crm \"x\"","v":2,"kept":""}}"#
    );
    assert_eq!(
        convert(full, ["", "", ""]),
        r#"{"a":{"tags":[],"deep":{"deeper":{"raw":null}},"source":"crm \"x\"","v":2,"kept":""}}"#
    );
    // without members it is empty, at any depth
    let all_omitted = json!({"x": "c0", "y": {"object": {"z": "c1"}}});
    assert_eq!(convert(all_omitted.clone(), ["", "", ""]), "{}");
    assert_eq!(convert(all_omitted, ["", "1", ""]), r#"{"a":{"y":{"z":"1"}}}"#);
    let nested_null = json!({"y": {"object": {"z": "c1"}, "empty": "null"}});
    assert_eq!(convert(nested_null, ["", "", ""]), r#"{"a":{"y":null}}"#);
    for wrong in [
        json!({"x": {"column": "c0", "empty": "reject"}}),
        json!({"x": {"object": {"y": "c0"}, "empty": "reject"}}),
        json!({"x": {"column": "c1", "type": "integer"}}),
        json!({"x": "c2", "y": {"object": {"z": {"column": "c1", "type": "json"}}}}),
    ] {
        assert_eq!(convert(wrong.clone(), ["", "{", "x"]), "rejected 1", "{wrong}");
    }
}

#[test]
fn an_object_or_json_template_out_of_place_is_refused() {
    let columns = ["c0".to_owned(), "c1".to_owned()];
    let refused = |shape: &Shape| Plan::compile(shape, &[], &columns).err().expect("an error");
    let template = json!({"template": "{{\"plan\":\"{c0}\",\"visits\":{c1}}}"});
    let error = refused(&json_field(&template, true));
    assert_eq!(error.kind(), listferry::Kind::Usage);
    assert!(error.message().contains("map.a: a template cannot put columns into JSON"), "{error}");
    assert_eq!(
        error.hint(),
        Some("write { object: { plan: c0, visits: { column: c1, type: decimal } } }"),
        "the hint shows the object"
    );
    let member = json!({"object": {"x": {"template": "[{c0}]", "type": "json"}}});
    let error = refused(&json_field(&member, true));
    assert!(error.message().contains("map.a.object.x: a template cannot"), "{error}");
    let error = refused(&Shape::Json(object(&json!({"object": {"x": "c0"}}))));
    assert!(error.message().contains("an object is for fields that contain JSON"), "{error}");
    let error = refused(&json_field(&json!({"object": {"x": {"object": {"y": "c3"}}}}), false));
    assert!(error.message().contains("map.a.object.x.object.y"), "{error}");
    assert_eq!(error.place().column.as_deref(), Some("c3"));
    for constant in [
        json!({"object": {"x": {"value": "b", "type": "integer"}}}),
        json!({"object": {"x": {"value": "b", "apply": {"values": {"a": "1"}}}}}),
    ] {
        let error = refused(&json_field(&constant, false));
        assert!(error.message().contains("map.a.object.x: the constant is not"), "{error}");
    }
    // without columns a template is a constant
    assert!(Plan::compile(&json_field(&json!({"template": "{{}}"}), true), &[], &columns).is_ok());
}

#[test]
fn a_value_that_the_map_does_not_list_rejects_its_row() {
    let rows = ["ja", "nein", "vielleicht", "", "JA"].map(|cell| vec![cell.to_owned(), "x".to_owned()]);
    let written = |more: Value| {
        let mut values = json!({"values": {"ja": "1", "nein": "0"}});
        values.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        convert(&Shape::Json(object(&json!({"column": "c0", "apply": ["trim", values], "type": "string"}))), &rows)
    };
    let line = |value: &str| if value.is_empty() { "{}\n".to_owned() } else { format!("{{\"a\":\"{value}\"}}\n") };
    let lines = |values: &[&str]| values.iter().map(|value| line(value)).collect::<String>();
    assert_eq!(written(json!({})), (lines(&["1", "0", ""]), 2));
    assert_eq!(written(json!({"else": "keep"})), (lines(&["1", "0", "vielleicht", "", "JA"]), 0));
    assert_eq!(written(json!({"else": "empty"})), (lines(&["1", "0", "", "", ""]), 0));
}

#[test]
fn the_separator_of_a_rejected_row_clashes_with_nothing() {
    let shape = Shape::Delimited(Cells {
        fields: vec![
            field("a", &json!({"column": "c0", "apply": ["nfc"]}), true),
            field("b", &json!({"column": "c1", "type": "integer"}), true),
        ],
        header: false,
        separator: Separator::Auto,
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    });
    let (clashes, written) = (vec!["x\ty".to_owned(), "none".to_owned()], vec!["z".to_owned(), "3".to_owned()]);
    for rows in [[clashes.clone(), written.clone()], [written, clashes]] {
        assert_eq!(convert(&shape, &rows), ("z\t3\n".to_owned(), 1));
    }
}

#[test]
fn commas_are_right_whatever_is_left_out() {
    // a first value with two endings, then values and constants in turn: more states than an op has literals for
    const COUNT: usize = 12;
    let lead = Unit {
        before: "{\"id\":".to_owned(),
        field: Some(field("id", &json!({"column": "c0", "empty": "null"}), false)),
        after: ",\"end\":1".to_owned(),
        when_empty: None,
    };
    for constants in [false, true] {
        let mut units = Vec::new();
        for i in 1..=COUNT {
            let mut value = unit(&format!("v{i}"), &json!(format!("c{i}")));
            value.after = " ".repeat(i);
            units.push(value);
            if constants && i % 2 == 0 {
                let before = format!("\"k{i}\":0");
                units.push(Unit { before, field: None, after: String::new(), when_empty: None });
            }
        }
        let shape = Shape::Json(Json {
            lead: vec![lead.clone()],
            open: ",\"list\":{".to_owned(),
            units,
            close: "}}".to_owned(),
            filter_without_units: true,
            checks: Vec::new(),
            max_record_bytes: None,
        });
        let rows: Vec<Vec<String>> = (0..1usize << (COUNT + 1))
            .map(|bits| (0..=COUNT).map(|i| if bits >> i & 1 == 1 { format!("x{i}") } else { String::new() }).collect())
            .collect();
        let mut want = String::new();
        for row in &rows {
            let mut list = Vec::new();
            for (i, cell) in row.iter().enumerate().skip(1) {
                if !cell.is_empty() {
                    list.push(format!("\"v{i}\":\"{cell}\"{}", " ".repeat(i)));
                }
                if constants && i % 2 == 0 {
                    list.push(format!("\"k{i}\":0"));
                }
            }
            if !list.is_empty() {
                let id = if row[0].is_empty() { "null".to_owned() } else { format!("\"{}\"", row[0]) };
                want += &format!("{{\"id\":{id},\"end\":1,\"list\":{{{}}}}}\n", list.join(","));
            }
        }
        let (got, rejected) = convert(&shape, &rows);
        assert_eq!(rejected, 0);
        for (line, (got, want)) in got.lines().zip(want.lines()).enumerate() {
            assert_eq!(got, want, "line {line}");
        }
        assert_eq!(got.len(), want.len());
    }
}

/// Computes a value from its own column, `@0`, and the next one, `@1`: `Err` rejects, `None` leaves the value out.
type Naive = fn(&str, &str) -> Result<Option<Value>, ()>;

fn some(text: String) -> Result<Option<Value>, ()> {
    Ok((!text.is_empty()).then(|| text.into()))
}

fn kinds() -> Vec<(Value, Naive)> {
    vec![
        (json!({}), |cell, _| some(cell.to_owned())),
        (json!({"apply": "lower"}), |cell, _| some(cell.to_lowercase())),
        (json!({"apply": ["trim", "lower"]}), |cell, _| some(cell.trim().to_lowercase())),
        (json!({"apply": ["upper", {"prefix": "é"}]}), |cell, _| match cell {
            "" => Ok(None),
            _ => some(format!("é{}", cell.to_uppercase())),
        }),
        (json!({"apply": {"truncate": 3}, "empty": "reject"}), |cell, _| match cell {
            "" => Err(()),
            _ => some(cell.chars().take(3).collect()),
        }),
        (json!({"split": "|"}), |cell, _| Ok((!cell.is_empty()).then(|| cell.split('|').collect()))),
        (json!({"split": "|", "empty": "keep", "apply": "trim"}), |cell, _| match cell.trim() {
            "" => Ok(Some(json!([]))),
            cell => Ok(Some(cell.split('|').collect())),
        }),
        (json!({"split": "||", "default": "a||b"}), |cell, _| {
            Ok(Some((if cell.is_empty() { "a||b" } else { cell }).split("||").collect()))
        }),
        (json!({"type": "integer", "default": 7}), |cell, _| match cell {
            "" => Ok(Some(7.into())),
            _ => cell.parse::<i64>().map(|n| Some(n.into())).map_err(|_| ()),
        }),
        (json!({"type": "integer", "empty": null, "apply": "digits"}), |cell, _| {
            match cell.chars().filter(char::is_ascii_digit).collect::<String>() {
                digits if digits.is_empty() => Ok(Some(Value::Null)),
                digits => digits.parse::<i64>().map(|n| Some(n.into())).map_err(|_| ()),
            }
        }),
        (json!({"template": "<@0|@1>", "column": null}), |one, two| {
            let blank = [one, two].iter().any(|cell| cell.chars().all(char::is_whitespace));
            Ok((!blank).then(|| format!("<{one}|{two}>").into()))
        }),
        (json!({"template": "<@0|@1>", "column": null, "needs": "any", "default": "-"}), |one, two| {
            let blank = [one, two].iter().all(|cell| cell.chars().all(char::is_whitespace));
            Ok(Some(if blank { "-".into() } else { format!("<{one}|{two}>").into() }))
        }),
        (json!({"apply": [{"values": {"true": "T", "NO": ""}, "else": "keep"}]}), |cell, _| match cell {
            "true" => some("T".to_owned()),
            "NO" => Ok(None),
            _ => some(cell.to_owned()),
        }),
        (json!({"apply": [{"values": {"true": "T"}}], "empty": "keep"}), |cell, _| match cell {
            "true" => some("T".to_owned()),
            "" => Ok(Some("".into())),
            _ => Err(()),
        }),
        (
            json!({"column": null, "type": "json", "object": {
                "k\"": {"column": "@0"}, "n": {"column": "@1", "apply": "digits", "type": "integer", "empty": "null"},
                "in": {"object": {"t": {"column": "@1", "apply": "trim"}, "l": {"column": "@0", "split": "|", "empty": "keep"}}},
            }}),
            |one, two| {
                let mut object = serde_json::Map::new();
                if !one.is_empty() {
                    object.insert("k\"".to_owned(), one.into());
                }
                let digits: String = two.chars().filter(char::is_ascii_digit).collect();
                let number = match &*digits {
                    "" => Value::Null,
                    digits => digits.parse::<i64>().map_err(|_| ())?.into(),
                };
                object.insert("n".to_owned(), number);
                let mut inner = serde_json::Map::new();
                if !two.trim().is_empty() {
                    inner.insert("t".to_owned(), two.trim().into());
                }
                let list: Vec<&str> = if one.is_empty() { Vec::new() } else { one.split('|').collect() };
                inner.insert("l".to_owned(), list.into());
                object.insert("in".to_owned(), inner.into());
                Ok(Some(object.into()))
            },
        ),
        (
            json!({"column": null, "type": "json", "object": {"a": {"object": {"b": {"column": "@0"}}}}, "empty": "null"}),
            |one, _| Ok(Some(if one.is_empty() { Value::Null } else { json!({"a": {"b": one}}) })),
        ),
        (json!({"type": "boolean", "empty": "keep"}), |cell, _| match &*cell.to_ascii_lowercase() {
            "" => Ok(Some("".into())),
            "true" | "1" | "yes" | "y" => Ok(Some(true.into())),
            "false" | "0" | "no" | "n" => Ok(Some(false.into())),
            _ => Err(()),
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_plan_is_what_a_straightforward_evaluator_is(
        picks in proptest::collection::vec(0usize..17, 1..6),
        cells in proptest::collection::vec(
            prop_oneof![
                Just(String::new()), "[+-]?[0-9]{1,20}", "true|NO|y|0", "[a-zA-Z|, ]{0,70}",
                "([aB|\"\\\\,\r\n\t\u{1}\u{7f} ]|[\u{80}-\u{a0}]|\\PC){0,40}",
            ],
            5..60,
        ),
    ) {
        prop_assume!(cells.iter().all(|cell| !cell.contains('\0')));
        let kinds = kinds();
        let units = picks.iter().enumerate().map(|(i, &pick)| {
            let mut value = kinds[pick].0.clone();
            if value.get("column").is_none() {
                value["column"] = "@0".into();
            }
            let columns = |text: &str| text.replace("@0", &format!("c{i}")).replace("@1", &format!("c{}", (i + 1) % 5));
            // in a template, columns are in braces
            let text = columns(&value.to_string().replace("<@0|@1>", "<{@0}|{@1}>"));
            let value = serde_json::from_str(&text).unwrap();
            unit(&format!("v{i}"), &value)
        });
        let shape = Shape::Json(Json { open: "{".to_owned(), units: units.collect(), close: "}".to_owned(), ..Json::default() });
        let mut rows: Vec<Vec<String>> = cells.chunks_exact(5).map(<[String]>::to_vec).collect();
        // with a single column, a blank row would be an empty line
        rows.iter_mut().for_each(|row| row.push("x".to_owned()));
        let (mut want, mut want_rejected) = (String::new(), 0);
        for row in &rows {
            let values: Result<Vec<_>, ()> = picks.iter().enumerate().map(|(i, &pick)| kinds[pick].1(&row[i], &row[(i + 1) % 5])).collect();
            match values {
                Err(()) => want_rejected += 1,
                Ok(values) => {
                    let values = values.into_iter().enumerate().filter_map(|(i, value)| Some((format!("v{i}"), value?)));
                    want += &serde_json::to_string(&values.collect::<serde_json::Map<_, _>>()).unwrap();
                    want.push('\n');
                }
            }
        }
        let (got, rejected) = convert(&shape, &rows);
        prop_assert_eq!(got, want);
        prop_assert_eq!(rejected, want_rejected);
    }
}
