//! Dialects of delimited text: presets, escapes, texts that mean empty, comments, skipped lines, trailers. The oracle is
//! csv-core where it knows the dialect, and a reader of single bytes elsewhere.

use super::cli::{Bed, CLEVERTAP};
use listferry::body::{DiscardRejects, Options, Reject, RejectSink, Split, convert, measure};
use listferry::format::Table;
use listferry::format::csv::{Csv, CsvOptions};
use listferry::mapping::{Cells, Field, Plan, Quoting, Rules, Separator, Shape, ValueSpec};
use listferry::source::{OpenSource, SourceOptions};
use proptest::prelude::*;
use std::sync::Arc;

/// A record of two cells, or the code of its rejection.
type Row = Result<[String; 2], String>;

/// Collects the codes and places of rejected records.
#[derive(Debug, Default, PartialEq)]
struct Codes(Vec<(u64, u64, u64, String)>);

impl RejectSink for Codes {
    fn reject(&mut self, reject: &Reject<'_>) -> listferry::Result<()> {
        let source = &reject.source;
        self.0.push((source.record, source.line.unwrap(), source.byte.unwrap(), reject.error.code.to_owned()));
        Ok(())
    }
    fn restart(&mut self) -> listferry::Result<()> {
        self.0.clear();
        Ok(())
    }
}

fn plan(table: &Table) -> Arc<Plan> {
    let field = |name: &str| Field {
        at: format!("map.{name}"),
        name: name.to_owned(),
        value: ValueSpec::parse(&serde_json::json!(name), "map", &[]).unwrap(),
        required: false,
        rules: Rules::default(),
    };
    let shape = Shape::Delimited(Cells {
        fields: table.columns().iter().map(|name| field(name)).collect(),
        header: false,
        separator: Separator::Byte(b','),
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    });
    Arc::new(Plan::compile(&shape, &[], table.columns()).unwrap())
}

fn table(list: &[u8], csv: &CsvOptions, gzip: bool) -> listferry::Result<Table> {
    let stored = if gzip { packed(list) } else { list.to_vec() };
    let source = OpenSource::from_bytes("list", stored, &SourceOptions::default())?;
    Ok(Csv::open(Arc::new(source), csv.clone())?.into())
}

fn packed(list: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(list).unwrap();
    encoder.finish().unwrap()
}

/// Returns the output and the rejects of both passes, which must be equal.
fn read(table: &Table, threads: usize, chunk_bytes: usize) -> listferry::Result<(Vec<u8>, Codes)> {
    let plan = plan(table);
    let mut options = Options::default();
    (options.threads, options.chunk_bytes) = (threads, chunk_bytes);
    let (mut out, mut codes, mut again) = (Vec::new(), Codes::default(), Codes::default());
    let mut keep = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let converted = convert(table, &plan, &options, &mut keep, &mut codes);
    let measured = measure(table, &plan, &Split::default(), &options, &mut again);
    let (counts, measured) = (converted?, measured?);
    assert_eq!((&counts, &codes), (measured.counts(), &again));
    assert_eq!(measured.body_bytes(), out.len() as u64);
    Ok((out, codes))
}

/// Returns the rows of a list of two columns `a` and `b`; `None`: the pass ends with an error.
fn rows(list: &[u8], csv: &CsvOptions, threads: usize, chunk_bytes: usize, gzip: bool) -> Option<Vec<Row>> {
    let table = table(list, csv, gzip).unwrap();
    let (out, codes) = read(&table, threads, chunk_bytes).ok()?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&out[..]);
    let mut good = reader.records().map(|record| {
        let record = record.unwrap();
        [record[0].to_owned(), record[1].to_owned()]
    });
    let mut bad = codes.0.into_iter().peekable();
    let mut rows = Vec::new();
    for number in 1.. {
        let row = match bad.next_if(|(record, ..)| *record == number) {
            Some((.., code)) => Err(code),
            None => match good.next() {
                Some(row) => Ok(row),
                None => break,
            },
        };
        rows.push(row);
    }
    assert!(bad.next().is_none());
    Some(rows)
}

/// Returns the rows that a reader of single bytes finds; `None`: a quote is never closed.
fn naive(text: &[u8], csv: &CsvOptions) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    let mut at = 0;
    let line_end = |at: usize| match text[at] {
        b'\n' => 1,
        b'\r' if text.get(at + 1) == Some(&b'\n') => 2,
        b'\r' => 1,
        _ => 0,
    };
    while at < text.len() {
        if Some(text[at]) == csv.comment {
            while at < text.len() && line_end(at) == 0 {
                at += 1;
            }
            at += if at < text.len() { line_end(at) } else { 0 };
            continue;
        }
        if line_end(at) > 0 {
            at += line_end(at);
            continue;
        }
        let (mut cells, mut junk) = (Vec::new(), false);
        loop {
            let (cell, next, is_junk) = naive_cell(text, at, csv)?;
            (junk, at) = (junk || is_junk, next);
            cells.push(cell);
            match text.get(at) {
                None => break,
                Some(byte) if *byte == csv.delimiter => at += 1,
                Some(_) => {
                    at += line_end(at);
                    break;
                }
            }
        }
        rows.push(match <[Vec<u8>; 2]>::try_from(cells) {
            _ if junk => Err("text_after_quote".to_owned()),
            Err(_) => Err("ragged".to_owned()),
            Ok(cells) => match cells.iter().find(|cell| cell.contains(&0)) {
                Some(_) => Err("nul".to_owned()),
                None => Ok(cells.map(|cell| String::from_utf8(cell).unwrap())),
            },
        });
    }
    Some(rows)
}

/// Returns the value of the cell at `at`, the position of its end, and whether text follows its quotes.
fn naive_cell(text: &[u8], mut at: usize, csv: &CsvOptions) -> Option<(Vec<u8>, usize, bool)> {
    let (start, mut value) = (at, Vec::new());
    let mut is_open = csv.quote.is_some() && text.get(at).copied() == csv.quote;
    let is_quoted = is_open;
    let mut after = false;
    at += usize::from(is_open);
    while let Some(&byte) = text.get(at) {
        if is_open && Some(byte) == csv.quote {
            if !csv.escape && text.get(at + 1).copied() == csv.quote {
                value.push(byte);
                at += 2;
                continue;
            }
            is_open = false;
            at += 1;
            continue;
        }
        if !is_open && (byte == csv.delimiter || matches!(byte, b'\n' | b'\r')) {
            break;
        }
        after |= is_quoted && !is_open;
        if csv.escape && byte == b'\\' && at + 1 < text.len() {
            let meaning = b"n\nt\tr\rb\x08f\x0cv\x0b0\0";
            let byte = text[at + 1];
            value.push(meaning.chunks(2).find(|pair| pair[0] == byte).map_or(byte, |pair| pair[1]));
            at += 2;
            continue;
        }
        value.push(byte);
        at += 1;
    }
    if is_open {
        return None;
    }
    let is_null = !is_quoted && csv.nulls.iter().any(|null| *null == text[start..at.min(text.len())]);
    Some((if is_null { Vec::new() } else { value }, at, after))
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => Just("a"), 3 => Just(","), 3 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\r"), 3 => Just("\""),
        2 => Just("\\"), 2 => Just("#"), 2 => Just("\\N"), 1 => Just("\u{1}"), 1 => Just("é"), 1 => Just("'"),
        1 => Just("\\n"), 1 => Just("\\0"), 1 => Just("\\\""), 4 => Just("a,b\n"), 2 => Just("\"x\"\"y\",\"z\n\"\n"),
    ];
    proptest::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 1500 } else { 6000 }))]

    #[test]
    fn every_dialect_has_the_rows_of_a_reader_of_single_bytes(
        text in text(), escape: bool, nulls: bool, comment: bool, header: bool,
        quote in prop_oneof![4 => Just(Some(b'"')), 1 => Just(Some(b'\'')), 2 => Just(None)],
        delimiter in prop_oneof![4 => Just(b','), 1 => Just(1u8)],
        threads in 1usize..4, chunk in prop_oneof![1usize..40, 40usize..300, Just(1 << 18)], gzip: bool,
    ) {
        let mut csv = CsvOptions::default();
        (csv.delimiter, csv.quote, csv.escape) = (delimiter, quote, escape);
        csv.nulls = if nulls { vec![b"\\N".to_vec(), b"a".to_vec()] } else { Vec::new() };
        csv.comment = comment.then_some(b'#');
        (csv.header, csv.columns) = (header, (!header).then(|| vec!["a".to_owned(), "b".to_owned()]));
        let head = if header { [b'a', delimiter, b'b', b'\n'].to_vec() } else { Vec::new() };
        let list = [head, text.clone()].concat();
        let found = rows(&list, &csv, threads, chunk, gzip);
        prop_assert_eq!(found, naive(&text, &csv));
    }

    #[test]
    fn escapes_in_quotes_are_those_of_csv_core(
        records in proptest::collection::vec(("[a\"\\\\,\r\n#é]{0,8}", "[a\"\\\\,\r\n#é]{0,8}"), 1..40),
    ) {
        // csv-core has no escapes outside quotes, and gives every escaped byte as it is
        let cell = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let written: String = records.iter().map(|(a, b)| format!("{},{}\n", cell(a), cell(b))).collect();
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).escape(Some(b'\\')).double_quote(false);
        let theirs: Vec<Vec<Vec<u8>>> = reader.from_reader(written.as_bytes()).byte_records()
            .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect()).collect();
        let mut csv = CsvOptions::default();
        csv.escape = true;
        let ours = rows(format!("a,b\n{written}").as_bytes(), &csv, 2, 50, false).unwrap();
        let ours: Vec<Vec<Vec<u8>>> = ours.into_iter()
            .map(|row| row.unwrap().into_iter().map(String::into_bytes).collect()).collect();
        prop_assert_eq!(ours, theirs);
    }
}

#[test]
fn a_count_of_rows_at_the_end_is_a_trailer_whatever_the_chunks() {
    for (head, row, delimiter) in [("a,b", "1,x", b','), ("a", "1", b','), ("a\u{1}b", "1\u{1}x", 1)] {
        for escape in [false, true] {
            for after in ["", "\n", "\r\n", "\n\n", "\r\n\r\n\r\n"] {
                for (threads, chunk) in [(1, 1 << 18), (1, 7), (3, 20), (2, 64)] {
                    for gzip in [false, true] {
                        let mut csv = CsvOptions::default();
                        (csv.delimiter, csv.escape) = (delimiter, escape);
                        let rows = format!("{head}\n{}", format!("{row}\n").repeat(30));
                        let list = format!("{rows}(30 rows){after}");
                        let (out, codes) = read(&table(list.as_bytes(), &csv, gzip).unwrap(), threads, chunk).unwrap();
                        let context = format!("{head:?} {after:?} {threads} {chunk} {gzip}");
                        if head == "a" && after.matches('\n').count() > 1 {
                            // with one column an empty line is a record, so the count is not the last one
                            assert_eq!(codes.0, [], "{context}");
                            continue;
                        }
                        assert_eq!(codes.0, [(31, 32, rows.len() as u64, "trailer".to_owned())], "{context}");
                        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 30, "{context}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_only_looks_like_a_trailer_is_a_record() {
    for (list, codes) in [
        ("a,b\n(1 row)\n1,x\n", &["ragged"][..]),
        ("a,b\n1,x\n(1 row),y\n", &[]),
        ("a,b\n1,\"x\n(1 row)\"\n", &[]),
        ("a,b\n1,x\n(one row)\n", &["ragged"]),
        ("a\n(1 row)\n2\n", &[]),
        ("a,b\n1,x\n(1 row)\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", &["ragged"]),
    ] {
        for (threads, chunk) in [(1, 1 << 18), (2, 3), (3, 16)] {
            for gzip in [false, true] {
                let table = table(list.as_bytes(), &CsvOptions::default(), gzip).unwrap();
                let (_, found) = read(&table, threads, chunk).unwrap();
                let found: Vec<&str> = found.0.iter().map(|(.., code)| code.as_str()).collect();
                assert_eq!(found, codes, "{list:?} {threads} {chunk} {gzip}");
            }
        }
    }
    // the line end before it is escaped
    let mut csv = CsvOptions::default();
    csv.escape = true;
    let (out, codes) = read(&table(b"a,b\n1,x\\\n(1 row)\n", &csv, false).unwrap(), 1, 1 << 18).unwrap();
    assert_eq!((&out[..], codes.0.len()), (&b"1,\"x\n(1 row)\"\n"[..], 0));
}

/// Returns a job with `csv` as its `source.csv`, and a list.
fn job(csv: &str, list: &[u8]) -> Bed {
    let source = format!("path: list.csv, csv: {csv}");
    let job = CLEVERTAP.replace("path: list.csv", &source).replace("failed", "");
    Bed::new(&(job + "rejects: { max: 100 }\n"), list)
}

/// Returns the identities that a job writes, or its error.
fn identities(csv: &str, list: &[u8]) -> Result<Vec<String>, String> {
    let bed = job(csv, list);
    let (code, out) = bed.convert(&[]);
    if code != 0 {
        let (code, report) = bed.json(&["check", "job.yaml"]);
        let error = &report["error"];
        return Err(format!(
            "{code} {} / {}",
            error["message"].as_str().unwrap(),
            error["hint"].as_str().unwrap_or("")
        ));
    }
    let text = String::from_utf8(out).unwrap();
    Ok(text.lines().skip(1).map(|line| line.strip_prefix("i,").unwrap().to_owned()).collect())
}

#[test]
fn a_preset_is_what_a_program_writes() {
    let mysql = b"1\ta\\\tb\tx\\\\y\n2\t\\N\tline\\\nend\n3\tc\tN\n";
    let columns = "header: false, columns: [n, id, note]";
    let found = identities(&format!("{{ preset: mysql, {columns} }}"), mysql);
    // a control character is rejected, and \N is empty
    assert_eq!(found.unwrap(), ["c"]);
    let found = identities(&format!("{{ preset: postgres-text, {columns} }}"), b"1\ta\\\\b\t\n2\t\\N\tx\n3\tc\tx\n");
    assert_eq!(found.unwrap(), ["a\\b", "c"]);
    let found = identities(&format!("{{ preset: hive, {columns} }}"), b"1\x01a,\"b\x01\n2\x01\\N\x01x\n3\x01c\x01x\n");
    assert_eq!(found.unwrap(), ["\"a,\"\"b\"", "c"]);
    for list in [&b"n;id\n1;a,b\n"[..], b"n\tid\n1\ta,b\n", b"\"n;;;;\",id\n1,\"a,b\"\n", b"sep=|\nn|id\n1|a,b\n"] {
        assert_eq!(identities("{ preset: excel }", list).unwrap(), ["\"a,b\""]);
    }
    // a key beside it counts
    assert_eq!(identities("{ preset: excel, delimiter: \"|\" }", b"n;x|id\n1|a\n").unwrap(), ["a"]);
    // the delimiter is a comma and the escape is still that of the preset: a tab is a control character
    let found = identities(&format!("{{ preset: mysql, delimiter: \",\", {columns} }}"), b"1,a\\tb,\n").unwrap_err();
    assert!(found.contains("no record is left"), "{found}");
}

#[test]
fn the_examples_of_exports_are_the_same_list() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let bed = Bed::new("", "");
    let digest = |name: &str| {
        let (code, report) = bed.json(&["check", folder.join(name).to_str().unwrap()]);
        assert_eq!((code, &report["records"]["written"]), (0, &9.into()), "{name}: {report}");
        report["digest"].clone()
    };
    let found = ["mysql.yaml", "postgres.yaml", "hive.yaml", "excel.yaml"].map(digest);
    assert!(found.iter().all(|digest| *digest == found[0]), "{found:?}");
}

#[test]
fn lines_before_the_header_are_skipped_and_counted() {
    let list = b"Report of \"today\n\n# made by x\nn,id\n# a, \"comment\n1,a\n2,b,c\n";
    let bed = job("{ skip_lines: 2, comment: \"#\" }", list);
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(code, 0, "{report}");
    let rejects = std::fs::read_to_string(report["rejects_file"].as_str().unwrap()).unwrap();
    assert!(rejects.contains(",2,7,53,,,ragged,"), "{rejects}");
    assert_eq!(identities("{ skip_lines: 2, comment: \"#\" }", list).unwrap(), ["a"]);
    // what is skipped is not looked at
    assert_eq!(identities("{ skip_lines: 1 }", b"sep=;\nn,id\n1,a\n").unwrap(), ["a"]);
    assert_eq!(identities("{ skip_lines: 1 }", b"x\nsep=;\nn;id\n1;a\n").unwrap(), ["a"]);
    let found = identities("{ skip_lines: 9 }", b"x\nn,id\n1,a\n").unwrap_err();
    assert!(found.starts_with("10 ") && found.contains("empty"), "{found}");
    let many = [&vec![b'\n'; 9000][..], b"n,id\n1,a\n"].concat();
    assert_eq!(identities("{ skip_lines: 9000 }", &many).unwrap(), ["a"]);
}

#[test]
fn a_dialect_that_contradicts_itself_is_refused_in_words() {
    for (csv, want) in [
        ("{ preset: oracle }", "source.csv.preset must be one of"),
        ("{ preset: mysq }", "did you mean \"mysql\""),
        ("{ escape: \"/\" }", "escape must be a backslash"),
        ("{ escape: \"\\\\\", delimiter: \"\\\\\" }", "the backslash is also"),
        ("{ comment: \",\" }", "source.csv.comment"),
        ("{ comment: \"ab\" }", "source.csv.comment must be one ASCII character"),
        ("{ delimiter: \"\u{e9}\" }", "source.csv.delimiter must be one ASCII character"),
        ("{ nulls: NULL }", ""),
        ("{ nulls: [NULL] }", "source.csv.nulls must be a list of texts"),
        ("{ skip_lines: -1 }", "source.csv.skip_lines must be a whole number"),
        ("{ preset: excel, header: false, columns: [id] }", "source.csv.delimiter is required"),
        ("{ preset: hive, header: false }", "source.csv.columns is required"),
    ] {
        match identities(csv, b"id\n1\n") {
            Err(found) => {
                assert!(found.starts_with("2 ") && found.contains(want) && !want.is_empty(), "{csv}: {found}")
            }
            Ok(_) => assert!(want.is_empty(), "{csv}"),
        }
    }
}

#[test]
fn null_texts_are_compared_before_quotes_and_escapes() {
    let csv = "{ escape: \"\\\\\", nulls: [\"\\\\N\", NA, \"\"] }";
    let found = identities(csv, b"n,id\n1,\\N\n").unwrap_err();
    assert!(found.contains("source.csv.nulls"), "{found}");
    let csv = "{ escape: \"\\\\\", nulls: [\"\\\\N\", NA] }";
    let bed = job(csv, b"n,id\n1,\\N\n2,NA\n3,\"NA\"\n4,N\\A\n5,\\\\N\n6,NAN\n");
    let (_, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(report["reject_reasons"], serde_json::json!({ "empty": 2 }), "{report}");
    let (_, out) = bed.convert(&[]);
    assert_eq!(String::from_utf8(out).unwrap(), "Type,Identity\ni,NA\ni,NA\ni,\\N\ni,NAN\n");
}

#[test]
fn an_unclosed_quote_is_named_in_a_dialect_with_escapes() {
    let mut csv = CsvOptions::default();
    csv.escape = true;
    let list = b"a,b\n1,\"x\\\"\",\n2,\"y\\\"\nz";
    for (threads, chunk) in [(1, 1 << 18), (3, 5)] {
        let table = table(list, &csv, false).unwrap();
        let mut options = Options::default();
        (options.threads, options.chunk_bytes) = (threads, chunk);
        let error = convert(&table, &plan(&table), &options, &mut |_| Ok(()), &mut DiscardRejects).unwrap_err();
        assert!(error.message().contains("never closed"), "{error}");
        assert_eq!((error.place().record, error.place().line), (Some(2), Some(3)));
    }
}

#[test]
fn rejected_rows_come_back_as_they_are_in_the_source() {
    let cases: [(&str, &[u8], &[u8]); 5] = [
        ("{}", b"id,n\r\n\"a\",1\r\n,\"x\"\"y\r\nz\"\r\nb\r\n", b"id,n\n,\"x\"\"y\r\nz\"\nb\n"),
        ("{}", b"\xef\xbb\xbfsep=;\nid;n\na;1\n;\"\xff\"\n", b"sep=;\nid;n\n;\"\xff\"\n"),
        ("{ preset: excel, skip_lines: 2 }", b"x\n\nid;n\na;1\n;2\n", b"\n\nid;n\n;2\n"),
        ("{ preset: mysql, header: false, columns: [id, n] }", b"a\t1\n\\N\tx\\\ny\n", b"\\N\tx\\\ny\n"),
        ("{ comment: \"#\" }", b"# c\nid,n\n# d\n,1\na,2\n(2 rows)\n\n", b"id,n\n,1\n(2 rows)\n"),
    ];
    for (csv, list, want) in cases {
        let source = format!("path: list.csv, csv: {csv}");
        let bed = Bed::new(&CLEVERTAP.replace("path: list.csv", &source), list);
        let run = |arguments: &[&str]| bed.command(arguments).env("CT_ACCOUNT", "a").env("CT_PASSCODE", "p").output();
        let output = run(&["run", "job.yaml", "--output", "json"]).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["exit_code"], 10, "{report}");
        let id = report["run_id"].as_str().unwrap();
        let rows = bed.run(&["rejects", id, "--as-source"]).stdout;
        assert_eq!(rows, want, "{csv}: {}", String::from_utf8_lossy(&rows));
        // they are rejected again, for the same reasons
        std::fs::write(bed.path("again.csv"), &rows).unwrap();
        let (code, again) = bed.json(&["check", "job.yaml", "--set", "source.path=again.csv"]);
        assert_eq!((code, &again["reject_reasons"]), (10, &report["reject_reasons"]), "{csv}: {again}");
        let shown = bed.run(&["rejects", id]).stdout;
        assert!(std::str::from_utf8(&shown).is_ok(), "{csv}: {}", String::from_utf8_lossy(&shown));
    }
}

#[test]
fn a_wrong_guess_of_the_format_says_what_the_file_looks_like() {
    for (set, list, says) in [
        ("source.format=auto", "<!DOCTYPE html>\n<html>\n", "looks like HTML or XML"),
        ("source.format=auto", "[{\"id\":1}]\n", "looks like a JSON array"),
        ("source.format=auto", "{\"id\":1}\n", "set source.format: ndjson"),
        ("source.format=ndjson", "id,name\n1,a\n2,b\n", "looks like delimited text, not NDJSON"),
        ("source.format=ndjson", "<html>\n<p>\n</p>\n", "looks like HTML or XML, not NDJSON"),
        ("source.compression=snappy", "id\n", "snappy is not supported"),
        ("source.format=auto", "\u{ff}", "source.encoding"),
    ] {
        let list = if list == "\u{ff}" { b"\xff\x06\0\0sNaPpY".to_vec() } else { list.as_bytes().to_vec() };
        let says = if list.starts_with(b"\xff") { "snappy data" } else { says };
        let (code, report) = Bed::new(CLEVERTAP, list).json(&["check", "job.yaml", "--set", set]);
        let said = format!("{} / {}", report["error"]["message"].as_str().unwrap(), report["error"]["hint"]);
        assert!(matches!(code, 2 | 10) && said.contains(says), "{set}: {said}");
    }
}
