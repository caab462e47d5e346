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

/// Texts, one after the other.
#[derive(Default)]
pub(super) struct Elements {
    texts: Vec<u8>,
    /// End of each text.
    ends: Vec<usize>,
}

impl Elements {
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.ends.clear();
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        self.texts.extend_from_slice(text);
        self.ends.push(self.texts.len());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ends.iter().scan(0, |from, &end| Some(&self.texts[std::mem::replace(from, end)..end]))
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
