//! Removes secrets from texts of servers that messages quote.

use super::Remote;
use super::reply::quoted_text;
use crate::error::Error;

impl Remote<'_> {
    /// Returns a server's text for a message: one line, printable, cut, without secrets.
    #[must_use]
    pub fn said(&self, text: &str) -> String {
        quoted_text(&self.taint().text(text))
    }

    /// Removes secrets from an error that quotes a server. The hint is our own text, so its words stay, even if one of
    /// them is a password somewhere.
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
