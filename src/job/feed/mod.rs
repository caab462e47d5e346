//! Records that a program has: serialised, spooled compressed, then measured and sent.

mod records;
mod rows;
mod spooler;

pub use records::Feed;
