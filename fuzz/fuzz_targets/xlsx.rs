//! Workbooks read with any threads and chunk sizes, in both passes and from the middle, give the same rows, rejects and
//! errors. The input is an archive, or the content of the parts of one, whose checksums are then right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use listferry::format::xlsx::{Xlsx, XlsxOptions};

include!("decoded.rs");

const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// Returns an archive of a workbook with these parts, not compressed.
fn archive(sheet: &[u8], strings: &[u8], styles: &[u8]) -> Vec<u8> {
    let related = |id: &str, kind: &str, target: &str| {
        format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
    };
    let relations = |all: &[String]| format!("<Relationships>{}</Relationships>", all.concat()).into_bytes();
    let of_book = relations(&[
        related("a", "worksheet", "sheet.xml"),
        related("b", "sharedStrings", "strings.xml"),
        related("c", "styles", "styles.xml"),
    ]);
    let book = b"<workbook><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"a\"/></sheets></workbook>";
    let parts: [(&str, &[u8]); 6] = [
        ("_rels/.rels", &relations(&[related("a", "officeDocument", "xl/book.xml")])),
        ("xl/book.xml", book),
        ("xl/_rels/book.xml.rels", &of_book),
        ("xl/sheet.xml", sheet),
        ("xl/strings.xml", strings),
        ("xl/styles.xml", styles),
    ];
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in parts {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let len = (content.len() as u32).to_le_bytes();
        let head = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &crc.sum().to_le_bytes(), &len, &len].concat();
        let head = [&head[..], &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
        directory.extend([b"PK\x01\x02\x14\x00", &head[..], &[0; 10], &(out.len() as u32).to_le_bytes()].concat());
        directory.extend(name.as_bytes());
        out.extend([b"PK\x03\x04", &head[..], name.as_bytes(), content].concat());
    }
    let (at, len) = ((out.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    out.extend([&directory[..], b"PK\x05\x06\0\0\0\0\x06\0\x06\0", &len, &at, &[0; 2]].concat());
    out
}

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (how, chunk, bytes) = input;
    let built;
    let file = match bytes.strip_prefix(b"PK") {
        Some(_) => bytes,
        None => {
            let mut parts = bytes.split(|byte| *byte == 0);
            let mut next = || parts.next().unwrap_or(b"<x/>");
            built = archive(next(), next(), next());
            &built
        }
    };
    let open = || Ok(Table::from(Xlsx::open(source(file), &[], XlsxOptions::default())?));
    compare(&open, 1 + usize::from(how % 3), 1 + usize::from(chunk));
});
