//! Files, globs and streams of this machine.

pub(crate) mod stoppable;
