//! Files of other programs (see tests/files/make.py): the same list in many formats gives the same output and rejects,
//! and values of every type have the text that the contract says.

use super::cli::Bed;
use listferry::body::{DiscardRejects, Options, Split, convert, measure, preview};
use listferry::format::Table;
use listferry::format::arrow::{Arrow, ArrowOptions};
use listferry::format::parquet::{Parquet, ParquetOptions};
use listferry::format::xlsx::{Xlsx, XlsxOptions};
use listferry::mapping::{Field, Json, Plan, Rules, Shape, Unit, ValueSpec};
use listferry::source::{Identity, OpenSource, ReadAt, SourceOptions};
use listferry::{Error, Kind};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const JOB: &str = "
source: { path: list.csv }
map:
  customer_id: id
  changes:
    - { op: assign, attr: email, column: email, apply: [trim, lower] }
    - { op: assign, attr: name, column: name }
    - { op: assign, attr: visits, column: visits, type: integer }
    - { op: assign, attr: joined, column: joined, type: date }
    - { op: assign, attr: active, column: active }
rejects: { max: 1000, file: rejects.csv }
destination: { platform: localytics-profiles, org_id: 60, api_key: { env: K }, api_secret: { env: S } }
";

pub(crate) fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

/// Returns the files whose names start like this, in one of the formats.
fn files_like(start: &str, formats: &[&str]) -> Vec<String> {
    let names = std::fs::read_dir(files()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_one =
        |name: &String| name.starts_with(start) && formats.iter().any(|format| name.ends_with(&format!(".{format}")));
    let mut names: Vec<String> = names.filter(is_one).collect();
    names.sort();
    names
}

const FORMATS: &[&str] = &["parquet", "arrow", "arrows", "xlsx"];

/// The result of a list: the output, its digest, and record, column and code of each reject.
type Converted = (String, Value, Vec<(String, String, String)>);

fn converted(bed: &Bed, file: &str, more: &[&str]) -> Converted {
    let path = files().join(file);
    let path = format!("source.path={}", path.display());
    let mut args = vec!["convert", "job.yaml", "-o", "out.ndjson", "--set", &path];
    args.extend(more);
    let (code, report) = bed.json(&args);
    assert_eq!(code, 0, "{file}: {report}");
    let mut rejects = csv::Reader::from_path(bed.path("rejects.csv")).unwrap();
    let header = rejects.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let (record, column, code) = (at("_record"), at("_column"), at("_code"));
    let rejects = rejects.records().map(|row| {
        let row = row.unwrap();
        (row[record].to_owned(), row[column].to_owned(), row[code].to_owned())
    });
    (std::fs::read_to_string(bed.path("out.ndjson")).unwrap(), report["digest"].clone(), rejects.collect())
}

#[test]
fn a_list_is_the_same_in_every_format_and_from_every_program() {
    let bed = Bed::new(JOB, "");
    let want = converted(&bed, "list.csv", &[]);
    assert_eq!(want.0.lines().count() + want.2.len(), 300);
    assert!(want.2.iter().any(|reject| reject.2 == "empty") && want.2.iter().any(|reject| reject.2 != "empty"));
    let lists = files_like("list-", FORMATS);
    assert!(lists.len() >= 6, "{lists:?}");
    for file in lists {
        for threads in ["1", "3"] {
            let found = converted(&bed, &file, &["--threads", threads]);
            assert_eq!(found.0, want.0, "{file}");
            assert_eq!((&found.1, &found.2), (&want.1, &want.2), "{file}");
        }
    }
}

#[test]
fn rejected_rows_come_back_as_ndjson_that_the_job_reads() {
    let job = JOB.replace("column: email", "column: /address/city").replace("apply: [trim, lower]", "empty: reject");
    let job = job.lines().filter(|line| !line.contains("visits") && !line.contains("joined")).collect::<Vec<_>>();
    let job = job.join("\n").replace("column: name", "column: text").replace("column: active", "column: bool");
    let bed = Bed::new(&job.replace("id: id", "id: int64").replace("max: 1000, file: rejects.csv", "max: 0"), "");
    let path = format!("source.path={}", files().join("types-pyarrow.parquet").display());
    let mut run = bed.command(&["run", "job.yaml", "--output", "json", "--set", &path]);
    let output = run.env("K", "k").env("S", "s").output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["exit_code"], &report["records"]["rejected"]), (&json!(10), &json!(2)), "{report}");
    let shown = bed.run(&["rejects", report["run_id"].as_str().unwrap(), "--as-source"]);
    let lines: Vec<Value> =
        shown.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(
        lines[0],
        json!({ "int64": "9223372036854775807", "address": { "city": "" }, "text": "quote \" and \\", "bool": "false" })
    );
    let mended = String::from_utf8(shown.stdout).unwrap().replace("{\"city\":\"\"}", "{\"city\":\"Rom\"}");
    std::fs::write(bed.path("mended.ndjson"), mended).unwrap();
    let again = ["--set", "source.path=mended.ndjson", "--set", "source.format=ndjson"];
    let (code, report) = bed.json(&[&["check", "job.yaml"][..], &again].concat());
    assert_eq!((code, &report["records"]["written"]), (10, &json!(1)), "{report}");
}

fn parquet(source: OpenSource, columns: &[&str]) -> listferry::Result<Table> {
    Ok(Parquet::open(Arc::new(source), columns, ParquetOptions::default())?.into())
}

/// Opens a file by the ending of its name.
pub(crate) fn open(name: &str, bytes: Vec<u8>, columns: &[&str]) -> listferry::Result<Table> {
    let source = OpenSource::from_bytes(name, bytes, &SourceOptions::default())?;
    match name.rsplit_once('.').unwrap().1 {
        "parquet" => parquet(source, columns),
        "arrow" | "arrows" => Ok(Arrow::open(Arc::new(source), columns, ArrowOptions::default())?.into()),
        "xlsx" => Ok(Xlsx::open(Arc::new(source), columns, XlsxOptions::default())?.into()),
        other => panic!("{other}"),
    }
}

pub(crate) fn plan(table: &Table, columns: &[&str]) -> Arc<Plan> {
    let unit = |column: &&str| {
        let value = json!({ "column": column, "empty": "keep", "apply": [{ "join": "|" }] });
        let value = ValueSpec::parse(&value, "map.v", &[]).unwrap();
        let name = (*column).to_owned();
        let field = Field { at: "map.v".to_owned(), name, value, required: false, rules: Rules::default() };
        Unit { before: format!("{}:", json!(column)), field: Some(field), after: String::new(), when_empty: None }
    };
    let units = columns.iter().map(unit).collect();
    let json = Json { open: "{".to_owned(), units, close: "}".to_owned(), ..Json::default() };
    Arc::new(Plan::compile_for(&Shape::Json(json), &[], table).unwrap())
}

#[test]
fn values_of_every_type_are_those_that_pyarrow_reads() {
    let files = files_like("types-", FORMATS);
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let path = self::files().join(&file);
        let noted = std::fs::read_to_string(path.with_file_name(format!("{file}.json"))).unwrap();
        let noted: serde_json::Map<String, Value> = serde_json::from_str(&noted).unwrap();
        let columns: Vec<&str> = noted.keys().map(String::as_str).collect();
        let table = open(&file, std::fs::read(&path).unwrap(), &columns).unwrap();
        assert_eq!(table.columns(), columns);
        for (at, (column, values)) in noted.iter().enumerate() {
            let plan = plan(&table, &[column.as_str()]);
            let mut rows = 0;
            preview(&table, &plan, &Options::default(), &mut |row| {
                let want = &values[rows];
                rows += 1;
                let cell = row.source.cells().unwrap().nth(at).unwrap().into_value().into_owned();
                let result = row.result.as_ref().map_err(|error| error.code);
                if let Some(code) = want.get("rejected") {
                    assert_eq!(result.map(drop).unwrap_err(), code, "{file} {column} {rows}");
                } else {
                    let want = want.as_str().unwrap_or_default();
                    assert_eq!(String::from_utf8_lossy(&cell), want, "{file} {column} {rows}");
                    if !want.starts_with(['[', '{']) {
                        let line = json!({ column: want }).to_string() + "\n";
                        assert_eq!(String::from_utf8_lossy(result.unwrap()), line, "{file} {column} {rows}");
                    }
                }
                Ok(true)
            })
            .unwrap();
            assert_eq!(rows, values.as_array().unwrap().len(), "{file} {column}");
        }
    }
}

#[test]
fn types_without_a_text_form_are_refused_by_name() {
    use arrow_array::{ArrayRef, DurationSecondArray, RecordBatch, Time32SecondArray};
    let cases: [(&str, ArrayRef, &str); 2] = [
        ("at", Arc::new(Time32SecondArray::from(vec![1])), "times of day"),
        ("took", Arc::new(DurationSecondArray::from(vec![1])), "durations"),
    ];
    for (name, array, what) in cases {
        let batch = RecordBatch::try_from_iter([(name, array)]).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let error = open("x.parquet", writer.into_inner().unwrap(), &[name]).map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        assert!(error.message().contains(what) && error.message().contains(name), "{error}");
    }
}

/// Bytes that count what is read of them.
struct Counted {
    bytes: Vec<u8>,
    read: AtomicU64,
}

impl ReadAt for Counted {
    fn read_at(&self, buf: &mut [u8], at: u64) -> std::io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn identity(&self) -> std::io::Result<Identity> {
        Ok(Identity::of_size(self.bytes.len() as u64))
    }
}

/// Writes one row group with an index of its pages, or without.
fn one_group(rows: i64, with_index: bool) -> Vec<u8> {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use parquet::file::properties::{EnabledStatistics, WriterProperties};
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("person-{n}@example.com"))));
    let other: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n * 7919 % 100_003)));
    let batch = RecordBatch::try_from_iter([("id", ids), ("other", other)]).unwrap();
    let statistics = if with_index { EnabledStatistics::Page } else { EnabledStatistics::None };
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(2_000)
        .set_write_batch_size(500)
        .set_statistics_enabled(statistics)
        .set_offset_index_disabled(!with_index)
        .build();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn only_mapped_columns_are_read_and_late_parts_start_late() {
    for with_index in [true, false] {
        let bytes = one_group(300_000, with_index);
        let size = bytes.len() as u64;
        let data = Arc::new(Counted { bytes, read: AtomicU64::new(0) });
        let source = OpenSource::from_read_at("list.parquet", data.clone(), &SourceOptions::default()).unwrap();
        let table = parquet(source, &["other"]).unwrap();
        let plan = plan(&table, &["other"]);
        let taken = || data.read.swap(0, Ordering::Relaxed);
        taken();
        let measured = measure(&table, &plan, &Split::default(), &Options::default(), &mut DiscardRejects).unwrap();
        assert!(taken() < size / 2, "only `other` is read");
        let len = measured.body_bytes();
        let body = |from: u64| {
            let mut body = Vec::new();
            measured.range(&measured.parts()[0], from..len).into_read().read_to_end(&mut body).unwrap();
            body
        };
        let whole = body(0);
        taken();
        assert_eq!(body(len - 1000), whole[whole.len() - 1000..]);
        let late = taken();
        assert!(late < size / 8, "{late} of {size} with an index: {with_index}");
    }
}

#[test]
fn a_page_over_the_limit_is_refused_before_it_is_read() {
    let bytes = one_group(100_000, false);
    let data = Arc::new(Counted { bytes, read: AtomicU64::new(0) });
    let source = OpenSource::from_read_at("list.parquet", data.clone(), &SourceOptions::default()).unwrap();
    let mut options = ParquetOptions::default();
    options.max_page_bytes = 8 << 10;
    let table = Table::from(Parquet::open(Arc::new(source), &["id"], options).unwrap());
    data.read.store(0, Ordering::Relaxed);
    let plan = plan(&table, &["id"]);
    let error = convert(&table, &plan, &Options::default(), &mut |_| Ok(()), &mut DiscardRejects).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.message().contains("max_page_bytes") && error.hint().is_some(), "{error}");
    let place = error.place();
    assert_eq!((place.file.as_deref(), place.column.as_deref()), (Some("list.parquet"), Some("id")));
    assert_eq!(place.row.as_deref(), Some("row group 1, row 1"));
    let read = data.read.load(Ordering::Relaxed);
    assert!(read < 16 << 10, "{read} bytes were read");
}

#[test]
fn an_arrow_stream_without_its_end_is_cut_off() {
    let whole = std::fs::read(files().join("list-pyarrow.arrows")).unwrap();
    let columns = ["id", "name"];
    assert_eq!(read("list.arrows", whole.clone(), &columns, 1).unwrap(), 300);
    for cut in [8, 9, 4000, whole.len() - 20] {
        let error = read("list.arrows", whole[..whole.len() - cut].to_vec(), &columns, 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{cut}: {error}");
        assert!(error.message().contains("cut off") && error.hint().is_some(), "{cut}: {error}");
        assert_eq!(error.place().file.as_deref(), Some("list.arrows"));
    }
    // also compressed as a whole, and then cut at the end of the Arrow data
    let packed = zstd::encode_all(&whole[..whole.len() - 8], 1).unwrap();
    assert!(read("list.arrows", packed, &columns, 1).unwrap_err().message().contains("cut off"));
}

#[test]
fn of_a_large_arrow_batch_only_mapped_columns_are_read() {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let rows = 100_000;
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("person-{n}@example.com"))));
    let other: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let batch = RecordBatch::try_from_iter([("id", ids), ("other", other)]).unwrap();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    let size = bytes.len() as u64;
    let data = Arc::new(Counted { bytes, read: AtomicU64::new(0) });
    let source = Arc::new(OpenSource::from_read_at("x.arrows", data.clone(), &SourceOptions::default()).unwrap());
    let table = Table::from(Arrow::open(source, &["other"], ArrowOptions::default()).unwrap());
    let plan = plan(&table, &["other"]);
    let measured = measure(&table, &plan, &Split::default(), &Options::default(), &mut DiscardRejects).unwrap();
    assert_eq!(measured.counts().written, rows as u64);
    let read = data.read.load(Ordering::Relaxed);
    assert!(read < size / 2, "{read} of {size}");
}

/// A sequence of numbers that is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        match self.below(8) {
            0 => bytes.truncate(self.below(bytes.len())),
            1 => {
                let at = self.below(bytes.len());
                let len = self.below(9).min(bytes.len() - at);
                bytes[at..at + len].fill(if self.below(2) == 0 { 0xff } else { 0 });
            }
            2 => {
                // near the end, where footers are
                let back = self.below(600.min(bytes.len()));
                let at = bytes.len() - 1 - back;
                bytes[at] = self.below(256) as u8;
            }
            _ => {
                let at = self.below(bytes.len());
                bytes[at] ^= 1 << self.below(8);
            }
        }
    }
}

/// Reads a file to its end, with the columns that it is known to have.
pub(crate) fn read(name: &str, bytes: Vec<u8>, columns: &[&str], threads: usize) -> Result<u64, Error> {
    let table = open(name, bytes, columns)?;
    // damage may have hit the name of a column
    let columns: Vec<&str> = table.columns().iter().map(String::as_str).collect();
    let plan = plan(&table, &columns);
    let mut options = Options::default();
    options.threads = threads;
    convert(&table, &plan, &options, &mut |_| Ok(()), &mut DiscardRejects).map(|counts| counts.read)
}

/// Bit flips and cuts. By default as many as fit into a few seconds; `LISTFERRY_DAMAGE=100000` sets the number.
#[test]
fn a_damaged_file_ends_with_a_place_and_never_with_a_panic() {
    let files: Vec<String> = [files_like("list-", FORMATS), files_like("types-", FORMATS)].concat();
    let wanted = std::env::var("LISTFERRY_DAMAGE").ok().map(|number| number.parse::<usize>().unwrap());
    let began = Instant::now();
    let (mut dice, mut refused, mut done) = (Dice(42), 0, 0);
    while wanted.map_or(began.elapsed() < Duration::from_secs(3), |wanted| done < wanted) {
        let file = &files[done % files.len()];
        let mut bytes = std::fs::read(self::files().join(file)).unwrap();
        dice.damage(&mut bytes);
        let columns: Vec<&str> = if file.starts_with("list") {
            vec!["id", "email", "name", "visits", "joined", "active"]
        } else {
            vec!["id", "old", "int64", "text", "decimal", "tags", "people", "category", "time_us_zone", "/address/city"]
        };
        let case = Instant::now();
        match read(file, bytes, &columns, 1 + done % 2) {
            Ok(_) => {}
            Err(error) if error.kind() == Kind::Usage => {
                assert!(error.place().column.is_some(), "{file} {done}: {error}")
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind(), Kind::Data, "{file} {done}: {error}");
                assert!(error.place().file.is_some(), "{file} {done}: {error}");
            }
        }
        assert!(case.elapsed() < Duration::from_secs(10), "{file} {done} took too long");
        done += 1;
    }
    assert!(refused * 10 > done, "{refused} of {done}: the damage was not seen");
}

#[test]
fn parts_of_a_list_are_cut_alike_in_both_passes() {
    let table = open("list.parquet", one_group(50_000, true), &["id"]).unwrap();
    let plan = plan(&table, &["id"]);
    let mut split = Split::default();
    split.max_part_bytes = Some(200_000);
    let measured = measure(&table, &plan, &split, &Options::default(), &mut DiscardRejects).unwrap();
    let mut all = Vec::new();
    for part in measured.parts() {
        measured.body(part).into_read().read_to_end(&mut all).unwrap();
    }
    let mut whole = Vec::new();
    let mut keep = |bytes: &[u8]| {
        whole.extend_from_slice(bytes);
        Ok(())
    };
    convert(&table, &plan, &Options::default(), &mut keep, &mut DiscardRejects).unwrap();
    assert!(measured.parts().len() > 5 && all == whole);
}
