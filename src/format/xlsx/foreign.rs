//! Detects files that are not an XLSX workbook, and says what they are.

use super::at::damaged;
use crate::error::{Error, Result};
use crate::format::text::{Front, refuse_foreign};
use crate::source::Input;

/// The start of an OLE container: old workbooks, and new ones with a password.
const OLE: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
/// The start of a zip archive.
const ZIP: [u8; 4] = *b"PK\x03\x04";

const AS_XLSX: &str = "open it in a spreadsheet program and save it as .xlsx, or as CSV (UTF-8)";

/// Returns true if a content that starts with these bytes looks like a workbook.
pub(super) fn looks_like(first: &[u8]) -> bool {
    let parts: [&[u8]; 4] = [b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/"];
    let name = first.get(30..).unwrap_or_default();
    first.starts_with(&ZIP) && parts.iter().any(|part| name.starts_with(part))
}

/// Refuses an input that does not start like a zip archive.
///
/// # Errors
/// `Data`: it is something else, empty, or has a password.
pub(super) fn refuse_other_starts(input: &Input) -> Result<()> {
    let front = Front::new(input)?;
    if front.bytes.is_empty() {
        return Err(Error::data("the file is empty").with_hint("was the export still being written?"));
    }
    if front.bytes.starts_with(&OLE) {
        return Err(ole(input, &front.bytes)?);
    }
    if front.bytes.starts_with(&ZIP) {
        return Ok(());
    }
    refuse_foreign(&front, "an Excel workbook")?;
    Err(Error::data("this is not an Excel workbook").with_hint("set source.format to what it is, or to auto"))
}

/// Returns the error for a file that starts like a zip archive and has no directory at its end.
pub(super) fn without_directory(input: &Input) -> Error {
    let refused = Front::new(input).and_then(|front| match looks_like(&front.bytes) {
        true => Ok(()),
        false => refuse_foreign(&front, "an Excel workbook"),
    });
    refused.err().unwrap_or_else(|| {
        Error::data("the Excel workbook is cut off: it does not end with its directory")
            .with_hint("export or copy it again; was it still being written?")
    })
}

/// Returns the error for a zip archive without a workbook; `has` says whether it has a part whose name starts so.
pub(super) fn without_workbook(has: impl Fn(&str) -> bool) -> Error {
    match () {
        () if has("xl/workbook.bin") => binary(),
        () if has("content.xml") => {
            Error::data("this is an OpenDocument file (ods), not an Excel workbook (xlsx)").with_hint(AS_XLSX)
        }
        () if has("word/") => Error::data("this is a Word document, not an Excel workbook").with_hint(AS_XLSX),
        () if has("ppt/") => Error::data("this is a presentation, not an Excel workbook").with_hint(AS_XLSX),
        () if has("xl/") => damaged("it has no workbook part"),
        () => {
            Error::data("this is a zip archive, not an Excel workbook").with_hint("unpack it and name the file inside")
        }
    }
}

/// Returns the error for a binary workbook.
pub(super) fn binary() -> Error {
    Error::data("this is a binary Excel workbook (xlsb), which is not supported").with_hint(AS_XLSX)
}

/// Returns the error for an OLE container: its directory has the name of what it contains.
fn ole(input: &Input, first: &[u8]) -> Result<Error> {
    let number = |at: usize, len: usize| {
        let bytes = first.get(at..at + len).unwrap_or_default();
        bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let sector_bytes = 1u64 << number(30, 2).min(12);
    let mut directory = vec![0; 4096];
    let at = number(48, 4).saturating_add(1).saturating_mul(sector_bytes);
    let read = input.read_at(&mut directory, at);
    let read = read.map_err(|error| crate::source::into_error(error, &format!("reading {}", input.name())))?;
    let holds = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        memchr::memmem::find(&directory[..read], &name).is_some()
    };
    Ok(match holds("EncryptedPackage") || holds("EncryptionInfo") {
        true => Error::data("the Excel workbook is encrypted with a password, which is not supported")
            .with_hint("save it without a password"),
        false => Error::data("this is an old Excel workbook (xls) or the like, not an Excel workbook (xlsx)")
            .with_hint(AS_XLSX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workbook_is_known_by_the_name_of_its_first_part() {
        let zip = |name: &str| [&b"PK\x03\x04"[..], &[0; 26], name.as_bytes()].concat();
        for name in ["[Content_Types].xml", "_rels/.rels", "docProps/app.xml", "xl/workbook.xml"] {
            assert!(looks_like(&zip(name)), "{name}");
        }
        for name in ["list.csv", "mimetype", "excel/", "a/xl/workbook.xml"] {
            assert!(!looks_like(&zip(name)), "{name}");
        }
        assert!(!looks_like(b"PK\x03\x04") && !looks_like(b"") && !looks_like(b"xl/"));
    }
}
