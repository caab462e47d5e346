//! The ordered stage: passes the results of the workers on to the consumer in the order of the source, with bounded
//! memory.
//!
//! The thread that has the chunk at the head passes its output on directly. The others keep theirs until their turn, as
//! long as the pool has memory, and then wait. No thread waits for one with a later chunk, so there is no deadlock.
//!
//! `head` is the number of the chunk whose output comes next. It changes only in [`Ordered::finish`], in the thread
//! that finished the chunk, under the lock of `order`; threads that wait for it sleep on `moved`. `done` keeps chunks
//! that finished early, in slot `seq % window`: a thread starts a chunk only if it is less than `window` ahead of the
//! head.

use super::Options;
use super::batch::{Batch, ChunkEnd, RowLog, Stop};
use super::slab::{Pool, Slab};
use super::spare::SpareRows;
use super::totals::Totals;
use crate::buffer::OutBuf;
use crate::error::{Error, Kind, Place, Result};
use crate::format::{Chunk, ChunkId, Fatal, Tabular};
use crate::mapping::Sights;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Receives the results of a pass in order, one call at a time.
pub(crate) trait Consumer: Send {
    /// Receives a piece of output. Returns false to end the pass without an error.
    fn slab(&mut self, slab: Slab) -> Result<bool>;

    /// Receives rows that the pass was asked for; their positions are relative to `totals`, which belongs to the input
    /// of the rows.
    fn rows(&mut self, rows: &RowLog, totals: &Totals, table: &dyn Tabular) -> Result<bool>;

    /// Receives the counts for warnings of the chunk that starts at `totals`, if the pass was asked for them.
    fn sights(&mut self, _sights: &Sights, _totals: &Totals) {}

    /// Called when a chunk has ended; `totals` precede the next chunk of the same input.
    fn chunk_end(&mut self, chunk: ChunkId, totals: &Totals, table: &dyn Tabular) -> Result<bool>;
}

/// The end of a pass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The whole source was read.
    Whole,
    /// The consumer ended the pass.
    Enough,
    /// The separator on trial occurs in a value.
    Clash,
}

/// The ordered stage of a pass.
pub(crate) struct Ordered<'a, 'c> {
    pub(crate) table: &'a dyn Tabular,
    pub(crate) options: &'a Options,
    pub(crate) pool: Arc<Pool>,
    /// Memory for large rows.
    pub(crate) spare_rows: SpareRows,
    head: AtomicU64,
    window: u64,
    stopped: AtomicBool,
    order: Mutex<Order>,
    moved: Condvar,
    sink: Mutex<Sink<'c>>,
}

#[derive(Default)]
struct Order {
    /// Finished chunks that wait for their turn, in slot `seq % window`.
    done: Vec<Option<Done>>,
    outcome: Option<Result<Ended>>,
    /// Number of waiting threads; notifying costs a system call even if there is none.
    waiting: usize,
}

/// A chunk that was read, with its number in the pass.
pub(crate) struct Done {
    pub(crate) seq: u64,
    pub(crate) chunk: Chunk,
    pub(crate) batch: Batch,
    pub(crate) end: Result<ChunkEnd, Stop>,
}

struct Sink<'c> {
    consumer: &'c mut dyn Consumer,
    totals: Totals,
}

impl<'a, 'c> Ordered<'a, 'c> {
    /// Creates the stage for a pass that starts at `totals` and has at most `window` chunks in progress.
    pub(crate) fn new(
        table: &'a dyn Tabular,
        options: &'a Options,
        pool: Arc<Pool>,
        window: u64,
        totals: Totals,
        consumer: &'c mut dyn Consumer,
    ) -> Ordered<'a, 'c> {
        Ordered {
            table,
            options,
            pool,
            spare_rows: SpareRows::default(),
            head: AtomicU64::new(0),
            window,
            stopped: AtomicBool::new(false),
            order: Mutex::new(Order { done: (0..window).map(|_| None).collect(), outcome: None, waiting: 0 }),
            moved: Condvar::new(),
            sink: Mutex::new(Sink { consumer, totals }),
        }
    }

    /// Returns how the pass ended, and the totals of all chunks.
    pub(crate) fn outcome(&self) -> Result<(Ended, Totals)> {
        let totals = self.lock_sink().totals.clone();
        match self.lock_order().outcome.take() {
            Some(Ok(ended)) => Ok((ended, totals)),
            Some(Err(error)) => Err(error),
            None => Ok((Ended::Whole, totals)),
        }
    }

    pub(crate) fn at_head(&self, seq: u64) -> bool {
        self.head.load(Ordering::Acquire) == seq
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Waits until the chunk may be started. `Err` if the pass is being stopped.
    pub(crate) fn wait_for_window(&self, seq: u64) -> Result<(), Stop> {
        self.wait_for(|head| seq < head + self.window)
    }

    /// Waits until the chunk is at the head. `Err` if the pass is being stopped.
    pub(crate) fn wait_for_head(&self, seq: u64) -> Result<(), Stop> {
        self.wait_for(|head| head == seq)
    }

    fn wait_for(&self, ready: impl Fn(u64) -> bool) -> Result<(), Stop> {
        if ready(self.head.load(Ordering::Acquire)) {
            return Ok(());
        }
        let mut order = self.lock_order();
        loop {
            if self.is_stopped() {
                return Err(Stop::Stopped);
            }
            if ready(self.head.load(Ordering::Acquire)) {
                return Ok(());
            }
            order.waiting += 1;
            order = self.moved.wait(order).unwrap_or_else(PoisonError::into_inner);
            order.waiting -= 1;
        }
    }

    /// Returns an empty output, waiting for one if necessary.
    pub(crate) fn take_slab(&self, seq: u64) -> Result<OutBuf, Stop> {
        self.pool.take(&|| self.at_head(seq), &|| self.is_stopped()).ok_or(Stop::Stopped)
    }

    /// Returns an empty output if one is free now (the head always gets one).
    pub(crate) fn try_take_slab(&self, seq: u64) -> Option<OutBuf> {
        self.pool.try_take(self.at_head(seq))
    }

    /// Passes a batch of the chunk at the head, which is in `input`, to the consumer.
    pub(crate) fn consume(&self, input: usize, batch: &mut Batch) -> Result<(), Stop> {
        let mut sink = self.lock_sink();
        let Sink { consumer, totals } = &mut *sink;
        totals.enter(input, self.table);
        let mut go_on = true;
        if !batch.rows.items.is_empty() {
            let rows = std::mem::take(&mut batch.rows);
            go_on = consumer.rows(&rows, totals, self.table)?;
            self.spare_rows.give_back(rows);
        }
        for slab in batch.slabs.drain(..) {
            if !go_on {
                break;
            }
            totals.out_bytes += slab.bytes;
            totals.out_records += slab.records;
            go_on = consumer.slab(slab)?;
        }
        drop(sink);
        if go_on {
            return Ok(());
        }
        self.end(Ok(Ended::Enough));
        Err(Stop::Stopped)
    }

    /// Finishes a chunk: passes on the chunk at the head, and finished ones that follow it.
    pub(crate) fn finish(&self, done: Done) {
        let slot = (done.seq % self.window) as usize;
        let mut next = {
            let mut order = self.lock_order();
            if !self.at_head(done.seq) {
                order.done[slot] = Some(done);
                return;
            }
            Some(done)
        };
        while let Some(done) = next.take() {
            let seq = done.seq;
            if let Err(outcome) = self.hand_over(done) {
                self.end(outcome);
                return;
            }
            let mut order = self.lock_order();
            self.head.store(seq + 1, Ordering::Release);
            next = order.done[((seq + 1) % self.window) as usize].take();
            let wake = order.waiting > 0;
            drop(order);
            if wake {
                self.moved.notify_all();
            }
            self.pool.wake();
        }
    }

    fn hand_over(&self, mut done: Done) -> Result<(), Result<Ended>> {
        let chunk = done.chunk;
        match self.consume(chunk.input, &mut done.batch) {
            Ok(()) => {}
            Err(Stop::Fatal(fatal, _)) => return Err(Err(fatal.error)),
            Err(_) => return Err(Ok(Ended::Enough)),
        }
        match done.end {
            Ok(end) => self.chunk_end(chunk, &end),
            Err(Stop::Clash) => Err(Ok(Ended::Clash)),
            Err(Stop::Stopped) => Err(Ok(Ended::Enough)),
            Err(Stop::Fatal(fatal, records)) => Err(Err(self.placed(fatal, records, chunk))),
        }
    }

    fn chunk_end(&self, chunk: Chunk, end: &ChunkEnd) -> Result<(), Result<Ended>> {
        let mut sink = self.lock_sink();
        let Sink { consumer, totals } = &mut *sink;
        if let Some(sights) = &end.sights {
            consumer.sights(sights, totals);
        }
        totals.add(end);
        let progress = &self.options.progress;
        progress.records.fetch_add(end.counts.read, Ordering::Relaxed);
        progress.rejected.fetch_add(end.counts.rejected, Ordering::Relaxed);
        progress.output_bytes.store(totals.out_bytes, Ordering::Relaxed);
        // other sources count bytes as they are read
        if self.table.source().inputs()[chunk.input].is_plain() {
            progress.source_bytes.fetch_add(end.length, Ordering::Relaxed);
        }
        let id = ChunkId { input: chunk.input, index: chunk.index, state: end.state };
        match consumer.chunk_end(id, totals, self.table) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Ok(Ended::Enough)),
            Err(error) => Err(Err(error)),
        }
    }

    /// Returns the error with its place in the input; `records` records of the chunk precede it.
    fn placed(&self, fatal: Fatal, records: u64, chunk: Chunk) -> Error {
        let totals = &self.lock_sink().totals;
        let Fatal { mut error, place } = fatal;
        if let Some(at) = place {
            let place: &mut Place = error.place_mut();
            place.file = Some(self.table.source().inputs()[chunk.input].name().to_owned());
            place.record = Some(totals.record + records + 1);
            place.line = at.line.map(|n| totals.line + n + 1);
            place.byte = at.byte;
            place.row = at.row.map(|row| self.table.row_in_words(chunk.input, row));
        }
        error
    }

    /// Ends the pass; the first outcome is kept.
    pub(crate) fn end(&self, outcome: Result<Ended>) {
        let mut order = self.lock_order();
        if order.outcome.is_none() {
            order.outcome = Some(outcome);
        }
        self.stopped.store(true, Ordering::Release);
        drop(order);
        self.moved.notify_all();
        self.pool.wake();
    }

    fn lock_order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_sink(&self) -> MutexGuard<'_, Sink<'c>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the pass if a thread panics, because the others would wait forever.
pub(crate) struct StopOnPanic<'o, 'a, 'c>(pub(crate) &'o Ordered<'a, 'c>);

impl Drop for StopOnPanic<'_, '_, '_> {
    fn drop(&mut self) {
        self.0.end(Err(Error::new(Kind::Local, "a converting thread failed: this is a bug")));
    }
}
