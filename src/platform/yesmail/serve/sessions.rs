//! The converting sessions, shared by all downloads: one budget of memory, however many clients fetch the list.
//!
//! A download converts only while it holds one of a few permits. The first session has all threads, further ones have
//! one each. Downloads without a permit queue. If all permits are taken, the first in the queue takes one from a
//! download whose client reads nothing, or asks a download that has had its turn to give it back. A download that has
//! lost its session continues later at the same position. A permit is released when the converting threads have ended,
//! so the number of sessions in memory never exceeds the number of permits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

/// A client that has taken nothing for this long loses its session to a waiting download.
const STALL_TIME: Duration = Duration::from_millis(200);
/// Minimum time that a download keeps its session if another one waits…
const TURN: Duration = Duration::from_secs(2);
/// … extended to this multiple of the time it needed to get back to its position.
const TURN_PER_START: u32 = 4;

/// The state of a download that others may see and change. Its session is in a lock, so that it can be taken away.
pub(super) trait Holder: Send + Sync {
    /// Returns since when the client has taken nothing although data is available; `None` if it waits for the
    /// conversion, or has no session.
    fn stalled_since(&self) -> Option<Instant>;
    /// Returns when it got its session, and how long it took to get back to its position; `None` if it has no session.
    fn turn(&self) -> Option<(Instant, Duration)>;
    /// Takes its session away.
    fn take_away(&self);
    /// Asks it to give its session back at the next piece.
    fn ask_back(&self);
}

/// The permits.
pub(super) struct Sessions {
    threads: usize,
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    /// True while the session with all threads is running.
    wide: bool,
    /// The queue, the first in front.
    line: VecDeque<(u64, Option<Waker>)>,
    next_ticket: u64,
    holders: Vec<Weak<dyn Holder>>,
}

/// A place in the queue; given up when dropped.
pub(super) struct Ticket {
    sessions: Arc<Sessions>,
    number: u64,
}

/// A permit to convert with a number of threads; released when dropped.
pub(super) struct Permit {
    sessions: Arc<Sessions>,
    wide: bool,
}

impl Sessions {
    /// Creates the permits of a job that converts with `threads` threads.
    pub(super) fn new(threads: usize) -> Arc<Sessions> {
        let threads = threads.max(1);
        Arc::new(Sessions { threads, most: 1 + threads.clamp(2, 3), state: Mutex::default() })
    }

    /// Registers a download from which a session can be taken.
    pub(super) fn add(&self, holder: Weak<dyn Holder>) {
        let mut state = self.lock();
        state.holders.retain(|holder| holder.strong_count() > 0);
        state.holders.push(holder);
    }

    /// Joins the queue.
    pub(super) fn queue(self: &Arc<Sessions>) -> Ticket {
        let mut state = self.lock();
        state.next_ticket += 1;
        let number = state.next_ticket;
        state.line.push_back((number, None));
        Ticket { sessions: Arc::clone(self), number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a session for the first in the queue, if all are taken.
    fn reclaim(&self) {
        let holders: Vec<Arc<dyn Holder>> = self.lock().holders.iter().filter_map(Weak::upgrade).collect();
        let stalled = holders.iter().filter_map(|holder| Some((holder.stalled_since()?, holder)));
        if let Some((_, holder)) =
            stalled.filter(|(since, _)| since.elapsed() >= STALL_TIME).min_by_key(|(since, _)| *since)
        {
            holder.take_away();
            return;
        }
        let over = |(since, start): (Instant, Duration)| since.elapsed() >= TURN + start * TURN_PER_START;
        let turns = holders.iter().filter_map(|holder| Some((holder.turn().filter(|turn| over(*turn))?.0, holder)));
        if let Some((_, holder)) = turns.min_by_key(|(since, _)| *since) {
            holder.ask_back();
        }
    }
}

impl Ticket {
    /// Takes a permit if it is this ticket's turn and one is free; otherwise wakes `waker` when that may be so. Ask
    /// again after [`Ticket::pause`] anyway, since a client may have stalled meanwhile.
    pub(super) fn take(&self, waker: &Waker) -> Option<Permit> {
        let sessions = &self.sessions;
        let first = {
            let mut state = sessions.lock();
            let first = state.line.front().is_some_and(|(number, _)| *number == self.number);
            if first && state.running < sessions.most {
                state.running += 1;
                let wide = !state.wide;
                state.wide = true;
                return Some(Permit { sessions: Arc::clone(sessions), wide });
            }
            if let Some((_, known)) = state.line.iter_mut().find(|(number, _)| *number == self.number) {
                *known = Some(waker.clone());
            }
            first
        };
        if first {
            sessions.reclaim();
        }
        None
    }

    /// Returns how long to wait before asking again.
    pub(super) fn pause() -> Duration {
        STALL_TIME / 2
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.sessions.lock();
        state.line.retain(|(number, _)| *number != self.number);
        wake_first(state);
    }
}

impl Permit {
    /// Returns the number of threads of its session.
    pub(super) fn threads(&self) -> usize {
        if self.wide { self.sessions.threads } else { 1 }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.sessions.lock();
        state.running -= 1;
        if self.wide {
            state.wide = false;
        }
        wake_first(state);
    }
}

fn wake_first(mut state: MutexGuard<'_, State>) {
    let waker = state.line.front_mut().and_then(|(_, waker)| waker.take());
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A download that has only the visible state.
    #[derive(Default)]
    struct Shown {
        stalled: Mutex<Option<Instant>>,
        turn: Mutex<Option<(Instant, Duration)>>,
        permit: Mutex<Option<Permit>>,
        asked: AtomicBool,
    }

    impl Holder for Shown {
        fn stalled_since(&self) -> Option<Instant> {
            *self.stalled.lock().expect("not poisoned")
        }
        fn turn(&self) -> Option<(Instant, Duration)> {
            *self.turn.lock().expect("not poisoned")
        }
        fn take_away(&self) {
            *self.permit.lock().expect("not poisoned") = None;
        }
        fn ask_back(&self) {
            self.asked.store(true, Ordering::SeqCst);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a test of a timer")]
    fn ago(millis: u64) -> Instant {
        Instant::now().checked_sub(Duration::from_millis(millis)).expect("a late clock")
    }

    fn holding(sessions: &Arc<Sessions>) -> Arc<Shown> {
        let shown = Arc::new(Shown::default());
        let weak: Weak<dyn Holder> = Arc::downgrade(&(Arc::clone(&shown) as Arc<dyn Holder>));
        sessions.add(weak);
        *shown.permit.lock().expect("not poisoned") = sessions.queue().take(Waker::noop());
        assert!(shown.permit.lock().expect("not poisoned").is_some());
        shown
    }

    #[test]
    fn the_first_session_has_all_threads_and_there_are_few() {
        for (threads, most) in [(1, 3), (2, 3), (4, 4), (8, 4)] {
            let sessions = Sessions::new(threads);
            let permits: Vec<_> = (0..most).map(|_| sessions.queue().take(Waker::noop()).expect("free")).collect();
            assert_eq!(permits.iter().map(Permit::threads).collect::<Vec<_>>()[..2], [threads, 1]);
            assert!(sessions.queue().take(Waker::noop()).is_none());
            drop(permits);
            assert_eq!(sessions.queue().take(Waker::noop()).expect("free").threads(), threads);
        }
    }

    #[test]
    fn the_line_is_kept_and_a_place_can_be_given_up() {
        let sessions = Sessions::new(1);
        let permits: Vec<_> = (0..3).map(|_| sessions.queue().take(Waker::noop()).expect("free")).collect();
        let (first, second, third) = (sessions.queue(), sessions.queue(), sessions.queue());
        drop(permits);
        assert!(second.take(Waker::noop()).is_none() && third.take(Waker::noop()).is_none());
        drop(first);
        assert!(second.take(Waker::noop()).is_some());
        drop(second);
        assert!(third.take(Waker::noop()).is_some());
    }

    #[tokio::test]
    async fn a_stalled_client_loses_its_session_and_a_long_turn_ends() {
        let sessions = Sessions::new(1);
        let holders: Vec<_> = (0..3).map(|_| holding(&sessions)).collect();
        let waiting = sessions.queue();
        assert!(waiting.take(Waker::noop()).is_none(), "no client has stalled");
        *holders[0].turn.lock().expect("not poisoned") = Some((ago(2_500), Duration::from_millis(500)));
        *holders[1].turn.lock().expect("not poisoned") = Some((ago(2_100), Duration::ZERO));
        assert!(waiting.take(Waker::noop()).is_none());
        let asked = |at: usize| holders[at].asked.load(Ordering::SeqCst);
        assert!(!asked(0) && asked(1) && !asked(2), "what a start took is left to it");
        *holders[2].stalled.lock().expect("not poisoned") = Some(ago(300));
        assert!(waiting.take(Waker::noop()).is_none(), "taken away, and free for the next question");
        assert!(holders[2].permit.lock().expect("not poisoned").is_none());
        assert!(waiting.take(Waker::noop()).is_some());
    }
}
