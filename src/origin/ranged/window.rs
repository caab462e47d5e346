//! A window of content that moves forward: one task fills it, and threads read it at nearby positions.
//!
//! `blocks` contains the bytes from `from` on, without gaps; `end` is the position after them. `wanted` is the highest
//! position that a reader has asked for so far. The task may fill up to `ahead` bytes beyond `wanted`, and bytes more
//! than `keep` before it are dropped, so a window has at most `keep + ahead` bytes and one block.

use super::driver::{Driver, LOOK_EVERY, interrupted};
use crate::error::{Error, Kind, Result};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The shared content of one reading.
pub(in crate::origin) struct Window {
    state: Mutex<State>,
    /// Wakes readers.
    filled: Condvar,
    /// Wakes the task.
    taken: Notify,
    keep: u64,
    ahead: u64,
}

struct State {
    blocks: VecDeque<Block>,
    from: u64,
    end: u64,
    wanted: u64,
    /// How the task ended.
    ended: Option<Result<()>>,
}

/// Bytes of a window.
enum Block {
    /// As they came. They keep the connection's buffer, which is not much larger, in memory.
    Came(Bytes),
    /// Short pieces, copied together: each of them would keep a buffer of its own.
    Copied(Vec<u8>),
}

/// Length from which a piece is not copied, and capacity of a block of copied pieces.
const COPIED_BYTES: usize = 16 << 10;

impl std::ops::Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Block::Came(bytes) => bytes,
            Block::Copied(bytes) => bytes,
        }
    }
}

impl Window {
    /// Creates a window that begins at `at`.
    pub(in crate::origin) fn new(at: u64, keep: u64, ahead: u64) -> Window {
        let state = State { blocks: VecDeque::new(), from: at, end: at, wanted: at, ended: None };
        Window { state: Mutex::new(state), filled: Condvar::new(), taken: Notify::new(), keep, ahead }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends bytes, once there is room.
    pub(in crate::origin) async fn push(&self, bytes: Bytes) {
        loop {
            // registered before the check, so that no wake-up is lost
            let taken = self.taken.notified();
            {
                let mut state = self.lock();
                if state.end <= state.wanted.saturating_add(self.ahead) {
                    state.end += bytes.len() as u64;
                    state.append(bytes);
                    let keep_from = state.wanted.saturating_sub(self.keep);
                    while state.blocks.front().is_some_and(|block| state.from + block.len() as u64 <= keep_from) {
                        let dropped = state.blocks.pop_front().map_or(0, |block| block.len() as u64);
                        state.from += dropped;
                    }
                    self.filled.notify_all();
                    return;
                }
            }
            taken.await;
        }
    }

    /// Ends the content, or says why there is no more.
    pub(in crate::origin) fn end(&self, result: Result<()>) {
        self.lock().ended = Some(result);
        self.filled.notify_all();
    }

    /// Whether reading at `at` is served here soon.
    pub(super) fn accepts(&self, at: u64) -> bool {
        let state = self.lock();
        at >= state.from && at <= state.end.max(state.wanted).saturating_add(self.ahead)
    }

    /// Reads at `at`, waiting for the bytes; 0 at the end of the content. `None` if they are no longer here.
    ///
    /// # Errors
    /// The error of the task; `Interrupted`.
    pub(super) fn read_at(&self, buf: &mut [u8], at: u64, driver: &Driver) -> Result<Option<usize>> {
        let mut state = self.lock();
        loop {
            if at < state.from {
                return Ok(None);
            }
            // no more than is kept, so that none of it is dropped before it has been read
            let wanted = at + (buf.len() as u64).min(self.keep);
            if wanted > state.wanted {
                state.wanted = wanted;
                self.taken.notify_one();
            }
            if at < state.end {
                return Ok(Some(state.copy(buf, at)));
            }
            match &state.ended {
                Some(Ok(())) => return Ok(Some(0)),
                Some(Err(error)) => return Err(again(error)),
                None if driver.is_cancelled() => return Err(interrupted()),
                None => {}
            }
            state = self.filled.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    fn append(&mut self, bytes: Bytes) {
        if bytes.len() >= COPIED_BYTES {
            return self.blocks.push_back(Block::Came(bytes));
        }
        match self.blocks.back_mut() {
            Some(Block::Copied(block)) if block.len() + bytes.len() <= block.capacity() => {
                block.extend_from_slice(&bytes);
            }
            _ => {
                let mut block = Vec::with_capacity(COPIED_BYTES);
                block.extend_from_slice(&bytes);
                self.blocks.push_back(Block::Copied(block));
            }
        }
    }

    /// Copies as many bytes as there are.
    fn copy(&self, buf: &mut [u8], at: u64) -> usize {
        let (mut position, mut copied) = (self.from, 0);
        for block in &self.blocks {
            let end = position + block.len() as u64;
            if end > at && copied < buf.len() {
                let start = (at + copied as u64).saturating_sub(position) as usize;
                let n = (block.len() - start).min(buf.len() - copied);
                buf[copied..copied + n].copy_from_slice(&block[start..start + n]);
                copied += n;
            }
            position = end;
        }
        copied
    }
}

/// Returns an error once more: each reader gets it.
fn again(error: &Error) -> Error {
    let same = Error::new(error.kind(), error.message());
    match error.hint() {
        Some(hint) => same.with_hint(hint),
        None => same,
    }
}

/// Reads a window as a stream from its start.
pub(in crate::origin) struct Reader {
    pub(in crate::origin) window: Arc<Window>,
    pub(in crate::origin) driver: Arc<Driver>,
    pub(in crate::origin) at: u64,
}

impl io::Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let gone = || Error::new(Kind::Local, "bytes of the source were dropped before they were read: this is a bug");
        let read = self.window.read_at(buf, self.at, &self.driver).and_then(|read| read.ok_or_else(gone));
        let n = read.map_err(io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn driver() -> Arc<Driver> {
        Driver::start(Arc::new(|| false)).unwrap()
    }

    #[test]
    fn a_window_is_bounded_and_has_what_was_pushed() {
        let (driver, window) = (driver(), Arc::new(Window::new(100, 30, 50)));
        let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let (pushed, to) = (content.clone(), Arc::clone(&window));
        driver.spawn(async move {
            for block in pushed.chunks(7) {
                to.push(Bytes::copy_from_slice(block)).await;
            }
            to.end(Ok(()));
        });
        let mut at = 100;
        let mut got = Vec::new();
        loop {
            let mut buf = [0; 11];
            let n = window.read_at(&mut buf, at, &driver).unwrap().unwrap();
            if n == 0 {
                break;
            }
            got.extend_from_slice(&buf[..n]);
            at += n as u64;
            let state = window.lock();
            let bytes: usize = state.blocks.iter().map(|block| block.len()).sum();
            assert_eq!(bytes as u64, state.end - state.from);
            assert!(bytes <= 30 + 50 + 11 + 2 * 7 + COPIED_BYTES, "{}..{}", state.from, state.end);
            // each piece used to keep the buffer of its response: 1.7 GB of responses of one byte
            assert!(state.blocks.len() <= 2 && state.blocks.iter().all(|block| matches!(block, Block::Copied(_))));
        }
        assert_eq!(got, content);
        assert_eq!(window.read_at(&mut [0], 100, &driver).unwrap(), None, "dropped long ago");
        assert!(!window.accepts(100) && window.accepts(at));
    }

    #[test]
    fn each_reader_gets_the_error_after_the_bytes() {
        let (driver, window) = (driver(), Arc::new(Window::new(0, 100, 100)));
        let to = Arc::clone(&window);
        driver.spawn(async move {
            to.push(Bytes::from_static(b"abc")).await;
            to.end(Err(Error::new(Kind::SourceChanged, "replaced").with_hint("again")));
        });
        let mut buf = [0; 8];
        assert_eq!(window.read_at(&mut buf, 0, &driver).unwrap(), Some(3));
        for _ in 0..2 {
            let error = window.read_at(&mut buf, 3, &driver).unwrap_err();
            assert_eq!((error.kind(), error.message(), error.hint()), (Kind::SourceChanged, "replaced", Some("again")));
        }
    }

    #[test]
    fn a_cancelled_reader_does_not_wait() {
        let driver = Driver::start(Arc::new(|| true)).unwrap();
        let error = Window::new(0, 1, 1).read_at(&mut [0], 0, &driver).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
        let error = driver.wait(std::future::pending::<Result<()>>()).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
    }

    proptest! {
        #[test]
        fn copies_are_right_at_any_position(blocks in prop::collection::vec(1usize..9, 1..9), at in 0usize..70, len in 1usize..70) {
            let total: usize = blocks.iter().sum();
            let content: Vec<u8> = (0..total as u8).collect();
            let mut state = State { blocks: VecDeque::new(), from: 5, end: 5 + total as u64, wanted: 0, ended: None };
            let mut from = 0;
            for block in blocks {
                state.blocks.push_back(Block::Came(Bytes::copy_from_slice(&content[from..from + block])));
                from += block;
            }
            let at = at % total;
            let mut buf = vec![0; len];
            let n = state.copy(&mut buf, 5 + at as u64);
            prop_assert_eq!(&buf[..n], &content[at..(at + len).min(total)]);
        }
    }
}
