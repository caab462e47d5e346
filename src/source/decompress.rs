//! gzip with all its members, zstd with all its frames: to their proven end, or an error that says where.

use super::Compression;
use crate::error::{Error, Kind, Result};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The expansion is judged from here on.
const JUDGED_AFTER: u64 = 64 << 20;

/// The largest zstd window that is accepted, 16 MiB: 128 MiB (plain `--long`) would break the memory promise, 8 MiB is
/// what the format asks decoders to support.
const MAX_WINDOW_LOG: u32 = 24;

/// What the first bytes say.
pub(super) fn by_magic(first: &[u8]) -> Compression {
    match first {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// For messages.
pub(super) fn name(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        Compression::None | Compression::Auto => "plain",
    }
}

/// What the streams of an input found; shared by all of them, so only for showing.
#[derive(Default)]
pub(super) struct Findings {
    /// Stored bytes that the stream read last has consumed.
    pub(super) consumed: AtomicU64,
    /// Most gzip members that one stream has begun.
    pub(super) members: AtomicU64,
    /// Zeros behind the last gzip member.
    pub(super) padding: AtomicU64,
}

/// Wraps a stream of stored bytes into one of content.
pub(super) fn open(
    stored: Box<dyn Read + Send>,
    compression: Compression,
    name: &str,
    max_expansion: u64,
    findings: Arc<Findings>,
) -> Result<Box<dyn Read + Send>> {
    // several streams of one input may be open at once: what is judged is counted for each
    let consumed = Arc::<AtomicU64>::default();
    let counted =
        Counted { inner: stored, name: name.to_owned(), consumed: consumed.clone(), findings: findings.clone() };
    let what = Damage { name: name.to_owned(), format: self::name(compression) };
    Ok(match compression {
        Compression::None | Compression::Auto => Box::new(counted),
        Compression::Gzip => {
            let members = Gzip::new(BufReader::with_capacity(128 << 10, counted), what.clone(), findings);
            Box::new(Bounded::new(members, consumed, max_expansion, what))
        }
        Compression::Zstd => {
            let input = BufReader::with_capacity(128 << 10, counted);
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)
                .map_err(|error| Error::io(format!("reading {name}"), error))?;
            decoder.window_log_max(MAX_WINDOW_LOG).map_err(|error| Error::io(format!("reading {name}"), error))?;
            let frames = Zstd { decoder, consumed: consumed.clone(), what: what.clone() };
            Box::new(Bounded::new(frames, consumed, max_expansion, what))
        }
    })
}

/// Counts stored bytes, which tells progress and where damage lies.
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
            // as ours it passes the decoders untouched and is not taken for damage
            _ => io::Error::other(super::into_error(error, &format!("reading {}", self.name))),
        })?;
        let consumed = self.consumed.fetch_add(n as u64, Ordering::Relaxed) + n as u64;
        self.findings.consumed.store(consumed, Ordering::Relaxed);
        Ok(n)
    }
}

/// True where reading failed, not decoding.
fn is_ours(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Error>())
}

#[derive(Clone)]
struct Damage {
    name: String,
    format: &'static str,
}

impl Damage {
    fn at(&self, offset: u64, what: &str) -> io::Error {
        io::Error::other(
            Error::new(
                Kind::Data,
                format!("{}: damaged {} data: {what} at compressed byte {offset}", self.name, self.format),
            )
            .with_hint("fetch or make the file again"),
        )
    }
}

/// All members of a gzip file; zero padding behind the last is allowed, anything else is damage.
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

/// Counts what the decoder takes, to the byte.
struct Tally<R: Read> {
    inner: BufReader<R>,
    taken: u64,
}

impl<R: Read> Read for Tally<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.taken += n as u64;
        Ok(n)
    }
}

impl<R: Read> BufRead for Tally<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.taken += n as u64;
        self.inner.consume(n);
    }
}

impl<R: Read> Gzip<R> {
    fn new(input: BufReader<R>, what: Damage, findings: Arc<Findings>) -> Gzip<R> {
        let mut gzip = Gzip { state: GzipState::Ended, what, members: 0, findings };
        gzip.begin_member(Tally { inner: input, taken: 0 });
        gzip
    }

    fn begin_member(&mut self, input: Tally<R>) {
        self.members += 1;
        self.findings.members.fetch_max(self.members, Ordering::Relaxed);
        self.state = GzipState::Member(Box::new(flate2::bufread::GzDecoder::new(input)));
    }

    /// Goes on behind the end of a member.
    fn next_member(&mut self) -> io::Result<()> {
        let GzipState::Member(ended) = std::mem::replace(&mut self.state, GzipState::Ended) else { return Ok(()) };
        let mut input = ended.into_inner();
        let mut padding = 0;
        loop {
            let (zeros, rest) = {
                let buffer = input.fill_buf()?;
                let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
                (zeros, buffer.get(zeros).copied())
            };
            padding += zeros as u64;
            input.consume(zeros);
            match rest {
                Some(_) if padding > 0 => return Err(self.what.at(input.taken, "something follows the zero padding")),
                Some(0x1f) => {
                    self.begin_member(input);
                    return Ok(());
                }
                Some(_) => return Err(self.what.at(input.taken, "something that is no gzip member follows")),
                None if zeros == 0 => {
                    self.findings.padding.fetch_max(padding, Ordering::Relaxed);
                    return Ok(());
                }
                None => {}
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
                Ok(0) => self.next_member()?,
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
                io::ErrorKind::Other if error.to_string().contains("too much memory") => io::Error::other(
                    Error::data(format!("{} needs a zstd window of more than 16 MiB", self.what.name))
                        .with_hint("compress it again with zstd --long=24 or less, without --ultra"),
                ),
                io::ErrorKind::Other | io::ErrorKind::InvalidData => self.what.at(offset, &error.to_string()),
                _ => error,
            }
        })
    }
}

/// Refuses what expands beyond reason.
struct Bounded<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
    produced: u64,
    most: u64,
    what: Damage,
}

impl<R> Bounded<R> {
    fn new(inner: R, consumed: Arc<AtomicU64>, most: u64, what: Damage) -> Bounded<R> {
        Bounded { inner, consumed, produced: 0, most, what }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.produced += n as u64;
        if self.produced > JUDGED_AFTER {
            let consumed = self.consumed.load(Ordering::Relaxed).max(1);
            if self.produced / consumed > self.most {
                return Err(io::Error::other(
                    Error::new(
                        Kind::Data,
                        format!(
                            "{} expands to more than {} times its size (source.max_expansion): {} bytes from {consumed}",
                            self.what.name, self.most, self.produced
                        ),
                    )
                    .with_hint("raise source.max_expansion if the list really is that repetitive"),
                ));
            }
        }
        Ok(n)
    }
}
