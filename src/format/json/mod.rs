//! JSON text that several formats have: strings, and lists of values.

pub(super) mod list;
pub(super) mod string;
