//! Content of other machines, read by position: ranges are read ahead by a thread of its own, in bounded memory.
//!
//! An origin implements [`Ranged`]; [`RemoteFiles`] makes a [`crate::source::ReadAt`] of it. Its readers are the
//! converting threads, which may block; the requests are made by a [`Driver`], so that nothing depends on the runtime of
//! the caller.

mod contract;
mod driver;
mod remote_file;
mod window;

pub(super) use contract::Ranged;
pub(super) use driver::Driver;
pub(super) use remote_file::RemoteFiles;
pub(super) use window::{Reader, Window};
