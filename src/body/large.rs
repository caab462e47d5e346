//! What records need that are much larger than a chunk: one set of buffers for the whole pass, borrowed by the thread at the
//! head. One for each thread would break the memory promise, and so would making and freeing them for each record:
//! allocators keep for a thread what it freed.

use super::grid::Buffer;
use super::worker::Rows;
use crate::buffer::OutBuf;
use crate::mapping::Scratch;
use crate::reader::kernel::Kernel;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A row of more bytes goes to the consumer by itself.
pub(crate) const LARGE_ROW_BYTES: usize = 1 << 20;

/// What a converting thread works with.
pub(crate) struct Tools {
    pub(crate) kernel: Kernel,
    pub(crate) buffer: Buffer,
    pub(crate) scratch: Scratch,
    /// Only where no data is wanted: digested and reused.
    pub(crate) own: OutBuf,
}

impl Tools {
    pub(crate) fn new(kernel: Kernel) -> Tools {
        Tools { kernel, buffer: Buffer::default(), scratch: Scratch::default(), own: OutBuf::default() }
    }
}

/// The one set of large tools, and the one arena for large rows; only the thread at the head has them.
#[derive(Default)]
pub(crate) struct Large {
    tools: Mutex<Option<Tools>>,
    rows: Mutex<Option<Rows>>,
}

impl Large {
    pub(crate) fn take_tools(&self) -> Option<Tools> {
        lock(&self.tools).take()
    }

    pub(crate) fn give_back_tools(&self, tools: Tools) {
        *lock(&self.tools) = Some(tools);
    }

    pub(crate) fn take_rows(&self) -> Rows {
        lock(&self.rows).take().unwrap_or_default()
    }

    /// Keeps the memory of rows that were handed over if it is large.
    pub(crate) fn give_back_rows(&self, mut rows: Rows) {
        if rows.arena.capacity() > LARGE_ROW_BYTES {
            rows.items.clear();
            rows.arena.clear();
            *lock(&self.rows) = Some(rows);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
