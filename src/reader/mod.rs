//! Records of a delimited text: dialect, header, chunk grid, seams.

mod foreign;
mod header;
pub(crate) mod kernel;
pub mod record;
pub mod table;

pub use record::{Record, unquote};
pub use table::{CsvOptions, Table};
pub(crate) use table::{listed, shown};
