//! The values of a record that was kept, as an iterator, which does not copy large values.

use std::borrow::Cow;

/// The values of a record, in the order of the columns.
pub type Cells<'k> = Box<dyn Iterator<Item = Cell<'k>> + 'k>;

/// The value of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell<'k> {
    text: Cow<'k, [u8]>,
    /// Byte that is doubled in `text`: two of them mean one.
    doubled: Option<u8>,
}

impl<'k> Cell<'k> {
    /// Creates a value.
    #[must_use]
    pub fn new(text: impl Into<Cow<'k, [u8]>>) -> Cell<'k> {
        Cell { text: text.into(), doubled: None }
    }

    /// Creates a value in which two of `byte` mean one.
    #[must_use]
    pub fn with_doubled(text: &'k [u8], byte: u8) -> Cell<'k> {
        Cell { text: Cow::Borrowed(text), doubled: memchr::memchr(byte, text).map(|_| byte) }
    }

    /// Returns the value in pieces, without copying any.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(&*self.text);
        std::iter::from_fn(move || {
            let text = rest.take()?;
            let Some(at) = self.doubled.and_then(|byte| memchr::memchr(byte, text)) else { return Some(text) };
            let after = &text[(at + 2).min(text.len())..];
            rest = (!after.is_empty()).then_some(after);
            Some(&text[..=at])
        })
    }

    /// Returns the value as a single text.
    #[must_use]
    pub fn into_value(self) -> Cow<'k, [u8]> {
        match (&self.doubled, self.text) {
            (None, text) => text,
            (Some(byte), text) => Cell { text, doubled: Some(*byte) }.pieces().collect::<Vec<_>>().concat().into(),
        }
    }
}
