//! Arrow IPC: files and streams, read from their start. Only the bytes of mapped columns are kept in memory, and only
//! they are read if the source is read by position.

mod batches;
mod compact;
mod content;
mod damage;
#[cfg(feature = "jobs")]
mod job_file;
mod layout;
mod options;
mod schema;
mod stream;
mod table;

#[cfg(feature = "jobs")]
pub(super) use job_file::ARROW;
pub use options::ArrowOptions;
pub use table::Arrow;
