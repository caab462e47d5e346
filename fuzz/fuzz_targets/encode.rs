//! Our output parses back to the input: JSON text and objects by serde_json, cells by the csv crate.
#![no_main]
#![allow(dead_code, reason = "common.rs has more than this target needs")]

use libfuzzer_sys::fuzz_target;
use listferry::mapping::{Json, Unit};
use listferry::buffer::OutBuf;
use serde_json::{Value, json};

include!("common.rs");

/// An object of the map, as itself or, if `as_text`, as JSON in a string.
fn object(as_text: bool) -> Shape {
    let value = json!({"type": "json", "object": {
        "k\"": {"column": "a", "empty": "null"},
        "t": {"template": "<{a}>", "needs": "any"},
        "v": {"column": "a", "apply": {"values": {"1": "one"}, "else": "keep"}},
        "in": {"object": {"l": {"column": "a", "split": "|"}}},
    }});
    let mut value = field("o", &value);
    value.rules.as_text = as_text;
    let unit = Unit { before: "\"o\":".to_owned(), field: Some(value), after: String::new(), when_empty: None };
    let mut shape = Json::default();
    (shape.open, shape.units, shape.close) = ("{".to_owned(), vec![unit], "}".to_owned());
    Shape::Json(shape)
}

/// Computes the value of [`object`] for a text in a straightforward way.
fn expected(text: &str) -> Value {
    let mut object = serde_json::Map::new();
    object.insert("k\"".to_owned(), if text.is_empty() { Value::Null } else { text.into() });
    if !text.chars().all(char::is_whitespace) {
        object.insert("t".to_owned(), format!("<{text}>").into());
    }
    if !text.is_empty() {
        object.insert("v".to_owned(), if text == "1" { "one" } else { text }.into());
        object.insert("in".to_owned(), json!({ "l": text.split('|').collect::<Vec<_>>() }));
    }
    object.into()
}

fn objects(text: &str) {
    let source = format!("a,b\n\"{}\",\n", text.replace('"', "\"\"")).into_bytes();
    for as_text in [false, true] {
        let csv = CsvOptions::default();
        let done = run(source.clone(), Compression::None, &object(as_text), &csv, 1, 1 << 16, None).expect("a record");
        if text.contains('\0') {
            assert_eq!(done.counts.rejected, 1);
            continue;
        }
        let mut line: Value = serde_json::from_slice(&done.out).expect("JSON");
        if let Value::String(inner) = &line["o"] {
            assert!(as_text);
            line["o"] = serde_json::from_str(inner).expect("JSON in a string");
        }
        assert_eq!(line["o"], expected(text));
    }
}

fuzz_target!(|text: &str| {
    objects(text);
    let mut out = OutBuf::default();
    out.push(b'"');
    listferry::encode::escape(text.as_bytes(), &mut out);
    out.push(b'"');
    assert_eq!(serde_json::from_slice::<String>(out.bytes()).expect("JSON"), text);
    for separator in [b',', b';', b'|', b'\t'] {
        let mut out = OutBuf::default();
        listferry::encode::cell(text.as_bytes(), separator, &mut out);
        out.push(separator);
        listferry::encode::cell(b"x", separator, &mut out);
        out.push(b'\n');
        let line = out.bytes();
        assert_eq!(listferry::encode::cut(line, line.len(), false), line.len());
        assert_eq!(listferry::encode::count_records(line, false), 1);
        if line.starts_with(b"\xEF\xBB\xBF") {
            continue;
        }
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).has_headers(false).from_reader(line);
        let record = reader.byte_records().next().expect("a record").expect("no I/O error");
        assert_eq!((&record[0], &record[1]), (text.as_bytes(), &b"x"[..]));
    }
});
