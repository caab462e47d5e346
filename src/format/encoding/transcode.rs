//! Text of other encodings as UTF-8.
//!
//! Bytes that cannot be decoded are written so that they are not valid UTF-8 ([`undecoded`]): they reject the value.

use super::line_lengths::LineLengths;
use super::undecoded;
use crate::error::{Error, Place};
use crate::source::Encoding;
use encoding_rs::DecoderResult;
use std::io::{ErrorKind, Read, Result};

/// Number of bytes of the source that are read at once; even.
const BLOCK_BYTES: usize = 64 << 10;

/// Number of bytes of room that the decoder needs in order to write a character.
const CHARACTER_BYTES: usize = 16;

/// A stream of text as UTF-8.
pub(in crate::format) struct Transcoder {
    stream: Box<dyn Read + Send>,
    /// Name of the input, for errors.
    name: String,
    encoding: Encoding,
    decoder: encoding_rs::Decoder,
    /// Bytes of the source, after a few of the block before.
    block: Vec<u8>,
    /// Position in `block` of the next byte to decode.
    at: usize,
    /// Number of bytes read of the source, without the byte order mark.
    total: u64,
    /// Length of the byte order mark.
    mark: usize,
    /// Text that did not fit.
    pending: Vec<u8>,
    pub(in crate::format) lengths: LineLengths,
    stream_ended: bool,
    ended: bool,
}

impl Transcoder {
    /// Wraps a stream that starts with a byte order mark of `mark` bytes.
    pub(in crate::format) fn new(
        mut stream: Box<dyn Read + Send>,
        name: &str,
        encoding: Encoding,
        mark: usize,
    ) -> Result<Transcoder> {
        stream.read_exact(&mut [0; 4][..mark])?;
        Ok(Transcoder {
            stream,
            name: name.to_owned(),
            encoding,
            decoder: encoding.decoder(),
            block: Vec::new(),
            at: 0,
            total: 0,
            mark,
            pending: Vec::new(),
            lengths: LineLengths::default(),
            stream_ended: false,
            ended: false,
        })
    }

    /// Returns the number of bytes read of the source, with the byte order mark.
    pub(in crate::format) fn source_bytes(&self) -> u64 {
        self.mark as u64 + self.total
    }

    /// Reads the next block of the source.
    fn next_block(&mut self) -> Result<()> {
        // a malformed sequence may have begun in the block before
        self.block.drain(..self.at.saturating_sub(CHARACTER_BYTES));
        self.at = self.block.len();
        self.block.resize(self.at + BLOCK_BYTES, 0);
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.stream.read(&mut self.block[self.at + filled..]) {
                Ok(0) => {
                    self.stream_ended = true;
                    break;
                }
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if filled.is_multiple_of(2) {
                break;
            }
        }
        self.block.truncate(self.at + filled);
        self.total += filled as u64;
        if self.encoding.is_utf16() && !self.total.is_multiple_of(2) {
            return Err(std::io::Error::other(self.half_a_unit()));
        }
        self.lengths.add(&self.block[self.at..], self.encoding);
        if self.stream_ended {
            self.lengths.end();
        }
        Ok(())
    }

    fn half_a_unit(&self) -> Error {
        let file = Some(self.name.clone());
        Error::data(format!("the source ends in the middle of a character of {}: it is cut off", self.encoding.name()))
            .with_place(Place { file, byte: Some(self.source_bytes() - 1), ..Place::default() })
            .with_hint("fetch or make the file again")
    }

    /// Appends a malformed sequence that ends `after` bytes before the last decoded one. Line ends in it, which only
    /// ISO-2022-JP can have there, still end their line.
    fn escape(&mut self, length: u8, after: u8) {
        let end = self.at - usize::from(after);
        for &byte in &self.block[end.saturating_sub(length.into())..end] {
            self.pending.extend(undecoded::mark(byte));
            if matches!(byte, b'\n' | b'\r') && !self.encoding.is_utf16() {
                self.pending.push(byte);
            }
        }
    }
}

impl Read for Transcoder {
    /// Reads text; `buf` should have much more room than a character needs.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        loop {
            if !self.pending.is_empty() || buf.is_empty() {
                let n = self.pending.len().min(buf.len());
                buf[..n].copy_from_slice(&self.pending[..n]);
                self.pending.drain(..n);
                return Ok(n);
            }
            if self.ended {
                return Ok(0);
            }
            if self.at == self.block.len() && !self.stream_ended {
                self.next_block()?;
            }
            let mut small = [0; CHARACTER_BYTES];
            let is_small = buf.len() < CHARACTER_BYTES;
            let to = if is_small { &mut small[..] } else { &mut *buf };
            let source = &self.block[self.at..];
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(source, to, self.stream_ended);
            self.at += read;
            if is_small {
                self.pending.extend_from_slice(&small[..written]);
            }
            match result {
                DecoderResult::InputEmpty => self.ended = self.stream_ended,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, after) => self.escape(length, after),
            }
            if written > 0 && !is_small {
                return Ok(written);
            }
        }
    }
}
