//! An input read by position, and the error for one that is damaged.

use crate::error::Error;
use crate::source::{Input, OpenSource};
use std::io;
use std::sync::Arc;

/// Returns the error for a workbook that is damaged.
pub(super) fn damaged(what: &str) -> Error {
    Error::data(format!("the Excel workbook is damaged: {what}")).with_hint("save, export or copy it again")
}

/// An input of a source, read by position.
#[derive(Clone)]
pub(super) struct At {
    pub(super) source: Arc<OpenSource>,
    pub(super) input: usize,
}

impl At {
    pub(super) fn input(&self) -> &Input {
        &self.source.inputs()[self.input]
    }
}

impl rawzip::ReaderAt for At {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.input().read_at(buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}
