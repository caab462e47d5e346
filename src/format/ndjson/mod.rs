//! NDJSON: one JSON object per line.

#[cfg(feature = "jobs")]
mod job_file;
mod kernel;
mod keys;
mod options;
mod row;
#[cfg(feature = "jobs")]
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod walk;

#[cfg(feature = "jobs")]
pub(super) use job_file::NDJSON;
pub use options::NdjsonOptions;
pub use table::Ndjson;
