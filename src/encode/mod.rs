//! Writes JSON text and delimited cells into a [`crate::buffer::OutBuf`], and finds record boundaries in the output.

pub mod cell;
pub mod cut;
pub mod json;

pub use cell::{cell, needs_quotes};
pub use cut::{count_records, cut};
pub use json::escape;
