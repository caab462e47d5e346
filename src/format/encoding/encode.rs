//! Text back in the encoding of its source.

use super::undecoded::{Part, parts};
use crate::source::Encoding;
use encoding_rs::EncoderResult;
use std::collections::HashMap;
use std::io::{Result, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Writes a text in an encoding; bytes that could not be decoded are written as they were.
pub(in crate::format) fn encode(text: &[u8], encoding: Encoding, out: &mut dyn Write) -> Result<()> {
    if encoding.is_utf8() {
        return out.write_all(text);
    }
    for part in parts(text) {
        match part {
            Part::Byte(byte) => out.write_all(&[byte])?,
            Part::Text(text) if encoding.is_utf16() => {
                let unit = if encoding.is_big_endian() { u16::to_be_bytes } else { u16::to_le_bytes };
                text.encode_utf16().try_for_each(|of| out.write_all(&unit(of)))?;
            }
            Part::Text(text) => encode_run(text, encoding, out)?,
        }
    }
    Ok(())
}

fn encode_run(text: &str, encoding: Encoding, out: &mut dyn Write) -> Result<()> {
    let mut encoder = encoding.encoder();
    let (mut buffer, mut rest) = ([0; 4096], text);
    loop {
        let (result, read, written) = encoder.encode_from_utf8_without_replacement(rest, &mut buffer, true);
        out.write_all(&buffer[..written])?;
        rest = &rest[read..];
        match result {
            EncoderResult::InputEmpty => return Ok(()),
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(character) => {
                let others = others(encoding);
                // a few codes stand for two characters
                let pair = rest.chars().next().map(|next| String::from_iter([character, next]));
                if let Some((pair, bytes)) = pair.and_then(|pair| others.get_key_value(&pair)) {
                    out.write_all(bytes)?;
                    rest = &rest[pair.len() - character.len_utf8()..];
                } else {
                    out.write_all(others.get(character.encode_utf8(&mut [0; 4]) as &str).map_or(b"?", Vec::as_slice))?;
                }
            }
        }
    }
}

/// Codes by what they stand for.
type Codes = HashMap<String, Vec<u8>>;

/// Returns the codes that the decoder knows and the encoder does not use: a part of EUC-JP, the additions of Hong Kong to
/// Big5, the private characters of Shift_JIS.
fn others(encoding: Encoding) -> Arc<Codes> {
    static FOUND: Mutex<Vec<(Encoding, Arc<Codes>)>> = Mutex::new(Vec::new());
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, codes)) = found.iter().find(|(known, _)| *known == encoding) {
        return Arc::clone(codes);
    }
    let before: &[u8] = if encoding.name() == "EUC-JP" { &[0x8f] } else { &[] };
    let mut codes = Codes::new();
    for (lead, trail) in (0x81..=0xfe).flat_map(|lead| (0x40..=0xfe).map(move |trail| (lead, trail))) {
        let bytes = [before, &[lead, trail]].concat();
        let mut text = String::with_capacity(32);
        let (result, _) = encoding.decoder().decode_to_string_without_replacement(&bytes, &mut text, true);
        if result == encoding_rs::DecoderResult::InputEmpty {
            codes.entry(text).or_insert(bytes);
        }
    }
    let codes = Arc::new(codes);
    found.push((encoding, Arc::clone(&codes)));
    codes
}

#[cfg(test)]
mod tests {
    use super::super::undecoded::mark;
    use super::*;

    fn encoded(text: &[u8], label: &str) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text, Encoding::for_label(label).unwrap(), &mut out).unwrap();
        out
    }

    #[test]
    fn text_is_written_as_it_was_in_every_encoding() {
        assert_eq!(encoded("aé€".as_bytes(), "latin1"), b"a\xe9\x80");
        assert_eq!(encoded("a😀".as_bytes(), "utf-16le"), b"a\0\x3d\xd8\0\xde");
        assert_eq!(encoded("a😀".as_bytes(), "utf-16be"), b"\0a\xd8\x3d\xde\0");
        assert_eq!(encoded(&[b"a".as_slice(), &mark(0x81), b"b"].concat(), "latin1"), b"a\x81b");
        assert_eq!(encoded("表示".as_bytes(), "shift_jis"), b"\x95\x5c\x8e\xa6");
    }

    #[test]
    fn what_a_decoder_reads_is_written_back() {
        let all: Vec<Vec<u8>> = (0x81..=0xfe).flat_map(|a| (0x30..=0xfe).map(move |b| vec![a, b])).collect();
        let three = (0xa1..=0xfe).flat_map(|a| (0xa1..=0xfe).map(move |b| vec![0x8f, a, b]));
        for label in ["euc-jp", "big5", "shift_jis", "gbk", "euc-kr", "windows-1252", "koi8-r"] {
            let encoding = Encoding::for_label(label).unwrap();
            let mut different = 0;
            for bytes in all.iter().cloned().chain(three.clone()) {
                let decode = |bytes: &[u8]| {
                    let mut text = String::with_capacity(64);
                    let (result, _) = encoding.decoder().decode_to_string_without_replacement(bytes, &mut text, true);
                    (result == encoding_rs::DecoderResult::InputEmpty).then_some(text)
                };
                let Some(text) = decode(&bytes) else { continue };
                let back = encoded(text.as_bytes(), label);
                // several codes may stand for a character, and each is right
                assert_eq!(decode(&back).as_ref(), Some(&text), "{label} {bytes:x?}");
                different += usize::from(back != bytes);
            }
            assert!(different < 1500, "{label}: {different}");
        }
    }
}
