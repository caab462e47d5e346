//! Where the structure of a delimited text lies, found 64 bytes at a time. The only room with `unsafe`.

pub mod slack;

pub use slack::{Out, Padded, SLACK};
