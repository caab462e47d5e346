//! Decodes the pieces of a transfer into a file: all gzip members, each verified by its trailer.

use crate::error::{Error, Kind, Result};
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// Decodes a transfer and counts its bytes.
pub(super) struct Decoder<W: Write> {
    sink: Sink<W>,
}

enum Sink<W: Write> {
    Plain(Bounded<W>),
    Gzip(Box<MultiGzDecoder<Bounded<W>>>),
}

/// A writer with a maximum size, which remembers its own error.
struct Bounded<W> {
    out: W,
    bytes: u64,
    max: u64,
    fault: Option<Error>,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.bytes + buf.len() as u64 > self.max {
            self.fault = Some(
                Error::new(Kind::Data, format!("the export is larger than spool.max ({} bytes)", self.max))
                    .with_hint("raise spool.max, or write the export to a file and use that file as the source"),
            );
            return Err(io::Error::other("too large"));
        }
        match self.out.write_all(buf) {
            Ok(()) => {
                self.bytes += buf.len() as u64;
                Ok(buf.len())
            }
            Err(error) => {
                self.fault = Some(Error::new(Kind::Local, error.to_string()));
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Decoder<W> {
    /// Creates a decoder that writes at most `max` decoded bytes.
    pub(super) fn new(out: W, gzip: bool, max: u64) -> Decoder<W> {
        let bounded = Bounded { out, bytes: 0, max, fault: None };
        let sink = match gzip {
            true => Sink::Gzip(Box::new(MultiGzDecoder::new(bounded))),
            false => Sink::Plain(bounded),
        };
        Decoder { sink }
    }

    /// Decodes the next piece.
    ///
    /// # Errors
    /// `Transient`: the data was damaged in transit. `Data`: too large. `Local`: the writer failed.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<()> {
        let (written, bounded) = match &mut self.sink {
            Sink::Plain(bounded) => (bounded.write_all(piece), bounded),
            Sink::Gzip(decoder) => {
                let written = decoder.write_all(piece);
                (written, decoder.get_mut())
            }
        };
        checked(written, bounded)
    }

    /// Ends the transfer and returns the number of bytes written.
    ///
    /// # Errors
    /// As [`Decoder::push`]; `Transient`: the last gzip member is incomplete.
    pub(super) fn finish(mut self) -> Result<u64> {
        match &mut self.sink {
            Sink::Plain(bounded) => Ok(bounded.bytes),
            Sink::Gzip(decoder) => {
                let finished = decoder.try_finish();
                checked(finished, decoder.get_mut())?;
                Ok(decoder.get_ref().bytes)
            }
        }
    }
}

fn checked<W>(result: io::Result<()>, bounded: &mut Bounded<W>) -> Result<()> {
    result.map_err(|error| {
        bounded
            .fault
            .take()
            .unwrap_or_else(|| Error::new(Kind::Transient, format!("the export arrived damaged or cut off: {error}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(bytes: &[u8], piece: usize, max: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut decoder = Decoder::new(&mut out, true, max);
        for piece in bytes.chunks(piece) {
            decoder.push(piece)?;
        }
        let n = decoder.finish()?;
        assert_eq!(n, out.len() as u64);
        Ok(out)
    }

    #[test]
    fn all_members_are_read_whatever_the_pieces() {
        let (first, second) = (b"id,email\n1,a@example.test\n".repeat(50), b"2,b@example.test\n".repeat(9));
        let bytes = [member(&first), member(&second), member(b"")].concat();
        let whole = [first, second].concat();
        for piece in [1, 2, 7, 64, bytes.len()] {
            assert_eq!(decode(&bytes, piece, u64::MAX).unwrap(), whole, "pieces of {piece}");
        }
    }

    #[test]
    fn every_cut_but_one_between_members_is_noticed() {
        let (first, second) = (member(b"id\n1\n"), member(b"2\n"));
        let bytes = [first.clone(), second].concat();
        for cut in 0..bytes.len() {
            let decoded = decode(&bytes[..cut], 5, u64::MAX);
            // at this cut the gzip data is valid; only the end of the transfer reveals it
            let edge = cut == first.len();
            assert_eq!(decoded.is_ok(), edge, "cut at {cut}");
        }
    }

    #[test]
    fn each_flipped_byte_of_a_trailer_is_noticed() {
        let whole = member(b"id\n1\n");
        for at in whole.len() - 8..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert_eq!(decode(&bytes, 3, u64::MAX).unwrap_err().kind(), Kind::Transient, "byte {at}");
        }
        assert!(decode(&[whole.as_slice(), b"JUNK"].concat(), 3, u64::MAX).is_err());
    }

    #[test]
    fn too_much_is_an_error_of_the_data() {
        let bytes = member(&vec![0; 100_000]);
        assert_eq!(decode(&bytes, 64, 99_999).unwrap_err().kind(), Kind::Data);
        assert_eq!(decode(&bytes, 64, 100_000).unwrap().len(), 100_000);
    }

    #[test]
    fn a_full_disk_is_a_local_fault() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let bytes = member(&b"x".repeat(100_000));
        let mut decoder = Decoder::new(Full, true, u64::MAX);
        let error = decoder.push(&bytes).and_then(|()| decoder.finish().map(drop)).unwrap_err();
        assert_eq!(error.kind(), Kind::Local);
    }
}
