//! Parquet: only mapped columns are decoded, in batches of at most 8,192 rows.

mod batches;
mod file;
#[cfg(feature = "jobs")]
mod job_file;
mod options;
mod pages;
mod schema;
mod table;
mod thrift;

#[cfg(feature = "jobs")]
pub(super) use job_file::PARQUET;
pub use options::ParquetOptions;
pub use table::Parquet;
