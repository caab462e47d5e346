//! Classes of bytes in a dialect, so that one look-up replaces many comparisons.

use super::Dialect;

pub(super) const QUOTE: u8 = 1;
pub(super) const DELIMITER: u8 = 2;
pub(super) const LF: u8 = 4;
pub(super) const CR: u8 = 8;
/// A control character, DEL, `"`, `\\`, the dialect's quote and marked byte.
pub(super) const DIRTY: u8 = 16;

/// A dialect and the classes of the ASCII bytes. Bytes above have no class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classes {
    pub(super) dialect: Dialect,
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "AVX-512 looks bytes up, the others compare"))]
    pub(super) table: [u8; 128],
}

impl Classes {
    pub(super) fn new(dialect: Dialect) -> Classes {
        let mut table = [0; 128];
        for (byte, class) in (0..).zip(&mut table) {
            let marks = [b'"', b'\\', 0x7f, dialect.marked];
            if byte < 0x20 || marks.contains(&byte) || dialect.quote == Some(byte) {
                *class |= DIRTY;
            }
            if dialect.quote == Some(byte) {
                *class |= QUOTE;
            }
            match byte {
                b'\n' => *class |= LF,
                b'\r' => *class |= CR,
                _ if byte == dialect.delimiter => *class |= DELIMITER,
                _ => {}
            }
        }
        Classes { dialect, table }
    }
}
