//! Decompression beside conversion: threads of their own fill recycled blocks that the reader takes in order.
//!
//! The file is taken apart into pieces ([`super::pieces`]) that several threads decode at once; what has no pieces is one,
//! decoded by one thread. Whether a file is sound is judged as the serial way judges it: a piece that does not decode proves
//! only that the guess about it was wrong or the file is damaged, so it is decoded again from its start, in one go with
//! all that follows, and what was handed over of it before is passed over. Of a damaged file zstd may say it in other
//! words, and name the start of the piece where one thread names the byte.

use super::ReadAt;
use super::decompress::{Resume, Unpacking, expands_too_much};
use super::local::Sequential;
use super::pieces::{Piece, Pieces};
use crate::error::{Error, Kind, Result};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Content is handed over in blocks of this size.
const BLOCK_BYTES: usize = 256 << 10;

/// So many blocks of the piece that is being read may wait, whatever the others hold.
const HEAD_BLOCKS: usize = 4;

/// Blocks of all pieces together: 8 MiB.
const MOST_BLOCKS: usize = 32;

/// Pieces under way or waiting; a bound for those that hold hardly anything.
const MOST_PIECES: usize = 64;

/// The windows of all decoders together: 2 MiB each for six of them, which is what pzstd asks for by default.
const WINDOW_BYTES: u64 = 12 << 20;

/// Stored bytes that can be opened anywhere.
pub(super) struct Stored {
    pub(super) data: Arc<dyn ReadAt>,
    pub(super) size: u64,
}

/// The content of an input, decoded by others.
pub(super) struct Beside {
    shared: Arc<Shared>,
    block: Vec<u8>,
    at: usize,
    /// An error was handed over or the end seen.
    ended: bool,
}

struct Shared {
    unpacking: Unpacking,
    stored: Option<Stored>,
    /// Held while a piece is looked for, so that they stand in the queue as in the file.
    pieces: Mutex<Option<Pieces>>,
    state: Mutex<State>,
    /// For the reader: something has come to the head of the queue.
    ready: Condvar,
    /// For the decoders: there is room, another head, or something else to do.
    room: Condvar,
}

#[derive(Default)]
struct State {
    /// In order; numbers without gaps.
    queue: VecDeque<Task>,
    next_number: u64,
    free: Vec<Vec<u8>>,
    lent: usize,
    /// No piece follows those in the queue.
    complete: bool,
    /// What is at the end of the pieces that were read so far.
    base: Resume,
    /// Everything from `base` on is to be decoded in one go, without the first bytes.
    restart: Option<u64>,
    stopped: bool,
    /// A decoder panicked.
    broken: bool,
}

struct Task {
    number: u64,
    piece: Piece,
    blocks: VecDeque<Vec<u8>>,
    /// Content of it that the reader has taken.
    taken: u64,
    end: Option<End>,
}

enum End {
    Whole {
        members: u64,
    },
    /// It is not what it seemed to be.
    Unproven,
    Failed(io::Error),
}

/// What a decoder is to do.
struct Order {
    number: u64,
    piece: Piece,
    /// Content to pass over.
    skip: u64,
}

impl Beside {
    /// Reads a stream ahead in a thread of its own.
    pub(super) fn serial(reader: Box<dyn Read + Send>, unpacking: Unpacking) -> Result<Beside> {
        let shared = Shared::new(unpacking, None, None);
        shared.lock().complete = true;
        let number = shared.push(Piece::Rest { start: 0 });
        let beside = Beside::new(shared);
        beside.spawn(move |shared| shared.read_out(number, reader, 0, 0))?;
        Ok(beside)
    }

    /// Decodes stored bytes, several pieces at once where there are some.
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
                // an empty file: what that means is for the serial way to say
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
        // not waited for: it may be within a read that blocks, and ends with the next block
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

    /// The next block of content, in order, for one that was read. `None`: the end.
    fn next(&self, read: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        if read.capacity() > 0 {
            state.recycle(read);
            // they see what is taken below too: the lock is held until then
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
                // consumed is no less than this: what passes here passes the serial way, the rest is for that to judge
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

    /// Takes pieces and decodes them until nobody reads any more.
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

    /// From the piece at the head on everything is decoded in one go.
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

    /// Reads to the end, block by block, without the first `skip` bytes. `None`: nobody wants it any more.
    ///
    /// Blocks begin where they would had the first byte been the first of all: what a decoder says of damage depends on how
    /// much it was asked for at once.
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

    /// An empty block, as soon as there is room for one. `None`: the piece is not wanted any more.
    fn take_block(&self, number: u64) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            let index = state.index_of(number)?;
            let head_waits = index == 0 && state.queue[0].blocks.len() < HEAD_BLOCKS;
            // one piece alone needs no more than what keeps its decoder busy
            let most =
                if matches!(state.queue[index].piece, Piece::Rest { .. }) { 0 } else { MOST_BLOCKS - HEAD_BLOCKS };
            if state.lent < most || head_waits {
                state.lent += 1;
                return Some(state.free.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES)));
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// False: the piece is not wanted any more.
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

    /// What stands before the piece, once all before it was read. `None`: it is not wanted any more.
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

    /// Where in the queue the piece is; `None` where it is no longer.
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
