//! The state that passes from one chunk to the next: each chunk receives the state of its predecessor and publishes its
//! own.
//!
//! The format defines the meaning of the state (CSV: whether a quoted cell is open); formats without a state publish 0.
//!
//! Chunks share slots: chunk `seq` uses slot `seq % slots`. The number in a slot identifies the chunk that the state is
//! for, since the slot may still have the state for an earlier chunk that did not ask for it. A slot is written again
//! only after its chunk has ended, because a pass has fewer active chunks than there are slots; so number and state do
//! not have to be one atomic.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

struct Slot {
    /// Number of the chunk that the state is for.
    seq: AtomicU64,
    state: AtomicU64,
}

/// The states at the seams of a pass.
pub(crate) struct Seams {
    slots: Vec<Slot>,
    /// Protects the wait for a state.
    lock: Mutex<()>,
    moved: Condvar,
    waiters: AtomicUsize,
}

impl Seams {
    /// Creates the slots of a pass that has at most `window` active chunks.
    pub(crate) fn new(window: u64) -> Seams {
        let slot = || Slot { seq: AtomicU64::new(u64::MAX), state: AtomicU64::new(0) };
        Seams {
            slots: (0..window + 2).map(|_| slot()).collect(),
            lock: Mutex::new(()),
            moved: Condvar::new(),
            waiters: AtomicUsize::new(0),
        }
    }

    fn slot(&self, seq: u64) -> &Slot {
        &self.slots[(seq % self.slots.len() as u64) as usize]
    }

    /// Publishes the state before chunk `seq`.
    pub(crate) fn publish(&self, seq: u64, state: u64) {
        let slot = self.slot(seq);
        slot.state.store(state, Ordering::Relaxed);
        slot.seq.store(seq, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) != 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.moved.notify_all();
        }
    }

    /// Waits for the state before chunk `seq`; returns `None` if `stopped` returns true first.
    pub(crate) fn wait(&self, seq: u64, stopped: impl Fn() -> bool) -> Option<u64> {
        let slot = self.slot(seq);
        let mut tries = 0u32;
        loop {
            if slot.seq.load(Ordering::Acquire) == seq {
                return Some(slot.state.load(Ordering::Relaxed));
            }
            if stopped() {
                return None;
            }
            tries += 1;
            if tries < 300 {
                std::hint::spin_loop();
                continue;
            }
            // Sleeps: if all cores are busy, yielding would give whole time slices to other processes. Either the
            // publisher sees the waiter or this load sees the state, because both use SeqCst.
            let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.waiters.fetch_add(1, Ordering::SeqCst);
            if slot.seq.load(Ordering::SeqCst) != seq {
                // stopping a pass does not notify this condition variable
                let wait = self.moved.wait_timeout(guard, Duration::from_millis(2));
                drop(wait.unwrap_or_else(PoisonError::into_inner));
            }
            self.waiters.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn each_chunk_gets_the_state_of_the_one_before_whatever_the_threads() {
        for threads in [1u64, 2, 5] {
            // the state depends on all earlier ones, so an error spreads
            let next = |seq: u64, state: u64| state.rotate_left(7) ^ seq.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (chunks, window) = (4000, 3 * threads);
            let (seams, claim, head) = (Seams::new(window), AtomicU64::new(1), AtomicU64::new(0));
            seams.publish(1, next(0, 42));
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        loop {
                            let seq = claim.fetch_add(1, Ordering::SeqCst);
                            if seq > chunks {
                                return;
                            }
                            while seq >= head.load(Ordering::SeqCst) + window {
                                std::thread::yield_now();
                            }
                            let state = seams.wait(seq, || false).unwrap();
                            seams.publish(seq + 1, next(seq, state));
                            head.fetch_max(seq, Ordering::SeqCst);
                        }
                    });
                }
            });
            let want = (0..=chunks).fold(42, |state, seq| next(seq, state));
            assert_eq!(seams.wait(chunks + 1, || false), Some(want), "{threads} threads");
        }
    }

    #[test]
    fn a_state_that_was_left_in_a_slot_is_not_taken_for_ones_own() {
        let seams = Seams::new(1);
        seams.publish(1, 7);
        let polls = AtomicUsize::new(0);
        // chunks 1 and 4 share a slot
        assert_eq!(seams.wait(4, || polls.fetch_add(1, Ordering::SeqCst) > 400), None);
        seams.publish(4, 0);
        assert_eq!(seams.wait(4, || true), Some(0));
    }

    #[test]
    fn a_pass_that_is_stopped_wakes_those_who_wait() {
        let (seams, stopped) = (Seams::new(4), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| seams.wait(3, || stopped.load(Ordering::SeqCst)));
            // bounded, since the thread may wake early
            let mut looks = 0;
            while seams.waiters.load(Ordering::SeqCst) == 0 && looks < 1_000_000 {
                looks += 1;
                std::thread::yield_now();
            }
            stopped.store(true, Ordering::SeqCst);
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
