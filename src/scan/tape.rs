//! The result of a scan: positions of cell ends, record ends, masks.

/// The structure of a stretch of text, by position from its start.
#[derive(Default)]
pub struct Tape {
    /// The position of each delimiter and record end outside quotes.
    pub cells: Vec<u32>,
    /// For each record, the index into `cells` after its last cell.
    pub records: Vec<u32>,
    /// Control characters, DEL, `"`, `\`, the dialect's quote and marked byte.
    pub dirty: Bits,
    /// The same, and bytes above 0x7F.
    pub odd: Bits,
    /// Positions of bytes that follow a closing quote and are not a delimiter, line end or quote.
    pub junk: Vec<u32>,
    /// Number of physical line ends, including those inside quotes.
    pub lines: u64,
}

/// A bit for each byte of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    /// Bit i of byte n is for position 8 n + i; there are two words more than needed.
    bytes: Vec<u8>,
}

impl Bits {
    /// Returns all bits; those past the end of the text are meaningless.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// Whether there is room for a text of `len` bytes.
    pub(super) fn reaches(&self, len: usize) -> bool {
        self.bytes.len() / 8 > len.div_ceil(64)
    }

    fn start(&mut self, len: usize) {
        let bytes = (len / 64 + 3) * 8;
        if self.bytes.len() < bytes {
            self.bytes.resize(bytes, 0);
        }
    }

    pub(super) fn clear_word(&mut self, at: usize) {
        self.bytes[at / 64 * 8..][..8].fill(0);
    }

    pub(super) fn set(&mut self, at: usize) {
        self.bytes[at / 8] |= 1 << (at % 8);
    }

    /// Returns the bits that belong to a text of `len` bytes, for comparison.
    #[must_use]
    pub fn of(&self, len: usize) -> &[u8] {
        &self.bytes[..len.div_ceil(64) * 8]
    }
}

/// Returns the bits from position `at` on, at least 57 of them.
///
/// # Panics
/// If `bits` does not continue for eight bytes from there.
#[inline(always)]
#[must_use]
pub fn bits_from(bits: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&bits[at >> 3..(at >> 3) + 8]);
    u64::from_le_bytes(bytes) >> (at & 7)
}

/// Returns true if a bit of `at .. at + len` is set.
///
/// # Panics
/// If `bits` does not continue for eight bytes from any of them.
#[inline(always)]
#[must_use]
pub fn any_bit(bits: &[u8], mut at: usize, mut len: usize) -> bool {
    while len > 57 {
        if bits_from(bits, at) << 7 != 0 {
            return true;
        }
        (at, len) = (at + 57, len - 57);
    }
    bits_from(bits, at) & ((1 << len) - 1) != 0
}

/// The state that crosses from one stretch to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carry {
    /// All ones inside a quoted cell.
    pub(super) inside: u64,
    /// The highest bit says whether the next byte may open a quote; the others are meaningless.
    pub(super) may_open: u64,
    /// 1 if the byte before closed a quote.
    pub(super) closed: u64,
    /// 1 if the byte before was a CR that ended a record.
    pub(super) cr: u64,
    /// 1 if the byte before was any CR.
    pub(super) any_cr: u64,
}

impl Carry {
    /// The state at the start of a line, which is outside quotes or inside a quoted cell.
    #[must_use]
    pub fn new(inside: bool) -> Carry {
        Carry { inside: if inside { !0 } else { 0 }, may_open: u64::from(!inside) << 63, closed: 0, cr: 0, any_cr: 0 }
    }

    /// Whether a quoted cell is open.
    #[must_use]
    pub fn inside(&self) -> bool {
        self.inside != 0
    }
}

impl Tape {
    /// Empties the tape for a text of `len` bytes.
    pub fn start(&mut self, len: usize) {
        self.cells.clear();
        self.records.clear();
        self.junk.clear();
        self.lines = 0;
        self.dirty.start(len);
        self.odd.start(len);
    }

    /// Makes room for a stretch of `bytes` more bytes.
    pub(super) fn reserve(&mut self, bytes: usize) {
        // the flattening writes up to 64 values past the last
        self.cells.reserve(bytes + 128);
        self.records.reserve(bytes + 64);
    }

    /// Drops the cells before `cell`, all records and all counted lines; the rest belongs to a record that is not
    /// complete.
    pub fn keep_from(&mut self, cell: usize) {
        let left = self.cells.len() - cell;
        self.cells.copy_within(cell.., 0);
        self.cells.truncate(left);
        self.records.clear();
    }

    /// Keeps at most `most` cells of a record that is not complete; returns how many it drops.
    pub fn drop_cells(&mut self, most: usize) -> usize {
        let dropped = self.cells.len().saturating_sub(most);
        self.cells.truncate(most);
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bit_is_any(words in proptest::collection::vec(prop_oneof![3 => Just(0u64), 1 => any::<u64>(), 1 => (0u32..64).prop_map(|b| 1 << b)], 8), at in 0usize..320, len in 0usize..320) {
            let len = len.min(320 - at);
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let naive = (at..at + len).any(|i| words[i >> 6] >> (i & 63) & 1 == 1);
            prop_assert_eq!(any_bit(&bytes, at, len), naive);
        }
    }
}
