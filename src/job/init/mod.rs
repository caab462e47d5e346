//! Writes a job file for a source: `listferry init`.

mod destination;
mod draft;
mod kind;
mod map;
mod sample;
mod yaml;

pub use draft::{Draft, draft};
