//! The output of `convert`: plain, or compressed according to the name of its file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Slabs are larger and are written directly; headers and ends are not.
const BUFFER_BYTES: usize = 64 << 10;

/// A file that is written; `.gz` and `.zst` are compressed.
pub(super) enum Packed<'f> {
    Plain(Target<'f>),
    Gzip(flate2::write::GzEncoder<Target<'f>>),
    Zstd(zstd::stream::write::Encoder<'static, Target<'f>>),
}

/// Accepts no more once the output is given up: dropping a compressor would complete its output.
pub(super) struct Target<'f> {
    out: BufWriter<&'f File>,
    given_up: bool,
}

impl<'f> Packed<'f> {
    /// Creates the output for a file with this name.
    pub(super) fn new(file: &'f File, name: &Path) -> io::Result<Packed<'f>> {
        let target = Target { out: BufWriter::with_capacity(BUFFER_BYTES, file), given_up: false };
        let ending = name.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        Ok(match ending.as_deref() {
            Some("gz") => Packed::Gzip(flate2::write::GzEncoder::new(target, flate2::Compression::default())),
            Some("zst") => Packed::Zstd(zstd::stream::write::Encoder::new(target, zstd::DEFAULT_COMPRESSION_LEVEL)?),
            _ => Packed::Plain(target),
        })
    }

    /// Completes the output if it is `whole`, otherwise leaves it as it is.
    pub(super) fn finish(mut self, whole: bool) -> io::Result<()> {
        if !whole {
            match &mut self {
                Packed::Plain(target) => target.given_up = true,
                Packed::Gzip(encoder) => encoder.get_mut().given_up = true,
                Packed::Zstd(encoder) => encoder.get_mut().given_up = true,
            }
            return Ok(());
        }
        match self {
            Packed::Plain(mut target) => target.flush(),
            Packed::Gzip(encoder) => encoder.finish()?.flush(),
            Packed::Zstd(encoder) => encoder.finish()?.flush(),
        }
    }
}

impl Write for Packed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Packed::Plain(target) => target.write(bytes),
            Packed::Gzip(encoder) => encoder.write(bytes),
            Packed::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// A compressor keeps its data until the end.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Packed::Plain(target) => target.flush(),
            Packed::Gzip(_) | Packed::Zstd(_) => Ok(()),
        }
    }
}

impl Write for Target<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.given_up { Ok(bytes.len()) } else { self.out.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.given_up { Ok(()) } else { self.out.flush() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Seek as _};

    fn written(name: &str, whole: bool) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        let mut packed = Packed::new(&file, Path::new(name)).unwrap();
        packed.write_all(&b"a,b\n".repeat(50_000)).unwrap();
        packed.flush().unwrap();
        packed.finish(whole).unwrap();
        file.rewind().unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_name_says_how_the_output_is_compressed() {
        let text = b"a,b\n".repeat(50_000);
        assert_eq!(written("x.csv", true), text);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&written("x.csv.GZ", true)[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        assert_eq!(zstd::decode_all(&written("x.zst", true)[..]).unwrap(), text);
    }

    #[test]
    fn an_output_that_is_given_up_is_not_completed() {
        let mut unpacked = Vec::new();
        assert!(flate2::read::GzDecoder::new(&written("x.gz", false)[..]).read_to_end(&mut unpacked).is_err());
        assert!(zstd::decode_all(&written("x.zst", false)[..]).map_or(true, |text| text.len() < 200_000));
    }
}
