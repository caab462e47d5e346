//! A queue from the converting thread to the sending task: pieces in order, bounded in bytes.
//!
//! Waking a thread costs more than writing a piece to a socket, so each side takes all it can at once. The receiver
//! empties the queue in one go, and only then wakes a waiting sender to fill it again. The queue and the receiver
//! together have at most twice the bound.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// An item with a size in memory.
pub(super) trait Weight {
    /// Returns the size in bytes.
    fn weight(&self) -> usize;
}

struct State<T> {
    items: VecDeque<T>,
    bytes: usize,
    sender_waits: bool,
    sender_gone: bool,
    receiver_gone: bool,
    waker: Option<Waker>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    room: Condvar,
    most: usize,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending side, which blocks while the queue is full.
pub(super) struct Sender<T>(Arc<Shared<T>>);

/// The receiving side, polled by a task.
pub(super) struct Receiver<T> {
    shared: Arc<Shared<T>>,
    taken: VecDeque<T>,
}

/// Creates a queue that holds `most` bytes, or one item of any size.
pub(super) fn queue<T: Weight>(most: usize) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        bytes: 0,
        sender_waits: false,
        sender_gone: false,
        receiver_gone: false,
        waker: None,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), room: Condvar::new(), most });
    (Sender(shared.clone()), Receiver { shared, taken: VecDeque::new() })
}

impl<T: Weight> Sender<T> {
    /// Appends an item once there is room. Returns false if the receiver was dropped.
    pub(super) fn send(&self, item: T) -> bool {
        let Sender(shared) = self;
        let weight = item.weight();
        let mut state = shared.lock();
        while !state.receiver_gone && !state.items.is_empty() && state.bytes + weight > shared.most {
            state.sender_waits = true;
            state = shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.receiver_gone {
            return false;
        }
        state.items.push_back(item);
        state.bytes += weight;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.sender_gone = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// Returns the next item; `None` if the sender was dropped and the queue is empty.
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(item) = self.taken.pop_front() {
            return Poll::Ready(Some(item));
        }
        let mut state = self.shared.lock();
        if state.items.is_empty() {
            if state.sender_gone {
                return Poll::Ready(None);
            }
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut state.items, &mut self.taken);
        state.bytes = 0;
        let wake = std::mem::take(&mut state.sender_waits);
        drop(state);
        if wake {
            self.shared.room.notify_one();
        }
        Poll::Ready(self.taken.pop_front())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let items = {
            let mut state = self.shared.lock();
            state.receiver_gone = true;
            std::mem::take(&mut state.items)
        };
        self.shared.room.notify_one();
        // drop the items without the lock
        drop(items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    impl Weight for usize {
        fn weight(&self) -> usize {
            10
        }
    }

    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn next(receiver: &mut Receiver<usize>) -> Option<usize> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            match receiver.poll_recv(&mut Context::from_waker(&waker)) {
                Poll::Ready(item) => return item,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    #[test]
    fn everything_arrives_in_order_and_no_more_than_the_bound_waits() {
        for most in [1, 10, 35, 1000] {
            let (sender, mut receiver) = queue(most);
            let sent = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                let sent = &sent;
                scope.spawn(move || {
                    for i in 0..5000 {
                        assert!(sender.send(i));
                        sent.store(i + 1, Ordering::SeqCst);
                    }
                });
                for want in 0..5000 {
                    assert_eq!(next(&mut receiver), Some(want));
                    // received and queued: twice the bound, and one item that `sent` already counts
                    let under_way = sent.load(Ordering::SeqCst).saturating_sub(want);
                    assert!(under_way <= 2 * (most / 10).max(1) + 1, "{under_way} of {most}");
                }
                assert_eq!(next(&mut receiver), None);
            });
        }
    }

    #[test]
    fn a_receiver_that_goes_frees_a_sender_that_waits() {
        let (sender, mut receiver) = queue(10);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || (0..).take_while(|&i| sender.send(i)).count());
            assert_eq!(next(&mut receiver), Some(0));
            drop(receiver);
            assert!(waiting.join().unwrap() >= 1);
        });
    }
}
