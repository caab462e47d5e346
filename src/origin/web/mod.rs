//! Files and objects that are read with GET requests: what web servers and object stores share.
//!
//! A file is pinned when it is opened: its size and a validator, which each request names and each response is compared
//! with. A server that serves no ranges, or names no validator, is read once and copied.

mod address;
mod content_range;
mod open;
mod pinned;
mod site;
mod validator;
mod whole;
mod words;

pub(super) use address::{Address, Hints, Target, Wanted};
pub(super) use open::{open, stamp};
#[cfg(feature = "store")]
pub(super) use pinned::Pinned;
pub(super) use site::Site;
#[cfg(feature = "store")]
pub(super) use validator::Validator;
#[cfg(feature = "store")]
pub(super) use words::refused;
