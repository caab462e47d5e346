//! One value a line: a list of addresses or ids without header, delimiter and quotes.

mod kernel;
mod options;
mod row;
mod table;

#[cfg(feature = "jobs")]
pub(super) use options::LINES;
pub use options::LinesOptions;
pub use table::Lines;
