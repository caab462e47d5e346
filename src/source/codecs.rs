//! bzip2, xz and lz4: decodes all members, streams or frames of a file to their verified end.
//!
//! The decoders of async-compression are used because they detect the end of each format correctly. They are polled on
//! a reader that is always ready, so no runtime is needed. Each member has its own decoder, so the position between two
//! members is exact; the bytes after the last one are checked here, as for gzip.

use super::Compression;
use super::damage::{Damage, Findings, Tally, is_ours, window_too_large};
use async_compression::futures::bufread::{BzDecoder, Lz4Decoder, XzDecoder};
use futures_io::{AsyncBufRead, AsyncRead};
use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

/// Memory of an xz decoder in addition to its dictionary.
const XZ_OVERHEAD: u64 = 1 << 20;

/// Limits of [`Members`], and names for messages.
pub(super) struct Bounds {
    pub(super) what: Damage,
    /// Maximum size of an xz dictionary.
    pub(super) max_window: u64,
    pub(super) findings: Arc<Findings>,
}

/// The content of all members of a file.
pub(super) struct Members<R: Read> {
    /// `None` after the last one.
    decoder: Option<Decoder<R>>,
    compression: Compression,
    bounds: Bounds,
}

enum Decoder<R: Read> {
    Bzip2(Box<BzDecoder<Ready<Tally<R>>>>),
    Xz(Box<XzDecoder<Ready<Tally<R>>>>),
    Lz4(Box<Lz4Decoder<Ready<Tally<R>>>>),
}

impl<R: Read> Members<R> {
    /// Returns the content of `input`, which must have one of the three compressions.
    pub(super) fn new(input: Tally<R>, compression: Compression, bounds: Bounds) -> Members<R> {
        let mut members = Members { decoder: None, compression, bounds };
        members.begin(input);
        members
    }

    fn begin(&mut self, input: Tally<R>) {
        let input = Ready(input);
        self.decoder = Some(match self.compression {
            Compression::Bzip2 => Decoder::Bzip2(Box::new(BzDecoder::new(input))),
            Compression::Xz => {
                let most = self.bounds.max_window.saturating_add(XZ_OVERHEAD);
                Decoder::Xz(Box::new(XzDecoder::with_mem_limit(input, most)))
            }
            _ => Decoder::Lz4(Box::new(Lz4Decoder::new(input))),
        });
    }

    /// Continues after the end of a member. Zeros may follow the last member and, in xz, any stream.
    fn next(&mut self, mut input: Tally<R>) -> io::Result<()> {
        let (padding, next) = input.skip_zeros()?;
        let may_follow = padding == 0 || (self.compression == Compression::Xz && padding.is_multiple_of(4));
        match next {
            Some(first) if may_follow && self.is_first_byte(first) => {
                self.begin(input);
                Ok(())
            }
            Some(_) if padding > 0 => Err(self.bounds.what.at(input.taken, "something follows the zero padding")),
            Some(_) => {
                let what = "the bytes after the end of the data are not more of it";
                Err(self.bounds.what.at(input.taken, what))
            }
            None => {
                self.bounds.findings.padding.fetch_max(padding, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Returns true if a member can start with this byte.
    fn is_first_byte(&self, byte: u8) -> bool {
        match self.compression {
            Compression::Bzip2 => byte == b'B',
            Compression::Xz => byte == 0xfd,
            // a frame or a skippable frame
            _ => byte == 0x04 || (0x50..=0x5f).contains(&byte),
        }
    }

    fn damage(&self, error: io::Error, offset: u64) -> io::Error {
        if is_ours(&error) {
            return error;
        }
        let text = error.to_string();
        if self.compression == Compression::Xz && text.contains("emory") {
            let Bounds { what, max_window, .. } = &self.bounds;
            return io::Error::other(window_too_large(&what.name, self.compression, *max_window));
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.bounds.what.at(offset, "it is cut off"),
            _ => self.bounds.what.at(offset, &text),
        }
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            match decoder.read(buf) {
                Ok(0) => {
                    let ended = self.decoder.take().map(Decoder::into_inner);
                    if let Some(input) = ended {
                        self.next(input)?;
                    }
                }
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let offset = decoder.taken();
                    return Err(self.damage(error, offset));
                }
            }
        }
    }
}

impl<R: Read> Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut context = Context::from_waker(Waker::noop());
        let polled = match self {
            Decoder::Bzip2(decoder) => Pin::new(&mut **decoder).poll_read(&mut context, buf),
            Decoder::Xz(decoder) => Pin::new(&mut **decoder).poll_read(&mut context, buf),
            Decoder::Lz4(decoder) => Pin::new(&mut **decoder).poll_read(&mut context, buf),
        };
        match polled {
            Poll::Ready(read) => read,
            // the input is always ready
            Poll::Pending => Err(io::Error::other("the decoder waits for an input that is ready")),
        }
    }

    fn taken(&self) -> u64 {
        match self {
            Decoder::Bzip2(decoder) => decoder.get_ref().0.taken,
            Decoder::Xz(decoder) => decoder.get_ref().0.taken,
            Decoder::Lz4(decoder) => decoder.get_ref().0.taken,
        }
    }

    fn into_inner(self) -> Tally<R> {
        match self {
            Decoder::Bzip2(decoder) => decoder.into_inner().0,
            Decoder::Xz(decoder) => decoder.into_inner().0,
            Decoder::Lz4(decoder) => decoder.into_inner().0,
        }
    }
}

/// A blocking reader as an async one that is always ready.
struct Ready<R>(R);

// its contents are never pinned
impl<R> Unpin for Ready<R> {}

impl<R: BufRead> AsyncRead for Ready<R> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.get_mut().0.read(buf))
    }
}

impl<R: BufRead> AsyncBufRead for Ready<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Poll::Ready(self.get_mut().0.fill_buf())
    }

    fn consume(self: Pin<&mut Self>, n: usize) {
        self.get_mut().0.consume(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::source::{OpenSource, SourceOptions};
    use async_compression::futures::bufread::{BzEncoder, Lz4Encoder, XzEncoder};

    fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        fn all<E: AsyncRead + Unpin>(mut encoder: E) -> Vec<u8> {
            let mut context = Context::from_waker(Waker::noop());
            let (mut out, mut buf) = (Vec::new(), vec![0; 8192]);
            loop {
                match Pin::new(&mut encoder).poll_read(&mut context, &mut buf) {
                    Poll::Ready(Ok(0)) => return out,
                    Poll::Ready(Ok(n)) => out.extend(&buf[..n]),
                    other => panic!("{other:?}"),
                }
            }
        }
        match compression {
            Compression::Bzip2 => all(BzEncoder::new(Ready(bytes))),
            Compression::Xz => all(XzEncoder::new(Ready(bytes))),
            // in the way of the lz4 program
            _ => {
                let params = async_compression::lz4::EncoderParams::default().content_checksum(true);
                all(Lz4Encoder::with_quality_and_params(Ready(bytes), async_compression::Level::Default, params))
            }
        }
    }

    fn text(n: usize) -> Vec<u8> {
        (0..n).flat_map(|i| format!("{i},user{}@example.com\n", i * 7919 % 10_007).into_bytes()).collect()
    }

    /// Returns the content, or the message of the error.
    fn read(bytes: Vec<u8>, options: &SourceOptions) -> Result<(Vec<u8>, Vec<String>), String> {
        let source = OpenSource::from_bytes("list", bytes, options).map_err(|error| error.message().to_owned())?;
        let mut content = Vec::new();
        let input = &source.inputs()[0];
        let mut stream = input.open_stream().map_err(|error| error.message().to_owned())?;
        stream.read_to_end(&mut content).map_err(|error| {
            let error = crate::source::into_error(error, "reading");
            assert_eq!(error.kind(), Kind::Data, "{error}");
            error.message().to_owned()
        })?;
        Ok((content, input.warnings()))
    }

    const ALL: [Compression; 3] = [Compression::Bzip2, Compression::Xz, Compression::Lz4];

    #[test]
    fn all_members_are_read_and_zeros_after_them_are_skipped() {
        let (one, two) = (text(3_000), text(10));
        for compression in ALL {
            let members = [packed(compression, &one), packed(compression, b""), packed(compression, &two)].concat();
            let want = [&one[..], &two].concat();
            let options = SourceOptions::default();
            assert_eq!(read(members.clone(), &options).unwrap(), (want.clone(), vec![]), "{compression:?}");
            let padded = [&members[..], &[0; 512]].concat();
            let (content, warnings) = read(padded.clone(), &options).unwrap();
            assert!(content == want && warnings[0].contains("512 zero bytes"), "{compression:?} {warnings:?}");
            let message = read([&padded[..], b"x"].concat(), &options).unwrap_err();
            assert!(message.contains("follows the zero padding"), "{compression:?} {message}");
            let message = read([&members[..], b"junk"].concat(), &options).unwrap_err();
            let at = format!("at compressed byte {}", members.len());
            assert!(message.contains("not more of it") && message.contains(&at), "{compression:?} {message}");
        }
    }

    #[test]
    fn a_cut_or_a_changed_byte_is_damage_wherever_it_is() {
        let one = text(400);
        for compression in ALL {
            let whole = packed(compression, &one);
            for cut in 12..whole.len() {
                let message = read(whole[..cut].to_vec(), &SourceOptions::default()).expect_err("cut");
                assert!(message.contains("cut off"), "{compression:?} {cut} of {}: {message}", whole.len());
            }
            for at in (12..whole.len()).step_by(7) {
                let mut spoilt = whole.clone();
                spoilt[at] ^= 0x10;
                match read(spoilt, &SourceOptions::default()) {
                    Err(message) => assert!(message.contains("damaged"), "{compression:?} {at}: {message}"),
                    // bits that no decoder reads, or that do not change the content
                    Ok((content, _)) => assert!(content == one, "{compression:?} {at}: other content"),
                }
            }
        }
    }

    #[test]
    fn an_lz4_file_cut_between_blocks_is_damage() {
        // incompressible blocks of 64 KiB, whose ends are therefore known
        let mut x = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 56) as u8
        })
        .take(256 << 10)
        .collect();
        let whole = packed(Compression::Lz4, &noise);
        let header = 7;
        let mut at = header;
        let mut cuts = 0;
        loop {
            let size = u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
            if size == 0 {
                break;
            }
            at += 4 + size as usize;
            cuts += 1;
            let message = read(whole[..at].to_vec(), &SourceOptions::default()).expect_err("cut");
            assert!(message.contains("cut off"), "{at}: {message}");
        }
        assert!(cuts >= 1, "no blocks");
    }

    #[test]
    fn an_xz_dictionary_above_the_limit_is_refused() {
        let whole = packed(Compression::Xz, &text(10));
        let options = SourceOptions { max_window: 1 << 20, ..SourceOptions::default() };
        let message = read(whole.clone(), &options).unwrap_err();
        assert!(message.contains("needs a xz window of more than 1MiB"), "{message}");
        assert!(read(whole, &SourceOptions::default()).is_ok());
    }
}
