//! Files, globs and streams of this machine.

mod job_file;

pub(crate) use job_file::ENTRY;
