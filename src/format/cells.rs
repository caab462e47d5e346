//! The values of a record that was kept, as an iterator, which does not copy large values.

use super::escape::pieces;
use std::borrow::Cow;

/// The values of a record, in the order of the columns.
pub type Cells<'k> = Box<dyn Iterator<Item = Cell<'k>> + 'k>;

/// The value of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell<'k> {
    text: Cow<'k, [u8]>,
    coding: Coding,
}

/// How the value of a cell is written in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    /// As it is.
    Plain,
    /// Two of this byte mean one.
    Doubled(u8),
    /// With backslashes.
    Escaped,
}

impl<'k> Cell<'k> {
    /// Creates a value.
    #[must_use]
    pub fn new(text: impl Into<Cow<'k, [u8]>>) -> Cell<'k> {
        Cell { text: text.into(), coding: Coding::Plain }
    }

    /// Creates a value in which two of `byte` mean one.
    #[must_use]
    pub fn with_doubled(text: &'k [u8], byte: u8) -> Cell<'k> {
        let coding = if memchr::memchr(byte, text).is_some() { Coding::Doubled(byte) } else { Coding::Plain };
        Cell { text: Cow::Borrowed(text), coding }
    }

    /// Creates a value in which a backslash takes the meaning of the next byte.
    #[must_use]
    pub fn with_escapes(text: &'k [u8]) -> Cell<'k> {
        let coding = if memchr::memchr(b'\\', text).is_some() { Coding::Escaped } else { Coding::Plain };
        Cell { text: Cow::Borrowed(text), coding }
    }

    /// Returns the value in pieces, without copying any.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let doubled = match self.coding {
            Coding::Doubled(byte) => Some(byte),
            _ => None,
        };
        let is_escaped = self.coding == Coding::Escaped;
        let escaped = is_escaped.then(|| pieces(&self.text)).into_iter().flatten();
        let mut rest = (!is_escaped).then_some(&*self.text);
        let others = std::iter::from_fn(move || {
            let text = rest.take()?;
            let Some(at) = doubled.and_then(|byte| memchr::memchr(byte, text)) else { return Some(text) };
            let after = &text[(at + 2).min(text.len())..];
            rest = (!after.is_empty()).then_some(after);
            Some(&text[..=at])
        });
        escaped.chain(others)
    }

    /// Changes the text of the cell; its quotes and escapes stay.
    pub(super) fn map(self, change: impl FnOnce(Cow<'k, [u8]>) -> Cow<'k, [u8]>) -> Cell<'k> {
        match self.coding {
            Coding::Escaped => Cell::new(change(self.into_value())),
            coding => Cell { text: change(self.text), coding },
        }
    }

    /// Returns the value as a single text.
    #[must_use]
    pub fn into_value(self) -> Cow<'k, [u8]> {
        match self.coding {
            Coding::Plain => self.text,
            _ => self.pieces().collect::<Vec<_>>().concat().into(),
        }
    }
}
