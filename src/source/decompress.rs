//! Decodes all members of a gzip file or all frames of a zstd file to their verified end, or reports where the damage
//! is.

use super::damage::{self, Damage, Findings, Tally, is_ours, window_too_large};
use super::{Compression, codecs};
use crate::error::{Error, Result};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The expansion ratio is checked only after this many decompressed bytes.
const JUDGED_AFTER: u64 = 64 << 20;

/// Minimum of `max_window`. The format asks decoders to support 8 MiB.
pub(super) const MIN_WINDOW: u64 = 1 << 10;

/// Size of the reads of stored bytes.
const BUFFER_BYTES: usize = 128 << 10;

/// Interval between ratio checks, in output bytes; fixed, so the result does not depend on read sizes.
const JUDGED_EVERY: u64 = 256 << 10;

/// Number of first bytes that identify the compression.
pub(super) const MAGIC_BYTES: usize = 10;

/// Maximum number of bytes of skippable frames that are skipped in order to find the compression.
const MOST_SKIPPED: u64 = 1 << 20;

/// Detects the compression by the first bytes. `read` returns up to [`MAGIC_BYTES`] bytes from a position on. lz4 and zstd
/// have the same skippable frames, so the frame after them decides.
pub(super) fn detect(mut read: impl FnMut(u64) -> io::Result<Vec<u8>>) -> io::Result<Compression> {
    let mut at = 0;
    loop {
        let first = read(at)?;
        match first[..] {
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, ..] if at < MOST_SKIPPED => {
                at += 8 + u64::from(u32::from_le_bytes([a, b, c, d]));
            }
            // nothing but skippable frames
            _ if at > 0 && by_magic(&first) != Compression::Lz4 => return Ok(Compression::Zstd),
            _ => return Ok(by_magic(&first)),
        }
    }
}

/// Detects the compression by the bytes of a frame.
pub(super) fn by_magic(first: &[u8]) -> Compression {
    match first {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => Compression::Bzip2,
        // an empty list
        [b'B', b'Z', b'h', b'1'..=b'9', 0x17, b'r', b'E', b'8', b'P', 0x90, ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Lz4,
        _ => Compression::None,
    }
}

/// The position at which a stream starts if not at the first byte: the end of a member or frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resume {
    /// Stored bytes before it.
    pub(super) at: u64,
    /// Content bytes before it.
    pub(super) produced: u64,
    /// Gzip members before it.
    pub(super) members: u64,
}

impl Resume {
    /// Returns the position from which stored bytes must be read. Bytes read ahead count as consumed, so buffers must
    /// begin where they would begin if the stream had been read from the first byte.
    pub(super) fn stored_from(&self) -> u64 {
        self.at - self.at % BUFFER_BYTES as u64
    }
}

/// How to decode the stored bytes of an input.
#[derive(Clone)]
pub(super) struct Unpacking {
    pub(super) name: String,
    pub(super) compression: Compression,
    pub(super) max_expansion: u64,
    /// A power of two.
    pub(super) max_window: u64,
    pub(super) findings: Arc<Findings>,
}

impl Unpacking {
    /// Wraps a stream of stored bytes, which begins at `from.stored_from()`, into a stream of content.
    pub(super) fn open(&self, stored: Box<dyn Read + Send>, from: Resume) -> Result<Box<dyn Read + Send>> {
        // several streams of one input may be open at once, so the ratio is counted for each of them
        let consumed = Arc::new(AtomicU64::new(from.stored_from()));
        let (name, findings) = (self.name.clone(), self.findings.clone());
        let counted = Counted { inner: stored, name, consumed: consumed.clone(), findings };
        let what = Damage { name: self.name.clone(), format: damage::name(self.compression) };
        let failed = |error| super::into_error(error, &format!("reading {}", self.name));
        let buffered = |counted| -> io::Result<_> {
            let mut input = BufReader::with_capacity(BUFFER_BYTES, counted);
            let skip = from.at - from.stored_from();
            io::copy(&mut (&mut input).take(skip), &mut io::sink())?;
            Ok(input)
        };
        let most = self.max_expansion;
        Ok(match self.compression {
            Compression::None | Compression::Auto => Box::new(counted),
            Compression::Gzip => {
                let input = buffered(counted).map_err(failed)?;
                let members = Gzip::new(input, what.clone(), self.findings.clone(), from).map_err(failed)?;
                Box::new(Bounded { inner: members, consumed, produced: from.produced, most, what })
            }
            Compression::Zstd => {
                let decoder = self.zstd_decoder(buffered(counted).map_err(failed)?).map_err(failed)?;
                let max_window = self.max_window;
                let frames = Zstd { decoder, consumed: consumed.clone(), what: what.clone(), max_window };
                Box::new(Bounded { inner: frames, consumed, produced: from.produced, most, what })
            }
            Compression::Bzip2 | Compression::Xz | Compression::Lz4 => {
                let input = Tally { inner: buffered(counted).map_err(failed)?, taken: from.at };
                let (compression, max_window) = (self.compression, self.max_window);
                let bounds = codecs::Bounds { what: what.clone(), max_window, findings: self.findings.clone() };
                let members = codecs::Members::new(input, compression, bounds);
                Box::new(Bounded { inner: members, consumed, produced: from.produced, most, what })
            }
        })
    }

    /// Decodes some members or frames; `stored` consists of exactly these. An error means only that this was not so;
    /// [`Unpacking::open`] then produces the message.
    pub(super) fn open_piece(&self, stored: Box<dyn Read + Send>) -> io::Result<Piece> {
        let input = BufReader::with_capacity(BUFFER_BYTES, stored);
        let findings = Arc::<Findings>::default();
        let reader: Box<dyn Read> = match self.compression {
            Compression::Zstd => Box::new(self.zstd_decoder(input)?),
            _ => {
                let what = Damage { name: String::new(), format: "" };
                Box::new(Gzip::new(input, what, findings.clone(), Resume::default())?)
            }
        };
        Ok(Piece { reader, findings })
    }

    fn zstd_decoder<R: BufRead>(&self, input: R) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
        decoder.window_log_max(self.max_window.max(MIN_WINDOW).ilog2())?;
        Ok(decoder)
    }
}

/// The result of [`Unpacking::open_piece`].
pub(super) struct Piece {
    reader: Box<dyn Read>,
    findings: Arc<Findings>,
}

impl Piece {
    /// Returns the number of gzip members, once the piece was read to its end; `None` if it contains anything else.
    pub(super) fn members(&self) -> Option<u64> {
        let padding = self.findings.padding.load(Ordering::Relaxed);
        (padding == 0).then(|| self.findings.members.load(Ordering::Relaxed))
    }
}

impl Read for Piece {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

/// Returns true if `consumed` stored bytes expand to more than allowed.
pub(super) fn expands_too_much(produced: u64, consumed: u64, most: u64) -> bool {
    produced > JUDGED_AFTER && produced / consumed.max(1) > most
}

/// Returns the error for content that expands too much.
pub(super) fn too_expanded(name: &str, most: u64, (produced, consumed): (u64, u64)) -> Error {
    Error::data(format!(
        "{name} expands to more than {most} times its size (source.max_expansion): {produced} bytes from {consumed}"
    ))
    .with_hint("raise source.max_expansion if the list really is that repetitive")
}

/// Counts stored bytes, for the progress and the position of damage.
struct Counted<R> {
    inner: R,
    name: String,
    consumed: Arc<AtomicU64>,
    findings: Arc<Findings>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            // an error of ours passes the decoders unchanged and is not mistaken for damage
            _ => io::Error::other(super::into_error(error, &format!("reading {}", self.name))),
        })?;
        let consumed = self.consumed.fetch_add(n as u64, Ordering::Relaxed) + n as u64;
        self.findings.consumed.store(consumed, Ordering::Relaxed);
        Ok(n)
    }
}

/// All members of a gzip file. Zero padding after the last one is allowed, anything else is damage.
struct Gzip<R: Read> {
    state: GzipState<R>,
    what: Damage,
    members: u64,
    findings: Arc<Findings>,
}

enum GzipState<R: Read> {
    Member(Box<flate2::bufread::GzDecoder<Tally<R>>>),
    Ended,
}

impl<R: Read> Gzip<R> {
    fn new(input: BufReader<R>, what: Damage, findings: Arc<Findings>, from: Resume) -> io::Result<Gzip<R>> {
        let mut gzip = Gzip { state: GzipState::Ended, what, members: from.members, findings };
        let input = Tally { inner: input, taken: from.at };
        if from.at == 0 {
            gzip.begin_member(input);
        } else {
            gzip.next_member(input)?;
        }
        Ok(gzip)
    }

    fn begin_member(&mut self, input: Tally<R>) {
        self.members += 1;
        self.findings.members.fetch_max(self.members, Ordering::Relaxed);
        self.state = GzipState::Member(Box::new(flate2::bufread::GzDecoder::new(input)));
    }

    /// Continues after the end of a member.
    fn next_member(&mut self, mut input: Tally<R>) -> io::Result<()> {
        let (padding, next) = input.skip_zeros()?;
        match next {
            Some(_) if padding > 0 => Err(self.what.at(input.taken, "something follows the zero padding")),
            Some(0x1f) => {
                self.begin_member(input);
                Ok(())
            }
            Some(_) => Err(self.what.at(input.taken, "the bytes after a gzip member are not another member")),
            None => {
                self.findings.padding.fetch_max(padding, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let GzipState::Member(member) = &mut self.state else { return Ok(0) };
            match member.read(buf) {
                Ok(0) if buf.is_empty() => return Ok(0),
                Ok(0) => {
                    if let GzipState::Member(ended) = std::mem::replace(&mut self.state, GzipState::Ended) {
                        self.next_member(ended.into_inner())?;
                    }
                }
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_ours(&error) => return Err(error),
                Err(error) => {
                    let offset = member.get_ref().taken;
                    let what = match error.kind() {
                        io::ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
                        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => error.to_string(),
                        _ => return Err(error),
                    };
                    return Err(self.what.at(offset, &what));
                }
            }
        }
    }
}

struct Zstd<R: Read> {
    decoder: zstd::stream::read::Decoder<'static, BufReader<R>>,
    consumed: Arc<AtomicU64>,
    what: Damage,
    max_window: u64,
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buf).map_err(|error| {
            if is_ours(&error) {
                return error;
            }
            let waiting = self.decoder.get_ref().buffer().len() as u64;
            let offset = self.consumed.load(Ordering::Relaxed).saturating_sub(waiting);
            match error.kind() {
                io::ErrorKind::UnexpectedEof => self.what.at(offset, "it is cut off"),
                io::ErrorKind::Other if error.to_string().contains("too much memory") => {
                    io::Error::other(window_too_large(&self.what.name, Compression::Zstd, self.max_window))
                }
                io::ErrorKind::Other | io::ErrorKind::InvalidData => self.what.at(offset, &error.to_string()),
                _ => error,
            }
        })
    }
}

/// Reports an error if the content expands too much.
struct Bounded<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
    produced: u64,
    most: u64,
    what: Damage,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(JUDGED_EVERY - self.produced % JUDGED_EVERY).unwrap_or(usize::MAX).min(buf.len());
        let n = self.inner.read(&mut buf[..room])?;
        self.produced += n as u64;
        if n > 0 && self.produced.is_multiple_of(JUDGED_EVERY) {
            let consumed = self.consumed.load(Ordering::Relaxed).max(1);
            if expands_too_much(self.produced, consumed, self.most) {
                return Err(io::Error::other(too_expanded(&self.what.name, self.most, (self.produced, consumed))));
            }
        }
        Ok(n)
    }
}
