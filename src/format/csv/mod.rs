//! Delimited text: CSV and TSV.

mod cells;
mod header;
mod kernel;
mod options;
mod row;
mod table;

pub use options::CsvOptions;
#[cfg(feature = "jobs")]
pub(super) use options::{CSV, TSV};
pub use table::Csv;
