//! Failures of the catalogue (docs/CONTRACT.md) that need the library, or a list generated here.

use super::cli::{Bed, CLEVERTAP};
use flate2::Compression;
use flate2::write::GzEncoder;
use listferry::body::{DiscardRejects, Options, Split, convert, measure};
use listferry::format::Table;
use listferry::format::csv::{Csv, CsvOptions};
use listferry::mapping::{Plan, Shape};
use listferry::platform::PLATFORMS;
use listferry::settings::{NoSecrets, Settings};
use listferry::source::{Identity, OpenSource, ReadAt, SourceOptions};
use serde_json::json;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn gzip(text: &str) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

/// Padding is skipped with a warning, wherever the list comes from.
#[test]
fn s04_every_command_that_reads_to_the_end_warns_of_zeros_after_gzip_data() {
    let mut list = gzip("id,x\n1,a\n");
    list.extend([0; 512]);
    let bed = Bed::new(CLEVERTAP, &list);
    let from_stdin = |arguments: &[&str]| {
        let mut command = bed.command(arguments);
        command.stdin(std::fs::File::open(bed.path("list.csv")).unwrap()).output().unwrap()
    };
    let stdin = ["--set", "source.path=-"];
    for output in [
        bed.run(&["check", "job.yaml"]),
        bed.run(&["convert", "job.yaml"]),
        from_stdin(&["check", "job.yaml", stdin[0], stdin[1]]),
        from_stdin(&["convert", "job.yaml", stdin[0], stdin[1]]),
    ] {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("512 zero bytes"), "{said}");
    }
}

/// gzip cannot show that a member is missing; the expectations can.
#[test]
fn s03_a_cut_between_members_is_seen_by_the_expectations() {
    let (first, second) = (gzip("id,x\n1,a\n2,b\n"), gzip("3,c\n4,d\n"));
    let whole = [first.clone(), second].concat();
    let bed = Bed::new(CLEVERTAP, &whole);
    let sha256: String =
        <sha2::Sha256 as sha2::Digest>::digest(&whole).iter().map(|byte| format!("{byte:02x}")).collect();
    let sha256 = format!("source.expect.sha256='{sha256}'");
    for set in ["source.expect.min_records=4", &sha256] {
        assert_eq!(bed.json(&["check", "job.yaml", "--set", set]).0, 0, "{set}");
    }
    std::fs::write(bed.path("list.csv"), &first).unwrap();
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!((code, report["records"]["read"].as_u64()), (0, Some(2)), "{report}");
    for set in ["source.expect.min_records=4", &sha256] {
        assert_eq!(bed.json(&["check", "job.yaml", "--set", set]).0, 10, "{set}");
    }
}

/// The row of a CleverTap list from the column `id`.
fn shape() -> Shape {
    let entry = PLATFORMS.iter().find(|entry| entry.name == "clevertap").unwrap();
    let destination = json!({"region": "in1", "account_id": "a", "passcode": "p", "segment": "s", "creator": "c", "email": "a@b.example"});
    let map = destination.as_object().unwrap();
    let settings = Settings { map, at: "destination", secrets: &NoSecrets, folder: Path::new("") };
    let platform = (entry.build)(&settings).unwrap();
    platform.shape(&listferry::mapping::MapSpec(json!({"identity": "id"}).as_object().unwrap().clone())).unwrap()
}

/// Bytes that differ in the second pass, with the same identity.
struct Fickle {
    first: Vec<u8>,
    then: Vec<u8>,
    turned: Arc<AtomicBool>,
}

impl ReadAt for Fickle {
    fn read_at(&self, buf: &mut [u8], at: u64) -> std::io::Result<usize> {
        let bytes = if self.turned.load(Ordering::SeqCst) { &self.then } else { &self.first };
        let rest = bytes.get(at as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn identity(&self) -> std::io::Result<Identity> {
        Ok(Identity::of_size(self.first.len() as u64))
    }
}

/// Output that differs from what was measured, in length or content, never arrives completely.
#[test]
fn s20_output_that_differs_from_what_was_measured_is_never_complete() {
    let row = |cell: &str| format!("id\n{}{cell}\n", "12345678\n".repeat(50_000)).into_bytes();
    let promised = row("\"ab\"");
    for other in ["abcd", "\"\"\"\"", "\"ac\""] {
        let turned = Arc::new(AtomicBool::new(false));
        let fickle = Fickle { first: promised.clone(), then: row(other), turned: Arc::clone(&turned) };
        let source = OpenSource::from_read_at("list", Arc::new(fickle), &SourceOptions::default()).unwrap();
        let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).unwrap());
        let plan = Arc::new(Plan::compile(&shape(), &[], table.columns()).unwrap());
        let measured = measure(&table, &plan, &Split::default(), &Options::default(), &mut DiscardRejects).unwrap();
        let part = &measured.parts()[0];
        let read = |body: listferry::body::Body| {
            let mut got = Vec::new();
            (body.into_read().read_to_end(&mut got).is_ok(), got.len() as u64)
        };
        assert_eq!(read(measured.body(part)), (true, part.bytes));
        turned.store(true, Ordering::SeqCst);
        let (whole, bytes) = read(measured.body(part));
        assert!(!whole && bytes < part.bytes, "{other}: {bytes} of {}", part.bytes);
    }
}

#[test]
fn p05_mixed_case_ids_are_lowered_where_the_map_says_so_and_none_is_lost() {
    let job = "source: { path: list.csv }\n\
               map: { id: { column: email, apply: [trim, lower] } }\n\
               destination: { platform: yesmail, list: l, separator: ',', api_user: { env: U }, api_key: { env: K },\n\
               \x20 host: { serve: { listen: '127.0.0.1:0', public_url: auto } } }\n";
    let bed = Bed::new(job, "email\nA@X.example\n a@x.example\nÄ@X.example\n");
    assert_eq!(bed.convert(&[]).1, "id\na@x.example\na@x.example\nä@x.example\n".as_bytes());
}

#[test]
fn p11_the_output_does_not_depend_on_the_cuts() {
    let mut list = String::from("x,id\r\n");
    for i in 0..400 {
        list += &format!(
            "\"two\nlines, {i}\",{}\r\n",
            if i % 7 == 0 { "\"a \"\"b\"\"\"".to_owned() } else { i.to_string() }
        );
    }
    let run = |threads: usize, chunk_bytes: usize| {
        let source = OpenSource::from_bytes("list", list.clone().into_bytes(), &SourceOptions::default()).unwrap();
        let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default()).unwrap());
        let plan = Arc::new(Plan::compile(&shape(), &[], table.columns()).unwrap());
        let mut options = Options::default();
        (options.threads, options.chunk_bytes) = (threads, chunk_bytes);
        let mut out = Vec::new();
        let mut write = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        convert(&table, &plan, &options, &mut write, &mut DiscardRejects).unwrap();
        out
    };
    let wanted = run(1, 256 << 10);
    assert_eq!(wanted.iter().filter(|byte| **byte == b'\n').count(), 401);
    for threads in [1, 2, 3, 8] {
        for chunk_bytes in [1, 2, 3, 17, 64, 1000] {
            assert_eq!(run(threads, chunk_bytes), wanted, "{threads} threads, chunks of {chunk_bytes}");
        }
    }
}
