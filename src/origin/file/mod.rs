//! Files, globs and streams of this machine.

mod job_file;
mod stoppable;

pub(crate) use job_file::ENTRY;
