//! Writes workbooks part by part, without the code that reads them.

use std::io::Write as _;

pub(crate) const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";

/// A part: its name and its content.
pub(crate) type Part = (&'static str, Vec<u8>);

/// The styles of [`Book::parts`]: the number formats of styles 0 to 6.
const STYLES: &str = "<styleSheet><numFmts count=\"2\"><numFmt numFmtId=\"164\" formatCode=\"dd\\.mm\\.yyyy\"/>\
    <numFmt numFmtId=\"165\" formatCode=\"[h]:mm:ss;@\"/></numFmts>\
    <cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs>\
    <cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"22\"/><xf numFmtId=\"20\"/><xf numFmtId=\"164\"/>\
    <xf numFmtId=\"165\"/><xf numFmtId=\"2\"/></cellXfs></styleSheet>";

/// A workbook.
#[derive(Clone, Default)]
pub(crate) struct Book {
    /// The sheets: their attributes besides name and ids, their names, and what is in `sheetData`.
    pub(crate) sheets: Vec<(&'static str, &'static str, String)>,
    /// The elements of the shared strings.
    pub(crate) strings: Option<String>,
    pub(crate) is_1904: bool,
}

impl Book {
    /// Returns a workbook of one sheet, with these rows.
    pub(crate) fn of(rows: &str) -> Book {
        Book { sheets: vec![("", "Kunden", rows.to_owned())], ..Book::default() }
    }

    /// Returns the parts, in the order of most programs.
    pub(crate) fn parts(&self) -> Vec<Part> {
        const NAMES: [&str; 3] = ["xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml", "xl/worksheets/sheet3.xml"];
        let related = |id: &str, kind: &str, target: &str| {
            format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
        };
        let (mut listed, mut relations) = (String::new(), related("st", "styles", "styles.xml"));
        let mut parts: Vec<Part> = vec![("[Content_Types].xml", b"<Types/>".to_vec())];
        let main = related("rId1", "officeDocument", "xl/workbook.xml");
        parts.push(("_rels/.rels", format!("<Relationships xmlns=\"{PACKAGE}\">{main}</Relationships>").into_bytes()));
        for (n, (attributes, name, rows)) in self.sheets.iter().enumerate() {
            listed += &format!("<sheet name=\"{name}\" sheetId=\"{}\" {attributes} r:id=\"s{n}\"/>", n + 7);
            relations += &related(&format!("s{n}"), "worksheet", &NAMES[n][3..]);
            let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
            let sheet = format!("{head}<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>");
            parts.push((NAMES[n], sheet.into_bytes()));
        }
        if let Some(strings) = &self.strings {
            relations += &related("ss", "sharedStrings", "sharedStrings.xml");
            parts.push(("xl/sharedStrings.xml", format!("<sst xmlns=\"{MAIN}\">{strings}</sst>").into_bytes()));
        }
        let epoch = if self.is_1904 { "<workbookPr date1904=\"1\"/>" } else { "<workbookPr/>" };
        let book =
            format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\">{epoch}<sheets>{listed}</sheets></workbook>");
        parts.push(("xl/workbook.xml", book.into_bytes()));
        parts.push(("xl/_rels/workbook.xml.rels", format!("<Relationships>{relations}</Relationships>").into_bytes()));
        parts.push(("xl/styles.xml", STYLES.as_bytes().to_vec()));
        parts
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        zip(&self.parts())
    }
}

/// Returns a cell with a text of its own; control characters are escaped as spreadsheet programs do.
pub(crate) fn inline(text: &[u8]) -> Vec<u8> {
    let mut cell = b"<c t=\"inlineStr\"><is><t xml:space=\"preserve\">".to_vec();
    for byte in text {
        match byte {
            b'&' => cell.extend(b"&amp;"),
            b'<' => cell.extend(b"&lt;"),
            b'>' => cell.extend(b"&gt;"),
            0..=8 | 11..=31 => cell.extend(format!("_x{byte:04X}_").into_bytes()),
            byte => cell.push(*byte),
        }
    }
    cell.extend(b"</t></is></c>");
    cell
}

/// Returns an archive of deflated parts; every second one is written without its sizes before it.
pub(crate) fn zip(parts: &[Part]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (n, (name, content)) in parts.iter().enumerate() {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let sizes = [crc.sum(), packed.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
        let has_sizes_after = n % 2 == 1;
        let version = [20u8, 0, if has_sizes_after { 8 } else { 0 }, 0, 8, 0, 0, 0, 0x21, 0];
        let lengths = [(name.len() as u16).to_le_bytes(), [0; 2]].concat();
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend([&version[..], &sizes, &lengths, &[0; 10]].concat());
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend([&version[..], if has_sizes_after { &[0; 12] } else { &sizes }, &lengths].concat());
        out.extend(name.as_bytes());
        out.extend(packed);
        if has_sizes_after {
            out.extend([&b"PK\x07\x08"[..], &sizes].concat());
        }
    }
    let (at, count) = (out.len() as u32, parts.len() as u16);
    let end = [&[0; 4][..], &count.to_le_bytes(), &count.to_le_bytes(), &(directory.len() as u32).to_le_bytes()];
    out.extend(&directory);
    out.extend(b"PK\x05\x06");
    out.extend([&end.concat()[..], &at.to_le_bytes(), &[0; 2]].concat());
    out
}
