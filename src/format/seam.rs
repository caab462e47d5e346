//! The state that crosses from one chunk to the next: each chunk is told that of its predecessor, and tells its own.
//!
//! What the state means is the format's affair (CSV: whether a quoted cell is open); formats without one publish 0.
//!
//! Chunks share slots, chunk `seq` slot `seq % slots`. The number in a slot says whose state it is: an earlier chunk, which may
//! not have asked, may have left its own there. A slot is written again only after the chunk that it was for has ended, since a
//! pass has fewer chunks under way than there are slots; so number and state need not be one atomic.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

struct Slot {
    /// Whose state it is.
    seq: AtomicU64,
    state: AtomicU64,
}

/// The states at the seams of a pass.
pub(crate) struct Seams {
    slots: Vec<Slot>,
    /// Held to sleep until a state is published.
    lock: Mutex<()>,
    moved: Condvar,
    waiters: AtomicUsize,
}

impl Seams {
    /// For a pass that has at most `window` chunks under way.
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

    /// The state before chunk `seq`, once it has been published; `None` if `stopped` before that.
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
            // Sleeps, since yielding hands whole time slices to other processes if the cores are taken. The publisher sees
            // that this one waits, or this load sees what was published: both are SeqCst.
            let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.waiters.fetch_add(1, Ordering::SeqCst);
            if slot.seq.load(Ordering::SeqCst) != seq {
                // a pass that is being stopped does not wake this one
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
            // a state that depends on all before it: a wrong one spreads
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
        // the slot of chunk 4 is that of chunk 1
        assert_eq!(seams.wait(4, || polls.fetch_add(1, Ordering::SeqCst) > 400), None);
        seams.publish(4, 0);
        assert_eq!(seams.wait(4, || true), Some(0));
    }

    #[test]
    fn a_pass_that_is_stopped_wakes_those_who_wait() {
        let (seams, stopped) = (Seams::new(4), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| seams.wait(3, || stopped.load(Ordering::SeqCst)));
            // it sleeps; bounded, since it may wake in between
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
