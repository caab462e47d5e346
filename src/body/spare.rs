//! What records need that are much larger than a chunk: one set of memory for the whole pass, borrowed by the thread at the
//! head. One for each thread would break the memory promise, and so would making and freeing them for each record:
//! allocators keep for a thread what it freed.

use super::batch::RowLog;
use crate::buffer::OutBuf;
use crate::mapping::Scratch;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A row of more bytes goes to the consumer by itself.
pub(crate) const LARGE_ROW_BYTES: usize = 1 << 20;

/// What a converting thread works with.
pub(crate) struct Tools<R> {
    pub(crate) reader: R,
    pub(crate) scratch: Scratch,
    /// Only if no data is wanted: digested and reused.
    pub(crate) own: OutBuf,
}

impl<R> Tools<R> {
    pub(crate) fn new(reader: R) -> Tools<R> {
        Tools { reader, scratch: Scratch::default(), own: OutBuf::default() }
    }
}

/// The one set of tools that may be large; only the thread at the head has them.
pub(crate) struct SpareTools<R>(Mutex<Option<Tools<R>>>);

impl<R> SpareTools<R> {
    pub(crate) fn new() -> SpareTools<R> {
        SpareTools(Mutex::new(None))
    }

    pub(crate) fn take(&self) -> Option<Tools<R>> {
        lock(&self.0).take()
    }

    pub(crate) fn give_back(&self, tools: Tools<R>) {
        *lock(&self.0) = Some(tools);
    }
}

/// The one log for large rows; only the thread at the head has it.
#[derive(Default)]
pub(crate) struct SpareRows(Mutex<Option<RowLog>>);

impl SpareRows {
    pub(crate) fn take(&self) -> RowLog {
        lock(&self.0).take().unwrap_or_default()
    }

    /// Keeps the memory of rows that were handed over if it is large.
    pub(crate) fn give_back(&self, mut rows: RowLog) {
        if rows.capacity() > LARGE_ROW_BYTES {
            rows.clear();
            *lock(&self.0) = Some(rows);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
