//! Writes a job file for a source: `listferry init`.

mod destination;
mod dialect;
mod draft;
mod kind;
mod map;
mod reading;
mod sample;
mod yaml;

pub use draft::{Draft, draft};
