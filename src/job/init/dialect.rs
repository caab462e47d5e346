//! Finds out how a text has to be read: encoding, delimiter and header.

use super::reading::{Opener, Reading, Setting};
use crate::error::Result;

/// The keys of `source.csv` for dialects other than the default one.
const DIALECTS: [&str; 4] = ["delimiter: \";\"", "delimiter: \"\\t\"", "delimiter: \"|\"", "preset: hive"];

/// The first records, and the settings that they were read with.
pub(super) struct Detected {
    pub(super) reading: Reading,
    pub(super) settings: Vec<Setting>,
    pub(super) choices: Vec<String>,
}

/// Finds encoding and dialect, and reads the first records.
///
/// # Errors
/// Those of reading the source.
pub(super) fn detect(opener: &Opener<'_>) -> Result<Detected> {
    let (format, first) = opener.start()?;
    if !matches!(format, "csv" | "tsv" | "ndjson") {
        let reading = opener.read(&[])?;
        return Ok(Detected { reading, settings: Vec::new(), choices: Vec::new() });
    }
    opener.refuse_array(&first)?;
    if let Some(encoding) = utf16(&first) {
        return dialect(opener, &[(format!("encoding: {encoding}"), "every second byte is 0")], format);
    }
    let plain = dialect(opener, &[], format);
    if plain.as_ref().is_ok_and(|found| !is_damaged(&found.reading)) {
        return plain;
    }
    let line = "encoding: windows-1252".to_owned();
    match dialect(opener, &[(line, "the text is not UTF-8; choose: or another encoding")], format) {
        Ok(mut found) if !is_damaged(&found.reading) && (plain.is_ok() || is_not_utf8(&found.reading)) => {
            found.choices.insert(0, "the source is not UTF-8; windows-1252 is a guess".to_owned());
            Ok(found)
        }
        _ => plain,
    }
}

/// Returns the encoding of a text without a byte order mark of which every second byte is 0.
fn utf16(first: &[u8]) -> Option<&'static str> {
    if [&[0xff, 0xfe][..], &[0xfe, 0xff], &[0xef, 0xbb, 0xbf]].iter().any(|mark| first.starts_with(mark)) {
        return None;
    }
    let units = first.chunks_exact(2);
    let (all, low) = (units.len(), units.clone().filter(|unit| unit[1] == 0).count());
    let high = units.filter(|unit| unit[0] == 0).count();
    match () {
        () if low * 2 > all && high * 10 < all => Some("utf-16le"),
        () if high * 2 > all && low * 10 < all => Some("utf-16be"),
        () => None,
    }
}

fn is_damaged(reading: &Reading) -> bool {
    let mut cells = reading.rows.iter().flatten().flatten().chain(&reading.names);
    cells.any(|cell| cell.contains(char::REPLACEMENT_CHARACTER))
}

/// Whether a text that was read with another encoding is not ASCII, so that the encoding matters.
fn is_not_utf8(reading: &Reading) -> bool {
    reading.names.iter().chain(reading.rows.iter().flatten().flatten()).any(|cell| !cell.is_ascii())
}

/// Finds delimiter and header, if the format is delimited text.
fn dialect(opener: &Opener<'_>, settings: &[Setting], format: &str) -> Result<Detected> {
    let first = opener.read(settings);
    let plain = |reading| Detected { reading, settings: settings.to_vec(), choices: Vec::new() };
    if format != "csv" || first.as_ref().is_ok_and(|reading| reading.format != "csv") {
        return first.map(plain);
    }
    let mut best = first.map(|reading| (reading, None));
    for keys in DIALECTS {
        let mut more = settings.to_vec();
        more.push((format!("csv: {{ {keys} }}"), ""));
        let Ok(reading) = opener.read(&more) else { continue };
        let worth = |reading: &Reading| (reading.names.len() > 1 && reading.ragged() == 0, reading.names.len());
        if best.as_ref().map_or(true, |(best, _)| worth(&reading) > worth(best)) {
            best = Ok((reading, Some(keys)));
        }
    }
    let (reading, keys) = best?;
    let mut found = plain(reading);
    if found.reading.ragged() * 20 > found.reading.rows.len() {
        let (ragged, all) = (found.reading.ragged(), found.reading.rows.len());
        found.choices.push(format!("{ragged} of the first {all} records do not have the columns of the header"));
    }
    if !found.reading.names.iter().any(|name| is_value(name)) {
        found.settings.extend(keys.map(|keys| (format!("csv: {{ {keys} }}"), "found in the header")));
        return Ok(found);
    }
    found.choices.push(
        "the first line looks like a record, so the columns have no names: name them in source.csv.columns".to_owned(),
    );
    let columns: Vec<String> = (1..=found.reading.names.len()).map(|n| format!("column_{n}")).collect();
    let keys = keys.map(|keys| format!("{keys}, ")).unwrap_or_default();
    let line = format!("csv: {{ {keys}header: false, columns: [{}] }}", columns.join(", "));
    found.settings.push((line, "names of your own, in the order of the columns"));
    found.reading = opener.read(&found.settings)?;
    Ok(found)
}

/// Returns true if a cell of a first line cannot be the name of a column.
fn is_value(name: &str) -> bool {
    let name = name.trim();
    name.contains('@')
        || !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'/' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_found_by_its_zeros() {
        let units = || "id;email\n1;a@example.com\n".encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        assert_eq!((utf16(&little), utf16(&big)), (Some("utf-16le"), Some("utf-16be")));
        let marked: Vec<u8> = [0xff, 0xfe].into_iter().chain(little).collect();
        assert_eq!(utf16(&marked), None);
        assert_eq!((utf16(b"id,email\n"), utf16(b""), utf16(&[0; 64])), (None, None, None));
    }
}
