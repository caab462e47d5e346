//! Slabs of output and the pool their memory returns to.

use crate::buffer::OutBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A slab is sealed at this size; one large record may make it larger.
pub(crate) const SLAB_BYTES: usize = 256 << 10;

/// How many slabs may wait between a pass and the socket, for each converting thread.
pub(crate) const QUEUED_SLABS: usize = 4;

/// Room behind the seal, so that the record that crosses it needs no new memory.
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

/// Recycled output buffers, at most so many at a time.
pub(crate) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

#[derive(Default)]
struct State {
    free: Vec<Vec<u8>>,
    /// One that a large record made large, for the next one.
    large: Option<Vec<u8>>,
    lent: usize,
    /// Threads that wait: to notify nobody is a system call too.
    waiting: usize,
}

impl Pool {
    /// A pool that lends `most` buffers, and more only to whoever is at the head.
    pub(crate) fn new(most: usize) -> Arc<Pool> {
        Arc::new(Pool { state: Mutex::default(), changed: Condvar::new(), most })
    }

    /// An empty output. Waits until one is free or `at_head` says that waiting would never end; `None` where `stopped`.
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
            // the head moves on without our lock: look again now and then
            state.waiting += 1;
            state =
                self.changed.wait_timeout(state, Duration::from_millis(5)).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
    }

    /// An empty output, if one is free now; whoever is at the head always gets one.
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

    /// An empty output that a large record has made large before. Only for the worker at the head.
    pub(crate) fn take_large(&self) -> Option<OutBuf> {
        let mut state = self.lock();
        let buffer = state.large.take()?;
        state.lent += 1;
        Some(OutBuf::reuse(buffer))
    }

    /// What was written, to be returned to this pool when dropped.
    pub(crate) fn seal(self: &Arc<Pool>, out: OutBuf) -> Pooled {
        Pooled { buffer: out.into_vec(), pool: self.clone() }
    }

    /// Wakes those who wait, because the head has moved.
    pub(crate) fn wake(&self) {
        if self.lock().waiting > 0 {
            self.changed.notify_all();
        }
    }

    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        let mut state = self.lock();
        state.lent = state.lent.saturating_sub(1);
        // what large records made large is kept once, and what the head got beyond the bound is not
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
