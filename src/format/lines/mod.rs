//! One value per line: a list of addresses or ids without header, delimiter and quotes.

#[cfg(feature = "jobs")]
mod job_file;
mod kernel;
mod options;
mod row;
mod table;

#[cfg(feature = "jobs")]
pub(super) use job_file::LINES;
pub use options::LinesOptions;
pub use table::Lines;
