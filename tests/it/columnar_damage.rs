//! Parquet and Arrow files that went wrong once: valid ones that were refused or took too much, and damaged ones that were
//! taken for valid.

use super::cli::Bed;
use super::columnar::{files, open, plan, read};
use arrow_array::types::Float16Type;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BinaryArray, DurationSecondArray, RecordBatch, StringArray};
use arrow_array::{Float16Array, Float32Array, Float64Array};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};
use listferry::Kind;
use listferry::body::{Options, preview};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const COLUMNS: &[&str] = &["id", "email", "name", "visits", "joined", "active"];

fn file(name: &str) -> Vec<u8> {
    std::fs::read(files().join(name)).unwrap()
}

/// Returns the texts of a column.
fn texts(name: &str, bytes: Vec<u8>, column: &str) -> Vec<String> {
    let table = open(name, bytes, &[column]).unwrap();
    let plan = plan(&table, &[column]);
    let mut texts = Vec::new();
    preview(&table, &plan, &Options::default(), &mut |row| {
        let cell = row.source.cells().unwrap().next().unwrap().into_value().into_owned();
        texts.push(String::from_utf8(cell).unwrap());
        Ok(true)
    })
    .unwrap();
    texts
}

/// pyarrow leaves the offsets of an empty row group at 0, and it was refused as damaged.
#[test]
fn an_empty_row_group_is_not_damaged() {
    assert_eq!(read("empty.parquet", file("empty-pyarrow.parquet"), COLUMNS, 1).unwrap(), 0);
    for threads in [1, 3] {
        let with_empty = file("list-pyarrow-empty-groups.parquet");
        assert_eq!(read("groups.parquet", with_empty, COLUMNS, threads).unwrap(), 300);
    }
    let job = "
source: { path: 'lists/*.parquet' }
map: { customer_id: id, changes: [{ op: assign, attr: email, column: email }] }
rejects: { max: 1000 }
destination: { platform: localytics-profiles, org_id: 60, api_key: { env: K }, api_secret: { env: S } }
";
    let bed = Bed::new(job, "");
    std::fs::create_dir(bed.path("lists")).unwrap();
    for (to, from) in [("1", "list-pyarrow"), ("2", "empty-pyarrow"), ("3", "list-pyarrow")] {
        std::fs::write(bed.path(&format!("lists/{to}.parquet")), file(&format!("{from}.parquet"))).unwrap();
    }
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!((code, &report["records"]["read"]), (0, &600.into()), "{report}");
}

/// Pages with a checksum were read although it did not fit, and the changed text was sent.
#[test]
fn a_page_that_does_not_fit_its_checksum_is_refused() {
    let numbers: Vec<u8> = [34u64 * 34, 35 * 35].iter().flat_map(|number| number.to_le_bytes()).collect();
    // in a page of texts, in two dictionaries, and in a page of numbers
    let cases: [(&str, &[u8]); 4] =
        [("id", b"c-0033"), ("email", b"user34@example.com"), ("name", b"two\nlines"), ("visits", &numbers)];
    for name in ["list-pyarrow-checksum-v1.parquet", "list-pyarrow-checksum-v2.parquet"] {
        assert_eq!(read(name, file(name), COLUMNS, 1).unwrap(), 300);
        for (column, text) in cases {
            let mut bytes = file(name);
            let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
            bytes[at + 2] ^= 1;
            let error = read(name, bytes.clone(), COLUMNS, 2).unwrap_err();
            assert_eq!(error.kind(), Kind::Data, "{name} {column}: {error}");
            assert!(error.message().contains("checksum"), "{name} {column}: {error}");
            let place = error.place();
            assert_eq!((place.file.as_deref(), place.column.as_deref()), (Some(name), Some(column)), "{error}");
            assert!(place.row.as_deref().is_some_and(|row| row.starts_with("row group 1, row 1")), "{error}");
            let others: Vec<&str> = COLUMNS.iter().copied().filter(|other| *other != column).collect();
            assert_eq!(read(name, bytes, &others, 1).unwrap(), 300, "what is not mapped is not read");
        }
    }
}

/// Writes one batch, as a file or a stream by the ending of its name.
fn write(path: &Path, batch: &RecordBatch, compression: Option<CompressionType>) {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let out = std::fs::File::create(path).unwrap();
    if path.extension().unwrap() == "arrow" {
        let mut out = FileWriter::try_new_with_options(out, &batch.schema(), options).unwrap();
        out.write(batch).unwrap();
        out.finish().unwrap();
    } else {
        let mut out = StreamWriter::try_new_with_options(out, &batch.schema(), options).unwrap();
        out.write(batch).unwrap();
        out.finish().unwrap();
    }
}

/// The whole batch was in memory, although only the bytes of mapped columns were read.
#[cfg(target_os = "linux")]
#[test]
fn columns_that_are_not_mapped_take_no_memory() {
    const ROWS: usize = 12_000;
    const JOB: &str = "
source: { path: list }
map: { customer_id: id, changes: [{ op: assign, attr: last, column: last }] }
destination: { platform: localytics-profiles, org_id: 60, api_key: { env: K }, api_secret: { env: S } }
";
    let id: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("c-{row}"))));
    let last: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("last {row}"))));
    let mut noise = 1u64;
    let large = std::iter::repeat_with(|| {
        let mut bytes = Vec::with_capacity(4 << 10);
        while bytes.len() < 4 << 10 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(&noise.to_be_bytes());
        }
        bytes
    });
    let large: ArrayRef = Arc::new(BinaryArray::from_iter_values(large.take(ROWS)));
    let with = RecordBatch::try_from_iter([("large", large), ("id", id.clone()), ("last", last.clone())]).unwrap();
    let without = RecordBatch::try_from_iter([("id", id), ("last", last)]).unwrap();
    let cases = [("arrow", None), ("arrows", None), ("arrow", Some(CompressionType::LZ4_FRAME))];
    for (format, compression) in cases {
        let bed = Bed::new(JOB, "");
        let path = bed.path(&format!("list.{format}"));
        let checked = |batch: &RecordBatch| {
            write(&path, batch, compression);
            let path = format!("source.path=list.{format}");
            let (code, report) = bed.json(&["check", "job.yaml", "--threads", "1", "--set", &path]);
            assert_eq!(code, 0, "{report}");
            (report["peak_rss_bytes"].as_u64().unwrap() >> 20, report["digest"].clone())
        };
        let ((most, digest), (least, want)) = (checked(&with), checked(&without));
        assert_eq!(digest, want);
        assert!(most <= least + 8, "{most} MiB, and {least} without the column: {format} {compression:?}");
    }
}

/// The `parquet` crate panics on this file. The run ended as it should, below the text of the panic.
#[test]
fn a_panic_on_damaged_data_is_not_printed() {
    let job = "
source: { path: list.parquet }
map: { customer_id: id, changes: [{ op: assign, attr: email, column: email }, { op: assign, attr: n, column: name },
    { op: assign, attr: v, column: visits }, { op: assign, attr: j, column: joined }] }
rejects: { max: 1000 }
destination: { platform: localytics-profiles, org_id: 60, api_key: { env: K }, api_secret: { env: S } }
";
    let bed = Bed::new(job, "");
    let mut bytes = file("list-pyarrow.parquet");
    bytes[11_056] ^= 0x80;
    std::fs::write(bed.path("list.parquet"), bytes).unwrap();
    let output = bed.command(&["check", "job.yaml"]).env("RUST_BACKTRACE", "1").output().unwrap();
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(10), "{shown}");
    assert!(shown.contains("the Parquet file is damaged: it cannot be decoded"), "{shown}");
    assert!(!shown.contains("panicked") && !shown.contains("backtrace"), "{shown}");
}

/// A column of integers of 128 bits made the whole file "damaged".
#[test]
fn a_type_that_only_polars_has_is_refused_if_it_is_mapped() {
    let name = "unknown-polars.arrow";
    assert_eq!(texts(name, file(name), "last"), ["y", "z"]);
    assert_eq!(read(name, file(name), &["id", "last"], 1).unwrap(), 2);
    for column in ["large", "many", "person", "/person/large"] {
        let error = open(name, file(name), &[column]).map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        assert!(error.message().contains("integers of 128 bits") && error.message().contains(column), "{error}");
    }
}

/// A type of a later version of Arrow is not damage either.
#[test]
fn an_unknown_type_is_named_as_such() {
    let took: ArrayRef = Arc::new(DurationSecondArray::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("took", took)]).unwrap();
    let mut out = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    out.write(&batch).unwrap();
    let bytes = out.into_inner().unwrap();
    // one of the bytes that are 18 is the type of the column
    let all = (0..bytes.len()).filter(|at| bytes[*at] == 18).map(|at| {
        let mut bytes = bytes.clone();
        bytes[at] = 99;
        open("x.arrows", bytes, &["took"]).map(drop)
    });
    let is_named = |error: &listferry::Error| {
        error.kind() == Kind::Data
            && error.message().contains("\"took\" has a type that this version does not know")
            && error.hint().is_some()
    };
    assert_eq!(all.filter(|opened| opened.as_ref().is_err_and(is_named)).count(), 1);
}

/// Each column was looked up by its name among all.
#[test]
fn twice_the_columns_take_twice_the_time_to_open() {
    let open_all = |columns: usize| {
        let field = |n: usize| Field::new(format!("{}{n:06}", "a long prefix ".repeat(8)), DataType::Int64, true);
        let schema = Arc::new(Schema::new((0..columns).map(field).collect::<Vec<_>>()));
        let bytes = parquet::arrow::ArrowWriter::try_new(Vec::new(), schema, None).unwrap().into_inner().unwrap();
        let open = || {
            let began = Instant::now();
            open("wide.parquet", bytes.clone(), &["none"]).map(drop).unwrap();
            began.elapsed()
        };
        (0..3).map(|_| open()).min().unwrap()
    };
    let (few, many) = (open_all(3_000), open_all(30_000));
    assert!(many < 35 * few + Duration::from_millis(500), "{few:?} for 3,000 columns, {many:?} for 30,000");
}

/// Whether a number has an exponent was decided by its shortest text, which may be on the other side of the limit.
#[test]
fn numbers_at_the_limit_of_plain_digits_are_written_by_their_value() {
    let half = |bits: u16| <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits);
    // 168 and 167 times 2^-24: 1.00136e-5 and 9.954e-6
    let halves: ArrayRef = Arc::new(Float16Array::from(vec![half(0x00a8), half(0x80a8), half(0x00a7)]));
    // the nearest single to 0.00001 is below it
    let singles: ArrayRef = Arc::new(Float32Array::from(vec![1.000_000_1e-5, 1e-5, 1e15]));
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![1e-5, -1e-5, 9.999_999_999_999_999e-6]));
    let cases = [
        (halves, ["0.00001", "-0.00001", "9.95e-6"]),
        (singles, ["0.000010000001", "1e-5", "1000000000000000"]),
        (doubles, ["0.00001", "-0.00001", "9.999999999999999e-6"]),
    ];
    for (array, want) in cases {
        let what = array.data_type().clone();
        let batch = RecordBatch::try_from_iter([("v", array)]).unwrap();
        let mut out = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        out.write(&batch).unwrap();
        assert_eq!(texts("x.arrows", out.into_inner().unwrap(), "v"), want, "{what}");
    }
}
