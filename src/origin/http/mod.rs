//! Files of web servers.

mod address;
mod job_file;

pub(crate) use job_file::ENTRY;
