//! The bytes of a list: files, globs and spooled streams, compressed or not.
//!
//! A source stays open across both passes. Plain files are read by position from several threads. Compressed files are
//! decompressed from their start once per pass: by the reader itself, on a background thread, or on several threads if
//! the file can be split.

mod beside;
mod codecs;
mod damage;
mod decompress;
mod encoding;
mod handles;
mod input;
mod list;
mod local;
mod once;
mod options;
mod paths;
mod pieces;
mod read_at;
pub(crate) mod spool;
#[cfg(feature = "upload")]
pub(crate) mod temporary;

pub use encoding::Encoding;
pub use input::Input;
#[cfg(feature = "jobs")]
pub(crate) use input::Reopen;
pub use list::OpenSource;
pub(crate) use options::CopyTo;
pub use options::{Compression, SourceOptions};
pub use read_at::{Identity, ReadAt, into_error};
#[cfg(feature = "xlsx")]
pub(crate) use spool::Scratch;

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "file times are compared")]
mod tests;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a slow reader sleeps")]
mod tests_beside;
