//! Texts of the other side as messages may quote them.

use super::Remote;
use super::reply::quoted_text;
use crate::error::Error;

impl Remote<'_> {
    /// A text of the other side as a message may quote it: one line, printable, cut, without secrets.
    #[must_use]
    pub fn said(&self, text: &str) -> String {
        quoted_text(&self.taint().text(text))
    }

    /// An error that quotes the other side, without secrets. The hint is ours: words of it stay, even if they are a
    /// password somewhere.
    #[must_use]
    pub fn hidden(&self, error: Error) -> Error {
        let hint = error.hint().map(|hint| self.taint().own_text(hint).into_owned());
        let error = error.map_text(|text| self.taint().text(text).into_owned());
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
