// Shared by the targets through `include!`.

use listferry::body::{Counts, Measured, Options, Reject, RejectSink, Split, convert, measure};
use listferry::mapping::{Cells, Field, Plan, Quoting, Rules, Separator, Shape, ValueSpec};
use listferry::format::Table;
use listferry::format::csv::{Csv, CsvOptions};
use listferry::source::{Compression, OpenSource, SourceOptions};
use std::sync::Arc;

fn field(name: &str, value: &serde_json::Value) -> Field {
    Field {
        at: format!("map.{name}"),
        name: name.to_owned(),
        value: ValueSpec::parse(value, "map", &[]).expect("a value"),
        required: false,
        rules: Rules::default(),
    }
}

/// Two columns, copied.
fn copied() -> Shape {
    cells(vec![field("a", &serde_json::json!("a")), field("b", &serde_json::json!("b"))], false)
}

fn cells(fields: Vec<Field>, header: bool) -> Shape {
    Shape::Delimited(Cells {
        fields,
        header,
        separator: Separator::Byte(b','),
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    })
}

/// Rejects as received.
#[derive(Debug, Default, PartialEq)]
struct Kept(Vec<(u64, u64, u64, String, Vec<u8>)>);

impl RejectSink for Kept {
    fn reject(&mut self, reject: &Reject<'_>) -> listferry::Result<()> {
        let (source, reason) = (&reject.source, reject.error.reason.clone());
        let (line, byte) = (source.line.expect("text has lines"), source.byte.expect("and bytes"));
        self.0.push((source.record, line, byte, reason, source.text().into_owned()));
        Ok(())
    }
    fn restart(&mut self) -> listferry::Result<()> {
        self.0.clear();
        Ok(())
    }
}

/// Computes the CRC-64/NVME one bit at a time.
fn crc64<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u64 {
    !bytes.into_iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u64::from(byte), |crc: u64, _| (crc >> 1) ^ (0x9A6C_9329_AC4B_C9B5 & (crc & 1).wrapping_neg()))
    })
}

struct Done {
    out: Vec<u8>,
    counts: Counts,
    rejects: Kept,
}

/// Runs both passes; `None` if both refuse.
fn run(
    source: Vec<u8>,
    compression: Compression,
    shape: &Shape,
    csv: &CsvOptions,
    threads: usize,
    chunk_bytes: usize,
    max_part_bytes: Option<u64>,
) -> Option<Done> {
    let mut how = SourceOptions::default();
    how.compression = compression;
    let source = OpenSource::from_bytes("list", source, &how).expect("bytes in memory");
    let table = Table::from(Csv::open(Arc::new(source), csv.clone()).ok()?);
    let plan = Arc::new(Plan::compile(shape, &[], table.columns()).expect("a plan"));
    let mut options = Options::default();
    options.threads = threads;
    options.chunk_bytes = chunk_bytes;
    let mut out = Vec::new();
    let (mut rejects, mut again) = (Kept::default(), Kept::default());
    let mut keep = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let converted = convert(&table, &plan, &options, &mut keep, &mut rejects);
    let measured = measure(&table, &plan, &Split::default(), &options, &mut again);
    match (converted, measured) {
        (Ok(counts), Ok(measured)) => {
            assert_eq!(&counts, measured.counts());
            assert_eq!(rejects, again);
            assert_eq!(counts.rejected, rejects.0.len() as u64);
            assert_eq!(counts.read, counts.written + counts.filtered + counts.rejected);
            check_parts(&measured, &out, plan.head());
            if let Some(most) = max_part_bytes {
                let mut split = Split::default();
                split.max_part_bytes = Some(most);
                match measure(&table, &plan, &split, &options, &mut again) {
                    Ok(measured) => {
                        check_parts(&measured, &out, plan.head());
                        assert!(measured.parts().iter().all(|part| part.bytes <= most));
                    }
                    // a record that fits into no part
                    Err(_) => assert!(out.len() as u64 > most),
                }
            }
            Some(Done { out, counts, rejects })
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.kind(), other.kind());
            None
        }
        _ => panic!("one pass fails, the other does not"),
    }
}

/// Checks that the parts are the output cut into pieces, each with the header line, and that their digests are right.
fn check_parts(measured: &Measured, out: &[u8], head: &[u8]) {
    let records = &out[head.len()..];
    let (mut at, mut record) = (0, 0);
    let mut all = Vec::new();
    for part in measured.parts() {
        let len = part.bytes as usize - head.len();
        let content = [head, &records[at..at + len]].concat();
        assert_eq!(part.crc, crc64(&content));
        assert_eq!(part.first_record, record);
        at += len;
        record += part.records;
        all.extend(content);
    }
    assert_eq!((at, record), (records.len(), measured.counts().written));
    assert_eq!((measured.body_bytes(), measured.digest()), (all.len() as u64, crc64(&all)));
}
