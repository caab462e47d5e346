//! Slots of connections. A connection that has not sent the password yet has one of a few short-lived slots, whose
//! oldest is evicted by a new connection. A connection that has sent the password keeps its slot. So no number of
//! sockets without a password delays a client with one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Maximum number of connections without the password.
const MAX_STRANGERS: usize = 64;
/// Maximum number of connections with the password.
const MAX_KNOWN: usize = 64;
/// A known connection that has made no progress for this long loses its slot if another one needs it.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The slots.
#[derive(Default)]
pub(super) struct Door(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    /// The oldest first.
    strangers: VecDeque<Arc<Guest>>,
    known: Vec<Arc<Guest>>,
}

/// A connection.
pub(super) struct Guest {
    known: AtomicBool,
    evicted: Notify,
    progress: Mutex<Instant>,
}

impl Guest {
    /// Whether it has sent the password.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// Records that its client has taken bytes.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) fn progressed(&self) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns when another connection needs its slot.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    fn since(&self) -> Instant {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door {
    /// Gives a new connection a slot among the strangers; if there is none, evicts the oldest stranger.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) fn enter(&self) -> Arc<Guest> {
        let guest = Arc::new(Guest {
            known: AtomicBool::new(false),
            evicted: Notify::new(),
            progress: Mutex::new(Instant::now()),
        });
        let mut slots = self.lock();
        slots.strangers.push_back(Arc::clone(&guest));
        if slots.strangers.len() > MAX_STRANGERS
            && let Some(oldest) = slots.strangers.pop_front()
        {
            oldest.evicted.notify_one();
        }
        guest
    }

    /// Gives a connection that has sent the password a slot of its own. Returns false if all are taken by clients that
    /// make progress.
    pub(super) fn admit(&self, guest: &Arc<Guest>) -> bool {
        guest.progressed();
        if guest.is_known() {
            return true;
        }
        let mut slots = self.lock();
        if slots.known.len() >= MAX_KNOWN {
            let idlest = (0..slots.known.len()).min_by_key(|&at| slots.known[at].since());
            let Some(idlest) = idlest.filter(|&at| slots.known[at].since().elapsed() >= IDLE_TIME) else {
                return false;
            };
            slots.known.swap_remove(idlest).evicted.notify_one();
        }
        slots.strangers.retain(|stranger| !Arc::ptr_eq(stranger, guest));
        slots.known.push(Arc::clone(guest));
        guest.known.store(true, Ordering::Release);
        true
    }

    /// Frees the slot of a connection that has ended.
    pub(super) fn leave(&self, guest: &Arc<Guest>) {
        let mut slots = self.lock();
        slots.strangers.retain(|other| !Arc::ptr_eq(other, guest));
        slots.known.retain(|other| !Arc::ptr_eq(other, guest));
    }

    /// Whether a client with the password is connected.
    pub(super) fn has_known(&self) -> bool {
        !self.lock().known.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test of a timer")]
    async fn is_evicted(guest: &Guest) -> bool {
        tokio::time::timeout(Duration::ZERO, guest.evicted()).await.is_ok()
    }

    #[tokio::test]
    async fn the_oldest_stranger_goes_and_the_known_stay() {
        let door = Door::default();
        let known = door.enter();
        assert!(door.admit(&known) && door.admit(&known) && door.has_known());
        let strangers: Vec<_> = (0..MAX_STRANGERS + 2).map(|_| door.enter()).collect();
        for (at, stranger) in strangers.iter().enumerate() {
            assert_eq!(is_evicted(stranger).await, at < 2, "{at}");
        }
        assert!(!is_evicted(&known).await);
        // a slot that was left is free again
        door.leave(&strangers[2]);
        let _newcomer = door.enter();
        assert!(!is_evicted(&strangers[3]).await);
        door.leave(&known);
        assert!(!door.has_known());
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test of a timer")]
    async fn a_known_guest_is_evicted_only_if_it_makes_no_progress() {
        let door = Door::default();
        let known: Vec<_> = (0..MAX_KNOWN).map(|_| door.enter()).collect();
        assert!(known.iter().all(|guest| door.admit(guest)));
        let late = door.enter();
        assert!(!door.admit(&late), "all go on");
        *known[7].progress.lock().expect("not poisoned") = Instant::now().checked_sub(IDLE_TIME).expect("a late clock");
        assert!(door.admit(&late));
        for (at, guest) in known.iter().enumerate() {
            assert_eq!(is_evicted(guest).await, at == 7, "{at}");
        }
    }
}
