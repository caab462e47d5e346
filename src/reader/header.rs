//! The first record of an input: BOM, encoding, names of the columns.

use super::foreign;
use super::record::unquote;
use super::table::{CsvOptions, DataStart, judge};
use crate::buffer::{Padded, SLACK};
use crate::error::{Error, Place, Result};
use crate::scan::{Carry, Scanner, Tape, WINDOW, count_lines};
use crate::source::{self, Input};
use std::io::Read;
use std::ops::Range;

/// What precedes the data.
pub(super) struct Head {
    /// The names; none where the options say that there is no header.
    pub(super) names: Option<Vec<String>>,
    pub(super) start: DataStart,
    /// The delimiter that a first line `sep=X` names.
    pub(super) delimiter: Option<u8>,
    /// The header line as it was written, without its line end.
    pub(super) line: Vec<u8>,
}

/// Bytes from the start of an input, more of them when asked.
struct Front<'a> {
    input: &'a Input,
    stream: Option<Box<dyn Read + Send>>,
    bytes: Vec<u8>,
    ended: bool,
}

impl Front<'_> {
    fn more(&mut self, want: usize) -> Result<()> {
        let mut have = self.bytes.len();
        self.bytes.resize(want.max(have), 0);
        while have < want && !self.ended {
            let buf = &mut self.bytes[have..want];
            let read = match &mut self.stream {
                Some(stream) => stream.read(buf),
                None => self.input.read_at(buf, have as u64),
            };
            match read {
                Ok(0) => self.ended = true,
                Ok(n) => have += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(source::into_error(error, "reading the header")),
            }
        }
        self.bytes.truncate(have);
        Ok(())
    }
}

/// Reads what precedes the data of an input.
pub(super) fn read(input: &Input, options: &CsvOptions) -> Result<Head> {
    let stream = if input.is_plain() { None } else { Some(input.open_stream()?) };
    let mut front = Front { input, stream, bytes: Vec::new(), ended: false };
    front.more(4096)?;
    foreign::refuse(&front.bytes, input.compression())?;
    refuse_other_encodings(&front.bytes)?;
    let bom = if front.bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let (delimiter, at) = match separator_line(&front.bytes[bom..]) {
        Some((delimiter, len)) => (Some(delimiter), bom + len),
        None => (None, bom),
    };
    let before = count_lines(&front.bytes[bom..at]);
    let options = &CsvOptions { delimiter: delimiter.unwrap_or(options.delimiter), ..options.clone() };
    judge(options)?;
    if !options.header {
        let start = DataStart { byte: at as u64, lines: before };
        return Ok(Head { names: None, start, delimiter, line: Vec::new() });
    }
    let scanner = &Scanner::new(options.dialect());
    loop {
        let first = first_record(&front.bytes[at..], front.ended, options, scanner).map_err(|mut error| {
            let place = error.place_mut();
            place.line = place.line.map(|line| line + before);
            place.byte = place.byte.map(|byte| byte + at as u64);
            error
        });
        match first? {
            Some((names, text)) => {
                let end = at + text.end;
                let start = DataStart { byte: end as u64, lines: count_lines(&front.bytes[bom..end]) };
                let mut line = &front.bytes[at + text.start..end];
                while let [text @ .., b'\r' | b'\n'] = line {
                    line = text;
                }
                return Ok(Head { names: Some(names), start, delimiter, line: line.to_vec() });
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

/// The delimiter that Excel's first line `sep=X` names, and where the next line starts.
fn separator_line(bytes: &[u8]) -> Option<(u8, usize)> {
    let (word, rest) = bytes.split_at_checked(4)?;
    let (&delimiter, end) = rest.split_first()?;
    if !word.eq_ignore_ascii_case(b"sep=") || matches!(delimiter, b'\r' | b'\n') {
        return None;
    }
    match end {
        [b'\r', b'\n', ..] => Some((delimiter, 7)),
        [b'\r' | b'\n', ..] => Some((delimiter, 6)),
        _ => None,
    }
}

/// The names in the first record that is not an empty line, and its text with its line end; `None`: not within these bytes.
fn first_record(
    bytes: &[u8],
    ended: bool,
    options: &CsvOptions,
    scanner: &Scanner,
) -> Result<Option<(Vec<String>, Range<usize>)>> {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    let text = &bytes[blank..];
    let mut padded = text.to_vec();
    padded.resize(text.len() + SLACK, 0);
    let view = Padded::new(&padded, 0, text.len());
    let mut tape = Tape::default();
    tape.start(text.len());
    let mut carry = Carry::new(false);
    let mut at = 0;
    while at < text.len() && tape.records.is_empty() {
        let to = (at + WINDOW).min(text.len());
        scanner.window(view, at, to, &mut carry, &mut tape);
        at = to;
    }
    let here = |lines: u64| Place { line: Some(lines + 1), byte: Some(blank as u64), ..Place::default() };
    let lines = count_lines(&bytes[..blank]);
    let (cells, mut end) = match tape.records.first() {
        Some(&cells) => {
            let last = tape.cells[cells as usize - 1] as usize;
            // a CR may be half of a CRLF whose other half has not been read
            if text[last] == b'\r' && last + 1 == text.len() && !ended {
                return Ok(None);
            }
            (tape.cells[..cells as usize].to_vec(), last + 1)
        }
        None if !ended || text.is_empty() => return Ok(None),
        None if carry.inside() => {
            return Err(Error::data("a quote in the header is never closed").with_place(here(lines)));
        }
        None => {
            let mut cells = tape.cells.clone();
            cells.push(text.len() as u32);
            (cells, text.len())
        }
    };
    if tape.junk.iter().any(|&junk| (junk as usize) < end) {
        return Err(
            Error::data("the header has text between a closing quote and the next delimiter").with_place(here(lines))
        );
    }
    let mut names = Vec::with_capacity(cells.len());
    let mut from = 0usize;
    for &cell in &cells {
        let value = unquote(&text[from..cell as usize], options.quote);
        match std::str::from_utf8(&value) {
            Ok(name) if !name.contains('\0') => names.push(name.to_owned()),
            Ok(_) => return Err(Error::data("the header holds a NUL byte").with_place(here(lines))),
            Err(_) => {
                return Err(Error::data("the header is not UTF-8")
                    .with_place(here(lines))
                    .with_hint("convert the source to UTF-8 (iconv), other encodings are not read yet"));
            }
        }
        from = cell as usize + 1;
    }
    if text.get(end.wrapping_sub(1)) == Some(&b'\r') && text.get(end) == Some(&b'\n') {
        end += 1;
    }
    Ok(Some((names, blank..blank + end)))
}

/// UTF-16 and UTF-32, by their BOM or by where their NULs lie.
fn refuse_other_encodings(bytes: &[u8]) -> Result<()> {
    let guess = match bytes {
        [0xFF, 0xFE, 0, 0, ..] => Some("UTF-32LE"),
        [0, 0, 0xFE, 0xFF, ..] => Some("UTF-32BE"),
        [0xFF, 0xFE, ..] => Some("UTF-16LE"),
        [0xFE, 0xFF, ..] => Some("UTF-16BE"),
        [a, 0, 0, 0, b, 0, 0, 0, ..] if *a != 0 && *b != 0 => Some("UTF-32LE"),
        [0, 0, 0, a, 0, 0, 0, b, ..] if *a != 0 && *b != 0 => Some("UTF-32BE"),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some("UTF-16LE"),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some("UTF-16BE"),
        _ => None,
    };
    match guess {
        None => Ok(()),
        Some(name) => Err(Error::data(format!("the source looks like {name}, but source.encoding is utf-8"))
            .with_hint(format!("convert it first: iconv -f {name} -t UTF-8"))),
    }
}
