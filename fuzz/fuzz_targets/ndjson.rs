//! The records of our NDJSON reader are those of serde_json, line by line, whatever the chunk size and the number of threads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use listferry::body::{Options, Reject, RejectSink, Split, convert, measure};
use listferry::format::Table;
use listferry::format::ndjson::{Ndjson, NdjsonOptions};
use listferry::mapping::{Field, Json, Plan, Rules, Shape, Unit, ValueSpec};
use listferry::source::{OpenSource, SourceOptions};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Members of an object in their order, values as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> serde::de::Visitor<'de> for Visitor<'a> {
            type Value = Members<'a>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Members<'a>, M::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry::<String, &'a RawValue>()? {
                    all.push(member);
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// Returns the value of a column in a line; `None` if it is missing or null.
fn find(line: &str, steps: &[&str]) -> Result<Option<String>, ()> {
    let Members(members) = serde_json::from_str(line).map_err(drop)?;
    let mut found = members.into_iter().filter(|(key, _)| key == steps[0]);
    let (first, second) = (found.next(), found.next());
    if second.is_some() {
        return Err(());
    }
    let Some((_, value)) = first else { return Ok(None) };
    let value = value.get();
    match (value.as_bytes()[0], steps.len() > 1) {
        (b'{', true) => find(value, &steps[1..]),
        (_, true) | (b'n', _) => Ok(None),
        (b'"', _) => match serde_json::from_str::<String>(value) {
            Ok(text) if text.contains('\0') => Err(()),
            text => text.map(Some).map_err(drop),
        },
        // a list or an object is not one value
        (b'[' | b'{', _) => if value.trim_matches(['[', ']', ' ', '\t']).is_empty() && value.starts_with('[') { Ok(None) } else { Err(()) },
        _ => Ok(Some(value.to_owned())),
    }
}

/// The record of a line; `None`: it is rejected.
fn expected(line: &str) -> Option<String> {
    let mut record = serde_json::Map::new();
    for (name, steps) in [("a", &["a"][..]), ("b", &["b"]), ("c", &["o", "c"])] {
        if let Some(text) = find(line, steps).ok()?.filter(|text| !text.is_empty()) {
            record.insert(name.to_owned(), text.into());
        }
    }
    Some(serde_json::Value::Object(record).to_string())
}

#[derive(Default, PartialEq, Debug)]
struct Rejected(Vec<u64>);

impl RejectSink for Rejected {
    fn reject(&mut self, reject: &Reject<'_>) -> listferry::Result<()> {
        self.0.push(reject.source.record);
        Ok(())
    }
    fn restart(&mut self) -> listferry::Result<()> {
        self.0.clear();
        Ok(())
    }
}

fn shape() -> Shape {
    let unit = |name: &str, column: &str| Unit {
        before: format!("\"{name}\":"),
        field: Some(Field {
            at: format!("map.{name}"),
            name: name.to_owned(),
            value: ValueSpec::parse(&serde_json::json!(column), "map", &[]).expect("a value"),
            required: false,
            rules: Rules::default(),
        }),
        after: String::new(),
        when_empty: None,
    };
    let mut shape = Json::default();
    shape.open = "{".to_owned();
    shape.close = "}".to_owned();
    shape.units = vec![unit("a", "a"), unit("b", "b"), unit("c", "/o/c")];
    Shape::Json(shape)
}

fuzz_target!(|data: &[u8]| {
    let [threads, chunk, text @ ..] = data else { return };
    // serde_json validates UTF-8 everywhere, and lone surrogates in keys; we validate them in what the job names
    let Ok(text) = std::str::from_utf8(text) else { return };
    if text.contains("\\u") && text.to_ascii_lowercase().contains("\\ud") {
        return;
    }
    let source = OpenSource::from_bytes("list", text.into(), &SourceOptions::default()).expect("bytes in memory");
    let Ok(opened) = Ndjson::open(Arc::new(source), &["a", "b", "/o/c"], NdjsonOptions::default()) else { return };
    let table = Table::from(opened);
    let plan = Arc::new(Plan::compile_for(&shape(), &[], &table).expect("a plan"));
    let mut options = Options::default();
    options.threads = usize::from(threads % 4) + 1;
    options.chunk_bytes = usize::from(*chunk) + 1;
    let (mut out, mut rejected) = (Vec::new(), Rejected::default());
    let mut keep = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    convert(&table, &plan, &options, &mut keep, &mut rejected).expect("every line is short");
    let measured = measure(&table, &plan, &Split::default(), &options, &mut Rejected::default()).expect("measures");
    assert_eq!(measured.body_bytes(), out.len() as u64);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.split(['\n', '\r']).filter(|line| !line.trim_matches([' ', '\t']).is_empty());
    let (mut wanted, mut wrong) = (String::new(), Vec::new());
    for (number, line) in (1..).zip(lines) {
        match expected(line) {
            Some(record) => wanted += &(record + "\n"),
            None => wrong.push(number),
        }
    }
    assert_eq!((String::from_utf8_lossy(&out), &rejected.0), (wanted.into(), &wrong));
});
