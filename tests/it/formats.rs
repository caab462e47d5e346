//! The conformance suite of formats: every format has the same records, positions, rejected records and guarantees.
//! Each format is a case in [`CASES`].
//!
//! The oracle does not read lists: a case writes a list record by record and notes the position of each.

use super::cli::{Bed, CLEVERTAP};
use super::workbook::{Book, inline, zip};
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use listferry::body::{
    DiscardRejects, Measured, Options, Reject, RejectFile, RejectSink, SourceRecord, Split, convert, measure, preview,
};
use listferry::format::Table;
use listferry::format::arrow::{Arrow, ArrowOptions};
use listferry::format::csv::{Csv, CsvOptions};
use listferry::format::lines::{Lines, LinesOptions};
use listferry::format::ndjson::{Ndjson, NdjsonOptions};
use listferry::format::parquet::{Parquet, ParquetOptions};
use listferry::format::xlsx::{Xlsx, XlsxOptions};
use listferry::mapping::{Field, Json, Plan, Rules, Shape, Unit, ValueSpec};
use listferry::source::{OpenSource, SourceOptions};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use serde_json::json;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

/// A record that the suite asks for; its value is in the column `value`.
#[derive(Clone, Debug)]
enum Item {
    /// A value that every format can hold.
    Value(String),
    /// A value that contains a line end, in formats that allow it.
    TwoLines,
    /// A value that is not UTF-8.
    Invalid,
    /// A value with a NUL byte.
    Nul,
    /// A record that cannot be split into columns, in formats that can have one.
    Malformed,
    /// An empty line.
    Blank,
}

/// A written record.
#[derive(Clone, Debug, PartialEq)]
struct Noted {
    /// Number in the file, and line and offset of its start.
    place: Spot,
    text: Vec<u8>,
    /// The value, or the code of its rejection.
    value: Result<String, &'static str>,
}

/// Writes a file with these values.
type WriteFile = fn(&[Vec<u8>]) -> Vec<u8>;

/// The text of a record, and its value or the code of its rejection.
type Text = (Vec<u8>, Result<String, &'static str>);

/// The number of a record, the line and the offset of its start.
type Spot = (u64, u64, u64);

/// The inputs of the suite for one format.
struct Case {
    /// Name in messages.
    name: &'static str,
    /// The keys of `source` that select it.
    source: &'static str,
    /// The text before the first record.
    header: &'static str,
    /// Returns the text of a record without its line end, and its value or the code of its rejection; `None` if the
    /// format has no such record.
    write: fn(&Item) -> Option<Text>,
    /// Writes a file with these values, if the format is not text; then `write` returns a row as it is shown.
    file: Option<WriteFile>,
    open: fn(Arc<OpenSource>, max_record_bytes: u64) -> listferry::Result<Table>,
}

const CASES: [Case; 11] = [
    Case {
        name: "csv",
        source: "format: csv",
        header: "n,value\n",
        write: |item| delimited(item, ","),
        file: None,
        open: |source, max| csv(source, b',', max),
    },
    Case {
        name: "tsv",
        source: "format: tsv",
        header: "n\tvalue\n",
        write: |item| delimited(item, "\t"),
        file: None,
        open: |source, max| csv(source, b'\t', max),
    },
    Case { name: "lines", source: "format: lines", header: "", write: line, file: None, open: lines },
    Case { name: "ndjson", source: "format: ndjson", header: "", write: object, file: None, open: ndjson },
    Case {
        name: "mysql",
        source: "format: csv, csv: { preset: mysql }",
        header: "n\tvalue\n",
        write: |item| escaped(item, "\t"),
        file: None,
        open: |source, max| dialect(source, max, |csv| (csv.delimiter, csv.quote, csv.escape) = (b'\t', None, true)),
    },
    Case {
        name: "escapes in quotes",
        source: "format: csv, csv: { escape: \"\\\\\", nulls: [\"\\\\N\"] }",
        header: "n,value\n",
        write: escaped_in_quotes,
        file: None,
        open: |source, max| dialect(source, max, |csv| csv.escape = true),
    },
    Case {
        name: "hive",
        source: "format: csv, csv: { preset: hive }",
        header: "n\u{1}value\n",
        write: |item| match item {
            Item::TwoLines => None,
            Item::Malformed => Some((b"7\x01x\x01\"y".to_vec(), Err("ragged"))),
            Item::Value(value) => Some(([b"7\x01", value.as_bytes()].concat(), Ok(value.clone()))),
            item => delimited(item, "\u{1}"),
        },
        file: None,
        open: |source, max| dialect(source, max, |csv| (csv.delimiter, csv.quote) = (1, None)),
    },
    Case {
        name: "comments",
        source: "format: csv, csv: { comment: \"#\" }",
        header: "# made by \"x\nn,value\n",
        write: |item| match item {
            Item::Blank => Some((b"#,\"a comment,".to_vec(), Ok(String::new()))),
            item => delimited(item, ","),
        },
        file: None,
        open: |source, max| dialect(source, max, |csv| csv.comment = Some(b'#')),
    },
    Case {
        name: "parquet",
        source: "format: parquet",
        header: "",
        write: row,
        file: Some(parquet_file),
        open: parquet,
    },
    Case { name: "arrow", source: "format: arrow", header: "", write: row, file: Some(arrow_file), open: arrow },
    Case { name: "xlsx", source: "format: xlsx", header: "", write: row, file: Some(xlsx_file), open: xlsx },
];

fn xlsx(source: Arc<OpenSource>, max_record_bytes: u64) -> listferry::Result<Table> {
    let mut options = XlsxOptions::default();
    options.max_record_bytes = max_record_bytes;
    Ok(Xlsx::open(source, &["value"], options)?.into())
}

/// Writes a sheet with an empty row before each tenth one.
fn xlsx_file(values: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = Book::of("ROWS").parts();
    let sheet = parts.iter_mut().find(|(name, _)| *name == "xl/worksheets/sheet1.xml").unwrap();
    let (head, tail) = std::str::from_utf8(&sheet.1).unwrap().split_once("ROWS").unwrap();
    let mut rows = [head.as_bytes(), b"<row>", &inline(b"n"), &inline(b"value"), b"</row>"].concat();
    for (n, value) in values.iter().enumerate() {
        if n % 10 == 0 {
            rows.extend(b"<row/>");
        }
        rows.extend(format!("<row><c><v>{n}</v></c>").into_bytes());
        rows.extend([&inline(value)[..], b"</row>"].concat());
    }
    sheet.1 = [&rows, tail.as_bytes()].concat();
    zip(&parts)
}

/// Returns true if a format reads by position, so that its files are not compressed as a whole.
fn is_by_position(case: &Case) -> bool {
    matches!(case.name, "parquet" | "xlsx")
}

fn arrow(source: Arc<OpenSource>, max_record_bytes: u64) -> listferry::Result<Table> {
    let mut options = ArrowOptions::default();
    options.max_record_bytes = max_record_bytes;
    Ok(Arrow::open(source, &["value"], options)?.into())
}

/// Writes a file of small batches, with the values as bytes, since text must be UTF-8.
fn arrow_file(values: &[Vec<u8>]) -> Vec<u8> {
    let rows = (values.len() / 3).clamp(1, 20_000);
    let of = |values: &[Vec<u8>]| {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..values.len() as i64));
        let values: ArrayRef = Arc::new(BinaryArray::from_iter_values(values));
        RecordBatch::try_from_iter([("n", numbers), ("value", values)]).unwrap()
    };
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &of(&[]).schema()).unwrap();
    values.chunks(rows).for_each(|values| writer.write(&of(values)).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn dialect(source: Arc<OpenSource>, max_record_bytes: u64, set: fn(&mut CsvOptions)) -> listferry::Result<Table> {
    let mut options = CsvOptions::default();
    options.max_record_bytes = max_record_bytes;
    options.nulls = vec![b"\\N".to_vec()];
    set(&mut options);
    Ok(Csv::open(source, options)?.into())
}

fn csv(source: Arc<OpenSource>, delimiter: u8, max_record_bytes: u64) -> listferry::Result<Table> {
    let mut options = CsvOptions::default();
    (options.delimiter, options.max_record_bytes) = (delimiter, max_record_bytes);
    Ok(Csv::open(source, options)?.into())
}

fn lines(source: Arc<OpenSource>, max_record_bytes: u64) -> listferry::Result<Table> {
    let mut options = LinesOptions::default();
    options.max_record_bytes = max_record_bytes;
    Ok(Lines::open(source, options)?.into())
}

fn ndjson(source: Arc<OpenSource>, max_record_bytes: u64) -> listferry::Result<Table> {
    let mut options = NdjsonOptions::default();
    options.max_record_bytes = max_record_bytes;
    Ok(Ndjson::open(source, &["n", "value"], options)?.into())
}

fn parquet(source: Arc<OpenSource>, max_record_bytes: u64) -> listferry::Result<Table> {
    let mut options = ParquetOptions::default();
    options.max_record_bytes = max_record_bytes;
    Ok(Parquet::open(source, &["value"], options)?.into())
}

/// Writes a file of small row groups, with the values as bytes, since text must be UTF-8.
fn parquet_file(values: &[Vec<u8>]) -> Vec<u8> {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..values.len() as i64));
    let values: ArrayRef = Arc::new(BinaryArray::from_iter_values(values));
    let batch = RecordBatch::try_from_iter([("n", numbers), ("value", values)]).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some((batch.num_rows() / 3).clamp(1, 500_000)))
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(100)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Returns the value of an item, for a format that is not text.
fn value_of(item: &Item) -> Option<Vec<u8>> {
    Some(match item {
        Item::Value(value) => value.clone().into_bytes(),
        Item::TwoLines => b"one\ntwo".to_vec(),
        Item::Invalid => b"x\xff".to_vec(),
        Item::Nul => b"x\0".to_vec(),
        Item::Malformed | Item::Blank => return None,
    })
}

/// Returns a row as it is shown.
fn row(item: &Item) -> Option<Text> {
    let value = value_of(item)?;
    let outcome = match item {
        Item::Invalid => Err("invalid_utf8"),
        Item::Nul => Err("nul"),
        _ => Ok(String::from_utf8(value.clone()).unwrap()),
    };
    Some((json!({ "value": String::from_utf8_lossy(&value) }).to_string().into_bytes(), outcome))
}

fn delimited(item: &Item, delimiter: &str) -> Option<Text> {
    let (text, value) = match item {
        Item::Value(value) if value.contains(['"', ',', '\t']) => {
            (format!("\"{}\"", value.replace('"', "\"\"")).into_bytes(), Ok(value.clone()))
        }
        Item::Value(value) => (value.clone().into_bytes(), Ok(value.clone())),
        Item::TwoLines => (b"\"one\ntwo\"".to_vec(), Ok("one\ntwo".to_owned())),
        Item::Invalid => (b"x\xff".to_vec(), Err("invalid_utf8")),
        Item::Nul => (b"x\0".to_vec(), Err("nul")),
        Item::Malformed => (format!("x{delimiter}\"y\nz\"").into_bytes(), Err("ragged")),
        Item::Blank => return Some((Vec::new(), Ok(String::new()))),
    };
    Some(([b"7", delimiter.as_bytes(), &text].concat(), value))
}

/// A record whose line ends, delimiters and backslashes are escaped.
fn escaped(item: &Item, delimiter: &str) -> Option<Text> {
    let text = |value: &str| {
        let of = |c: char| if "\\\t\n".contains(c) { format!("\\{c}") } else { c.to_string() };
        value.chars().map(of).collect::<String>().into_bytes()
    };
    let (text, value) = match item {
        Item::Value(value) => (text(value), Ok(value.clone())),
        Item::TwoLines => (text("one\ntwo"), Ok("one\ntwo".to_owned())),
        Item::Malformed => (format!("x{delimiter}\"y\\\nz").into_bytes(), Err("ragged")),
        item => return delimited(item, delimiter),
    };
    Some(([b"7", delimiter.as_bytes(), &text].concat(), value))
}

fn escaped_in_quotes(item: &Item) -> Option<Text> {
    let Item::Value(value) = item else { return delimited(item, ",") };
    let text = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
    Some((format!("7,\"{text}\"").into_bytes(), Ok(value.clone())))
}

fn line(item: &Item) -> Option<Text> {
    Some(match item {
        Item::Value(value) => (value.clone().into_bytes(), Ok(value.clone())),
        Item::Invalid => (b"x\xff".to_vec(), Err("invalid_utf8")),
        Item::Nul => (b"\0x\0\0".to_vec(), Err("nul")),
        Item::Blank => (Vec::new(), Ok(String::new())),
        Item::TwoLines | Item::Malformed => return None,
    })
}

fn object(item: &Item) -> Option<Text> {
    let text = |value: &str| format!("{{\"n\":7,\"value\":{}}}", json!(value)).into_bytes();
    Some(match item {
        Item::Value(value) => (text(value), Ok(value.clone())),
        Item::TwoLines => (text("one\ntwo"), Ok("one\ntwo".to_owned())),
        Item::Invalid => (b"{\"value\":\"x\xff\"}".to_vec(), Err("invalid_utf8")),
        Item::Nul => (text("x\0"), Err("nul")),
        Item::Malformed => (b"{\"value\":\"x\"".to_vec(), Err("not_json")),
        Item::Blank => (b" \t".to_vec(), Ok(String::new())),
    })
}

/// The codes of records that could not be split into columns.
const MALFORMED: [&str; 2] = ["ragged", "not_json"];

/// A list, and its records.
fn written(case: &Case, items: &[Item], line_end: &str, cut: bool) -> (Vec<u8>, Vec<Noted>) {
    let mut list = case.header.as_bytes().to_vec();
    let mut noted: Vec<Noted> = Vec::new();
    if let Some(file) = case.file {
        for (text, value) in items.iter().filter_map(case.write) {
            noted.push(Noted { place: (noted.len() as u64 + 1, 0, 0), text, value });
        }
        return (file(&items.iter().filter_map(value_of).collect::<Vec<_>>()), noted);
    }
    for item in items {
        let Some((text, value)) = (case.write)(item) else { continue };
        if list.is_empty() && text.starts_with("\u{feff}".as_bytes()) {
            // at the start of a list it is not part of a value
            continue;
        }
        if matches!(item, Item::Nul) && list.len() < 8 {
            // a NUL among the first bytes makes them look like UTF-16 or UTF-32
            continue;
        }
        if !matches!(item, Item::Blank) {
            let place = (noted.len() as u64 + 1, 1 + line_ends(&list), list.len() as u64);
            noted.push(Noted { place, text: text.clone(), value });
        }
        list.extend(text);
        list.extend(line_end.as_bytes());
    }
    if cut && list.len() > case.header.len() && !matches!(items.last(), Some(Item::Blank)) {
        list.truncate(list.len() - line_end.len());
    }
    (list, noted)
}

fn line_ends(text: &[u8]) -> u64 {
    let ends = |at: usize| text[at] == b'\n' || (text[at] == b'\r' && text.get(at + 1) != Some(&b'\n'));
    (0..text.len()).filter(|&at| ends(at)).count() as u64
}

/// Returns the expected output of the records: `{"v":"…"}` per line.
fn expected(noted: &[Noted]) -> Vec<u8> {
    noted.iter().filter_map(|row| row.value.as_ref().ok()).flat_map(|value| line_of(value)).collect()
}

fn line_of(value: &str) -> Vec<u8> {
    (json!({ "v": value }).to_string() + "\n").into_bytes()
}

fn plan(table: &Table) -> Arc<Plan> {
    let value = ValueSpec::parse(&json!({ "column": "value", "empty": "keep" }), "map.v", &[]).unwrap();
    let field = Field { at: "map.v".to_owned(), name: "v".to_owned(), value, required: false, rules: Rules::default() };
    let unit = Unit { before: "\"v\":".to_owned(), field: Some(field), after: String::new(), when_empty: None };
    let json = Json { open: "{".to_owned(), units: vec![unit], close: "}".to_owned(), ..Json::default() };
    Arc::new(Plan::compile_for(&Shape::Json(json), &[], table).unwrap())
}

fn table(case: &Case, stored: Vec<u8>) -> listferry::Result<Table> {
    (case.open)(Arc::new(OpenSource::from_bytes("list", stored, &SourceOptions::default())?), 1 << 20)
}

fn packed(list: &[u8], how: usize) -> Vec<u8> {
    match how {
        0 => list.to_vec(),
        1 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(list).unwrap();
            encoder.finish().unwrap()
        }
        _ => zstd::encode_all(list, 1).unwrap(),
    }
}

fn options(threads: usize, chunk_bytes: usize) -> Options {
    let mut options = Options::default();
    (options.threads, options.chunk_bytes) = (threads, chunk_bytes);
    options
}

fn place(source: &SourceRecord<'_>) -> Spot {
    // a format has lines and bytes, or places in words
    assert_eq!(source.line.is_none(), source.place().is_some());
    (source.record, source.line.unwrap_or(0), source.byte.unwrap_or(0))
}

/// A rejected record: place, text, code, and whether it was split.
type Rejected = (Spot, Vec<u8>, String, bool);

/// Whether the text of a record contains a value, as it is or in JSON.
fn contains(text: &[u8], value: &[u8]) -> bool {
    let json = json!(String::from_utf8_lossy(value)).to_string();
    value.is_empty()
        || text.windows(value.len()).any(|part| part == value)
        || String::from_utf8_lossy(text).contains(&json)
}

/// Collects the rejected records in order.
#[derive(Debug, Default, PartialEq)]
struct Kept(Vec<Rejected>);

impl RejectSink for Kept {
    fn reject(&mut self, reject: &Reject<'_>) -> listferry::Result<()> {
        let source = &reject.source;
        // the value is the last cell, and in these records its text is the value
        let last = source.cells().map(|cells| cells.last().unwrap().into_value().into_owned());
        let text = source.text();
        assert!(last.is_none_or(|value| contains(&text, &value)), "{text:?}");
        let code = reject.error.code.to_owned();
        self.0.push((place(source), source.text().into_owned(), code, source.cells().is_some()));
        Ok(())
    }
    fn restart(&mut self) -> listferry::Result<()> {
        self.0.clear();
        Ok(())
    }
}

fn rejected(noted: &[Noted]) -> Kept {
    let of = |row: &Noted| {
        let code = *row.value.as_ref().err()?;
        Some((row.place, row.text.clone(), code.to_owned(), !MALFORMED.contains(&code)))
    };
    Kept(noted.iter().filter_map(of).collect())
}

fn body(measured: &Measured, from: u64, to: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    measured.range(&measured.parts()[0], from..to).into_read().read_to_end(&mut bytes).unwrap();
    bytes
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        6 => "[a-z0-9@.]{1,12}".prop_map(Item::Value), 2 => "[a-zé\"\\\\,;| \t]{1,90}".prop_map(Item::Value),
        1 => Just(Item::Value("\u{feff}x".to_owned())), 1 => Just(Item::TwoLines), 1 => Just(Item::Invalid),
        1 => Just(Item::Nul), 1 => Just(Item::Malformed), 1 => Just(Item::Blank),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 80 } else { 400 }))]

    #[test]
    fn records_positions_and_rejects_do_not_depend_on_how_they_are_read(
        items in proptest::collection::vec(item(), 0..60), case in 0..CASES.len(), threads in 1usize..5,
        chunk in prop_oneof![1usize..50, 50usize..700, Just(256 << 10)], how in 0usize..3,
        line_end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], cut: bool, part in 0.0f64..1.0,
    ) {
        let case = &CASES[case];
        let (list, noted) = written(case, &items, line_end, cut);
        let how = if is_by_position(case) { 0 } else { how };
        let table = table(case, packed(&list, how)).unwrap();
        let (plan, options) = (plan(&table), options(threads, chunk));
        let (want, rejects) = (expected(&noted), rejected(&noted));

        let (mut out, mut kept) = (Vec::new(), Kept::default());
        let mut keep = |bytes: &[u8]| { out.extend_from_slice(bytes); Ok(()) };
        let counts = convert(&table, &plan, &options, &mut keep, &mut kept).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&want));
        prop_assert_eq!(&kept, &rejects);
        prop_assert_eq!((counts.read, counts.rejected), (noted.len() as u64, rejects.0.len() as u64));

        // runs pass one, and pass two from the start and from the middle
        let mut kept = Kept::default();
        let measured = measure(&table, &plan, &Split::default(), &options, &mut kept).unwrap();
        prop_assert_eq!((measured.counts(), &kept), (&counts, &rejects));
        let len = measured.body_bytes();
        prop_assert_eq!(body(&measured, 0, len), &want[..]);
        let from = (part * len as f64) as u64;
        prop_assert_eq!(body(&measured, from, len), &want[from as usize..]);

        // the rows of the output from the middle on
        let rows: Vec<&Noted> = noted.iter().filter(|row| row.value.is_ok()).collect();
        let from = (part * rows.len() as f64) as usize;
        let mut shown = Vec::new();
        measured.replay(from as u64, &mut |row| {
            shown.push((row.index as usize, place(&row.source), row.source.text().into_owned(), row.output.to_vec()));
            Ok(true)
        }).unwrap();
        let of = |(n, row): (usize, &&Noted)| (n, row.place, row.text.clone(), line_of(row.value.as_ref().unwrap()));
        prop_assert_eq!(shown, rows.iter().enumerate().skip(from).map(of).collect::<Vec<_>>());
        let mut places = Vec::new();
        preview(&table, &plan, &options, &mut |row| { places.push(place(&row.source)); Ok(true) }).unwrap();
        prop_assert_eq!(places, noted.iter().map(|row| row.place).collect::<Vec<_>>());
    }
}

#[test]
fn parts_are_cut_between_records_and_sent_from_their_own_start() {
    for case in &CASES {
        let items: Vec<Item> = (0..5000).map(|n| Item::Value(format!("value {n}"))).collect();
        let (list, noted) = written(case, &items, "\n", false);
        for how in if is_by_position(case) { 0..1 } else { 0..3 } {
            let table = table(case, packed(&list, how)).unwrap();
            let mut split = Split::default();
            split.max_part_bytes = Some(10_000);
            let measured = measure(&table, &plan(&table), &split, &options(3, 4096), &mut DiscardRejects).unwrap();
            assert!(measured.parts().len() > 5);
            let mut all = Vec::new();
            for part in measured.parts() {
                measured.body(part).into_read().read_to_end(&mut all).unwrap();
            }
            assert_eq!(all, expected(&noted), "{}", case.name);
        }
    }
}

#[test]
fn a_record_that_is_too_long_ends_every_pass_at_its_place() {
    for case in &CASES {
        for (how, end) in [(0, "\n"), (1, "\n"), (0, "")] {
            let items = [Item::Value("a".to_owned()), Item::Invalid, Item::Value("x".repeat(3000))];
            let (mut list, noted) = written(case, &items, "\n", end.is_empty());
            let how = if is_by_position(case) { 0 } else { how };
            list.extend(if case.file.is_some() { b"" } else { end.as_bytes() });
            for (threads, chunk) in [(1, 1 << 18), (1, 100), (4, 700)] {
                let source = OpenSource::from_bytes("list", packed(&list, how), &SourceOptions::default()).unwrap();
                let table = (case.open)(Arc::new(source), 1000).unwrap();
                let (plan, options) = (plan(&table), options(threads, chunk));
                let measured = measure(&table, &plan, &Split::default(), &options, &mut DiscardRejects);
                let converted = convert(&table, &plan, &options, &mut |_| Ok(()), &mut DiscardRejects);
                for error in [measured.map(drop).unwrap_err(), converted.map(drop).unwrap_err()] {
                    let place = error.place();
                    let found = (place.record.unwrap(), place.line.unwrap_or(0), place.byte.unwrap_or(0));
                    assert_eq!(place.line.is_none(), place.row.is_some(), "{error}");
                    assert_eq!(found, noted[2].place, "{} {threads} {chunk}: {error}", case.name);
                    assert!(error.message().contains("max_record_bytes") && error.hint().is_some(), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_reject_file_has_the_columns_of_the_source_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    for case in &CASES {
        let items = [Item::Invalid, Item::Value("a,\"b".to_owned()), Item::Malformed, Item::Nul];
        let (list, noted) = written(case, &items, "\n", false);
        let table = table(case, list).unwrap();
        let path = dir.path().join(case.name);
        let mut file = RejectFile::new(&path, table.columns()).unwrap();
        convert(&table, &plan(&table), &options(1, 1 << 18), &mut |_| Ok(()), &mut file).unwrap();
        file.flush().unwrap();
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let header = reader.byte_headers().unwrap().clone();
        let columns = table.columns().len();
        assert!(header.iter().zip(table.columns()).all(|(ours, column)| ours == column.as_bytes()), "{header:?}");
        let rows: Vec<csv::ByteRecord> = reader.byte_records().map(Result::unwrap).collect();
        let want = rejected(&noted);
        assert_eq!(rows.len(), want.0.len());
        for (row, ((record, line, byte), text, code, is_split)) in rows.iter().zip(&want.0) {
            let marks: Vec<String> =
                row.iter().skip(columns).map(|cell| String::from_utf8_lossy(cell).into()).collect();
            assert_eq!(marks[..2], ["local", "list"]);
            let shown = |number: &u64| if case.file.is_some() { String::new() } else { number.to_string() };
            assert_eq!(marks[2..5], [record.to_string(), shown(line), shown(byte)]);
            assert_eq!(marks[5].is_empty(), case.file.is_none(), "{marks:?}");
            assert_eq!(marks[7], *code);
            // the value is the last column of the source; a record that was not split is unchanged
            let (value, raw) = (&row[columns - 1], &row[row.len() - 1]);
            match is_split {
                true => {
                    assert!(contains(text, value) && (raw.is_empty() || raw == text), "{row:?}");
                    // if the columns of a format are not the whole record, the text is included
                    assert_eq!(raw.is_empty(), case.name != "ndjson");
                }
                false => assert!(value.is_empty() && raw == text, "{row:?}"),
            }
        }
    }
}

/// Returns the list of a command's test bed in the format of a case.
fn bed(case: &Case, list: &[u8]) -> Bed {
    let bed = Bed::new(&CLEVERTAP.replace("identity: id", "identity: value"), "");
    let job = std::fs::read_to_string(bed.path("job.yaml")).unwrap();
    let job = job.replace("path: list.csv", &format!("path: list.csv, {}", case.source));
    std::fs::write(bed.path("job.yaml"), job).unwrap();
    std::fs::write(bed.path("list.csv"), list).unwrap();
    bed
}

#[test]
fn a_job_file_names_the_format() {
    for case in &CASES {
        let items = ["17", "18"].map(|value| Item::Value(value.to_owned()));
        let bed = bed(case, &written(case, &items, "\n", false).0);
        let (code, report) = bed.json(&["convert", "job.yaml", "-o", "out.csv"]);
        assert_eq!(code, 0, "{}: {report}", case.name);
        let out = std::fs::read_to_string(bed.path("out.csv")).unwrap();
        assert_eq!(out, "Type,Identity\ni,17\ni,18\n", "{}", case.name);
        let (code, report) = bed.json(&["check", "job.yaml", "--set", "map.identity=nope"]);
        // a format without a header can report this only after reading the list
        assert_eq!(code, if case.name == "ndjson" { 10 } else { 2 }, "{}: {report}", case.name);
        let message = report["error"]["message"].as_str().unwrap();
        assert!(message.contains("no such column") || message.contains("nope"), "{report}");
    }
}

#[test]
fn another_format_or_encoding_under_the_name_is_refused() {
    for case in &CASES {
        let utf16: Vec<u8> = "value\n1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (list, what) in [(utf16, "UTF-16LE"), (b"PK\x03\x04\x14\0list".to_vec(), "a zip archive")] {
            let (code, report) = bed(case, &list).json(&["check", "job.yaml"]);
            assert_eq!(code, 10, "{}: {report}", case.name);
            assert!(report["error"]["message"].as_str().unwrap().contains(what), "{report}");
            assert!(report["error"]["hint"].is_string(), "{report}");
        }
    }
}

/// Memory must not grow with the length of the list, and with the number of threads only as promised.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_list() {
    for case in &CASES {
        let peak = |records: usize| {
            let bed = bed(case, &[]);
            many(case, &bed.path("list.csv"), records);
            let (code, report) = bed.json(&["check", "job.yaml", "--threads", "2"]);
            assert_eq!(code, 0, "{}: {}", case.name, report["error"]);
            report["peak_rss_bytes"].as_u64().unwrap() >> 20
        };
        let (small, large) = (peak(60_000), peak(900_000));
        assert!(large <= small + 6 && large <= 48, "{}: {small} and {large} MiB", case.name);
    }
}

fn many(case: &Case, path: &Path, records: usize) {
    if let Some(file) = case.file {
        let values: Vec<_> = (0..records).map(|n| format!("person-{n}@example.com").into_bytes()).collect();
        return std::fs::write(path, file(&values)).unwrap();
    }
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    file.write_all(case.header.as_bytes()).unwrap();
    for n in 0..records {
        let (text, _) = (case.write)(&Item::Value(format!("person-{n}@example.com"))).unwrap();
        file.write_all(&text).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.flush().unwrap();
}
