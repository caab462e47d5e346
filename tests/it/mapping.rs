//! The plan against a straightforward evaluator: literals between values, conversions, separators.

use listferry::body::{self, DiscardRejects, Options};
use listferry::mapping::{Cells, Field, Json, Plan, Quoting, Rules, Separator, Shape, Unit, ValueSpec};
use listferry::reader::{CsvOptions, Table};
use listferry::source::{Source, SourceOptions};
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

/// Converts rows with the columns c0, c1, …; the output as text and the number of rejects.
fn convert(shape: &Shape, rows: &[Vec<String>]) -> (String, u64) {
    let columns = rows[0].len();
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record((0..columns).map(|i| format!("c{i}"))).unwrap();
    rows.iter().for_each(|row| csv.write_record(row).unwrap());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &csv.into_inner().unwrap()).unwrap();
    let source = Source::open(file.path().to_str().unwrap(), &SourceOptions::default()).unwrap();
    let table = Arc::new(Table::open(Arc::new(source), CsvOptions::default()).unwrap());
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
        let mut value = json!({"template": "{c0}-{c1} B"});
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
    // and where it is cast or taken apart
    for (rest, want) in [(json!({"type": "integer"}), "75"), (json!({"split": "5"}), "[\"7\",\"\"]")] {
        let mut value = json!({"template": "{c0}5"});
        value.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        assert_eq!(convert(&Shape::Json(object(&value)), &rows[..1]).0, format!("{{\"a\":{want}}}\n"), "{value}");
    }
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

/// A value as the job file has it, and what it makes of a cell: `Err` rejects, `None` leaves out.
type Naive = fn(&str) -> Result<Option<Value>, ()>;

fn some(text: String) -> Result<Option<Value>, ()> {
    Ok((!text.is_empty()).then(|| text.into()))
}

fn kinds() -> Vec<(Value, Naive)> {
    vec![
        (json!({}), |cell| some(cell.to_owned())),
        (json!({"apply": "lower"}), |cell| some(cell.to_lowercase())),
        (json!({"apply": ["trim", "lower"]}), |cell| some(cell.trim().to_lowercase())),
        (json!({"apply": ["upper", {"prefix": "é"}]}), |cell| match cell {
            "" => Ok(None),
            _ => some(format!("é{}", cell.to_uppercase())),
        }),
        (json!({"apply": {"truncate": 3}, "empty": "reject"}), |cell| match cell {
            "" => Err(()),
            _ => some(cell.chars().take(3).collect()),
        }),
        (json!({"split": "|"}), |cell| Ok((!cell.is_empty()).then(|| cell.split('|').collect()))),
        (json!({"split": "|", "empty": "keep", "apply": "trim"}), |cell| match cell.trim() {
            "" => Ok(Some(json!([]))),
            cell => Ok(Some(cell.split('|').collect())),
        }),
        (json!({"split": "||", "default": "a||b"}), |cell| {
            Ok(Some((if cell.is_empty() { "a||b" } else { cell }).split("||").collect()))
        }),
        (json!({"type": "integer", "default": 7}), |cell| match cell {
            "" => Ok(Some(7.into())),
            _ => cell.parse::<i64>().map(|n| Some(n.into())).map_err(|_| ()),
        }),
        (json!({"type": "integer", "empty": null, "apply": "digits"}), |cell| {
            match cell.chars().filter(char::is_ascii_digit).collect::<String>() {
                digits if digits.is_empty() => Ok(Some(Value::Null)),
                digits => digits.parse::<i64>().map(|n| Some(n.into())).map_err(|_| ()),
            }
        }),
        (json!({"type": "boolean", "empty": "keep"}), |cell| match &*cell.to_ascii_lowercase() {
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
        picks in proptest::collection::vec(0usize..11, 1..6),
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
            value["column"] = format!("c{i}").into();
            unit(&format!("v{i}"), &value)
        });
        let shape = Shape::Json(Json { open: "{".to_owned(), units: units.collect(), close: "}".to_owned(), ..Json::default() });
        let mut rows: Vec<Vec<String>> = cells.chunks_exact(5).map(<[String]>::to_vec).collect();
        // a row of nothing but blanks would be an empty line where there is one column
        rows.iter_mut().for_each(|row| row.push("x".to_owned()));
        let (mut want, mut want_rejected) = (String::new(), 0);
        for row in &rows {
            let values: Result<Vec<_>, ()> = picks.iter().enumerate().map(|(i, &pick)| kinds[pick].1(&row[i])).collect();
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
