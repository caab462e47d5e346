//! Decompresses on background threads, while the reader converts. The threads fill recycled blocks, and the reader
//! takes them in order.
//!
//! A file is split into pieces ([`super::pieces`]) that several threads decode at once. A file that cannot be split is
//! one piece, decoded by one thread. The serial decoder decides whether a file is sound: a piece that does not decode
//! proves only that its boundary was a wrong guess or that the file is damaged. It is therefore decoded again from its
//! start, in one go with everything after it, and what the reader has already received of it is skipped. For a damaged
//! file zstd may word the error differently and report the start of the piece instead of the exact byte.

use super::ReadAt;
use super::decompress::{Resume, Unpacking, expands_too_much};
use super::local::Sequential;
use super::pieces::{Piece, Pieces};
use crate::error::{Error, Kind, Result};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Size of a block of content.
const BLOCK_BYTES: usize = 256 << 10;

/// Number of blocks reserved for the piece being read, whatever the other pieces hold.
const HEAD_BLOCKS: usize = 4;

/// Maximum number of blocks of all pieces together: 8 MiB.
const MOST_BLOCKS: usize = 32;

/// Maximum number of pieces decoded or waiting; bounds the number of very small pieces.
const MOST_PIECES: usize = 64;

/// Maximum size of the windows of all decoders together: six of 2 MiB each, the default of pzstd.
const WINDOW_BYTES: u64 = 12 << 20;

/// Stored bytes that can be opened at any position.
pub(super) struct Stored {
    pub(super) data: Arc<dyn ReadAt>,
    pub(super) size: u64,
}

/// The content of an input, decoded on other threads.
pub(super) struct Beside {
    shared: Arc<Shared>,
    block: Vec<u8>,
    at: usize,
    /// True once the end or an error was returned.
    ended: bool,
}

struct Shared {
    unpacking: Unpacking,
    stored: Option<Stored>,
    /// Locked while the next piece is searched, so that the queue has the order of the file.
    pieces: Mutex<Option<Pieces>>,
    state: Mutex<State>,
    /// Wakes the reader: the head of the queue has changed.
    ready: Condvar,
    /// Wakes the decoders: there is room, a new head, or other work.
    room: Condvar,
}

#[derive(Default)]
struct State {
    /// In file order; the numbers have no gaps.
    queue: VecDeque<Task>,
    next_number: u64,
    free: Vec<Vec<u8>>,
    lent: usize,
    /// True if no piece follows those in the queue.
    complete: bool,
    /// The position after the pieces read so far.
    base: Resume,
    /// If set, everything from `base` on is decoded in one go, without this number of bytes at its start.
    restart: Option<u64>,
    stopped: bool,
    /// True if a decoder panicked.
    broken: bool,
}

struct Task {
    number: u64,
    piece: Piece,
    blocks: VecDeque<Vec<u8>>,
    /// Bytes of its content that the reader has taken.
    taken: u64,
    end: Option<End>,
}

enum End {
    Whole {
        members: u64,
    },
    /// The piece did not decode to exactly its end.
    Unproven,
    Failed(io::Error),
}

/// Work for a decoder.
struct Order {
    number: u64,
    piece: Piece,
    /// Bytes of content to skip.
    skip: u64,
}

impl Beside {
    /// Reads a stream ahead on a thread of its own.
    pub(super) fn serial(reader: Box<dyn Read + Send>, unpacking: Unpacking) -> Result<Beside> {
        let shared = Shared::new(unpacking, None, None);
        shared.lock().complete = true;
        let number = shared.push(Piece::Rest { start: 0 });
        let beside = Beside::new(shared);
        beside.spawn(move |shared| shared.read_out(number, reader, 0, 0))?;
        Ok(beside)
    }

    /// Decodes stored bytes, several pieces at once if there are several.
    pub(super) fn pieces(stored: Stored, unpacking: Unpacking, threads: usize) -> Result<Beside> {
        let threads = threads.clamp(1, 6);
        let (data, size) = (stored.data.clone(), stored.size);
        let mut pieces =
            Pieces::new(data, unpacking.compression, size, unpacking.max_window.min(WINDOW_BYTES / threads as u64));
        let first = pieces.next();
        let threads = if matches!(first, Some(Piece::Some { .. })) { threads } else { 1 };
        let shared = Shared::new(unpacking, Some(stored), Some(pieces));
        match first {
            None => {
                // an empty file: the serial decoder decides what that means
                shared.lock().restart = Some(0);
            }
            Some(piece) => {
                let number = shared.push(piece);
                let beside = Beside::new(shared);
                beside.spawn(move |shared| {
                    shared.decode(&Order { number, piece, skip: 0 });
                    shared.work();
                })?;
                for _ in 1..threads {
                    beside.spawn(Shared::work)?;
                }
                return Ok(beside);
            }
        }
        let beside = Beside::new(shared);
        beside.spawn(Shared::work)?;
        Ok(beside)
    }

    fn new(shared: Arc<Shared>) -> Beside {
        Beside { shared, block: Vec::new(), at: 0, ended: false }
    }

    fn spawn(&self, work: impl FnOnce(&Shared) + Send + 'static) -> Result<()> {
        let shared = self.shared.clone();
        // not joined: it may be blocked in a read, and ends with the next block
        std::thread::Builder::new()
            .name("unpack".to_owned())
            .spawn(move || {
                let guard = BreakOnPanic(&shared);
                work(&shared);
                std::mem::forget(guard);
            })
            .map(drop)
            .map_err(|error| Error::io("starting a decompressing thread", error))
    }

    /// Returns the next block of content in order, and takes back the block just read. `None` at the end.
    fn next(&self, read: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        if read.capacity() > 0 {
            state.recycle(read);
            // the decoders see the changes below too, because the lock is held until then
            shared.room.notify_all();
        }
        loop {
            if state.broken {
                let error = Error::new(Kind::Local, "a decompressing thread failed: this is a bug");
                return Err(io::Error::other(error));
            }
            let base = state.base;
            let Some(head) = state.queue.front_mut() else {
                if state.complete && state.restart.is_none() {
                    return Ok(None);
                }
                state = shared.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if let Some(block) = head.blocks.front() {
                let produced = base.produced + head.taken + block.len() as u64;
                // the true consumption is at least this, so what passes here also passes the serial decoder; the serial
                // decoder decides about the rest
                let suspicious = matches!(head.piece, Piece::Some { start, .. }
                    if expands_too_much(produced, start, shared.unpacking.max_expansion));
                if suspicious {
                    shared.restart(&mut state);
                    continue;
                }
                head.taken += block.len() as u64;
                return Ok(head.blocks.pop_front());
            }
            match head.end.take() {
                None => state = shared.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(End::Whole { members }) => {
                    let (piece, taken) = (head.piece, head.taken);
                    state.base.produced += taken;
                    state.base.members += members;
                    if let Piece::Some { end, .. } = piece {
                        state.base.at = end;
                        let findings = &shared.unpacking.findings;
                        findings.consumed.store(end, Ordering::Relaxed);
                        findings.members.fetch_max(state.base.members, Ordering::Relaxed);
                    }
                    state.queue.pop_front();
                    shared.room.notify_all();
                }
                Some(End::Unproven) => shared.restart(&mut state),
                Some(End::Failed(error)) => return Err(error),
            }
        }
    }
}

impl Read for Beside {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if self.ended || buf.is_empty() {
                return Ok(0);
            }
            self.at = 0;
            let read = std::mem::take(&mut self.block);
            match self.next(read) {
                Ok(Some(block)) => self.block = block,
                other => {
                    self.ended = true;
                    return other.map(|_| 0);
                }
            }
        }
        let n = buf.len().min(self.block.len() - self.at);
        buf[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        state.queue.clear();
        state.free.clear();
        drop(state);
        self.shared.room.notify_all();
    }
}

impl Shared {
    fn new(unpacking: Unpacking, stored: Option<Stored>, pieces: Option<Pieces>) -> Arc<Shared> {
        let (state, ready, room) = (Mutex::default(), Condvar::new(), Condvar::new());
        Arc::new(Shared { unpacking, stored, pieces: Mutex::new(pieces), state, ready, room })
    }

    /// Takes pieces and decodes them until the reader is dropped.
    fn work(&self) {
        while let Some(order) = self.claim() {
            self.decode(&order);
        }
    }

    fn claim(&self) -> Option<Order> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(skip) = state.restart.take() {
                if let Some(pieces) = &mut *pieces {
                    pieces.end();
                }
                state.complete = true;
                let piece = Piece::Rest { start: state.base.at };
                return Some(Order { number: state.push(piece), piece, skip });
            }
            if state.queue.len() < MOST_PIECES && !state.complete {
                drop(state);
                let piece = pieces.as_mut().and_then(Iterator::next);
                state = self.lock();
                if state.restart.is_some() {
                    continue;
                }
                if !matches!(piece, Some(Piece::Some { .. })) {
                    state.complete = true;
                }
                match piece {
                    Some(piece) => return Some(Order { number: state.push(piece), piece, skip: 0 }),
                    None => self.ready.notify_all(),
                }
                continue;
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Switches to decoding everything from the head of the queue on in one go.
    fn restart(&self, state: &mut State) {
        let Some(head) = state.queue.front() else { return };
        state.restart = Some(head.taken);
        for task in std::mem::take(&mut state.queue) {
            for block in task.blocks {
                state.recycle(block);
            }
        }
        self.room.notify_all();
    }

    fn decode(&self, order: &Order) {
        let Some(stored) = &self.stored else { return };
        let stored_bytes = |from, to| Sequential::new(&self.unpacking.name, stored.data.clone(), from, to);
        match order.piece {
            Piece::Some { start, end } => {
                let decoded = self.unpacking.open_piece(Box::new(stored_bytes(start, end)));
                let Ok(mut piece) = decoded else { return self.finish(order.number, End::Unproven) };
                let end = match self.fill_blocks(order.number, &mut piece, 0, 0) {
                    Some(Ok(())) => piece.members().map_or(End::Unproven, |members| End::Whole { members }),
                    Some(Err(_)) => End::Unproven,
                    None => return,
                };
                self.finish(order.number, end);
            }
            Piece::Rest { .. } => {
                let Some(base) = self.wait_for_head(order.number) else { return };
                let bytes = stored_bytes(base.stored_from(), stored.size);
                match self.unpacking.open(Box::new(bytes), base) {
                    Ok(reader) => self.read_out(order.number, reader, base.produced, order.skip),
                    Err(error) => self.finish(order.number, End::Failed(io::Error::other(error))),
                }
            }
        }
    }

    fn read_out(&self, number: u64, mut reader: Box<dyn Read + Send>, produced: u64, skip: u64) {
        let end = match self.fill_blocks(number, &mut reader, produced, skip) {
            Some(Ok(())) => End::Whole { members: 0 },
            Some(Err(error)) => End::Failed(error),
            None => return,
        };
        self.finish(number, end);
    }

    /// Reads to the end, block by block, skipping the first `skip` bytes. `None` if the piece is no longer wanted.
    ///
    /// Blocks begin where they would begin if decoding had started at the first byte, because the error that a decoder
    /// reports for damaged data depends on how much was requested at once.
    fn fill_blocks(&self, number: u64, reader: &mut dyn Read, produced: u64, mut skip: u64) -> Option<io::Result<()>> {
        let mut most = BLOCK_BYTES - (produced % BLOCK_BYTES as u64) as usize;
        loop {
            let mut block = self.take_block(number)?;
            block.resize(most, 0);
            let mut len = 0;
            let mut end = None;
            while len < most && end.is_none() {
                match reader.read(&mut block[len..]) {
                    Ok(0) => end = Some(Ok(())),
                    Ok(n) => len += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => end = Some(Err(error)),
                }
            }
            most = BLOCK_BYTES;
            block.truncate(len);
            let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(len);
            block.drain(..passed);
            skip -= passed as u64;
            if !self.hand_over(number, block) {
                return None;
            }
            if end.is_some() {
                return end;
            }
        }
    }

    /// Returns an empty block once there is room for one; `None` if the piece is no longer wanted.
    fn take_block(&self, number: u64) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            let index = state.index_of(number)?;
            let head_waits = index == 0 && state.queue[0].blocks.len() < HEAD_BLOCKS;
            // a single piece needs only enough blocks to keep its decoder busy
            let most =
                if matches!(state.queue[index].piece, Piece::Rest { .. }) { 0 } else { MOST_BLOCKS - HEAD_BLOCKS };
            if state.lent < most || head_waits {
                state.lent += 1;
                return Some(state.free.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES)));
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Appends a block to its piece. Returns false if the piece is no longer wanted.
    fn hand_over(&self, number: u64, block: Vec<u8>) -> bool {
        let mut state = self.lock();
        let index = state.index_of(number);
        match index {
            Some(index) if !block.is_empty() => state.queue[index].blocks.push_back(block),
            _ => state.recycle(block),
        }
        drop(state);
        if index == Some(0) {
            self.ready.notify_all();
        }
        index.is_some()
    }

    fn finish(&self, number: u64, end: End) {
        let mut state = self.lock();
        if let Some(index) = state.index_of(number) {
            state.queue[index].end = Some(end);
            drop(state);
            self.ready.notify_all();
        }
    }

    /// Waits until all pieces before this one were read and returns the position reached; `None` if the piece is no
    /// longer wanted.
    fn wait_for_head(&self, number: u64) -> Option<Resume> {
        let mut state = self.lock();
        loop {
            match state.index_of(number)? {
                0 => return Some(state.base),
                _ => state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn push(&self, piece: Piece) -> u64 {
        self.lock().push(piece)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, piece: Piece) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.queue.push_back(Task { number, piece, blocks: VecDeque::new(), taken: 0, end: None });
        number
    }

    /// Returns the index of the piece in the queue, if the piece is still there.
    fn index_of(&self, number: u64) -> Option<usize> {
        let first = self.queue.front()?.number;
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        (index < self.queue.len()).then_some(index)
    }

    fn recycle(&mut self, block: Vec<u8>) {
        self.lent -= 1;
        if !self.stopped {
            self.free.push(block);
        }
    }
}

struct BreakOnPanic<'s>(&'s Shared);

impl Drop for BreakOnPanic<'_> {
    fn drop(&mut self) {
        self.0.lock().broken = true;
        self.0.ready.notify_all();
    }
}
