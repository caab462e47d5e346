//! Arrow IPC: files and streams, read from their start. Only the bytes of mapped columns are read, if the source is read by
//! position.

mod batches;
mod content;
#[cfg(feature = "jobs")]
mod job_file;
mod layout;
mod options;
mod stream;
mod table;

#[cfg(feature = "jobs")]
pub(super) use job_file::ARROW;
pub use options::ArrowOptions;
pub use table::Arrow;
