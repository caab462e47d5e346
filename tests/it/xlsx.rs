//! Excel workbooks: what programs write in other ways than most, dates, places, and what is refused.

use super::cli::{Bed, CLEVERTAP};
use super::workbook::{Book, MAIN, Part, inline, zip};
use listferry::body::{DiscardRejects, Options, Split, convert, measure, preview};
use listferry::format::Table;
use listferry::format::xlsx::{SheetChoice, Xlsx, XlsxOptions};
use listferry::mapping::{Cells, Field, Plan, Quoting, Rules, Separator, Shape, ValueSpec};
use listferry::source::{OpenSource, SourceOptions};
use listferry::{Error, Kind};
use serde_json::json;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

fn opened(file: Vec<u8>, set: impl FnOnce(&mut XlsxOptions)) -> listferry::Result<Table> {
    let source = OpenSource::from_bytes("list.xlsx", file, &SourceOptions::default())?;
    let mut options = XlsxOptions::default();
    set(&mut options);
    Ok(Xlsx::open(Arc::new(source), &[], options)?.into())
}

fn plan(table: &Table) -> Arc<Plan> {
    let field = |column: &String| {
        let value = json!({ "column": column, "empty": "keep" });
        let value = ValueSpec::parse(&value, "map.v", &[]).unwrap();
        Field { at: "map.v".to_owned(), name: column.clone(), value, required: false, rules: Rules::default() }
    };
    let cells = Cells {
        fields: table.columns().iter().map(field).collect(),
        header: false,
        separator: Separator::Byte(b'|'),
        quoting: Quoting::Rfc4180,
        checks: Vec::new(),
        max_record_bytes: None,
    };
    Arc::new(Plan::compile_for(&Shape::Delimited(cells), &[], table).unwrap())
}

/// Returns the places of the rows, and their values or the code and the column of the reject.
fn rows_of(table: &Table) -> listferry::Result<Vec<(String, String)>> {
    let mut rows = Vec::new();
    preview(table, &plan(table), &Options::default(), &mut |row| {
        let text = match &row.result {
            Ok(output) => String::from_utf8_lossy(output).trim_end_matches('\n').to_owned(),
            Err(error) => format!("{} {}", error.code, error.column.map_or("", |at| table.columns()[at].as_str())),
        };
        rows.push((row.source.place().unwrap().to_owned(), text));
        Ok(true)
    })?;
    Ok(rows)
}

fn rows(file: Vec<u8>) -> Vec<(String, String)> {
    rows_of(&opened(file, |_| {}).unwrap()).unwrap()
}

fn texts(file: Vec<u8>) -> Vec<String> {
    rows(file).into_iter().map(|(_, text)| text).collect()
}

const HEADER: &str = "<row><c t=\"str\"><v>a</v></c><c t=\"str\"><v>b</v></c></row>";

#[test]
fn cells_are_found_in_every_form_in_which_programs_write_them() {
    let strings = "<si><t>plain</t></si><si><r><rPr><b/></rPr><t>ri</t></r><r><t xml:space=\"preserve\">ch </t></r>\
        <rPh sb=\"0\" eb=\"1\"><t>NOT</t></rPh><phoneticPr fontId=\"1\"/></si><si/><si><t/></si>\
        <si><t>a&amp;b &lt;&#x41;&#66;&gt; <![CDATA[<c>]]></t></si><si><t>x_x000D__x005F_x0041_</t></si>";
    let rows = format!(
        "{HEADER}<row r=\"3\" spans=\"1:2\"><c r=\"A3\" t=\"s\"><v>0</v></c><c r=\"B3\" t=\"s\"><v>1</v></c></row>\
         <row r=\"4\"/><row r=\"5\"><c r=\"A5\" s=\"3\"/><c r=\"B5\" t=\"s\"><v>2</v></c></row>\
         <row r=\"7\"><c r=\"B7\" t=\"s\"><v>4</v></c></row>\
         <row><c t=\"s\"><v>5</v></c><c t=\"str\"><f>A1&amp;\"x\"</f><v>of a formula</v></c></row>\
         <row><c><f>1+1</f><v>2</v></c><c t=\"str\"><f>A1</f></c></row>\
         <row><c t=\"b\"><v>1</v></c><c t=\"inlineStr\"><is><r><t>in</t></r><r><t>line</t></r><rPh><t>NOT</t></rPh></is></c></row>\
         <row r=\"100\"><c r=\"B100\"><v> 1.50E2 </v></c><c r=\"XFD100\"><v>1</v></c></row>\
         <row><c r=\"XFD101\"><v>1</v></c></row><!-- the end -->"
    );
    let book = Book { strings: Some(strings.to_owned()), ..Book::of(&rows) };
    let want = [
        (3, "plain|rich "),
        (7, "|a&b <AB> <c>"),
        (8, "\"x\r_x0041_\"|of a formula"),
        (9, "2|"),
        (10, "true|inline"),
        (100, "|150"),
        // a value in a column without a name makes a row
        (101, "|"),
    ];
    let want = want.map(|(row, text)| (format!("sheet Kunden, row {row}"), text.to_owned()));
    assert_eq!(self::rows(book.file()), want);
    // with a prefix, as some libraries write it, in the other namespace, with upper-case names and backslashes
    let prefixed = |text: &str| text.replace("</", "\u{1}").replace('<', "<x:").replace('\u{1}', "</x:");
    let parts: Vec<Part> = book
        .parts()
        .into_iter()
        .map(|(name, content)| {
            let text = String::from_utf8(content).unwrap();
            let text = match name {
                "xl/worksheets/sheet1.xml" | "xl/sharedStrings.xml" => prefixed(&text)
                    .replace("<x:?", "<?")
                    .replace("<x:!", "<!")
                    .replace("<x:c>]]>", "<c>]]>")
                    .replace(&format!("xmlns=\"{MAIN}\""), "xmlns:x=\"http://purl.oclc.org/ooxml/spreadsheetml/main\""),
                _ => text,
            };
            let name = match name {
                "xl/sharedStrings.xml" => "xl/SharedStrings.xml",
                "xl/styles.xml" => "xl\\styles.xml",
                name => name,
            };
            (name, text.into_bytes())
        })
        .collect();
    assert_eq!(self::rows(zip(&parts)), want);
}

#[test]
fn the_format_of_a_cell_makes_dates_of_numbers() {
    let cells = |of: &[(u32, &str)]| {
        let cell = |(style, value): &(u32, &str)| format!("<row><c s=\"{style}\"><v>{value}</v></c></row>");
        format!("<row><c t=\"str\"><v>a</v></c></row>{}", of.iter().map(cell).collect::<String>())
    };
    let values = cells(&[
        (0, "45351"),
        (1, "45351"),
        (1, "45351.99"),
        (2, "45351.75"),
        (3, "0.75"),
        (4, "59"),
        (4, "61"),
        (5, "1.5"),
        (6, "45351"),
        (1, "60"),
        (1, "0"),
        (1, "-1"),
        (1, "2958466"),
        (9, "45351"),
        (0, "1E+400"),
        (0, "x"),
    ]);
    let found = texts(Book::of(&values).file());
    let of_1900 = [
        "45351",
        "2024-02-29",
        "2024-02-29",
        "2024-02-29T18:00:00",
        "18:00:00",
        "1900-02-28",
        "1900-03-01",
        "36:00:00",
        "45351",
    ];
    let rest =
        ["not_a_date a", "not_a_date a", "not_a_date a", "not_a_date a", "45351", "not_finite a", "not_a_decimal a"];
    assert_eq!(found, [&of_1900[..], &rest].concat());
    let found = texts(Book { is_1904: true, ..Book::of(&values) }.file());
    let of_1904 = [
        "45351",
        "2028-03-01",
        "2028-03-01",
        "2028-03-01T18:00:00",
        "18:00:00",
        "1904-02-29",
        "1904-03-02",
        "36:00:00",
        "45351",
    ];
    let rest = ["1904-03-01", "1904-01-01", "not_a_date a", "not_a_date a", "45351", "not_finite a", "not_a_decimal a"];
    assert_eq!(found, [&of_1904[..], &rest].concat());
}

#[test]
fn an_error_in_a_mapped_cell_rejects_its_row() {
    let rows = format!(
        "{HEADER}<row><c t=\"e\"><v>#N/A</v></c><c><v>1</v></c></row><row><c><v>2</v></c><c t=\"b\"><v>2</v></c></row>\
         <row><c><v>3</v></c><c t=\"e\"><v>#REF!</v></c></row>"
    );
    assert_eq!(texts(Book::of(&rows).file()), ["error_cell a", "not_a_boolean b", "error_cell b"]);
    // only mapped columns count
    let source = OpenSource::from_bytes("x", Book::of(&rows).file(), &SourceOptions::default()).unwrap();
    let table = Table::from(Xlsx::open(Arc::new(source), &["a"], XlsxOptions::default()).unwrap());
    let found: Vec<String> = rows_of(&table).unwrap().into_iter().map(|(_, text)| text).collect();
    assert_eq!(found, ["error_cell a", "2", "3"]);
}

#[test]
fn a_sheet_is_chosen_by_number_or_name_and_a_header_by_its_row() {
    let row = |text: &str| format!("<row><c t=\"str\"><v>{text}</v></c></row>");
    let third = format!("{}<row r=\"5\"><c t=\"str\"><v>id</v></c></row>{}", row("Report of today"), row("three"));
    let book = Book {
        sheets: vec![
            ("", "One", row("a") + &row("one")),
            ("state=\"veryHidden\"", "T&amp;wo", row("a") + &row("two")),
            ("", "Drei", third),
        ],
        ..Book::default()
    };
    let read = |sheet: SheetChoice, header_row: u32| {
        let table = opened(book.file(), |options| (options.sheet, options.header_row) = (sheet, header_row))?;
        Ok::<_, Error>(rows_of(&table)?.remove(0))
    };
    let found = |place: &str, text: &str| (place.to_owned(), text.to_owned());
    assert_eq!(read(SheetChoice::Number(1), 1).unwrap(), found("sheet One, row 2", "one"));
    assert_eq!(read(SheetChoice::Number(2), 1).unwrap(), found("sheet T&wo, row 2", "two"));
    assert_eq!(read(SheetChoice::Name("drei".to_owned()), 5).unwrap(), found("sheet Drei, row 6", "three"));
    let error = read(SheetChoice::Name("On".to_owned()), 1).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(
        error.hint().unwrap().contains("did you mean \"One\"? its sheets are \"One\", \"T&wo\", \"Drei\""),
        "{error:?}"
    );
    assert_eq!(read(SheetChoice::Number(4), 1).unwrap_err().kind(), Kind::Usage);
    for header_row in [2, 4, 7] {
        let error = read(SheetChoice::Number(3), header_row).unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.message().contains(&format!("row {header_row}")), "{error}");
    }
}

#[test]
fn other_files_are_refused_by_their_name() {
    let container = |name: &str| {
        let mut file = vec![0; 3000];
        file[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
        (file[30], file[48]) = (9, 2);
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        file[1536 + 128..1536 + 128 + name.len()].copy_from_slice(&name);
        file
    };
    let part = |name: &'static str| (name, b"<x/>".to_vec());
    let with_main = |target: &str| {
        let rels = format!(
            "<Relationships><Relationship Id=\"1\" Type=\"x/officeDocument\" Target=\"{target}\"/></Relationships>"
        );
        ("_rels/.rels", rels.into_bytes())
    };
    let mut locked = Book::of(HEADER).file();
    let flags = memchr::memmem::find(&locked, b"PK\x01\x02").unwrap() + 8;
    let starts: Vec<usize> = memchr::memmem::find_iter(&locked, b"PK\x01\x02").collect();
    assert_eq!(starts[0] + 8, flags);
    starts.iter().for_each(|at| locked[at + 8] |= 1);
    let cases: [(Vec<u8>, &str); 12] = [
        (container("Workbook"), "old Excel workbook (xls)"),
        (container("EncryptedPackage"), "encrypted with a password"),
        (locked, "encrypted"),
        (zip(&[with_main("xl/workbook.bin"), part("xl/workbook.bin")]), "binary Excel workbook (xlsb)"),
        (zip(&[part("mimetype"), part("content.xml")]), "OpenDocument file (ods)"),
        (zip(&[with_main("word/document.xml"), part("word/document.xml")]), "Word document"),
        (zip(&[with_main("ppt/presentation.xml"), part("ppt/presentation.xml")]), "presentation"),
        (zip(&[part("list.csv")]), "zip archive"),
        (b"id,name\n1,2\n".to_vec(), "not an Excel workbook"),
        (Vec::new(), "empty"),
        (b"PAR1\x15\x00".to_vec(), "a Parquet file"),
        (Book::of(HEADER).file()[..900].to_vec(), "cut off"),
    ];
    for (file, what) in cases {
        let error = opened(file, |_| {}).map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{what}: {error}");
        assert!(error.message().contains(what), "{what}: {error}");
        assert!(error.hint().is_some() && error.place().file.as_deref() == Some("list.xlsx"), "{error:?}");
    }
}

/// Replaces a part, and reads the workbook to its end.
fn with(name: &'static str, content: impl Into<Vec<u8>>) -> Error {
    let rows = format!("{HEADER}<row><c><v>1</v></c></row><row><c><v>2</v></c></row>");
    let mut parts = Book { strings: Some("<si><t>x</t></si>".to_owned()), ..Book::of(&rows) }.parts();
    let content = content.into();
    let shown = String::from_utf8_lossy(&content).into_owned();
    parts.iter_mut().find(|(part, _)| *part == name).unwrap().1 = content;
    opened(zip(&parts), |_| {}).and_then(|table| rows_of(&table)).expect_err(&shown)
}

#[test]
fn xml_that_a_workbook_must_not_have_is_refused() {
    let sheet = |rows: &str| format!("<worksheet><sheetData>{HEADER}{rows}</sheetData></worksheet>");
    let deep = format!("{}{}", "<a>".repeat(300), "</a>".repeat(300));
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]>";
    let strings = "xl/sharedStrings.xml";
    const SHEET: &str = "xl/worksheets/sheet1.xml";
    let cases: [(&'static str, String, &str); 14] = [
        (SHEET, format!("{bomb}{}", sheet("")), "document type definition"),
        (strings, format!("{bomb}<sst/>"), "document type definition"),
        (SHEET, sheet("<row><c t=\"str\"><v>&b;</v></c></row>"), "entity"),
        (SHEET, format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{}", sheet("")), "not UTF-8"),
        (SHEET, sheet(&deep), "too deep"),
        (SHEET, sheet("<row><c></row>"), "not well-formed"),
        (SHEET, sheet("")[..50].to_owned(), "ends before"),
        (SHEET, sheet("<row r=\"9\"><c><v>1</v></c></row><row r=\"9\"/>"), "order of their numbers"),
        (SHEET, sheet("<row r=\"x\"/>"), "order of their numbers"),
        (SHEET, sheet("<row><c r=\"B2\"/><c r=\"A2\"/></row>"), "order of their columns"),
        (SHEET, sheet("<row><c r=\"XFE2\"/></row>"), "order of their columns"),
        (SHEET, sheet("<row><c t=\"s\"><v>1</v></c></row>"), "shared string"),
        (SHEET, sheet("<row><c t=\"s\"><v>-1</v></c></row>"), "shared string"),
        ("xl/workbook.xml", "<workbook><sheets/></workbook>".to_owned(), "no sheets"),
    ];
    for (part, content, what) in cases {
        let error = with(part, content);
        assert_eq!(error.kind(), Kind::Data, "{what}: {error}");
        assert!(error.message().contains(what), "{what}: {error}");
        assert!(error.hint().is_some() && error.place().file.is_some(), "{error:?}");
    }
    let utf16: Vec<u8> = sheet("").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(with(SHEET, [&[0xff, 0xfe][..], &utf16].concat()).message().contains("not UTF-8"));
    // the place of damage is the row in which it is
    let error = with(SHEET, sheet("<row><c><v>1</v></c></row><row r=\"7\"><c><v>2</v></x></c></row>"));
    assert_eq!((error.place().row.as_deref(), error.place().record), (Some("sheet Kunden, row 7"), Some(2)), "{error}");
}

#[test]
fn a_part_is_compared_with_the_directory_to_its_end() {
    let rows = format!("{HEADER}{}", "<row><c><v>1</v></c></row>".repeat(100));
    let file = Book::of(&rows).file();
    let entry = memchr::memmem::rfind(&file, b"xl/worksheets/sheet1.xml").unwrap() - 46;
    assert_eq!(&file[entry..entry + 4], b"PK\x01\x02");
    for (field, what) in [(16, "checksum"), (24, "longer than the directory says"), (25, "cut off"), (20, "is")] {
        let mut damaged = file.clone();
        damaged[entry + field] = damaged[entry + field].wrapping_add(if field == 24 { 255 } else { 1 });
        let error = opened(damaged, |_| {}).and_then(|table| rows_of(&table)).map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{error}");
        assert!(error.message().contains("xl/worksheets/sheet1.xml") && error.message().contains(what), "{error}");
    }
}

#[test]
fn a_sheet_that_expands_too_much_is_refused() {
    let rows = format!("{HEADER}{}", " ".repeat(80 << 20));
    let error = opened(Book::of(&rows).file(), |_| {}).and_then(|table| rows_of(&table)).map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    // either the sheet as a whole, or one text in it
    assert!(error.message().contains("source.max_"), "{error}");
    let rows = format!("{HEADER}{}", "<row/>".repeat(14 << 20));
    let error = opened(Book::of(&rows).file(), |_| {}).and_then(|table| rows_of(&table)).map(drop).unwrap_err();
    assert!(error.message().contains("source.max_expansion"), "{error}");
}

#[test]
fn shared_strings_beyond_memory_are_in_a_file_without_a_name() {
    let text = |n: usize| format!("person number {n} <{}>", "x".repeat(n % 300));
    let (mut strings, mut rows) = (String::new(), HEADER.to_owned());
    for n in 0..150_000 {
        strings += &format!("<si><t>{}</t></si>", text(n).replace('<', "&lt;"));
    }
    for n in (0..150_000).step_by(7) {
        rows += &format!("<row><c t=\"s\"><v>{n}</v></c><c t=\"s\"><v>{}</v></c></row>", (n * 7919) % 150_000);
    }
    let dir = tempfile::tempdir().unwrap();
    let file = Book { strings: Some(strings), ..Book::of(&rows) }.file();
    let source = OpenSource::from_bytes("x", file.clone(), &SourceOptions::default()).unwrap();
    let source = source.with_scratch(dir.path(), 1 << 30);
    let table = Table::from(Xlsx::open(Arc::new(source), &["a", "b"], XlsxOptions::default()).unwrap());
    let found = rows_of(&table).unwrap();
    assert_eq!(found.len(), 150_000 / 7 + 1);
    for (at, (_, row)) in found.iter().enumerate() {
        assert_eq!(*row, format!("{}|{}", text(at * 7), text(at * 7 * 7919 % 150_000)));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let source =
        OpenSource::from_bytes("x", file, &SourceOptions::default()).unwrap().with_scratch(dir.path(), 1 << 20);
    let table = Table::from(Xlsx::open(Arc::new(source), &["a"], XlsxOptions::default()).unwrap());
    assert!(rows_of(&table).unwrap_err().message().contains("spool.max"));
}

#[test]
fn all_parts_and_late_ones_have_the_bytes_of_the_whole() {
    let mut rows = HEADER.to_owned();
    for n in 0..30_000 {
        rows += &format!("<row><c><v>{n}</v></c><c t=\"str\"><v>person {n}</v></c></row>");
    }
    let table = opened(Book::of(&rows).file(), |_| {}).unwrap();
    let plan = plan(&table);
    let mut split = Split::default();
    split.max_part_bytes = Some(50_000);
    let mut options = Options::default();
    (options.threads, options.chunk_bytes) = (3, 10_000);
    let measured = measure(&table, &plan, &split, &options, &mut DiscardRejects).unwrap();
    let mut whole = Vec::new();
    let mut keep = |bytes: &[u8]| {
        whole.extend_from_slice(bytes);
        Ok(())
    };
    convert(&table, &plan, &options, &mut keep, &mut DiscardRejects).unwrap();
    let mut from = 0;
    for part in measured.parts().iter().rev().step_by(3) {
        let mut bytes = Vec::new();
        measured.body(part).into_read().read_to_end(&mut bytes).unwrap();
        assert!(memchr::memmem::find(&whole, &bytes).is_some());
        from += bytes.len();
    }
    assert!(measured.parts().len() > 5 && from > whole.len() / 4);
}

/// A test bed with a workbook of customers, one of whom has an error in a cell.
fn bed(job: &str) -> Bed {
    let bed = Bed::new(job, "");
    let rows = "<row><c t=\"str\"><v>id</v></c><c t=\"str\"><v>note</v></c></row>\
        <row><c t=\"str\"><v>c-1</v></c></row><row><c t=\"e\"><v>#N/A</v></c></row><row><c><v>3</v></c></row>";
    std::fs::write(bed.path("list.xlsx"), Book::of(rows).file()).unwrap();
    bed
}

#[test]
fn commands_show_the_sheet_and_the_row() {
    let job =
        CLEVERTAP.replace("{ path: list.csv }", "{ path: list.xlsx }") + "rejects: { max: 5, file: rejects.csv }\n";
    let bed = bed(&job);
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(
        (code, &report["records"]["read"], &report["records"]["rejected"]),
        (0, &json!(3), &json!(1)),
        "{report}"
    );
    assert_eq!(report["reject_reasons"], json!({ "error_cell": 1 }));
    let rejects = std::fs::read_to_string(bed.path("rejects.csv")).unwrap();
    let lines: Vec<&str> = rejects.lines().collect();
    assert_eq!(lines[0], "id,_stage,_file,_record,_line,_byte,_place,_column,_code,_reason,_raw");
    assert!(
        lines[1].starts_with("#N/A,local,") && lines[1].contains(",2,,,\"sheet Kunden, row 3\",id,error_cell,"),
        "{rejects}"
    );
    let shown = String::from_utf8(bed.run(&["preview", "job.yaml", "--output", "json"]).stdout).unwrap();
    assert!(shown.contains("\"place\":\"sheet Kunden, row 3\"") && shown.contains("c-1"), "{shown}");
    // under another name, and through a pipe
    std::fs::rename(bed.path("list.xlsx"), bed.path("list")).unwrap();
    let by_content = &["convert", "job.yaml", "-q", "--set", "source.path=list"];
    let direct = bed.run(by_content);
    assert_eq!(String::from_utf8_lossy(&direct.stdout), "Type,Identity\ni,c-1\ni,3\n", "{direct:?}");
    let mut piped = bed.command(&["convert", "job.yaml", "-q", "--set", "source.path=-"]);
    let piped = piped.stdin(std::fs::File::open(bed.path("list")).unwrap()).output().unwrap();
    assert_eq!(piped.stdout, direct.stdout, "{piped:?}");
    // what the job file may say
    let set = |value: &str| bed.json(&["check", "job.yaml", "--set", "source.path=list", "--set", value]);
    assert_eq!(set("source.xlsx={sheet: Kunden}").0, 0);
    for wrong in [
        "source.xlsx={sheet: Kunde}",
        "source.xlsx={sheet: 2}",
        "source.xlsx={sheet: 0}",
        "source.xlsx={header_row: 0}",
    ] {
        assert_eq!(set(wrong).0, 2, "{wrong}");
    }
    let (code, report) = set("source.xlsx={header_row: 9}");
    assert_eq!(code, 10, "{report}");
    let (code, report) = set("map.identity=name");
    assert_eq!(code, 2);
    assert!(report["error"]["hint"].as_str().unwrap().contains("\"note\""), "{report}");
}

#[test]
fn rejected_rows_of_a_workbook_come_back_as_ndjson() {
    let job = CLEVERTAP.replace("{ path: list.csv }", "{ path: list.xlsx }") + "rejects: { max: 0 }\n";
    let bed = bed(&job);
    let mut run = bed.command(&["run", "job.yaml", "--output", "json"]);
    let output = run.env("CT_ACCOUNT", "a").env("CT_PASSCODE", "p").output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["exit_code"], 10, "{report}");
    let shown = bed.run(&["rejects", report["run_id"].as_str().unwrap(), "--as-source"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "{\"id\":\"#N/A\"}\n");
    std::fs::write(bed.path("mended.ndjson"), String::from_utf8(shown.stdout).unwrap().replace("#N/A", "c-2")).unwrap();
    let again = ["--set", "source.path=mended.ndjson", "--set", "source.format=ndjson"];
    let (code, report) = bed.json(&[&["check", "job.yaml"][..], &again].concat());
    assert_eq!((code, &report["records"]["written"]), (0, &json!(1)), "{report}");
}

#[test]
fn several_workbooks_are_one_list() {
    let job = CLEVERTAP.replace("{ path: list.csv }", "{ path: \"*.xlsx\" }");
    let bed = Bed::new(&job, "");
    let row = |cells: &[&str]| {
        let cells: Vec<u8> = cells.iter().flat_map(|cell| inline(cell.as_bytes())).collect();
        format!("<row>{}</row>", String::from_utf8(cells).unwrap())
    };
    let write = |name: &str, rows: String| std::fs::write(bed.path(name), Book::of(&rows).file()).unwrap();
    write("a.xlsx", row(&["id", "x"]) + &row(&["1", "-"]));
    // the same columns in another order
    write("b.xlsx", row(&["y", "id"]) + &row(&["-", "2"]));
    let (code, out) = bed.convert(&[]);
    assert_eq!((code, String::from_utf8_lossy(&out)), (0, "Type,Identity\ni,1\ni,2\n".into()));
    write("c.xlsx", row(&["ID"]) + &row(&["3"]));
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!((code, &report["error"]["kind"]), (10, &json!("data")), "{report}");
    assert!(report["error"]["message"].as_str().unwrap().contains("c.xlsx"), "{report}");
}

#[test]
fn a_workbook_that_changes_between_the_passes_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path: &Path = &dir.path().join("list.xlsx");
    let rows =
        |n: u32| format!("{HEADER}{}", (0..n).map(|n| format!("<row><c><v>{n}</v></c></row>")).collect::<String>());
    std::fs::write(path, Book::of(&rows(100)).file()).unwrap();
    let source = Arc::new(OpenSource::open(path, &SourceOptions::default()).unwrap());
    let table = Table::from(Xlsx::open(source, &["a"], XlsxOptions::default()).unwrap());
    let measured = measure(&table, &plan(&table), &Split::default(), &Options::default(), &mut DiscardRejects).unwrap();
    std::fs::write(path, Book::of(&rows(120)).file()).unwrap();
    let mut body = measured.body(&measured.parts()[0]).into_read();
    let error = body.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(listferry::source::into_error(error, "").kind(), Kind::SourceChanged);
}
