//! Reads as much of Thrift's compact protocol as is checked before the `parquet` crate reads it: headers of pages, and
//! whether a footer says that the file is encrypted.

/// The header of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// Type of the page: 2 is a dictionary.
    pub(super) kind: i64,
    /// Size of the content after decompression, and as stored.
    pub(super) uncompressed: i64,
    pub(super) compressed: i64,
    /// Number of values, nulls included.
    pub(super) values: i64,
    /// Bytes before the compressed part.
    pub(super) levels: i64,
    /// CRC-32 of the content as stored.
    pub(super) crc: Option<u32>,
    /// Length of the header itself.
    pub(super) len: usize,
}

impl PageHeader {
    pub(super) fn is_dictionary(&self) -> bool {
        self.kind == 2
    }
}

/// Reads the header of a page; `None`: it is not complete, or not valid.
pub(super) fn page_header(bytes: &[u8]) -> Option<PageHeader> {
    let mut header = PageHeader::default();
    let mut input = Compact { bytes, at: 0 };
    input.fields(|input, id, kind| match id {
        1 => input.integer().map(|value| header.kind = value),
        2 => input.integer().map(|value| header.uncompressed = value),
        3 => input.integer().map(|value| header.compressed = value),
        4 if kind == I32 => input.integer().map(|value| header.crc = Some(value as u32)),
        // data, dictionary, and data of the second version
        5 | 7 | 8 if kind == STRUCT => input.fields(|input, inner, kind| match (id, inner) {
            (_, 1) => input.integer().map(|value| header.values = value),
            (8, 5 | 6) => input.integer().map(|value| header.levels = header.levels.saturating_add(value)),
            _ => input.skip(kind, 0),
        }),
        _ => input.skip(kind, 0),
    })?;
    header.len = input.at;
    Some(header)
}

/// Returns true if a footer names an encryption algorithm.
pub(super) fn is_encrypted(footer: &[u8]) -> bool {
    let mut found = false;
    let mut input = Compact { bytes: footer, at: 0 };
    // a footer that is not valid is refused when it is decoded
    let _ = input.fields(|input, id, kind| {
        found |= id == 8;
        input.skip(kind, 0)
    });
    found
}

const I32: u8 = 5;
const STRUCT: u8 = 12;

/// Deepest nesting that is skipped.
const MAX_DEPTH: usize = 32;

struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn advance(&mut self, bytes: u64) -> Option<()> {
        let to = self.at.checked_add(usize::try_from(bytes).ok()?)?;
        (to <= self.bytes.len()).then(|| self.at = to)
    }

    /// Passes each field of a struct to `each`, which reads its value.
    fn fields(&mut self, mut each: impl FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => self.integer()?,
                delta => id.wrapping_add(i64::from(delta)),
            };
            each(self, id, head & 15)?;
        }
    }

    /// Skips a value of a field.
    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            // booleans: the type is the value
            1 | 2 => Some(()),
            3 => self.advance(1),
            4..=6 => self.unsigned().map(drop),
            7 => self.advance(8),
            8 => {
                let len = self.unsigned()?;
                self.advance(len)
            }
            9 | 10 => {
                let head = self.byte()?;
                let len = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
                (0..len).try_for_each(|_| self.skip_element(head & 15, depth))
            }
            11 => {
                let len = self.unsigned()?;
                let kinds = if len > 0 { self.byte()? } else { 0 };
                (0..len).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 15, depth)
                })
            }
            STRUCT => self.fields(|input, _, kind| input.skip(kind, depth + 1)),
            13 => self.advance(16),
            _ => None,
        }
    }

    /// Skips an element of a collection, in which a boolean is a byte.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1 | 2 => self.advance(1),
            kind => self.skip(kind, depth + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A dictionary page of 36,000,000 bytes: type 2, uncompressed, compressed 1000, 5 values, PLAIN.
    const DICTIONARY: &[u8] = &[0x15, 4, 0x15, 0x80, 0xc4, 0xaa, 0x22, 0x15, 0xd0, 0x0f, 0x4c, 0x15, 10, 0x15, 0, 0, 0];

    #[test]
    fn a_header_has_its_sizes_and_its_length() {
        let header = page_header(&[DICTIONARY, b"rest"].concat()).unwrap();
        let want = PageHeader {
            kind: 2,
            uncompressed: 36_000_000,
            compressed: 1000,
            values: 5,
            levels: 0,
            crc: None,
            len: DICTIONARY.len(),
        };
        assert_eq!(header, want);
        assert!(header.is_dictionary());
        for cut in 0..DICTIONARY.len() {
            assert_eq!(page_header(&DICTIONARY[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_header_has_its_checksum() {
        // the same page, with field 4, an integer of 32 bits
        let bytes = [&DICTIONARY[..10], &[0x15, 1], &[0x3c, 0x15, 10, 0x15, 0, 0, 0]].concat();
        let header = page_header(&bytes).unwrap();
        assert_eq!((header.crc, header.values, header.len), (Some(u32::MAX), 5, bytes.len()));
    }

    #[test]
    fn an_encrypted_footer_is_known() {
        // version 1, an empty list, num_rows 0, then field 8, a struct
        let plain = [0x15, 2, 0x19, 0x0c, 0x16, 0, 0];
        let encrypted = [0x15, 2, 0x19, 0x0c, 0x16, 0, 0x5c, 0, 0];
        assert!(!is_encrypted(&plain));
        assert!(is_encrypted(&encrypted));
    }

    proptest! {
        #[test]
        fn no_input_panics_or_takes_long(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = page_header(&bytes);
            let _ = is_encrypted(&bytes);
        }
    }
}
