//! The parts that all formats of text lines share: the grid of chunks, streams, seams, long records, positions, and the
//! detection of foreign formats by the first bytes of an input.

mod bytes;
mod foreign;
mod front;
mod grid;
mod reader;
mod region;
mod rules;

pub(super) use front::{BOM, Front, refuse_foreign};
#[cfg(any(feature = "parquet", feature = "arrow", feature = "xlsx"))]
pub(super) use region::Places;
pub(super) use region::{Region, Unsplit, row_of_region};
pub(super) use rules::{DataStart, End, Stretch, Text, lines_between, longer_than, record_start};
