//! Memory that a converting thread lends to the plan, and the results that the plan leaves in it.

use super::watch::{Sights, Watch};
use crate::buffer::OutBuf;
use crate::row::RowError;

/// Memory that a worker lends to [`super::Plan::run`], recycled from record to record.
#[derive(Default)]
pub struct Scratch {
    /// Why the last record was rejected; see [`super::Outcome::Rejected`].
    pub error: RowError,
    pub(super) text: Vec<u8>,
    pub(super) spare: Vec<u8>,
    /// True if the value is a list: `elements` instead of `text`.
    pub(super) is_list: bool,
    pub(super) elements: Elements,
    /// An object that is being written, before it becomes `text`.
    pub(super) json: OutBuf,
    /// True if a value contained the separator on trial.
    pub(super) clash: bool,
    pub(super) watch: Watch,
}

/// Texts, one after the other, each after its length: seven bits a byte, the lowest first, the highest bit set on all bytes but the
/// last. A list takes no more memory than its JSON text.
#[derive(Default)]
pub(super) struct Elements {
    bytes: Vec<u8>,
}

impl Elements {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        let mut rest = text.len();
        while rest > 0x7f {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self.bytes.extend_from_slice(text);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let ends = rest.iter().position(|byte| byte & 0x80 == 0).unwrap_or(rest.len() - 1) + 1;
            let len = rest[..ends].iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 0x7f));
            let (text, after) = rest[ends..].split_at(len.min(rest.len() - ends));
            rest = after;
            Some(text)
        })
    }
}

impl Scratch {
    /// Reserves room for a value of `bytes`, so that it need not move while it grows up to that.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.text.reserve_exact(bytes);
    }

    /// Starts counting warnings, until [`Scratch::sights`].
    pub(crate) fn watch(&mut self, columns: usize, identifiers: usize) {
        self.watch.start(columns.max(1), identifiers);
    }

    /// Continues with the counts of another scratch since [`Scratch::watch`].
    pub(crate) fn take_sights_of(&mut self, other: &mut Scratch) {
        std::mem::swap(&mut self.watch, &mut other.watch);
    }

    /// Returns the counts of warnings since [`Scratch::watch`].
    pub(crate) fn sights(&mut self) -> Sights {
        self.watch.take()
    }

    /// Returns true if something was found in the record that was run: see [`Scratch::commit`].
    #[inline(always)]
    pub(crate) fn is_pending(&self) -> bool {
        self.watch.is_pending()
    }

    /// Counts what was found in the record, because it was written.
    #[cold]
    pub(crate) fn commit(&mut self, record: u64) {
        self.watch.commit(record);
    }

    /// Drops what was found in the record, because it was not written.
    pub(crate) fn forget(&mut self) {
        self.watch.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_back_whatever_their_length() {
        let texts: Vec<Vec<u8>> = [0, 1, 127, 128, 129, 16_383, 16_384, 70_000].map(|len| vec![b'x'; len]).into();
        let mut elements = Elements::default();
        assert!(elements.is_empty());
        texts.iter().for_each(|text| elements.push(text));
        assert!(!elements.is_empty());
        assert!(elements.iter().eq(texts.iter().map(Vec::as_slice)));
    }
}
