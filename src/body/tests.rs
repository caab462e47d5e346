//! Tests of both passes against a reader of one byte at a time and the csv crate.

use super::*;
use crate::error::{Kind, Result};
use crate::format::Table;
use crate::format::csv::{Csv, CsvOptions};
use crate::mapping::{Cells, Field, From, Plan, Quoting, Rules, Separator, Shape, ValueSpec};
use crate::source::{OpenSource, SourceOptions};
use proptest::prelude::*;
use std::io::Write;
use std::sync::Arc;

/// A record of the naive reader.
#[derive(Clone, Debug, PartialEq)]
struct Naive {
    line: u64,
    byte: u64,
    cells: Option<Vec<Vec<u8>>>,
}

/// Reads delimited text one byte at a time; `None` if a quote is open at the end.
fn naive(text: &[u8], columns: usize) -> Option<Vec<Naive>> {
    let mut records = Vec::new();
    let (mut at, mut line) = (0usize, 1u64);
    while at < text.len() {
        let (byte, first_line) = (at as u64, line);
        let (mut cells, mut junk) = (Vec::new(), false);
        'record: loop {
            let mut cell = Vec::new();
            let quoted = text.get(at) == Some(&b'"');
            if quoted {
                at += 1;
                loop {
                    match text.get(at) {
                        None => return None,
                        Some(b'"') if text.get(at + 1) == Some(&b'"') => {
                            cell.push(b'"');
                            at += 2;
                        }
                        Some(b'"') => {
                            at += 1;
                            break;
                        }
                        Some(&byte) => {
                            if byte == b'\r' || (byte == b'\n' && text[at - 1] != b'\r') {
                                line += 1;
                            }
                            cell.push(byte);
                            at += 1;
                        }
                    }
                }
            }
            loop {
                match text.get(at) {
                    Some(b',') => {
                        at += 1;
                        cells.push(std::mem::take(&mut cell));
                        continue 'record;
                    }
                    None | Some(b'\n' | b'\r') => {
                        cells.push(std::mem::take(&mut cell));
                        if text.get(at) == Some(&b'\r') && text.get(at + 1) == Some(&b'\n') {
                            at += 1;
                        }
                        if at < text.len() {
                            line += 1;
                        }
                        at += 1;
                        break 'record;
                    }
                    Some(&byte) => {
                        junk |= quoted;
                        cell.push(byte);
                        at += 1;
                    }
                }
            }
        }
        let blank = cells.len() == 1 && cells[0].is_empty() && text.get(byte as usize) != Some(&b'"');
        if blank && columns != 1 {
            continue;
        }
        let fits = !junk && cells.len() == columns;
        records.push(Naive { line: first_line, byte, cells: fits.then_some(cells) });
    }
    Some(records)
}

fn cell_of(bytes: &[u8]) -> Vec<u8> {
    if bytes.iter().any(|byte| b",\"\r\n".contains(byte)) {
        let mut cell = b"\"".to_vec();
        for &byte in bytes {
            cell.push(byte);
            if byte == b'"' {
                cell.push(byte);
            }
        }
        cell.push(b'"');
        return cell;
    }
    bytes.to_vec()
}

fn copy_shape(columns: &[&str]) -> Shape {
    let fields = columns
        .iter()
        .map(|name| Field {
            at: format!("map.{name}"),
            name: (*name).to_owned(),
            value: ValueSpec {
                from: From::Column((*name).to_owned()),
                apply: Vec::new(),
                default: None,
                empty: None,
                missing_is_empty: false,
                split: None,
                r#type: None,
                bare: true,
            },
            required: false,
            rules: Rules::default(),
        })
        .collect();
    Shape::Delimited(Cells {
        fields,
        header: true,
        separator: Separator::Byte(b','),
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    })
}

struct Positions(Vec<(u64, u64, u64)>);

impl RejectSink for Positions {
    fn reject(&mut self, reject: &Reject<'_>) -> Result<()> {
        let source = &reject.source;
        self.0.push((source.record, source.line.unwrap(), source.byte.unwrap()));
        Ok(())
    }
    fn restart(&mut self) -> Result<()> {
        self.0.clear();
        Ok(())
    }
}

/// Output, counts, positions of the rejects, digest.
type Converted = (Vec<u8>, Counts, Vec<(u64, u64, u64)>, u64);

fn table(bytes: Vec<u8>) -> Result<Table> {
    let source = OpenSource::from_bytes("list.csv", bytes, &SourceOptions::default())?;
    Ok(Table::from(Csv::open(Arc::new(source), CsvOptions::default())?))
}

fn run(bytes: Vec<u8>, columns: &[&str], threads: usize, chunk: usize) -> Result<Converted> {
    let table = table(bytes)?;
    let plan = Arc::new(Plan::compile(&copy_shape(columns), &[], table.columns())?);
    let options = Options { threads, chunk_bytes: chunk, ..Options::default() };
    let mut out = Vec::new();
    let mut positions = Positions(Vec::new());
    let counts = convert(
        &table,
        &plan,
        &options,
        &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        },
        &mut positions,
    )?;
    let mut again = Positions(Vec::new());
    let measured = measure(&table, &plan, &Split::default(), &options, &mut again)?;
    assert_eq!(measured.counts(), &counts);
    assert_eq!(measured.body_bytes(), out.len() as u64);
    assert_eq!(measured.digest(), crc::of(&out));
    assert_eq!(again.0, positions.0);
    Ok((out, counts, positions.0, measured.digest()))
}

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A cell that spans more than one window and chunk.
const MANY_LINES: [u8; 302] = {
    let mut cell = [b'\n'; 302];
    let mut at = 2;
    while at < 301 {
        cell[at] = b'l';
        at += 2;
    }
    (cell[0], cell[301]) = (b'"', b'"');
    cell
};

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => Just(&b"x"[..]), 4 => Just(&b","[..]), 3 => Just(&b"\n"[..]), 1 => Just(&b"\r\n"[..]), 1 => Just(&b"\r"[..]),
        3 => Just(&b"\""[..]), 2 => Just(&b"\"a,b\""[..]), 1 => Just(&b"\"c\nd\""[..]), 2 => Just(&b"1,2\n"[..]),
        1 => Just("é".as_bytes()), 1 => Just(&b"\\"[..]), 1 => Just(&b"a somewhat longer cell of text that fills a word or two of it"[..]),
        1 => Just(&MANY_LINES[..]),
    ];
    proptest::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_chunks_threads_and_compression_give_the_naive_result(
        body in text(), chunk in prop_oneof![Just(1usize), 2usize..40, Just(300)], threads in prop_oneof![Just(1usize), Just(2), Just(3), Just(8)], two in any::<bool>(),
    ) {
        let columns: &[&str] = if two { &["a", "b"] } else { &["a"] };
        let mut bytes = columns.join(",").into_bytes();
        bytes.push(b'\n');
        let head = bytes.len() as u64;
        bytes.extend(&body);
        let cut = bytes.len() / 2;
        let members = [gzip(&bytes[..cut]), gzip(&bytes[cut..])].concat();
        let frames = zstd::encode_all(&bytes[..], 1).unwrap();
        for stored in [bytes.clone(), members, frames] {
            let ours = run(stored, columns, threads, chunk);
            let Some(records) = naive(&body, columns.len()) else {
                let error = ours.expect_err("a quote is open at the end");
                prop_assert_eq!(error.kind(), Kind::Data);
                continue;
            };
            let (out, counts, positions, _) = ours.unwrap();
            let mut want = columns.join(",").into_bytes();
            want.push(b'\n');
            let mut bad = Vec::new();
            for (i, record) in records.iter().enumerate() {
                match &record.cells {
                    Some(cells) => {
                        want.extend(cells.iter().map(|cell| cell_of(cell)).collect::<Vec<_>>().join(&b","[..]));
                        want.push(b'\n');
                    }
                    None => bad.push((i as u64 + 1, record.line + 1, record.byte + head)),
                }
            }
            prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&want));
            prop_assert_eq!(&positions, &bad);
            prop_assert_eq!(counts.read, records.len() as u64);
            prop_assert_eq!(counts.rejected, bad.len() as u64);
            prop_assert_eq!(counts.read, counts.written + counts.filtered + counts.rejected);
        }
    }

    #[test]
    fn the_csv_crate_reads_the_same_records(body in text()) {
        let bytes = [b"a,b\n", &body[..]].concat();
        let Some(records) = naive(&body, 2) else { return Ok(()) };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&bytes[..]);
        let theirs: Vec<Vec<Vec<u8>>> =
            reader.byte_records().map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect()).collect();
        prop_assert_eq!(theirs.len(), records.len());
        for (ours, theirs) in records.iter().zip(&theirs) {
            if let Some(cells) = &ours.cells {
                prop_assert_eq!(cells, theirs);
            }
        }
    }
}

#[test]
fn s12_an_unclosed_quote_is_found_within_the_bound_and_named() {
    let mut bytes = b"a,b\n".to_vec();
    for i in 0..9 {
        bytes.extend(format!("{i},\"two\nlines\"\n").into_bytes());
    }
    let at = bytes.len() as u64;
    bytes.extend(b"9,\"never closed\n");
    for _ in 0..200_000 {
        bytes.extend(b"more text without quotes,1\n");
    }
    for (threads, chunk, stored) in [(1, 4096, false), (4, 4096, false), (3, 256 << 10, false), (4, 4096, true)] {
        let source = OpenSource::from_bytes(
            "list.csv",
            if stored { gzip(&bytes) } else { bytes.clone() },
            &SourceOptions::default(),
        )
        .unwrap();
        let options = CsvOptions { max_record_bytes: 100_000, ..CsvOptions::default() };
        let table = Table::from(Csv::open(Arc::new(source), options).unwrap());
        let plan = Arc::new(Plan::compile(&copy_shape(&["a", "b"]), &[], table.columns()).unwrap());
        let options = Options { threads, chunk_bytes: chunk, ..Options::default() };
        let error = measure(&table, &plan, &Split::default(), &options, &mut DiscardRejects).err().unwrap();
        assert_eq!(error.kind(), Kind::Data);
        assert_eq!(
            (error.place().record, error.place().line, error.place().byte),
            (Some(10), Some(20), Some(at)),
            "{error}"
        );
        assert!(error.message().contains("max_record_bytes"), "{error}");
    }
}

#[test]
fn s12_the_line_named_is_that_of_the_opening_quote() {
    for (record, line) in [
        ("1,\"two\nlines\", \"stray,\"never closed\n", 3),
        ("1,5\" pipe,\"never closed\n", 2),
        ("1,\"two\nlines \"\"doubled\"\"\",\"never closed\n", 3),
        ("1,\"two\nlines, and never closed\n", 2),
    ] {
        let bytes = format!("a,b,c\n{record}{}", "more,text,too\n".repeat(3)).into_bytes();
        let error = run(bytes, &["a", "b", "c"], 1, 4096).err().unwrap();
        assert_eq!((error.place().record, error.place().line), (Some(1), Some(line)), "{record:?}: {error}");
    }
}

#[test]
fn a_record_larger_than_many_chunks_is_one_record() {
    let long = "y".repeat(3 << 20);
    let bytes = format!("a,b\n1,2\n\"{long}\n{long}\",3\n4,5\n").into_bytes();
    for threads in [1, 4] {
        let (out, counts, ..) = run(bytes.clone(), &["a", "b"], threads, 64 << 10).unwrap();
        assert_eq!(out, bytes);
        assert_eq!(counts.written, 3);
    }
}

#[test]
fn several_files_are_one_list_and_positions_restart() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("1.csv"), "a,b\n1,2\nbad\n").unwrap();
    std::fs::write(dir.path().join("2.csv.gz"), gzip(b"a,b\n3,4\n\nworse\n")).unwrap();
    std::fs::write(dir.path().join("3.csv"), "a,b\n").unwrap();
    std::fs::write(dir.path().join("4.csv"), "a,b\r\n5,6\r\n7,8,9").unwrap();
    let source = OpenSource::open(dir.path().join("*.csv*").to_str().unwrap(), &SourceOptions::default()).unwrap();
    let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).unwrap());
    let plan = Arc::new(Plan::compile(&copy_shape(&["a", "b"]), &[], table.columns()).unwrap());
    for (threads, chunk_bytes) in [(1, 3), (4, 1), (4, 1 << 18)] {
        let options = Options { threads, chunk_bytes, ..Options::default() };
        let mut positions = Positions(Vec::new());
        let measured = measure(&table, &plan, &Split::default(), &options, &mut positions).unwrap();
        assert_eq!(positions.0, [(2, 3, 8), (2, 4, 9), (2, 3, 10)]);
        assert_eq!(measured.counts().written, 3);
        assert_eq!(measured.digest(), crc::of(b"a,b\n1,2\n3,4\n5,6\n"));
        let mut rows = Vec::new();
        measured
            .replay(1, &mut |row| {
                rows.push((
                    row.index,
                    row.source.file.rsplit('/').next().unwrap().to_owned(),
                    row.source.record,
                    row.source.text().into_owned(),
                ));
                Ok(true)
            })
            .unwrap();
        assert_eq!(rows, [(1, "2.csv.gz".to_owned(), 1, b"3,4".to_vec()), (2, "4.csv".to_owned(), 1, b"5,6".to_vec())]);
    }
    std::fs::write(dir.path().join("5.csv"), "a,c\n").unwrap();
    let source = OpenSource::open(dir.path().join("*.csv").to_str().unwrap(), &SourceOptions::default()).unwrap();
    assert_eq!(Csv::open(Arc::new(source), CsvOptions::default()).err().unwrap().kind(), Kind::Data);
}

/// A seam state that its chunk had not asked for (the first of a file, or a stream's) used to stay in its slot, and a
/// later chunk used it.
#[test]
fn many_small_files_with_quoted_line_ends_are_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let mut want = b"a,b\n".to_vec();
    for file in 0..40 {
        let mut text = b"a,b\n".to_vec();
        for row in 0..30 {
            let record = format!("{file}-{row},\"first\n{}\nlast\"\n", "line\n".repeat(row % 7));
            text.extend(record.as_bytes());
            want.extend(record.as_bytes());
        }
        let (name, stored) = if file % 3 == 2 { ("gz", gzip(&text)) } else { ("csv", text) };
        std::fs::write(dir.path().join(format!("{file:02}.{name}")), stored).unwrap();
    }
    let source = OpenSource::open(dir.path().join("*").to_str().unwrap(), &SourceOptions::default()).unwrap();
    let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).unwrap());
    let plan = Arc::new(Plan::compile(&copy_shape(&["a", "b"]), &[], table.columns()).unwrap());
    for (threads, chunk_bytes) in [(1, 100), (1, 7), (2, 50), (4, 33), (8, 64), (4, 500)] {
        for _ in 0..5 {
            let options = Options { threads, chunk_bytes, ..Options::default() };
            let measured = measure(&table, &plan, &Split::default(), &options, &mut DiscardRejects).unwrap();
            assert_eq!((measured.counts().written, measured.counts().rejected), (1200, 0), "{threads} {chunk_bytes}");
            assert_eq!(measured.digest(), crc::of(&want), "{threads} threads, chunks of {chunk_bytes}");
        }
    }
}

#[cfg(feature = "upload")]
mod bodies {
    use super::*;
    use std::io::Read;

    fn list(records: usize) -> Vec<u8> {
        let mut bytes = b"a,b\n".to_vec();
        for i in 0..records {
            bytes.extend(format!("{i},\"value, {}\"\n", i * 7919 % 1000).into_bytes());
        }
        bytes
    }

    fn measured(table: &Table, split: Option<u64>, threads: usize) -> Measured {
        let plan = Arc::new(Plan::compile(&copy_shape(&["a", "b"]), &[], table.columns()).unwrap());
        let options = Options { threads, chunk_bytes: 5000, ..Options::default() };
        measure(table, &plan, &Split { max_part_bytes: split, ..Split::default() }, &options, &mut DiscardRejects)
            .unwrap()
    }

    fn read(body: Body) -> Result<Vec<u8>> {
        let promised = http_body::Body::size_hint(&body).exact().unwrap();
        let mut bytes = Vec::new();
        body.into_read().read_to_end(&mut bytes).map_err(|error| crate::source::into_error(error, "reading"))?;
        assert_eq!(bytes.len() as u64, promised);
        Ok(bytes)
    }

    #[test]
    fn parts_are_cut_between_records_and_sent_as_measured() {
        let bytes = list(20_000);
        for stored in [bytes.clone(), gzip(&bytes)] {
            let table = table(stored).unwrap();
            for threads in [1, 3] {
                let measured = measured(&table, Some(50_000), threads);
                assert!(measured.parts().len() > 3);
                let frame = Frame { head: b"<<".to_vec(), tail: b">>".to_vec() };
                let mut all = Vec::new();
                let mut first = 0;
                for part in measured.parts() {
                    let sent = read(measured.framed_body(part, &frame)).unwrap();
                    let content = sent.strip_prefix(b"<<").unwrap().strip_suffix(b">>").unwrap();
                    assert!(content.len() <= 50_000 && content.len() as u64 == part.bytes);
                    assert_eq!(crc::of(content), part.crc);
                    assert_eq!(part.first_record, first);
                    first += part.records;
                    all.extend(content.strip_prefix(b"a,b\n").expect("a header in each part"));
                }
                assert_eq!([b"a,b\n", &all[..]].concat(), bytes);
                // one of them again, from its own start
                let part = &measured.parts()[2];
                assert_eq!(crc::of(&read(measured.body(part)).unwrap()), part.crc);
            }
        }
    }

    /// Large records use buffers that the threads share, and are sent in pieces.
    #[test]
    fn large_records_among_small_ones_are_sent_and_shown_as_measured() {
        let mut bytes = b"a,b\n".to_vec();
        for n in 0..60 {
            let long = "z,\"\"y\n".repeat(if n % 40 == 5 { 200_000 } else { n % 7 });
            bytes.extend(format!("{n},\"{long}\"\n").into_bytes());
        }
        for stored in [bytes.clone(), gzip(&bytes)] {
            let table = table(stored).unwrap();
            for threads in [1, 4] {
                for split in [None, Some(2 << 20)] {
                    let measured = measured(&table, split, threads);
                    let mut all = b"a,b\n".to_vec();
                    for part in measured.parts() {
                        let sent = read(measured.body(part)).unwrap();
                        all.extend(sent.strip_prefix(b"a,b\n").unwrap());
                    }
                    assert_eq!(measured.counts().written, 60);
                    // values that need no quotes are written without
                    let want: Vec<u8> =
                        String::from_utf8(bytes.clone()).unwrap().replace(",\"\"\n", ",\n").into_bytes();
                    assert!(all == want, "{threads} threads, {split:?}");
                    let mut shown = 0;
                    measured
                        .replay(0, &mut |row| {
                            shown += row.output.len();
                            Ok(true)
                        })
                        .unwrap();
                    assert_eq!(shown, want.len() - 4);
                }
            }
        }
    }

    #[test]
    fn ranges_are_pieces_of_the_body() {
        let bytes = list(5_000);
        let table = table(bytes.clone()).unwrap();
        let measured = measured(&table, None, 2);
        let part = &measured.parts()[0];
        let len = part.bytes;
        for (from, to) in [(0, 1), (0, 4), (2, 9), (1000, 70_000), (len - 1, len), (0, len), (len / 2, len)] {
            assert_eq!(read(measured.range(part, from..to)).unwrap(), &bytes[from as usize..to as usize]);
        }
    }

    #[test]
    fn a_body_that_is_dropped_stops_its_pass() {
        let table = table(list(200_000)).unwrap();
        let measured = measured(&table, None, 3);
        let mut reader = measured.body(&measured.parts()[0]).into_read();
        let mut some = [0; 10];
        reader.read_exact(&mut some).unwrap();
        drop(reader);
        assert_eq!(read(measured.body(&measured.parts()[0])).unwrap().len() as u64, measured.body_bytes());
    }

    /// Content that changes on demand, at the same size.
    struct Changing(std::sync::Mutex<Vec<u8>>);

    impl crate::source::ReadAt for Changing {
        fn read_at(&self, buf: &mut [u8], at: u64) -> std::io::Result<usize> {
            let bytes = self.0.lock().unwrap();
            let rest = &bytes[(at as usize).min(bytes.len())..];
            let n = rest.len().min(buf.len());
            buf[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        }
        fn identity(&self) -> std::io::Result<crate::source::Identity> {
            Ok(crate::source::Identity::of_size(self.0.lock().unwrap().len() as u64))
        }
    }

    #[test]
    fn s18_one_changed_byte_keeps_the_last_block_back() {
        let bytes = list(30_000);
        let content = Arc::new(Changing(std::sync::Mutex::new(bytes.clone())));
        let source = OpenSource::from_read_at("list.csv", content.clone(), &SourceOptions::default()).unwrap();
        let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).unwrap());
        let measured = measured(&table, None, 2);
        let part = &measured.parts()[0];
        for (at, byte) in [(10, b'9'), (bytes.len() / 2, b'"'), (bytes.len() - 2, b'x'), (bytes.len() - 3, b'8')] {
            let old = std::mem::replace(&mut content.0.lock().unwrap()[at], byte);
            if old != byte {
                let mut reader = measured.body(part).into_read();
                let mut sent = Vec::new();
                let error = reader.read_to_end(&mut sent).expect_err("changed");
                assert_eq!(crate::source::into_error(error, "").kind(), Kind::SourceChanged);
                assert!((sent.len() as u64) < part.bytes);
            }
            content.0.lock().unwrap()[at] = old;
        }
        content.0.lock().unwrap().extend(b"1,2\n");
        let mut sent = Vec::new();
        assert!(measured.body(part).into_read().read_to_end(&mut sent).is_err());
        assert!((sent.len() as u64) < part.bytes);
        content.0.lock().unwrap().truncate(bytes.len() - 10);
        let mut sent = Vec::new();
        assert!(measured.body(part).into_read().read_to_end(&mut sent).is_err());
        assert!((sent.len() as u64) < part.bytes);
    }
}
