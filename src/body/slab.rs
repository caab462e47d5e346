//! Slabs of output and the pool their memory returns to.

use crate::buffer::OutBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Size at which a slab is sealed; one large record may make it larger.
pub(crate) const SLAB_BYTES: usize = 256 << 10;

/// Reserved for each buffer that a large record needs; only the used part becomes resident. glibc maps a block of more than 32 MiB by
/// itself: it moves without a copy when it grows, and is unmapped when it is freed. A smaller block stays with the thread once the
/// first one was freed, and is copied when it grows.
pub(crate) const LARGE_ROOM: usize = 33 << 20;

/// Maximum number of slabs between a pass and the socket, per converting thread.
pub(crate) const QUEUED_SLABS: usize = 4;

/// Room after the seal, so that the record that crosses it needs no new memory.
const ROOM: usize = 16 << 10;

/// A piece of output, cut between records.
pub(crate) struct Slab {
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) crc: u64,
    /// The output itself, if the consumer wants it.
    pub(crate) data: Option<Pooled>,
}

/// Memory of a [`Pool`], returned when dropped.
pub(crate) struct Pooled {
    buffer: Vec<u8>,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

/// Recycled output buffers, a bounded number at a time.
pub(crate) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

#[derive(Default)]
struct State {
    free: Vec<Vec<u8>>,
    /// A buffer that a large record has enlarged, for the next one.
    large: Option<Vec<u8>>,
    lent: usize,
    /// Number of waiting threads, because notifying none is a system call, too.
    waiting: usize,
}

impl Pool {
    /// Creates a pool that lends `most` buffers, and more only to the thread at the head.
    pub(crate) fn new(most: usize) -> Arc<Pool> {
        Arc::new(Pool { state: Mutex::default(), changed: Condvar::new(), most })
    }

    /// Returns an empty output. Waits until one is free or `at_head` says that waiting would never end; `None` if
    /// `stopped`.
    pub(crate) fn take(&self, at_head: &dyn Fn() -> bool, stopped: &dyn Fn() -> bool) -> Option<OutBuf> {
        let mut state = self.lock();
        loop {
            if let Some(buffer) = state.free.pop() {
                state.lent += 1;
                return Some(OutBuf::reuse(buffer));
            }
            if stopped() {
                return None;
            }
            if state.lent < self.most || at_head() {
                state.lent += 1;
                drop(state);
                return Some(OutBuf::with_capacity(SLAB_BYTES + ROOM));
            }
            // the head moves on without our lock, so check again now and then
            state.waiting += 1;
            state =
                self.changed.wait_timeout(state, Duration::from_millis(5)).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
    }

    /// Returns an empty output if one is free now; the thread at the head always gets one.
    pub(crate) fn try_take(&self, at_head: bool) -> Option<OutBuf> {
        let mut state = self.lock();
        if let Some(buffer) = state.free.pop() {
            state.lent += 1;
            return Some(OutBuf::reuse(buffer));
        }
        if state.lent >= self.most && !at_head {
            return None;
        }
        state.lent += 1;
        drop(state);
        Some(OutBuf::with_capacity(SLAB_BYTES + ROOM))
    }

    /// Returns an empty output for large records. Only for the worker at the head.
    pub(crate) fn take_large(&self) -> OutBuf {
        let mut state = self.lock();
        state.lent += 1;
        let large = state.large.take();
        drop(state);
        large.map_or_else(|| OutBuf::with_capacity(LARGE_ROOM), OutBuf::reuse)
    }

    /// Wraps what was written; dropping it returns the memory to this pool.
    pub(crate) fn seal(self: &Arc<Pool>, out: OutBuf) -> Pooled {
        Pooled { buffer: out.into_vec(), pool: self.clone() }
    }

    /// Wakes the waiting threads, because the head has moved.
    pub(crate) fn wake(&self) {
        if self.lock().waiting > 0 {
            self.changed.notify_all();
        }
    }

    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        let mut state = self.lock();
        state.lent = state.lent.saturating_sub(1);
        // one buffer enlarged by large records is kept, buffers that the head got beyond the bound are not
        if buffer.capacity() > 2 * SLAB_BYTES {
            state.large.get_or_insert(buffer);
        } else if state.free.len() + state.lent < self.most {
            state.free.push(buffer);
        }
        let wake = state.waiting > 0;
        drop(state);
        if wake {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
