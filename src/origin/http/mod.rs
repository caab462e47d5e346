//! Files of web servers.
//!
//! A file is pinned when it is opened: its size and a validator, which each request names and each response is compared
//! with. A server that serves no ranges, or names no validator, is read once and copied.

mod content_range;
mod job_file;
mod open;
mod options;
mod pinned;
mod site;
mod validator;
mod whole;
mod words;

pub(crate) use job_file::ENTRY;
