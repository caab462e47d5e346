//! JSON text and delimited cells, written into an [`crate::scan::OutBuf`]; record boundaries in what was written.

pub mod cell;
pub mod cut;
pub mod json;

pub use cell::{cell, needs_quotes};
pub use cut::{count_records, cut};
pub use json::escape;
