//! Positions over several files: the reported position of a record must be where it was written, whatever the pass, the
//! files before it, the threads and the bounds of the pipeline.
//!
//! The oracle reads nothing: it writes the files record by record and notes the position of each.

use super::options::Bounds;
use super::tests::gzip;
use super::*;
use crate::error::{Kind, Result};
use crate::format::Table;
use crate::format::csv::{Csv, CsvOptions};
use crate::mapping::{Cells, Field, From, Json, Plan, Quoting, Rules, Separator, Shape, Unit, ValueSpec};
use crate::source::{OpenSource, SourceOptions};
use proptest::prelude::*;
use std::sync::Arc;

/// A record or an empty line of a list.
#[derive(Clone, Copy, Debug)]
enum Item {
    Good,
    /// A valid record with this many line ends in a quoted cell.
    Lines(usize),
    /// A record in which a required value is empty.
    Empty,
    /// A record without the header's number of cells, with this many line ends in a quoted cell.
    Ragged(usize),
    Blank,
}

#[derive(Clone, Debug)]
struct File {
    items: Vec<Item>,
    line_end: &'static str,
    bom: bool,
    /// Number of empty lines before the header.
    before: usize,
    /// True if the last record ends without a line end.
    cut: bool,
    compression: usize,
}

/// The position at which a record was written.
#[derive(Clone, Debug, PartialEq)]
struct Spot {
    file: String,
    record: u64,
    line: u64,
    byte: u64,
}

/// A record as written: its position, its bytes, and its output record unless it is rejected.
struct Noted {
    spot: Spot,
    raw: Vec<u8>,
    output: Option<Vec<u8>>,
}

/// A file that is being written.
struct Text {
    bytes: Vec<u8>,
    /// Number of line ends written so far.
    ends: u64,
}

impl Text {
    fn end(&mut self, line_end: &str) {
        self.bytes.extend(line_end.as_bytes());
        self.ends += 1;
    }

    fn quoted(&mut self, lines: usize) {
        self.bytes.push(b'"');
        for _ in 0..lines {
            self.bytes.extend(b"text");
            self.end("\n");
        }
        self.bytes.push(b'"');
    }
}

/// Writes the content of a file; its records are appended to `noted`.
fn write(file: &File, name: &str, json: bool, noted: &mut Vec<Noted>) -> Vec<u8> {
    let mut text = Text { bytes: if file.bom { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() }, ends: 0 };
    (0..file.before).for_each(|_| text.end(file.line_end));
    text.bytes.extend(b"id,\"no");
    text.end("\n");
    text.bytes.extend(b"te\"");
    text.end(file.line_end);
    let mut record = 0;
    for item in &file.items {
        let (from, line) = (text.bytes.len(), text.ends + 1);
        let id = format!("{name}-{record}");
        let mut note = String::new();
        let good = match *item {
            Item::Blank => {
                text.end(file.line_end);
                continue;
            }
            Item::Good => {
                note.push('x');
                text.bytes.extend(format!("{id},x").as_bytes());
                true
            }
            Item::Lines(lines) => {
                note = "text\n".repeat(lines);
                text.bytes.extend(format!("{id},").as_bytes());
                text.quoted(lines);
                true
            }
            Item::Empty => {
                text.bytes.extend(b",x");
                false
            }
            Item::Ragged(lines) => {
                text.quoted(lines);
                text.bytes.extend(b",2,3");
                false
            }
        };
        record += 1;
        let output = good.then(|| match json {
            true => format!("{{\"id\":\"{id}\",\"note\":\"{}\"}}\n", note.replace('\n', "\\n")),
            false if note.contains('\n') => format!("{id},\"{note}\"\n"),
            false => format!("{id},{note}\n"),
        });
        noted.push(Noted {
            spot: Spot { file: name.to_owned(), record, line, byte: from as u64 },
            raw: text.bytes[from..].to_vec(),
            output: output.map(String::into_bytes),
        });
        text.end(file.line_end);
    }
    let last_is_a_record = file.items.last().is_some_and(|item| !matches!(item, Item::Blank));
    if file.cut && last_is_a_record {
        text.bytes.truncate(text.bytes.len() - file.line_end.len());
    }
    match file.compression {
        0 => text.bytes,
        1 => gzip(&text.bytes),
        _ => zstd::encode_all(&text.bytes[..], 1).unwrap(),
    }
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        8 => Just(Item::Good), 2 => (1usize..9).prop_map(Item::Lines), 2 => Just(Item::Empty),
        2 => (0usize..9).prop_map(Item::Ragged), 1 => Just(Item::Blank),
    ]
}

fn file() -> impl Strategy<Value = File> {
    let line_end = prop_oneof![3 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\r")];
    let compression = prop_oneof![4 => Just(0usize), 1 => Just(1), 1 => Just(2)];
    let items = prop_oneof![1 => Just(Vec::new()), 6 => proptest::collection::vec(item(), 0..70)];
    (items, line_end, any::<bool>(), 0usize..3, any::<bool>(), compression).prop_map(
        |(items, line_end, bom, before, cut, compression)| File { items, line_end, bom, before, cut, compression },
    )
}

fn options() -> impl Strategy<Value = Options> {
    let chunk = prop_oneof![1 => 1usize..60, 3 => 60usize..900, 1 => Just(256 << 10)];
    let threads = prop_oneof![Just(1usize), Just(2), Just(3), Just(8)];
    let bounds = (prop_oneof![1usize..400, Just(256 << 10)], 1usize..40, 1usize..2000, 2usize..40)
        .prop_map(|(slab_bytes, rows, row_bytes, checkpoints)| Bounds { slab_bytes, rows, row_bytes, checkpoints });
    (chunk, threads, bounds).prop_map(|(chunk_bytes, threads, bounds)| Options {
        threads,
        chunk_bytes,
        bounds,
        ..Options::default()
    })
}

fn field(name: &str, column: &str, required: bool) -> Field {
    let from = From::Column(column.to_owned());
    let value = ValueSpec {
        from,
        apply: Vec::new(),
        default: None,
        empty: None,
        missing_is_empty: false,
        split: None,
        r#type: None,
        bare: true,
    };
    Field { at: format!("map.{name}"), name: name.to_owned(), value, required, rules: Rules::default() }
}

/// The rows of an NDJSON platform and of a delimited one.
fn shape(json: bool) -> Shape {
    let fields = [field("id", "id", true), field("note", "no\nte", false)];
    if json {
        let unit = |field: Field| Unit {
            before: format!("\"{}\":", field.name),
            field: Some(field),
            after: String::new(),
            when_empty: None,
        };
        let units = fields.into_iter().map(unit).collect();
        return Shape::Json(Json { units, open: "{".to_owned(), close: "}".to_owned(), ..Json::default() });
    }
    Shape::Delimited(Cells {
        fields: fields.into(),
        header: true,
        separator: Separator::Byte(b','),
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    })
}

fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap().to_owned()
}

fn spot(source: &SourceRecord<'_>) -> Spot {
    let (line, byte) = (source.line.unwrap(), source.byte.unwrap());
    Spot { file: base(source.file), record: source.record, line, byte }
}

/// Positions of the rejected records.
#[derive(Default)]
struct Spots(Vec<Spot>);

impl RejectSink for Spots {
    fn reject(&mut self, reject: &Reject<'_>) -> Result<()> {
        self.0.push(spot(&reject.source));
        Ok(())
    }
    fn restart(&mut self) -> Result<()> {
        self.0.clear();
        Ok(())
    }
}

/// A glob on the disk and the records that were written to it.
struct Bed {
    _dir: tempfile::TempDir,
    table: Table,
    plan: Arc<Plan>,
    noted: Vec<Noted>,
}

impl Bed {
    fn new(files: &[File], json: bool) -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let mut noted = Vec::new();
        for (n, file) in files.iter().enumerate() {
            let name = format!("{n:02}.csv");
            std::fs::write(dir.path().join(&name), write(file, &name, json, &mut noted)).unwrap();
        }
        let source = OpenSource::open(dir.path().join("*").to_str().unwrap(), &SourceOptions::default()).unwrap();
        let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).unwrap());
        let plan = Arc::new(Plan::compile(&shape(json), &[], table.columns()).unwrap());
        Bed { _dir: dir, table, plan, noted }
    }

    fn rejected(&self) -> Vec<Spot> {
        self.noted.iter().filter(|row| row.output.is_none()).map(|row| row.spot.clone()).collect()
    }

    fn written(&self) -> Vec<&Noted> {
        self.noted.iter().filter(|row| row.output.is_some()).collect()
    }
}

/// Returns the rows that a lookup shows from an output record on: index, position, source and output record.
fn looked_up(measured: &Measured, from: u64) -> Vec<(u64, Spot, Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    measured
        .replay(from, &mut |row| {
            rows.push((row.index, spot(&row.source), row.source.text().into_owned(), row.output.to_vec()));
            Ok(true)
        })
        .unwrap();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 150 } else { 600 }))]

    #[test]
    fn every_pass_reports_records_where_they_were_written(
        files in proptest::collection::vec(file(), 1..6), options in options(), json in any::<bool>(),
        part in prop_oneof![Just(None), (300u64..3000).prop_map(Some)], from in 0.0f64..1.0, shown in 1usize..200,
    ) {
        let bed = Bed::new(&files, json);
        let (rejected, written) = (bed.rejected(), bed.written());

        let mut spots = Spots::default();
        let split = Split { max_part_bytes: part, ..Split::default() };
        let measured = measure(&bed.table, &bed.plan, &split, &options, &mut spots).unwrap();
        prop_assert_eq!(&spots.0, &rejected, "measure");

        let mut spots = Spots::default();
        let mut output = Vec::new();
        let mut keep = |bytes: &[u8]| { output.extend_from_slice(bytes); Ok(()) };
        convert(&bed.table, &bed.plan, &options, &mut keep, &mut spots).unwrap();
        prop_assert_eq!(&spots.0, &rejected, "convert");
        let want: Vec<u8> = [bed.plan.head()].into_iter()
            .chain(written.iter().filter_map(|row| row.output.as_deref())).flatten().copied().collect();
        prop_assert_eq!(output, want);

        // each part's first record, as in a lookup for a platform that reports rows by their index in the file
        let starts = measured.parts().iter().map(|part| part.first_record);
        for from in starts.chain([(from * written.len() as f64) as u64]) {
            let want: Vec<_> = written.iter().enumerate().skip(from as usize)
                .map(|(n, row)| (n as u64, row.spot.clone(), row.raw.clone(), row.output.clone().unwrap())).collect();
            prop_assert_eq!(looked_up(&measured, from), want, "replay from {}", from);
        }

        let mut rows = Vec::new();
        preview(&bed.table, &bed.plan, &options, &mut |row| {
            let Spot { file, record, line, .. } = spot(&row.source);
            rows.push((file, record, line, row.source.text().into_owned(), row.result.is_ok()));
            Ok(rows.len() < shown)
        }).unwrap();
        let want: Vec<_> = bed.noted.iter().take(shown).map(|row| {
            let Spot { file, record, line, .. } = row.spot.clone();
            (file, record, line, row.raw.clone(), row.output.is_some())
        }).collect();
        prop_assert_eq!(rows, want, "preview");
    }

    #[test]
    fn a_quote_left_open_is_reported_in_its_own_file(
        files in proptest::collection::vec(file(), 1..5), options in options(), broken in 0usize..5,
    ) {
        let mut files = files;
        let broken = broken % files.len();
        (files[broken].compression, files[broken].cut) = (0, false);
        let dir = tempfile::tempdir().unwrap();
        let mut noted = Vec::new();
        let mut place = None;
        for (n, file) in files.iter().enumerate() {
            let name = format!("{n:02}.csv");
            let before = noted.len();
            let mut bytes = write(file, &name, true, &mut noted);
            if n == broken {
                let line = 1 + count_ends(&bytes);
                place = Some((name.clone(), (noted.len() - before) as u64 + 1, line, bytes.len() as u64));
                bytes.extend(b"\"never closed");
            }
            std::fs::write(dir.path().join(&name), bytes).unwrap();
        }
        let source = OpenSource::open(dir.path().join("*").to_str().unwrap(), &SourceOptions::default()).unwrap();
        let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).unwrap());
        let plan = Arc::new(Plan::compile(&shape(true), &[], table.columns()).unwrap());
        let error = measure(&table, &plan, &Split::default(), &options, &mut DiscardRejects).map(drop).unwrap_err();
        prop_assert_eq!(error.kind(), Kind::Data);
        let at = error.place();
        let found = (base(at.file.as_deref().unwrap()), at.record.unwrap(), at.line.unwrap(), at.byte.unwrap());
        prop_assert_eq!(Some(found), place, "{}", error);
    }
}

/// Counts line ends one at a time.
fn count_ends(text: &[u8]) -> u64 {
    let ends = |at: usize| text[at] == b'\n' || (text[at] == b'\r' && text.get(at + 1) != Some(&b'\n'));
    (0..text.len()).filter(|&at| ends(at)).count() as u64
}

/// The reported case: rows are passed on in the middle of the second file's only chunk.
#[test]
fn rows_of_a_second_file_have_its_name() {
    let file = |items: Vec<Item>| File { items, line_end: "\n", bom: false, before: 0, cut: false, compression: 0 };
    let second: Vec<Item> = (1..=5000).map(|n| if n % 1000 == 0 { Item::Empty } else { Item::Good }).collect();
    for json in [true, false] {
        let bed = Bed::new(&[file(vec![Item::Good; 10]), file(second.clone())], json);
        for (threads, part) in [(1, None), (1, Some(20_000)), (4, Some(20_000))] {
            let options = Options { threads, ..Options::default() };
            let mut spots = Spots::default();
            let split = Split { max_part_bytes: part, ..Split::default() };
            let measured = measure(&bed.table, &bed.plan, &split, &options, &mut spots).unwrap();
            assert_eq!(spots.0, bed.rejected(), "{threads} threads, parts of {part:?}");
            // the whole file is one chunk with many shown rows
            let rows = looked_up(&measured, 0);
            let spots: Vec<_> = rows.into_iter().map(|(_, spot, ..)| spot).collect();
            let want: Vec<_> = bed.written().into_iter().map(|row| row.spot.clone()).collect();
            assert!(spots == want, "{threads} threads, parts of {part:?}");
        }
    }
}

/// The second case: 2 + 2 rows, looked up from the second file on, reported line 5 instead of 3.
#[test]
fn a_lookup_that_starts_in_a_later_file_counts_its_own_lines() {
    let file = |records: usize| File {
        items: vec![Item::Good; records],
        line_end: "\n",
        bom: false,
        before: 0,
        cut: false,
        compression: 0,
    };
    // the header is two lines
    for (files, from, line) in [(vec![file(2), file(2)], 2, 3), (vec![file(0), file(2)], 1, 4)] {
        let bed = Bed::new(&files, true);
        let options = Options { threads: 1, ..Options::default() };
        let measured = measure(&bed.table, &bed.plan, &Split::default(), &options, &mut DiscardRejects).unwrap();
        assert_eq!(looked_up(&measured, from)[0].1.line, line);
    }
}
