//! XLSX: the rows of one sheet, decoded as a stream. Only mapped columns are kept.

mod at;
mod batches;
mod book;
mod columns;
mod decode;
mod foreign;
#[cfg(feature = "jobs")]
mod job_file;
mod number_format;
mod options;
mod package;
mod part;
mod reader;
mod serial;
mod sheet;
mod strings;
mod styles;
mod table;
mod text;
mod value;
mod xml;

#[cfg(feature = "jobs")]
pub(super) use job_file::XLSX;
pub use options::{SheetChoice, XlsxOptions};
pub use table::Xlsx;
