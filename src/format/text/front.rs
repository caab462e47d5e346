//! The first bytes of an input.

use super::foreign;
use crate::error::{Error, Result};
use crate::source::{self, Input};
use std::io::Read;

/// The byte order mark of UTF-8.
pub(crate) const BOM: [u8; 3] = *b"\xEF\xBB\xBF";

/// Bytes from the start of an input; more are read on demand.
pub(crate) struct Front<'a> {
    input: &'a Input,
    stream: Option<Box<dyn Read + Send>>,
    pub(crate) bytes: Vec<u8>,
    /// True if the bytes are the whole input.
    pub(crate) ended: bool,
}

impl<'a> Front<'a> {
    /// Reads the first bytes of an input.
    pub(crate) fn new(input: &'a Input) -> Result<Front<'a>> {
        let stream = if input.is_plain() { None } else { Some(input.open_stream()?) };
        let mut front = Front { input, stream, bytes: Vec::new(), ended: false };
        front.more(4096)?;
        Ok(front)
    }

    /// Reads until there are `want` bytes or the input ends.
    pub(crate) fn more(&mut self, want: usize) -> Result<()> {
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

    /// Returns the length of the UTF-8 byte order mark, or 0.
    pub(crate) fn bom(&self) -> usize {
        if self.bytes.starts_with(&BOM) { BOM.len() } else { 0 }
    }
}

/// Refuses content that starts like a well-known binary format or another encoding. `wanted` is the expected content.
///
/// # Errors
/// `Data`.
pub(crate) fn refuse_foreign(front: &Front<'_>, wanted: &str) -> Result<()> {
    foreign::refuse(&front.bytes, front.input.compression(), wanted)?;
    refuse_other_encodings(&front.bytes)
}

/// Refuses UTF-16 and UTF-32, detected by their BOM or the positions of NULs.
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
