//! `listferry doctor`: checks everything around a run without sending or creating anything.

mod checkup;
mod finding;
mod local;
mod network;
mod state;

pub use finding::{Finding, Health};
