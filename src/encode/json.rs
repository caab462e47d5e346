//! Escaping inside JSON strings.

use crate::buffer::OutBuf;

/// For each byte, the character after the backslash: 0 if the byte needs no escape, `u` for `\u00xx`.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Appends `text` as the inside of a JSON string, without the quotes around it. Escapes are `\" \\ \b \f \n \r \t` and
/// `\u00xx` in lower case for the other C0 controls; everything else is copied.
pub fn escape(text: &[u8], out: &mut OutBuf) {
    let mut rest = text;
    loop {
        let clean = clean_prefix(rest);
        out.extend(&rest[..clean]);
        let Some(&byte) = rest.get(clean) else { return };
        write_escape(byte, out);
        rest = &rest[clean + 1..];
    }
}

fn write_escape(byte: u8, out: &mut OutBuf) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match ESCAPES[byte as usize] {
        b'u' => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend(&[b'\\', b'u', b'0', b'0', high, low]);
        }
        letter => out.extend(&[b'\\', letter]),
    }
}

/// Returns the number of bytes at the start that need no escape.
fn clean_prefix(text: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let mut done = 0;
    // the fold has no early exit, so that a block compiles to a few vector instructions
    for block in text.chunks_exact(BLOCK) {
        let any = block.iter().fold(false, |any, &b| any | (b < 0x20) | (b == b'"') | (b == b'\\'));
        if any {
            break;
        }
        done += BLOCK;
    }
    let rest = &text[done..];
    done + rest.iter().position(|&b| ESCAPES[b as usize] != 0).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &[u8]) -> Vec<u8> {
        let mut out = OutBuf::default();
        escape(text, &mut out);
        out.into_vec()
    }

    #[test]
    fn the_bytes_are_those_of_the_contract() {
        assert_eq!(escaped(b"a\"b\\c\x08\x0c\n\r\t"), br#"a\"b\\c\b\f\n\r\t"#);
        assert_eq!(escaped(b"\x00\x01\x1f\x7f/"), b"\\u0000\\u0001\\u001f\x7f/");
        assert_eq!(escaped("é\u{2028}😀".as_bytes()), "é\u{2028}😀".as_bytes());
    }

    proptest! {
        #[test]
        fn it_parses_back_to_the_same_text(text in "([a-z\"\\\\]|[\\x00-\\x7f]|\\PC){0,100}") {
            let mut json = vec![b'"'];
            json.extend(escaped(text.as_bytes()));
            json.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text.clone());
            // serde_json escapes by the same rules
            prop_assert_eq!(json, serde_json::to_vec(&text).unwrap());
        }
    }
}
