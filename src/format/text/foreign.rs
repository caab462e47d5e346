//! Detects content that is not text by its first bytes, and says how to convert it.

use crate::error::{Error, Result};
use crate::source::Compression;

/// A kind of content: its name, and how to make text of it.
type Kind = (&'static str, &'static str);

const PIPE_LZ4: &str = "decompress it through a pipe: lz4 -dc FILE | listferry ..., with source.path: \"-\"";
const PIPE_SNAPPY: &str = "make it gzip, zstd, xz, bzip2 or lz4, or decompress it to a file";
const UNPACK: &str = "unpack it and name the file inside";
const AS_CSV: &str = "save the sheet as CSV (UTF-8) and name that file";
const AS_XLSX: &str = match cfg!(feature = "xlsx") {
    true => "set source.format to xlsx, or rename the file",
    false => AS_CSV,
};

/// Refuses content that starts like a well-known binary format. `compression` is that of the file, `wanted` the
/// expected content.
///
/// # Errors
/// `Data`.
pub(super) fn refuse(first: &[u8], compression: Compression, wanted: &str) -> Result<()> {
    let foreign = kind_of(first).map(|(name, hint)| (name.to_owned(), hint));
    let Some((name, hint)) = foreign.or_else(|| packed_again(first, compression)) else { return Ok(()) };
    Err(Error::data(format!("this is {name}, not {wanted}")).with_hint(hint))
}

fn kind_of(first: &[u8]) -> Option<Kind> {
    let holds = |text: &[u8]| memchr::memmem::find(first, text).is_some();
    let is_workbook = || [&b"xl/"[..], b"[Content_Types].xml", b"docProps/"].iter().any(|part| holds(part));
    Some(match first {
        [b'P', b'K', 3, 4, ..] if is_workbook() => ("an Excel workbook (xlsx)", AS_XLSX),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..] => ("a zip archive", UNPACK),
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => ("an old Excel workbook (xls) or the like", AS_CSV),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => ("a 7z archive", UNPACK),
        [b'R', b'a', b'r', b'!', 0x1a, 7, ..] => ("a rar archive", UNPACK),
        [2, 0x21, 0x4c, 0x18, ..] => ("lz4 data in the legacy format", PIPE_LZ4),
        [0xff, 6, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y', ..] => {
            ("snappy data, which does not show whether it is cut off", PIPE_SNAPPY)
        }
        [b'P', b'A', b'R', b'1', 0x15, ..] => ("a Parquet file", "set source.format to parquet, or rename the file"),
        [b'A', b'R', b'R', b'O', b'W', b'1', 0, 0, ..] => {
            ("an Arrow file", "set source.format to arrow, or rename the file")
        }
        [b'O', b'b', b'j', 1, ..] => ("an Avro file", "export it as CSV"),
        [b'%', b'P', b'D', b'F', b'-', ..] => ("a PDF file", "ask for the list as CSV"),
        _ if first.get(257..262) == Some(b"ustar") => ("a tar archive", UNPACK),
        _ if first.starts_with(b"SQLite format 3\0") => ("an SQLite database", "export the table as CSV"),
        _ => return None,
    })
}

/// Compressed data has been decompressed before; data that is still compressed was compressed twice, or decompression is
/// off.
fn packed_again(first: &[u8], compression: Compression) -> Option<(String, &'static str)> {
    let name = match first {
        [0x1f, 0x8b, 8, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "xz",
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => "bzip2",
        [4, 0x22, 0x4d, 0x18, ..] => "lz4",
        _ => return None,
    };
    Some(match compression {
        Compression::None => (format!("{name} data"), "source.compression is none: set it to auto"),
        _ => (
            format!("{name} data inside compressed data: it was compressed twice"),
            "decompress it once, or send it uncompressed",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_called_by_its_name() {
        let mut tar = vec![b'a'; 257];
        tar.extend(b"ustar\0");
        for (first, name) in [
            (&b"PK\x03\x04\x14\0\x06\0[Content_Types].xml"[..], "an Excel workbook (xlsx)"),
            (b"PK\x03\x04\x14\0docProps/app.xml", "an Excel workbook (xlsx)"),
            (b"PK\x03\x04\x14\0list.csv", "a zip archive"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
            (b"\xfd7zXZ\0", "xz data"),
            (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
            (b"BZh91AY&SY", "bzip2 data"),
            (b"\x04\x22\x4d\x18", "lz4 data"),
            (b"PAR1\x15", "a Parquet file"),
            (&tar, "a tar archive"),
            (b"\x1f\x8b\x08", "gzip data, not"),
        ] {
            let error = refuse(first, Compression::None, "delimited text").unwrap_err();
            assert!(error.message().contains(name) && error.hint().is_some(), "{error:?}");
        }
        let error = refuse(b"\x1f\x8b\x08", Compression::Zstd, "delimited text").unwrap_err();
        assert!(error.message().contains("compressed twice"), "{error}");
        for text in [&b"PK,x\n"[..], b"BZh9,x\n", b"7z,x\n", b"PAR1,PAR2\n", b"Rar!\n", b"Obj\n", b"", b"id,email\n"] {
            refuse(text, Compression::Gzip, "delimited text").unwrap();
        }
    }
}
