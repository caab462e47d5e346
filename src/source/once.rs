//! A stream that can be read once, but whose beginning can be examined before.

use crate::error::{Error, Kind, Result};
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of bytes of the beginning that are kept.
const MOST_REMEMBERED: usize = 16 << 20;

/// A stream. Reading it again works as long as everything read so far is kept.
pub(super) struct Once {
    state: Arc<Mutex<State>>,
    /// Number of bytes taken from the reader; outside the lock, which is held while a read waits.
    taken: Arc<AtomicU64>,
}

struct State {
    reader: Box<dyn Read + Send>,
    /// The beginning, as far as it was read.
    seen: Vec<u8>,
    /// True once more was read than is kept.
    forgotten: bool,
    /// Number of readers opened; what the second one reads is not kept.
    opened: u32,
}

impl Once {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Once {
        let state = State { reader, seen: Vec::new(), forgotten: false, opened: 0 };
        Once { state: Arc::new(Mutex::new(state)), taken: Arc::default() }
    }

    /// Returns the first `n` bytes, or fewer if the stream is shorter.
    pub(super) fn peek(&self, n: usize) -> io::Result<Vec<u8>> {
        let mut state = lock(&self.state);
        while state.seen.len() < n {
            let mut byte = [0];
            match state.reader.read(&mut byte) {
                Ok(0) => break,
                Ok(_) => {
                    state.seen.push(byte[0]);
                    self.taken.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(state.seen[..n.min(state.seen.len())].to_vec())
    }

    /// Opens a reader from the beginning. The first reader is for the header and keeps what it reads; the second one is
    /// the pass.
    pub(super) fn open(&self) -> Result<OnceReader> {
        let mut state = lock(&self.state);
        if state.forgotten {
            return Err(Error::new(Kind::Local, "the stream can be read only once"));
        }
        state.opened += 1;
        Ok(OnceReader { state: self.state.clone(), taken: self.taken.clone(), at: 0, remember: state.opened == 1 })
    }

    /// Returns the number of bytes taken from the stream so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct OnceReader {
    state: Arc<Mutex<State>>,
    taken: Arc<AtomicU64>,
    at: usize,
    remember: bool,
}

impl Read for OnceReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        if self.at < state.seen.len() {
            let n = buf.len().min(state.seen.len() - self.at);
            buf[..n].copy_from_slice(&state.seen[self.at..self.at + n]);
            self.at += n;
            return Ok(n);
        }
        let n = state.reader.read(buf)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        if self.remember && state.seen.len() + n <= MOST_REMEMBERED {
            state.seen.extend_from_slice(&buf[..n]);
            self.at += n;
        } else if n > 0 && !state.forgotten {
            state.forgotten = true;
            self.at = 0;
            state.seen = Vec::new();
        }
        Ok(n)
    }
}
