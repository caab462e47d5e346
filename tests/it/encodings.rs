//! Sources in other encodings than UTF-8. The oracle decodes the whole text at once with encoding_rs, and counts bytes by
//! itself.

use super::cli::{Bed, CLEVERTAP};
use listferry::body::{Options, Reject, RejectSink, SourceRecord, Split, convert, measure};
use listferry::format::Table;
use listferry::format::csv::{Csv, CsvOptions};
use listferry::format::lines::{Lines, LinesOptions};
use listferry::format::ndjson::{Ndjson, NdjsonOptions};
use listferry::mapping::{Field, Json, Plan, Rules, Shape, Unit, ValueSpec};
use listferry::source::{Encoding, OpenSource, SourceOptions};
use proptest::prelude::*;
use serde_json::json;
use std::io::{Read, Write};
use std::sync::Arc;

/// Labels of encodings, and characters that each has.
const ENCODINGS: [(&str, &str); 9] = [
    ("utf-16le", "aé€表😀"),
    ("utf-16be", "aé€表😀"),
    ("windows-1252", "aé€"),
    ("windows-1253", "aλ€"),
    ("iso-8859-7", "aλ"),
    ("shift_jis", "a表ｱ示"),
    ("euc-jp", "a表ｱ示"),
    ("gb18030", "aé表😀"),
    ("big5", "a表示"),
];

/// A piece of a list: text, or bytes that the encoding does not have.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Malformed,
}

fn encoded(text: &str, label: &str) -> Vec<u8> {
    match label {
        "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => {
            let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, _, has_failed) = encoding.encode(text);
            assert!(!has_failed, "{text} in {label}");
            bytes.into_owned()
        }
    }
}

/// Returns bytes that are not valid, whatever follows them; in windows-1252 all bytes are.
fn malformed(label: &str) -> &'static [u8] {
    match label {
        "utf-16le" => b"\x00\xdc",
        "utf-16be" => b"\xdc\x00",
        "windows-1252" => b"",
        "windows-1253" => b"\xd2",
        _ => b"\xff",
    }
}

fn plan(table: &Table) -> Arc<Plan> {
    let value = ValueSpec::parse(&json!({ "column": "value", "empty": "keep" }), "map.v", &[]).unwrap();
    let field = Field { at: "map.v".to_owned(), name: "v".to_owned(), value, required: false, rules: Rules::default() };
    let unit = Unit { before: "\"v\":".to_owned(), field: Some(field), after: String::new(), when_empty: None };
    let json = Json { open: "{".to_owned(), units: vec![unit], close: "}".to_owned(), ..Json::default() };
    Arc::new(Plan::compile_for(&Shape::Json(json), &[], table).unwrap())
}

/// The number of a record, the line and the offset of its start, and whether it is rejected.
type Spot = (u64, u64, u64);

fn spot(source: &SourceRecord<'_>) -> Spot {
    (source.record, source.line.unwrap(), source.byte.unwrap())
}

#[derive(Debug, Default, PartialEq)]
struct Kept(Vec<(Spot, String, String)>);

impl RejectSink for Kept {
    fn reject(&mut self, reject: &Reject<'_>) -> listferry::Result<()> {
        let text = String::from_utf8(reject.source.text().into_owned()).unwrap();
        self.0.push((spot(&reject.source), reject.error.code.to_owned(), text));
        Ok(())
    }
    fn restart(&mut self) -> listferry::Result<()> {
        self.0.clear();
        Ok(())
    }
}

fn packed(list: Vec<u8>, gzip: bool) -> Vec<u8> {
    if !gzip {
        return list;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&list).unwrap();
    encoder.finish().unwrap()
}

fn source(stored: Vec<u8>, label: &str) -> Arc<OpenSource> {
    let mut options = SourceOptions::default();
    options.encoding = Encoding::for_label(label).unwrap();
    Arc::new(OpenSource::from_bytes("list", stored, &options).unwrap())
}

/// Opens a list as CSV, NDJSON or lines.
fn open(source: Arc<OpenSource>, format: usize) -> listferry::Result<Table> {
    Ok(match format {
        0 => Csv::open(source, CsvOptions::default())?.into(),
        1 => Ndjson::open(source, &["value"], NdjsonOptions::default())?.into(),
        _ => Lines::open(source, LinesOptions::default())?.into(),
    })
}

/// Returns what is before and after a value in a record, and the header.
fn around(format: usize) -> (&'static str, &'static str, &'static str) {
    [("7,", "", "n,value\n"), ("{\"value\":\"", "\"}", ""), ("", "", "")][format]
}

fn piece() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![
        8 => proptest::collection::vec(0usize..5, 1..20).prop_map(|picks| {
            Piece::Text(picks.into_iter().map(|pick| char::from_digit(pick as u32, 10).unwrap()).collect())
        }),
        1 => Just(Piece::Malformed),
    ];
    proptest::collection::vec(piece, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 400 } else { 2000 }))]

    #[test]
    fn records_and_places_are_those_of_the_text_in_every_encoding(
        records in proptest::collection::vec(piece(), 0..50), which in 0..ENCODINGS.len(), format in 0usize..3,
        threads in 1usize..4, chunk in prop_oneof![1usize..60, 60usize..700, Just(1 << 18)], gzip: bool, mark: bool,
        line_end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], part in 0.0f64..1.0,
    ) {
        let (label, characters) = ENCODINGS[which];
        let characters: Vec<char> = characters.chars().collect();
        let (before, after, header) = around(format);
        let mark = mark && label.starts_with("utf-16");
        let mut list = if mark { encoded("\u{feff}", label) } else { Vec::new() };
        list.extend(encoded(&header.replace('\n', line_end), label));
        let (mut want, mut rejects, mut spots) = (Vec::new(), Vec::new(), Vec::new());
        for (n, pieces) in records.iter().enumerate() {
            let place = (n as u64 + 1, n as u64 + 1 + u64::from(!header.is_empty()), list.len() as u64);
            spots.push(place);
            let (mut value, mut text) = (String::new(), before.to_owned());
            list.extend(encoded(before, label));
            for piece in pieces {
                match piece {
                    Piece::Text(digits) => {
                        let chars = digits.bytes().map(|digit| characters[usize::from(digit - b'0') % characters.len()]);
                        let piece: String = chars.collect();
                        list.extend(encoded(&piece, label));
                        text += &piece;
                        value += &piece;
                    }
                    Piece::Malformed => {
                        list.extend(malformed(label));
                        text.extend(malformed(label).iter().map(|byte| format!("\\x{byte:02x}")));
                    }
                }
            }
            list.extend(encoded(after, label));
            list.extend(encoded(line_end, label));
            text += after;
            let has_malformed = pieces.iter().any(|piece| matches!(piece, Piece::Malformed));
            if value.is_empty() && !has_malformed || text.is_empty() {
                // an empty line of the format of lines is not a record
                list.truncate(place.2 as usize);
                list.extend(encoded(&format!("{before}a{after}{line_end}"), label));
                value.push('a');
            }
            if has_malformed && !malformed(label).is_empty() {
                rejects.push((place, "undecodable".to_owned(), text));
            } else {
                want.extend((json!({ "v": value }).to_string() + "\n").into_bytes());
            }
        }
        // without a mark, UTF-16 has to be named
        let named = if mark { "utf-8" } else { label };
        let table = open(source(packed(list.clone(), gzip), named), format).unwrap();
        let (plan, mut options) = (plan(&table), Options::default());
        (options.threads, options.chunk_bytes) = (threads, chunk);
        let (mut out, mut kept) = (Vec::new(), Kept::default());
        let mut keep = |bytes: &[u8]| { out.extend_from_slice(bytes); Ok(()) };
        convert(&table, &plan, &options, &mut keep, &mut kept).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&want));
        prop_assert_eq!(&kept.0, &rejects);

        let mut kept = Kept::default();
        let measured = measure(&table, &plan, &Split::default(), &options, &mut kept).unwrap();
        prop_assert_eq!(&kept.0, &rejects);
        let (len, mut body) = (measured.body_bytes(), Vec::new());
        let from = (part * len as f64) as u64;
        measured.range(&measured.parts()[0], from..len).into_read().read_to_end(&mut body).unwrap();
        prop_assert_eq!(&body[..], &want[from as usize..]);
        let good: Vec<Spot> = spots.into_iter().filter(|place| rejects.iter().all(|reject| reject.0 != *place)).collect();
        let from = (part * good.len() as f64) as usize;
        let mut shown = Vec::new();
        measured.replay(from as u64, &mut |row| { shown.push(spot(&row.source)); Ok(true) }).unwrap();
        prop_assert_eq!(&shown[..], &good[from..]);
    }

    #[test]
    fn the_stream_decodes_any_bytes_like_the_whole_text(
        bytes in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => 0x20u8..0x7f, 1 => Just(b'\n'), 1 => Just(0x1b)], 0..400),
        which in 0usize..14, chunk in 1usize..300, threads in 1usize..3,
    ) {
        let labels = ["windows-1252", "shift_jis", "euc-jp", "gb18030", "gbk", "big5", "euc-kr", "utf-16le", "utf-16be",
            "koi8-u", "windows-874", "x-user-defined", "macintosh", "iso-8859-8-i"];
        let label = labels[which];
        let mut bytes = bytes;
        if label.starts_with("utf-16") {
            bytes.truncate(bytes.len() / 2 * 2);
            // text in UTF-16 has NULs
            bytes.splice(0..0, encoded("x\n", label));
        }
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        // a mark, or what looks like a mark or a format, is another matter
        let opened = open(source(bytes.clone(), label), 2);
        let is_marked = encoding_rs::Encoding::for_bom(&bytes).is_some();
        prop_assume!(!is_marked && opened.is_ok());
        let table = opened.unwrap();
        let (plan, mut options) = (plan(&table), Options::default());
        (options.threads, options.chunk_bytes) = (threads, chunk);
        let (mut out, mut kept) = (Vec::new(), Kept::default());
        let mut keep = |bytes: &[u8]| { out.extend_from_slice(bytes); Ok(()) };
        convert(&table, &plan, &options, &mut keep, &mut kept).unwrap();
        let (whole, _) = encoding.decode_without_bom_handling(&bytes);
        let text = String::from_utf8(out).unwrap();
        let mut values = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["v"].as_str().unwrap().to_owned());
        let mut rejected = kept.0.iter().map(|(place, code, _)| (place.0, code.as_str())).peekable();
        let lines = whole.split(['\n', '\r']).filter(|line| !line.is_empty());
        for (n, line) in (1..).zip(lines) {
            let is_rejected = rejected.next_if(|(record, _)| *record == n);
            let may_be_malformed = line.contains('\u{fffd}');
            match is_rejected {
                None => prop_assert_eq!(values.next(), Some(line.to_owned())),
                Some((_, code)) => prop_assert!(line.contains('\0') && code == "nul" || may_be_malformed && code == "undecodable", "{:?} {}", line, code),
            }
        }
        prop_assert!(values.next().is_none() && rejected.next().is_none());
    }
}

/// Returns a job for a list in an encoding.
fn job(encoding: &str, list: impl AsRef<[u8]>) -> Bed {
    let job = CLEVERTAP
        .replace("path: list.csv", &format!("path: list.csv{encoding}"))
        .replace("identity: id", "identity: name");
    Bed::new(&job, list)
}

#[test]
fn a_byte_order_mark_switches_and_a_wrong_name_is_refused() {
    let text = "id,name\n1,Jürgen\n";
    let utf16 = |mark: &str, label: &str| encoded(&format!("{mark}{text}"), label);
    let utf8 = |mark: &str| format!("{mark}{text}").into_bytes();
    for (encoding, list) in [
        ("", utf16("\u{feff}", "utf-16le")),
        ("", utf16("\u{feff}", "utf-16be")),
        (", encoding: utf-16", utf16("\u{feff}", "utf-16be")),
        (", encoding: UTF-16LE", utf16("", "utf-16le")),
        (", encoding: utf-16be", utf16("\u{feff}", "utf-16le")),
        (", encoding: utf-16le", utf8("\u{feff}")),
        (", encoding: latin1", encoded(text, "windows-1252")),
        (", encoding: utf8", utf8("")),
    ] {
        let (code, out) = job(encoding, &list).convert(&[]);
        assert_eq!((code, String::from_utf8(out).unwrap()), (0, "Type,Identity\ni,Jürgen\n".to_owned()), "{encoding}");
    }
    let utf32 =
        |mark: &str| format!("{mark}{text}").chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>();
    for (encoding, list, code, says) in [
        ("", utf16("", "utf-16le"), 10, "looks like UTF-16LE, but source.encoding is utf-8"),
        ("", utf16("", "utf-16be"), 10, "set source.encoding: utf-16be"),
        (", encoding: utf-16le", utf16("", "utf-16be"), 10, "looks like UTF-16BE, but source.encoding is utf-16le"),
        (", encoding: utf-16le", utf8(""), 10, "looks like UTF-8, but source.encoding is utf-16le"),
        (", encoding: latin1", utf8("\u{feff}"), 10, "looks like UTF-8, but source.encoding is windows-1252"),
        (", encoding: latin1", utf16("\u{feff}", "utf-16le"), 10, "looks like UTF-16LE"),
        ("", utf32("\u{feff}"), 10, "iconv -f UTF-32LE"),
        ("", utf32(""), 10, "iconv -f UTF-32LE"),
        ("", encoded("id,näme\n1,x\n", "windows-1252"), 10, "source.encoding: windows-1252"),
        (", encoding: utf-7", utf8(""), 2, "\"utf-7\" is not the label of a known encoding"),
        (", encoding: iso-2022-kr", utf8(""), 2, "is not the label of a known encoding"),
    ] {
        let (found, report) = job(encoding, &list).json(&["check", "job.yaml"]);
        let said = format!("{} / {}", report["error"]["message"].as_str().unwrap(), report["error"]["hint"]);
        assert!(found == code && said.contains(says), "{encoding}: {said}");
    }
}

#[test]
fn utf16_that_ends_in_half_a_unit_is_cut_off() {
    for gzip in [false, true] {
        for mark in ["", "\u{feff}"] {
            let mut list = encoded(&format!("{mark}id,name\n1,x\n2,y\n"), "utf-16le");
            list.pop();
            let length = list.len() as u64;
            let bed = job(", encoding: utf-16le", packed(list, gzip));
            let (code, report) = bed.json(&["check", "job.yaml"]);
            let message = report["error"]["message"].as_str().unwrap();
            assert!(code == 10 && message.contains("cut off"), "{report}");
            assert!(message.contains(&format!("byte {}", length - 1)), "{message}");
        }
    }
}

#[test]
fn rejected_rows_come_back_in_the_encoding_of_the_source() {
    let cases: [(&str, &str, &[u8]); 3] = [
        (", encoding: windows-1253", "windows-1253", b"\xd2"),
        ("", "utf-16be", b"\xdc\x00"),
        (", encoding: shift_jis", "shift_jis", b"\xff"),
    ];
    for (encoding, label, bad) in cases {
        let mark = if encoding.is_empty() { "\u{feff}" } else { "" };
        let e = if label == "shift_jis" { "表" } else { "μ" };
        let head = encoded(&format!("{mark}id,name\n"), label);
        let row = [encoded(&format!("1,\"{e}"), label), bad.to_vec(), encoded("\"\n", label)].concat();
        let list =
            [&head[..], &encoded(&format!("0,{e}\n"), label), &row, &encoded(&format!("2,{e}\n"), label)].concat();
        let bed = job(encoding, &list);
        let mut command = bed.command(&["run", "job.yaml", "--output", "json"]);
        let output = command.env("CT_ACCOUNT", "a").env("CT_PASSCODE", "p").output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (report["exit_code"].as_i64(), &report["reject_reasons"]["undecodable"]),
            (Some(10), &json!(1)),
            "{report}"
        );
        let id = report["run_id"].as_str().unwrap();
        assert_eq!(bed.run(&["rejects", id, "--as-source"]).stdout, [&head[..], &row].concat(), "{label}");
        let shown = String::from_utf8(bed.run(&["rejects", id]).stdout).unwrap();
        let bytes: String = bad.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let at = head.len() + encoded(&format!("0,{e}\n"), label).len();
        assert!(shown.contains(&format!("\n1,{e}{bytes},local,list.csv,2,3,{at},,name,undecodable,")), "{shown}");
    }
}

#[test]
fn many_rows_of_another_encoding_are_a_warning_that_names_it() {
    let list: String = (0..50).map(|n| format!("{n},Jürgen\n")).collect();
    let warning = |encoding: &str, list: &[u8]| {
        let (_, report) = job(encoding, list).json(&["check", "job.yaml"]);
        let warning = &report["warnings"][0];
        assert_eq!(warning["kind"], "encoding", "{report}");
        warning["message"].as_str().unwrap().to_owned()
    };
    let text = encoded(&format!("id,name\n{list}"), "windows-1252");
    assert!(warning("", &text).contains("looks like windows-1252"));
    let text: Vec<u8> = text.iter().map(|byte| if *byte == 0xfc { 0x81 } else { *byte }).collect();
    assert!(warning("", &text).ends_with("50 of 50 rows are not valid UTF-8"));
    let text: Vec<u8> = text.iter().map(|byte| if *byte == 0x81 { 0xd2 } else { *byte }).collect();
    assert!(warning(", encoding: windows-1253", &text).ends_with("50 of 50 rows are not valid windows-1253"));
}

#[test]
fn ndjson_in_utf16_is_known_by_its_content() {
    let list = encoded("\u{feff}{\"name\":\"Jürgen\"}\n", "utf-16le");
    let (code, out) = job("", list).convert(&["--set", "source.path=list.csv", "--set", "source.format=auto"]);
    // the name of the file says CSV
    assert_ne!(code, 0, "{}", String::from_utf8_lossy(&out));
    let bed = job("", "");
    std::fs::write(bed.path("list.txt"), encoded("\u{feff}{\"name\":\"Jürgen\"}\n", "utf-16le")).unwrap();
    let (code, out) = bed.convert(&["--set", "source.path=list.txt"]);
    assert_eq!((code, String::from_utf8(out).unwrap()), (0, "Type,Identity\ni,Jürgen\n".to_owned()));
}

#[test]
fn a_line_end_inside_a_broken_character_of_iso_2022_jp_ends_the_line() {
    // a two-byte character begins, and the line ends
    let list = b"id,name\n1,\x1b$B$\"$\n2,\x1b(Bx\n3,y\n";
    let bed = job(", encoding: iso-2022-jp", list);
    let (_, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(report["records"]["read"], 3, "{report}");
    assert!(report["reject_reasons"]["undecodable"].as_u64() >= Some(1), "{report}");
}
