//! The content of a part of the archive: decompressed as it is read, and compared with the directory at its end.

use super::at::{At, damaged};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

const BUFFER_BYTES: usize = 64 << 10;

/// The stored bytes of a part.
struct Stored {
    at: At,
    range: Range<u64>,
}

impl Read for Stored {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX).min(buf.len());
        let n = rawzip::ReaderAt::read_at(&self.at, &mut buf[..left], self.range.start)?;
        self.range.start += n as u64;
        Ok(n)
    }
}

enum Content {
    Plain(BufReader<Stored>),
    Deflated(Box<DeflateDecoder<BufReader<Stored>>>),
}

/// Reads a part.
pub(super) struct PartReader {
    name: String,
    content: Content,
    from: u64,
    stored_bytes: u64,
    /// Size and checksum of the content, as the directory says.
    size: u64,
    checksum: u32,
    /// Number of bytes read so far, and their checksum.
    produced: u64,
    crc: Crc,
}

impl PartReader {
    /// Returns a reader of the stored bytes in `range`; the directory says size and checksum of the content.
    pub(super) fn new(at: At, name: &str, range: Range<u64>, is_deflated: bool, (size, checksum): (u64, u32)) -> Self {
        let (from, stored_bytes) = (range.start, range.end - range.start);
        let stored = BufReader::with_capacity(BUFFER_BYTES, Stored { at, range });
        let content = match is_deflated {
            false => Content::Plain(stored),
            true => Content::Deflated(Box::new(DeflateDecoder::new(stored))),
        };
        PartReader { name: name.to_owned(), content, from, stored_bytes, size, checksum, produced: 0, crc: Crc::new() }
    }

    /// Returns the name of the part.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the size of the content, as the directory says.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the number of stored bytes read so far, and of all.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.stored().range.start - self.from, self.stored_bytes)
    }

    fn stored(&self) -> &Stored {
        match &self.content {
            Content::Plain(stored) => stored.get_ref(),
            Content::Deflated(decoder) => decoder.get_ref().get_ref(),
        }
    }

    fn damaged(&self, what: &str) -> io::Error {
        io::Error::other(damaged(&format!("the part {} {what}", self.name)))
    }

    /// Compares the content with the directory.
    fn check_end(&mut self) -> io::Result<()> {
        if self.produced < self.size {
            return Err(self.damaged("is cut off"));
        }
        if self.crc.sum() != self.checksum {
            return Err(self.damaged("has another checksum than its content"));
        }
        let is_whole = match &mut self.content {
            Content::Plain(stored) => stored.fill_buf()?.is_empty(),
            Content::Deflated(decoder) => decoder.get_mut().fill_buf()?.is_empty(),
        };
        if is_whole { Ok(()) } else { Err(self.damaged("has bytes after its end")) }
    }
}

impl Read for PartReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.content {
            Content::Plain(stored) => stored.read(buf),
            Content::Deflated(decoder) => decoder.read(buf),
        };
        let n = match read {
            Ok(n) => n,
            // of the decoder; those of the input carry an error of their own or another kind
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(self.damaged("is cut off")),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                return Err(self.damaged("cannot be decompressed"));
            }
            Err(error) => return Err(error),
        };
        if n == 0 {
            self.check_end()?;
            return Ok(0);
        }
        self.produced += n as u64;
        if self.produced > self.size {
            return Err(self.damaged("is longer than the directory says"));
        }
        self.crc.update(&buf[..n]);
        let consumed = self.progress().0;
        self.stored().at.input().check_expansion(self.produced, consumed).map_err(io::Error::other)?;
        Ok(n)
    }
}
