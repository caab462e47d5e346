//! Memory for records that are much larger than a chunk: one set for the whole pass, borrowed by the thread at the
//! head. One per thread would break the memory promise, and so would allocating it for each record, because allocators
//! keep freed memory per thread.

use super::batch::RowLog;
use super::slab::LARGE_ROOM;
use crate::buffer::OutBuf;
use crate::format::{Format, Reader};
use crate::mapping::Scratch;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A larger row is passed to the consumer by itself.
pub(crate) const LARGE_ROW_BYTES: usize = 1 << 20;

/// The tools of a converting thread.
pub(crate) struct Tools<R> {
    pub(crate) reader: R,
    pub(crate) scratch: Scratch,
    /// Output of a pass that wants no data: digested and reused.
    pub(crate) own: OutBuf,
}

impl<R> Tools<R> {
    pub(crate) fn new(reader: R) -> Tools<R> {
        Tools { reader, scratch: Scratch::default(), own: OutBuf::default() }
    }

    /// Tools for large records: `reader` and the rest have room for them.
    pub(crate) fn large<F: Format<Reader = R>>(mut reader: R) -> Tools<R>
    where
        R: Reader<F>,
    {
        reader.reserve(LARGE_ROOM);
        let mut scratch = Scratch::default();
        scratch.reserve(LARGE_ROOM);
        Tools { reader, scratch, own: OutBuf::with_capacity(LARGE_ROOM) }
    }
}

/// The one set of tools that may become large; only the thread at the head has it.
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
        lock(&self.0).take().unwrap_or_else(|| RowLog::with_capacity(LARGE_ROOM))
    }

    /// Keeps the memory of rows that were passed on, if it is large.
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
