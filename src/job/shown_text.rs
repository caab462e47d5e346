//! Text for people: UTF-8, with all other bytes escaped.

use std::io::{ErrorKind, Read, Result, Write};

/// Copies a text to `out`; bytes that are not UTF-8 become `\xff` and the like. Returns the number of bytes read.
pub(super) fn copy(from: &mut dyn Read, out: &mut dyn Write) -> Result<u64> {
    let (mut buffer, mut filled, mut total) = (vec![0; 64 << 10], 0, 0u64);
    loop {
        let read = match from.read(&mut buffer[filled..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        (filled, total) = (filled + read, total + read as u64);
        let whole = if read == 0 { filled } else { filled - unfinished(&buffer[..filled]) };
        for chunk in buffer[..whole].utf8_chunks() {
            out.write_all(chunk.valid().as_bytes())?;
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        if read == 0 {
            return Ok(total);
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// Returns the number of bytes at the end that may be the start of a character.
fn unfinished(text: &[u8]) -> usize {
    let starts = |back: &usize| {
        let byte = text[text.len() - back];
        let len = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 0,
        };
        len > *back
    };
    (1..=3.min(text.len())).find(starts).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Few<'t>(&'t [u8], usize);

    impl Read for Few<'_> {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
            let n = self.1.min(self.0.len()).min(buf.len());
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_escaped_wherever_reads_end() {
        let text = b"a\xffb \xc3\xa9 \xc3 \xf0\x9f\x98\x80 \xe2\x82, \xf0\x9f\x98";
        for few in 1..text.len() {
            let mut out = Vec::new();
            assert_eq!(copy(&mut Few(text, few), &mut out).unwrap(), text.len() as u64);
            let want = "a\\xffb é \\xc3 😀 \\xe2\\x82, \\xf0\\x9f\\x98";
            assert_eq!(String::from_utf8(out).unwrap(), want, "{few} at a time");
        }
    }
}
