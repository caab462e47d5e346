//! `host.ftp`: sends the list by FTP, plain or with explicit TLS.

mod send;
mod session;
mod target;

pub(super) use send::{FTP, left_behind, send};
pub(super) use target::Target;
