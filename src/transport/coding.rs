//! Content codings of responses: none is requested, but gzip is decoded all the same.
//!
//! A decoder takes a little at a time, which bounds the output of one step. The total output is bounded by the reader
//! of the response, and by the ratio for streams.

use flate2::write::MultiGzDecoder;
use std::io::Write as _;

/// Number of bytes decoded at once; at most about 520 KiB come out.
const STEP: usize = 512;
/// Number of decoded bytes that are always allowed.
const FREE_BYTES: u64 = 64 << 20;
/// Maximum ratio of decoded to received bytes beyond that.
const MAX_EXPANSION: u64 = 200;

/// The coding of a response's body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    /// A coding that is not decoded.
    Other(String),
}

impl Coding {
    pub(super) fn of(headers: &[(String, String)]) -> Coding {
        let values =
            headers.iter().filter(|(name, _)| name == "content-encoding").flat_map(|(_, value)| value.split(','));
        let codings: Vec<String> = values
            .map(|value| value.trim().to_ascii_lowercase())
            .filter(|value| !value.is_empty() && value != "identity")
            .collect();
        match codings.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Coding::Identity,
            ["gzip" | "x-gzip"] => Coding::Gzip,
            _ => Coding::Other(codings.join(", ")),
        }
    }
}

/// Decodes gzip: all members, each verified by its trailer.
pub(super) struct Gunzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    received: u64,
    decoded: u64,
}

impl Gunzip {
    pub(super) fn new() -> Gunzip {
        Gunzip { decoder: MultiGzDecoder::new(Vec::new()), received: 0, decoded: 0 }
    }

    /// Decodes and removes a little from the start of `piece`. The output is empty if more input is needed.
    ///
    /// # Errors
    /// The reason why the data cannot be decoded.
    pub(super) fn step(&mut self, piece: &mut bytes::Bytes) -> Result<Vec<u8>, String> {
        let some = piece.split_to(piece.len().min(STEP));
        self.received += some.len() as u64;
        self.decoder.write_all(&some).map_err(damaged)?;
        let out = std::mem::take(self.decoder.get_mut());
        self.decoded += out.len() as u64;
        if self.decoded > FREE_BYTES && self.decoded / MAX_EXPANSION > self.received {
            return Err(format!("its gzip data expands to more than {MAX_EXPANSION} times its size"));
        }
        Ok(out)
    }

    /// Ends the body.
    ///
    /// # Errors
    /// The last member is incomplete.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, String> {
        if self.received > 0 {
            self.decoder.try_finish().map_err(damaged)?;
        }
        Ok(std::mem::take(self.decoder.get_mut()))
    }
}

fn damaged(error: std::io::Error) -> String {
    format!("its gzip data is damaged or cut off ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(coded: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let (mut gunzip, mut out) = (Gunzip::new(), Vec::new());
        for piece in coded.chunks(piece) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() {
                out.extend(gunzip.step(&mut piece)?);
            }
        }
        out.extend(gunzip.finish()?);
        Ok(out)
    }

    #[test]
    fn all_members_are_decoded_and_damage_is_an_error() {
        let coded = [member(b"one, "), member(b""), member(b"two")].concat();
        for piece in [1, 7, 4096] {
            assert_eq!(decoded(&coded, piece).unwrap(), b"one, two");
        }
        assert_eq!(decoded(b"", 1).unwrap(), b"");
        let first = member(b"one, ").len();
        for cut in 1..coded.len() {
            // a cut between members cannot be detected
            if cut != first && cut != first + member(b"").len() {
                assert!(decoded(&coded[..cut], 5).is_err(), "{cut}");
            }
        }
        for at in coded.len() - 8..coded.len() {
            let mut damaged = coded.clone();
            damaged[at] ^= 1;
            assert!(decoded(&damaged, 5).is_err(), "{at}");
        }
        assert!(decoded(b"{\"no\": \"gzip\"}", 5).is_err());
    }

    #[test]
    fn a_bomb_is_stopped_and_steps_are_small() {
        let coded = member(&vec![0; 80 << 20]);
        let (mut gunzip, mut piece, mut most) = (Gunzip::new(), Bytes::from(coded), 0);
        let error = loop {
            match gunzip.step(&mut piece) {
                Ok(out) => most = most.max(out.len()),
                Err(error) => break error,
            }
        };
        assert!(error.contains("200 times") && most < 1 << 20 && gunzip.decoded < 66 << 20, "{error} {most}");
    }

    #[test]
    fn codings_are_read_from_all_headers() {
        let of = |values: &[&str]| {
            let headers: Vec<_> =
                values.iter().map(|value| ("content-encoding".to_owned(), (*value).to_owned())).collect();
            Coding::of(&headers)
        };
        assert_eq!((of(&[]), of(&["", "Identity"])), (Coding::Identity, Coding::Identity));
        assert_eq!((of(&["GZIP"]), of(&["identity, x-gzip"])), (Coding::Gzip, Coding::Gzip));
        assert_eq!(of(&["br"]), Coding::Other("br".to_owned()));
        assert_eq!(of(&["gzip", "gzip"]), Coding::Other("gzip, gzip".to_owned()));
    }
}
