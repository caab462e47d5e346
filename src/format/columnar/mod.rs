//! The common part of formats of Arrow's arrays (Parquet, Arrow IPC): columns found in a schema, values as text, and a reader of
//! batches.

mod column;
mod json;
mod meaning;
mod panic;
mod reader;
mod table;
mod typed;

#[cfg(feature = "arrow")]
pub(super) use column::UNREADABLE;
#[cfg(feature = "parquet")]
pub(super) use column::Wanted;
pub(super) use column::{Column, Columns};
pub(super) use meaning::Meaning;
pub(super) use panic::unless_panic;
pub(super) use reader::{Batch, BatchReader, MAX_BATCH_ROWS};
pub(super) use table::Columnar;
