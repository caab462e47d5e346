//! The texts that mean an empty cell.

use std::sync::Arc;

/// Texts of unquoted cells that mean empty.
#[derive(Clone, Debug)]
pub(super) struct Nulls {
    texts: Arc<[Vec<u8>]>,
    /// Bit n: there is a text of n bytes; the last bit is also for longer ones.
    lengths: u64,
}

impl Nulls {
    pub(super) fn new(texts: &[Vec<u8>]) -> Nulls {
        let lengths = texts.iter().fold(0, |lengths, text| lengths | 1 << text.len().min(63));
        Nulls { texts: texts.into(), lengths }
    }

    /// Returns true if a raw cell is one of the texts.
    #[inline]
    pub(super) fn contain(&self, raw: &[u8]) -> bool {
        self.lengths >> raw.len().min(63) & 1 == 1 && self.texts.iter().any(|text| text == raw)
    }
}
