//! Delimited text: CSV, TSV, and the dialects of databases and spreadsheets.

mod cells;
mod decode;
mod dialect;
mod dialect_row;
mod header;
#[cfg(feature = "jobs")]
mod job_file;
mod kernel;
mod nulls;
mod options;
mod preamble;
mod row;
mod table;
mod trailer;

#[cfg(feature = "jobs")]
pub(super) use job_file::{CSV, TSV};
pub use options::CsvOptions;
pub use table::Csv;
