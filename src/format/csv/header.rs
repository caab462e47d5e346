//! The first record of an input: BOM, encoding, names of the columns.

use super::decode::decoded;
use super::dialect::{Dialect as _, Special};
use super::options::{CsvOptions, validate};
use super::preamble::{self, Preamble};
use crate::buffer::{Padded, SLACK};
use crate::error::{Error, Place, Result};
use crate::format::text::{DataStart, Front, refuse_foreign};
use crate::scan::{Tape, WINDOW, count_lines};
use crate::source::Input;
use std::ops::Range;

/// The part of an input before its data.
pub(super) struct Head {
    /// The names of the columns; `None` if the options say that there is no header.
    pub(super) names: Option<Vec<String>>,
    pub(super) start: DataStart,
    /// The delimiter that the first line `sep=X` sets or that the header shows.
    pub(super) delimiter: Option<u8>,
    /// True if there is a line `sep=X`.
    pub(super) has_separator: bool,
    /// The header line as it was written, without its line end.
    pub(super) line: Vec<u8>,
}

/// Reads the part of an input before its data.
pub(super) fn read(input: &Input, options: &CsvOptions) -> Result<Head> {
    let mut front = Front::new(input)?;
    refuse_foreign(&front, "delimited text")?;
    let bom = front.bom();
    let Preamble { end: at, delimiter, has_separator } = preamble::read(&mut front, options)?;
    let before = count_lines(&front.bytes[bom..at]);
    let options = &CsvOptions { delimiter: delimiter.unwrap_or(options.delimiter), ..options.clone() };
    validate(options)?;
    if !options.header {
        let start = front.data_start(at);
        return Ok(Head { names: None, start, delimiter, has_separator, line: Vec::new() });
    }
    let dialect = &Special::new(options);
    loop {
        let first = first_record(&front.bytes[at..], front.ended, options, dialect).map_err(|mut error| {
            let place = error.place_mut();
            place.line = place.line.map(|line| line + before);
            place.byte = place.byte.map(|byte| byte + at as u64);
            error
        });
        match first? {
            Some((names, text)) => {
                let end = at + text.end;
                let start = front.data_start(end);
                let mut line = &front.bytes[at + text.start..end];
                while let [text @ .., b'\r' | b'\n'] = line {
                    line = text;
                }
                return Ok(Head { names: Some(names), start, delimiter, has_separator, line: line.to_vec() });
            }
            None if front.ended => {
                return Err(Error::data("the source is empty: there is no header line").with_hint(
                    "the first line must name the columns; set source.csv.header to false if there is none",
                ));
            }
            None if front.bytes.len() as u64 > options.max_record_bytes => {
                return Err(Error::data(format!(
                    "the header is longer than source.max_record_bytes ({} bytes)",
                    options.max_record_bytes
                ))
                .with_place(Place { line: Some(1), byte: Some(0), ..Place::default() })
                .with_hint("a quote that is never closed in the first line is the usual cause"));
            }
            None => front.more(front.bytes.len() * 2)?,
        }
    }
}

/// Returns the names in the first record that is not an empty line, and its text with the line end; `None` if these
/// bytes do not contain the whole record.
fn first_record(
    bytes: &[u8],
    ended: bool,
    options: &CsvOptions,
    dialect: &Special,
) -> Result<Option<(Vec<String>, Range<usize>)>> {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    let text = &bytes[blank..];
    let lines = count_lines(&bytes[..blank]);
    let here = Place { line: Some(lines + 1), byte: Some(blank as u64), ..Place::default() };
    let found = first_cells(text, ended, dialect).map_err(|error| error.with_place(here.clone()))?;
    let Some((cells, mut end)) = found else { return Ok(None) };
    let names = names(text, &cells, options).map_err(|error| error.with_place(here))?;
    if text.get(end.wrapping_sub(1)) == Some(&b'\r') && text.get(end) == Some(&b'\n') {
        end += 1;
    }
    Ok(Some((names, blank..blank + end)))
}

/// Returns the ends of the cells of the first record, and the position after its line end, as if CRLF were CR.
fn first_cells(text: &[u8], ended: bool, dialect: &Special) -> Result<Option<(Vec<u32>, usize)>> {
    let mut padded = text.to_vec();
    padded.resize(text.len() + SLACK, 0);
    let view = Padded::new(&padded, 0, text.len());
    let mut tape = Tape::default();
    tape.start(text.len());
    let mut carry = dialect.carry(0);
    let mut at = 0;
    while at < text.len() && tape.records.is_empty() {
        let to = (at + WINDOW).min(text.len());
        dialect.window(view, at, to, &mut carry, &mut tape);
        at = to;
    }
    let (cells, end) = match tape.records.first() {
        Some(&cells) => {
            let last = tape.cells[cells as usize - 1] as usize;
            // a CR may be the first half of a CRLF whose second half has not been read
            if text[last] == b'\r' && last + 1 == text.len() && !ended {
                return Ok(None);
            }
            (tape.cells[..cells as usize].to_vec(), last + 1)
        }
        None if !ended || text.is_empty() => return Ok(None),
        None if Special::is_inside(&carry) => return Err(Error::data("a quote in the header is never closed")),
        None => {
            tape.cells.push(text.len() as u32);
            (tape.cells, text.len())
        }
    };
    if tape.junk.iter().any(|&junk| (junk as usize) < end) {
        return Err(Error::data("the header has text between a closing quote and the next delimiter")
            .with_hint("if the first line is not a header of delimited text, set source.format, or source.csv.quote"));
    }
    Ok(Some((cells, end)))
}

/// Returns the names in the cells that end at `cells`.
fn names(text: &[u8], cells: &[u32], options: &CsvOptions) -> Result<Vec<String>> {
    let mut names = Vec::with_capacity(cells.len());
    let mut from = 0usize;
    for &cell in cells {
        let value = decoded(&text[from..cell as usize], options.quote, options.escape);
        match std::str::from_utf8(&value) {
            Ok(name) if !name.contains('\0') => names.push(name.to_owned()),
            Ok(_) => return Err(Error::data("the header contains a NUL byte")),
            Err(_) => {
                return Err(Error::data("the header is not valid in the encoding of the source (source.encoding)")
                    .with_hint("lists from Excel are often in windows-1252: source.encoding: windows-1252"));
            }
        }
        from = cell as usize + 1;
    }
    Ok(names)
}
