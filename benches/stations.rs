//! Measures each station alone, on 64 MiB of the generator's list in memory: scan, convert (one thread, no file), hash,
//! decompress, CRC. The result of each is checked before it is measured.

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use listferry::body::{self, DiscardRejects, Options, Split};
use listferry::buffer::{Padded, SLACK};
use listferry::format::Table;
use listferry::format::csv::{Csv, CsvOptions};
use listferry::format::ndjson::{Ndjson, NdjsonOptions};
use listferry::mapping::{Cells, Field, Json, Plan, Quoting, Rules, Separator, Shape, Unit, ValueSpec};
use listferry::scan::{Carry, Isa, Scanner, Tape, WINDOW};
use listferry::source::{Encoding, OpenSource, SourceOptions};
use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;

#[allow(dead_code, unreachable_pub)]
#[path = "../examples/generate/list.rs"]
mod list;

const SIZE: usize = 64 << 20;
const CHUNK: usize = 256 << 10;

fn text() -> Vec<u8> {
    let mut text = Vec::with_capacity(SIZE + SLACK);
    list::List { size: SIZE as u64, ..list::List::default() }.write(&mut text).expect("memory takes it");
    text
}

fn group<'a>(criterion: &'a mut Criterion, name: &str, bytes: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(bytes as u64)).sample_size(10);
    group
}

/// Scans chunk by chunk and window by window, as the reader does; returns a digest of every position found.
fn scan(scanner: Scanner, padded: &[u8], len: usize, tape: &mut Tape) -> (u64, u64) {
    let mut carry = Carry::new(false);
    let (mut digest, mut records) = (0u64, 0u64);
    for from in (0..len).step_by(CHUNK) {
        let chunk = Padded::new(padded, from, (from + CHUNK).min(len));
        tape.start(chunk.len());
        for at in (0..chunk.len()).step_by(WINDOW) {
            scanner.window(chunk, at, (at + WINDOW).min(chunk.len()), &mut carry, tape);
            for part in [tape.cells.first(), tape.cells.last()].into_iter().flatten() {
                digest = digest.rotate_left(5) ^ u64::from(*part);
            }
            digest = digest.rotate_left(5) ^ tape.cells.len() as u64;
            records += tape.records.len() as u64;
            tape.keep_from(tape.cells.len());
        }
    }
    (digest, records)
}

fn scans(criterion: &mut Criterion) {
    let mut padded = text();
    let len = padded.len();
    padded.resize(len + SLACK, 0);
    let dialect = CsvOptions::default().dialect();
    let mut tape = Tape::default();
    let naive = scan(Scanner::with(dialect, Isa::Naive).expect("always there"), &padded, len, &mut tape);
    let records = csv::Reader::from_reader(&padded[..len]).byte_records().count() as u64 + 1;
    assert_eq!(naive.1, records, "the csv crate finds another number of records");
    let mut group = group(criterion, "scan", len);
    for isa in Isa::available() {
        let scanner = Scanner::with(dialect, isa).expect("available");
        assert_eq!(scan(scanner, &padded, len, &mut tape), naive, "{isa:?} finds something else");
        group.bench_function(format!("{isa:?}"), |b| b.iter(|| scan(scanner, black_box(&padded), len, &mut tape)));
    }
    group.finish();
}

fn field(name: &str, value: &serde_json::Value) -> Field {
    let at = format!("map.{name}");
    let value = ValueSpec::parse(value, &at, &[]).expect("a value");
    Field { at, name: name.to_owned(), value, required: false, rules: Rules::default() }
}

fn unit(before: &str, name: &str, value: serde_json::Value, after: &str) -> Unit {
    Unit { before: before.to_owned(), field: Some(field(name, &value)), after: after.to_owned(), when_empty: None }
}

/// The rows of a CleverTap list.
fn cells() -> Shape {
    Shape::Delimited(Cells {
        fields: vec![field("Type", &json!({ "value": "i" })), field("Identity", &json!("customer_id"))],
        header: true,
        separator: Separator::Byte(b','),
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    })
}

/// JSON lines in which empty values are left out.
fn lines() -> Shape {
    Shape::Json(Json {
        open: "{".to_owned(),
        units: vec![
            unit("\"id\":", "id", json!("customer_id"), ""),
            unit("\"email\":", "email", json!({ "column": "email", "apply": ["lower"] }), ""),
            unit("\"notes\":", "notes", json!("notes"), ""),
            unit("\"tags\":", "tags", json!({ "column": "tags", "split": "|" }), ""),
        ],
        close: "}".to_owned(),
        ..Json::default()
    })
}

/// Computes the same in a straightforward way.
fn expected(text: &[u8], json: bool) -> Vec<u8> {
    let mut out = if json { Vec::new() } else { b"Type,Identity\n".to_vec() };
    for record in csv::Reader::from_reader(text).records() {
        let record = record.expect("UTF-8");
        if !json {
            out.extend_from_slice(format!("i,{}\n", &record[0]).as_bytes());
            continue;
        }
        let mut line = serde_json::Map::new();
        line.insert("id".to_owned(), record[0].into());
        line.insert("email".to_owned(), record[1].to_lowercase().into());
        for (name, column) in [("notes", 9), ("tags", 8)] {
            if !record[column].is_empty() {
                let value = &record[column];
                let value = if name == "tags" { value.split('|').collect() } else { value.into() };
                line.insert(name.to_owned(), value);
            }
        }
        serde_json::to_writer(&mut out, &line).expect("memory takes it");
        out.push(b'\n');
    }
    out
}

fn converts(criterion: &mut Criterion) {
    let text = text();
    let len = text.len();
    let source = OpenSource::from_bytes("list.csv", text.clone(), &SourceOptions::default()).expect("a list");
    let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).expect("a header"));
    let mut options = Options::default();
    options.threads = 1;
    for (name, shape) in [("cells", cells()), ("lines", lines())] {
        let plan = Arc::new(Plan::compile(&shape, &[], table.columns()).expect("a plan"));
        let wanted = expected(&text, name == "lines");
        let mut out = Vec::with_capacity(wanted.len());
        let mut write = |slab: &[u8]| {
            out.extend_from_slice(slab);
            Ok(())
        };
        body::convert(&table, &plan, &options, &mut write, &mut DiscardRejects).expect("converts");
        assert!(out == wanted, "{name}: not what csv and serde_json write");
        let mut group = group(criterion, "one thread, from memory", len);
        group.bench_function(format!("convert to {name}"), |b| {
            b.iter(|| {
                let mut n = 0;
                let mut count = |slab: &[u8]| {
                    n += black_box(slab).len();
                    Ok(())
                };
                body::convert(&table, &plan, &options, &mut count, &mut DiscardRejects).expect("converts");
                assert_eq!(n, wanted.len());
            });
        });
        group.bench_function(format!("measure {name}"), |b| {
            b.iter(|| {
                let measured = body::measure(&table, &plan, &Split::default(), &options, &mut DiscardRejects);
                assert_eq!(measured.expect("measures").body_bytes(), wanted.len() as u64);
            });
        });
        group.finish();
    }
}

/// The generator's list with tabs and escapes, as MySQL writes it.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * text.len());
    for record in csv::ReaderBuilder::new().has_headers(false).from_reader(text).byte_records() {
        for (n, value) in record.expect("a record").iter().enumerate() {
            out.extend((n > 0).then_some(b'\t'));
            for &byte in value {
                out.extend(matches!(byte, b'\\' | b'\t' | b'\n').then_some(b'\\'));
                out.push(byte);
            }
        }
        out.push(b'\n');
    }
    out
}

/// Converts the list from other dialects and encodings; the output is that of the list as CSV.
fn converts_dialects(criterion: &mut Criterion) {
    let text = text();
    let wanted = expected(&text, false);
    let utf16 = String::from_utf8(text.clone()).expect("text").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut mysql = CsvOptions::default();
    (mysql.delimiter, mysql.quote, mysql.escape) = (b'\t', None, true);
    let mut comments = CsvOptions::default();
    comments.comment = Some(b'#');
    let mut encoded = SourceOptions::default();
    encoded.encoding = Encoding::for_label("utf-16le").expect("a label");
    let plain = SourceOptions::default();
    for (name, list, csv, options) in [
        ("escapes", escaped(&text), mysql, &plain),
        ("comments", text.clone(), comments, &plain),
        ("utf-16le", utf16, CsvOptions::default(), &encoded),
    ] {
        let len = list.len();
        let source = OpenSource::from_bytes("list.csv", list, options).expect("a list");
        let table = Table::from(Csv::open(Arc::new(source), csv).expect("a header"));
        let plan = Arc::new(Plan::compile(&cells(), &[], table.columns()).expect("a plan"));
        let mut options = Options::default();
        options.threads = 1;
        let mut out = Vec::with_capacity(wanted.len());
        let mut write = |slab: &[u8]| {
            out.extend_from_slice(slab);
            Ok(())
        };
        body::convert(&table, &plan, &options, &mut write, &mut DiscardRejects).expect("converts");
        assert!(out == wanted, "{name}: other bytes");
        let mut group = group(criterion, "dialects, one thread", len);
        group.bench_function(format!("measure cells, {name}"), |b| {
            b.iter(|| {
                let measured = body::measure(&table, &plan, &Split::default(), &options, &mut DiscardRejects);
                assert_eq!(measured.expect("measures").body_bytes(), wanted.len() as u64);
            });
        });
        group.finish();
    }
}

/// The generator's list as NDJSON, all values as text, tags as a list.
fn ndjson(text: &[u8]) -> Vec<u8> {
    let mut reader = csv::Reader::from_reader(text);
    let names = reader.headers().expect("a header").clone();
    let mut out = Vec::with_capacity(2 * text.len());
    for record in reader.records() {
        let record = record.expect("UTF-8");
        let line: serde_json::Map<_, _> =
            names.iter().zip(&record).map(|(name, value)| (name.to_owned(), value.into())).collect();
        serde_json::to_writer(&mut out, &line).expect("memory takes it");
        out.push(b'\n');
    }
    out
}

/// Converts the list from NDJSON; the output is that of the list as CSV.
fn converts_ndjson(criterion: &mut Criterion) {
    let text = text();
    let lines_of = ndjson(&text);
    let len = lines_of.len();
    let source = OpenSource::from_bytes("list.ndjson", lines_of, &SourceOptions::default()).expect("a list");
    let columns = ["customer_id", "email", "notes", "tags"];
    let opened = Ndjson::open(Arc::new(source), &columns, NdjsonOptions::default()).expect("lines");
    let table = Table::from(opened);
    let mut options = Options::default();
    options.threads = 1;
    for (name, shape) in [("cells", cells()), ("lines", lines())] {
        let plan = Arc::new(Plan::compile_for(&shape, &[], &table).expect("a plan"));
        let wanted = expected(&text, name == "lines");
        let mut out = Vec::with_capacity(wanted.len());
        let mut write = |slab: &[u8]| {
            out.extend_from_slice(slab);
            Ok(())
        };
        body::convert(&table, &plan, &options, &mut write, &mut DiscardRejects).expect("converts");
        assert!(out == wanted, "{name}: not what csv and serde_json write");
        let mut group = group(criterion, "one thread, from memory", len);
        group.bench_function(format!("measure {name} from NDJSON"), |b| {
            b.iter(|| {
                let measured = body::measure(&table, &plan, &Split::default(), &options, &mut DiscardRejects);
                assert_eq!(measured.expect("measures").body_bytes(), wanted.len() as u64);
            });
        });
        group.finish();
    }
}

/// Hashes addresses as the platforms require: white space removed, in lower case.
fn hashes(criterion: &mut Criterion) {
    use sha2::{Digest, Sha256};
    let text = text();
    let hashed = json!({ "column": "email", "apply": ["trim", "lower", "sha256"] });
    let shape = Shape::Delimited(Cells {
        fields: vec![field("email", &hashed)],
        header: false,
        separator: Separator::Byte(b','),
        quoting: Quoting::Never,
        checks: Vec::new(),
        max_record_bytes: None,
    });
    let mut wanted = String::new();
    for record in csv::Reader::from_reader(&text[..]).records() {
        let record = record.expect("UTF-8");
        for byte in Sha256::digest(record[1].trim().to_lowercase()) {
            wanted.push_str(&format!("{byte:02x}"));
        }
        wanted.push('\n');
    }
    let len = text.len();
    let source = OpenSource::from_bytes("list.csv", text, &SourceOptions::default()).expect("a list");
    same_bytes(criterion, "one thread, from memory", "convert to hashes", source, &shape, wanted.as_bytes(), len, 1);
}

/// Converts a compressed list to the rows of a CleverTap list; decompresses on a second thread if there is one.
fn packed(criterion: &mut Criterion) {
    let text = text();
    let wanted = expected(&text, false);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &text).expect("memory takes it");
    let lists = [
        ("gzip", gzip.finish().expect("memory takes it")),
        ("zstd", zstd::bulk::compress(&text, 3).expect("memory takes it")),
    ];
    for (name, bytes) in lists {
        for threads in [1, 4] {
            let source = OpenSource::from_bytes("list.csv", bytes.clone(), &SourceOptions::default()).expect("a list");
            let what = format!("from {name}, {threads} thread(s)");
            same_bytes(criterion, "unpack and convert", &what, source, &cells(), &wanted, text.len(), threads);
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "what is measured, and what it is compared with")]
fn same_bytes(
    criterion: &mut Criterion,
    group_name: &str,
    name: &str,
    source: OpenSource,
    shape: &Shape,
    wanted: &[u8],
    len: usize,
    threads: usize,
) {
    let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).expect("a header"));
    let plan = Arc::new(Plan::compile(shape, &[], table.columns()).expect("a plan"));
    let mut options = Options::default();
    options.threads = threads;
    let mut out = Vec::with_capacity(wanted.len());
    let mut write = |slab: &[u8]| {
        out.extend_from_slice(slab);
        Ok(())
    };
    body::convert(&table, &plan, &options, &mut write, &mut DiscardRejects).expect("converts");
    assert!(out == wanted, "{name}: other bytes");
    let mut group = group(criterion, group_name, len);
    group.bench_function(name, |b| {
        b.iter(|| {
            let mut n = 0;
            let mut count = |slab: &[u8]| {
                n += black_box(slab).len();
                Ok(())
            };
            body::convert(&table, &plan, &options, &mut count, &mut DiscardRejects).expect("converts");
            assert_eq!(n, wanted.len());
        });
    });
    group.finish();
}

/// Computes the CRC-64/NVME one bit at a time.
fn naive_crc(bytes: &[u8]) -> u64 {
    !bytes.iter().fold(!0u64, |crc, &byte| {
        (0..8).fold(crc ^ u64::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x9a6c_9329_ac4b_c9b5 } else { 0 })
    })
}

fn crc(criterion: &mut Criterion) {
    use crc_fast::CrcAlgorithm::Crc64Nvme;
    let text = text();
    let start = &text[..1 << 20];
    assert_eq!(crc_fast::checksum(Crc64Nvme, start), naive_crc(start));
    let mut group = group(criterion, "crc", text.len());
    group.bench_function("64 KiB slabs", |b| {
        b.iter(|| text.chunks(64 << 10).fold(0, |all, slab| all ^ crc_fast::checksum(Crc64Nvme, black_box(slab))));
    });
    group.finish();
}

criterion_group!(stations, scans, converts, converts_dialects, converts_ndjson, hashes, packed, crc);
criterion_main!(stations);
