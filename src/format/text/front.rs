//! The first bytes of an input.

use super::foreign;
use super::rules::DataStart;
use crate::error::{Error, Place, Result};
use crate::format::encoding::{Coding, Transcoder, sniff};
use crate::scan::count_lines;
use crate::source::{self, Encoding, Input};
use std::io::Read;

/// The byte order mark of UTF-8.
pub(crate) const BOM: [u8; 3] = *b"\xEF\xBB\xBF";

/// Number of bytes that are read at first.
const FIRST_BYTES: usize = 4096;

/// Text from the start of an input, as UTF-8; more is read on demand.
pub(crate) struct Front<'a> {
    input: &'a Input,
    from: From,
    pub(crate) bytes: Vec<u8>,
    /// True if the bytes are the whole input.
    pub(crate) ended: bool,
    /// The first bytes as they are in the source.
    first: Vec<u8>,
    encoding: Encoding,
    /// Length of the byte order mark that was left out of `bytes`.
    mark: usize,
}

/// The reader of the bytes.
enum From {
    /// The input itself, by position.
    Position,
    Stream(Box<dyn Read + Send>),
    Transcoder(Box<Transcoder>),
}

impl<'a> Front<'a> {
    /// Reads the first bytes of an input, whose encoding is that of its byte order mark or of its options.
    pub(crate) fn new(input: &'a Input) -> Result<Front<'a>> {
        let from = if input.is_plain() { From::Position } else { From::Stream(input.open_stream()?) };
        let encoding = input.encoding();
        let mut front = Front { input, from, bytes: Vec::new(), ended: false, first: Vec::new(), encoding, mark: 0 };
        front.more(FIRST_BYTES)?;
        let (encoding, mark) = sniff(&front.bytes, encoding);
        front.first.clone_from(&front.bytes);
        front.encoding = encoding;
        if !encoding.is_utf8() {
            // UTF-8 keeps its mark, because the text is read by position
            front.mark = mark;
            front.transcode()?;
        }
        Ok(front)
    }

    /// Starts anew with text.
    fn transcode(&mut self) -> Result<()> {
        // what was read so far comes first again
        let first = std::mem::take(&mut self.bytes);
        let rest: Box<dyn Read + Send> = match std::mem::replace(&mut self.from, From::Position) {
            From::Stream(stream) => Box::new(std::io::Cursor::new(first).chain(stream)),
            _ => self.input.open_stream()?,
        };
        let transcoder = Transcoder::new(rest, self.input.name(), self.encoding, self.mark);
        self.from = From::Transcoder(Box::new(transcoder.map_err(|error| self.failed(error))?));
        self.ended = false;
        self.more(FIRST_BYTES)
    }

    fn failed(&self, error: std::io::Error) -> Error {
        source::into_error(error, &format!("reading the start of {}", self.input.name()))
    }

    /// Reads until there are `want` bytes or the input ends.
    pub(crate) fn more(&mut self, want: usize) -> Result<()> {
        let mut have = self.bytes.len();
        self.bytes.resize(want.max(have), 0);
        while have < want && !self.ended {
            let buf = &mut self.bytes[have..want];
            let read = match &mut self.from {
                From::Position => self.input.read_at(buf, have as u64),
                From::Stream(stream) => stream.read(buf),
                From::Transcoder(transcoder) => transcoder.read(buf),
            };
            match read {
                Ok(0) => self.ended = true,
                Ok(n) => have += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        self.bytes.truncate(have);
        Ok(())
    }

    /// Returns the length of the UTF-8 byte order mark in the bytes, or 0.
    pub(crate) fn bom(&self) -> usize {
        if self.bytes.starts_with(&BOM) { BOM.len() } else { 0 }
    }

    /// Returns the start of the data if it is at `at` of the bytes: the start or after a line end.
    pub(crate) fn data_start(&self, at: usize) -> DataStart {
        let lines = count_lines(&self.bytes[self.bom().min(at)..at]);
        let From::Transcoder(transcoder) = &self.from else {
            return DataStart { byte: at as u64, lines, coding: None };
        };
        let is_line_end = at == 0 || matches!(self.bytes[at - 1], b'\n' | b'\r');
        let byte = match is_line_end {
            true => self.mark as u64 + transcoder.lengths.bytes_of(lines),
            false => transcoder.source_bytes(),
        };
        let coding = Coding { encoding: self.encoding, mark: self.mark, text: at as u64 };
        DataStart { byte, lines, coding: Some(coding) }
    }
}

/// Refuses content that starts like a well-known binary format or another encoding. `wanted` is the expected content.
///
/// # Errors
/// `Data`.
pub(crate) fn refuse_foreign(front: &Front<'_>, wanted: &str) -> Result<()> {
    foreign::refuse(&front.first, front.input.compression(), wanted)?;
    refuse_other_encodings(&front.first, front.encoding)
}

/// Returns what a text looks like that is not in this order of UTF-16, in which delimiters and line ends have a NUL.
fn other_than_utf16(bytes: &[u8], encoding: Encoding) -> Option<&'static str> {
    let nuls = |from: usize| bytes.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (nuls(0), nuls(1));
    match (encoding.is_big_endian(), first, second) {
        _ if bytes.len() < 2 => None,
        (_, 0, 0) => Some("UTF-8"),
        (true, 0, _) => Some("UTF-16LE"),
        (false, _, 0) => Some("UTF-16BE"),
        _ => None,
    }
}

/// Refuses text that is in another encoding than `encoding`, detected by its BOM or the positions of NULs.
fn refuse_other_encodings(bytes: &[u8], encoding: Encoding) -> Result<()> {
    let marked = match bytes {
        [0xFF, 0xFE, 0, 0, ..] => Some("UTF-32LE"),
        [0, 0, 0xFE, 0xFF, ..] => Some("UTF-32BE"),
        [0xFF, 0xFE, ..] => Some("UTF-16LE"),
        [0xFE, 0xFF, ..] => Some("UTF-16BE"),
        [0xEF, 0xBB, 0xBF, ..] => Some("UTF-8"),
        _ => None,
    };
    let by_nuls = match bytes {
        _ if encoding.is_utf16() => other_than_utf16(bytes, encoding),
        [a, 0, 0, 0, b, 0, 0, 0, ..] if *a != 0 && *b != 0 => Some("UTF-32LE"),
        [0, 0, 0, a, 0, 0, 0, b, ..] if *a != 0 && *b != 0 => Some("UTF-32BE"),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some("UTF-16LE"),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some("UTF-16BE"),
        _ => None,
    };
    let Some(found) = marked.or(by_nuls).filter(|name| *name != encoding.name()) else { return Ok(()) };
    let (set, wanted) = (found.to_ascii_lowercase(), encoding.name().to_ascii_lowercase());
    let hint = match found.starts_with("UTF-32") {
        true => format!("convert it first: iconv -f {found} -t UTF-8"),
        false => format!("set source.encoding: {set}"),
    };
    Err(Error::data(format!("the source looks like {found}, but source.encoding is {wanted}"))
        .with_place(Place::default())
        .with_hint(hint))
}
