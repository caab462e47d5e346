//! Delimited text: CSV and TSV.

mod cells;
mod header;
#[cfg(feature = "jobs")]
mod job_file;
mod kernel;
mod options;
mod row;
mod table;

#[cfg(feature = "jobs")]
pub(super) use job_file::{CSV, TSV};
pub use options::CsvOptions;
pub use table::Csv;
