//! The parts that all decoders share: counters, and errors with the position of the damage.

use super::Compression;
use crate::error::{Error, Kind};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::AtomicU64;

/// Maximum of `max_window`.
pub(super) const MAX_WINDOW: u64 = 128 << 20;

/// The name used in messages.
pub(super) fn name(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        Compression::Bzip2 => "bzip2",
        Compression::Xz => "xz",
        Compression::Lz4 => "lz4",
        Compression::None | Compression::Auto => "plain",
    }
}

/// Counters and findings of the streams of an input. All streams share them, so they serve only for display.
#[derive(Default)]
pub(super) struct Findings {
    /// Stored bytes consumed by the stream that was read last.
    pub(super) consumed: AtomicU64,
    /// Largest number of gzip members that one stream has begun.
    pub(super) members: AtomicU64,
    /// Number of zero bytes after the last member.
    pub(super) padding: AtomicU64,
}

/// Returns true if reading failed, as opposed to decoding.
pub(super) fn is_ours(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Error>())
}

/// Makes errors about damaged data.
#[derive(Clone)]
pub(super) struct Damage {
    pub(super) name: String,
    pub(super) format: &'static str,
}

impl Damage {
    pub(super) fn at(&self, offset: u64, what: &str) -> io::Error {
        io::Error::other(
            Error::new(
                Kind::Data,
                format!("{}: damaged {} data: {what} at compressed byte {offset}", self.name, self.format),
            )
            .with_hint("fetch or make the file again"),
        )
    }
}

/// Counts exactly the bytes that the decoder takes.
pub(super) struct Tally<R: Read> {
    pub(super) inner: BufReader<R>,
    pub(super) taken: u64,
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

/// Returns the error for a frame or block that needs a larger window than allowed.
pub(super) fn window_too_large(name: &str, compression: Compression, max_window: u64) -> Error {
    let again = match compression {
        Compression::Xz => "compress the file again with xz -6 or less".to_owned(),
        _ => format!("compress the file again with zstd --long={} or less, without --ultra", max_window.ilog2()),
    };
    let hint = match max_window < MAX_WINDOW {
        true => format!("raise source.max_window (128MiB at most, memory grows by it), or {again}"),
        false => again,
    };
    let (size, unit) = if max_window >= 1 << 20 { (max_window >> 20, "MiB") } else { (max_window >> 10, "KiB") };
    let format = self::name(compression);
    Error::data(format!("{name} needs a {format} window of more than {size}{unit} (source.max_window)")).with_hint(hint)
}

impl<R: Read> Tally<R> {
    /// Skips the zero bytes that may follow a member; returns their number and the byte after them, `None` at the end.
    pub(super) fn skip_zeros(&mut self) -> io::Result<(u64, Option<u8>)> {
        let mut zeros = 0;
        loop {
            let buffer = self.fill_buf()?;
            let here = buffer.iter().take_while(|&&byte| byte == 0).count();
            let (is_end, after) = (buffer.is_empty(), buffer.get(here).copied());
            zeros += here as u64;
            self.consume(here);
            if is_end || after.is_some() {
                return Ok((zeros, after));
            }
        }
    }
}
