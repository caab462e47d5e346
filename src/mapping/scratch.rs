//! Memory that a converting thread lends to the plan, and what the plan leaves in it.

use super::watch::{Sights, Watch};
use crate::buffer::OutBuf;
use crate::row::RowError;

/// What a worker lends to [`super::Plan::run`]; recycled from record to record.
#[derive(Default)]
pub struct Scratch {
    /// Why the last record was rejected; see [`super::Outcome::Rejected`].
    pub error: RowError,
    pub(super) text: Vec<u8>,
    pub(super) spare: Vec<u8>,
    /// The value is a list: `elements` in place of `text`.
    pub(super) is_list: bool,
    pub(super) elements: Elements,
    /// An object on its way into `text`.
    pub(super) json: OutBuf,
    /// A value held the separator on trial.
    pub(super) clash: bool,
    pub(super) watch: Watch,
}

/// Texts one after the other.
#[derive(Default)]
pub(super) struct Elements {
    texts: Vec<u8>,
    /// Where each of them ends.
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
    /// Counts what warnings are about from here on, until [`Scratch::sights`].
    pub(crate) fn watch(&mut self, columns: usize, identifiers: usize) {
        self.watch.start(columns.max(1), identifiers);
    }

    /// Goes on with what another scratch has counted since [`Scratch::watch`].
    pub(crate) fn take_sights_of(&mut self, other: &mut Scratch) {
        std::mem::swap(&mut self.watch, &mut other.watch);
    }

    /// What warnings are about, since [`Scratch::watch`].
    pub(crate) fn sights(&mut self) -> Sights {
        self.watch.take()
    }

    /// True if something was seen in the record that was run: see [`Scratch::commit`].
    #[inline(always)]
    pub(crate) fn is_pending(&self) -> bool {
        self.watch.is_pending()
    }

    /// The record was written: what was seen in it counts.
    #[cold]
    pub(crate) fn commit(&mut self, record: u64) {
        self.watch.commit(record);
    }

    /// The record was not written.
    pub(crate) fn forget(&mut self) {
        self.watch.forget();
    }
}
