//! All cores, in order, memory bounded: workers claim chunks, convert them side by side, and hand their output over in
//! the order of the source.
//!
//! Whoever has the chunk at the head hands over directly; the others keep their slabs until it is their turn, as far as the
//! pool goes, then wait. No thread waits for one with a later chunk, so nothing can lock up.

use super::grid::{Buffer, Chunk, Grid, Mark};
use super::large::{Large, Tools};
use super::slab::{Pool, Slab};
use super::worker::{Batch, Fatal, Finished, Rows, Stop, Tally, Want, Worker, cancelled, pool_for};
use super::{Counts, Joined, Options};
use crate::buffer::OutBuf;
use crate::error::{Error, Kind, Place, Result};
use crate::mapping::{Plan, Sights};
use crate::reader::Table;
use crate::reader::kernel::Kernel;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Of larger sources, as stored, only a sample of the records is looked at for frequent identifiers.
const LOOKED_AT_WHOLE: u64 = 16 << 20;

/// Takes what a pass produces, in order, one call at a time.
pub(crate) trait Consumer: Send {
    /// A piece of output. `false`: no more is wanted, the pass ends without an error.
    fn slab(&mut self, slab: Slab) -> Result<bool>;
    /// Rows that the pass was asked for; positions relative to `base`, which is in the input of the rows.
    fn rows(&mut self, rows: &Rows, base: &Base, table: &Table) -> Result<bool>;
    /// What warnings are about, in the chunk that starts at `base`, if the pass was asked for it.
    fn sights(&mut self, _sights: &Sights, _base: &Base) {}
    /// The chunk whose seam is at `mark` has ended; `base` is what precedes the next chunk of the same input.
    fn chunk_end(&mut self, mark: Mark, base: &Base, table: &Table) -> Result<bool>;
}

/// What the records before the head add up to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base {
    pub(crate) input: usize,
    /// In this input, from 0.
    pub(crate) record: u64,
    /// In this input, header included.
    pub(crate) line: u64,
    pub(crate) counts: Counts,
    /// Output handed over so far, without header lines.
    pub(crate) out_bytes: u64,
    pub(crate) out_records: u64,
}

impl Base {
    /// What precedes the first record of a table: the header of its first input.
    pub(crate) fn at_start(table: &Table) -> Base {
        Base { line: table.start_of(0).lines, ..Base::default() }
    }

    /// Moves to `input`, where records and lines count anew; does nothing if it is there. Inputs without records hand
    /// out no chunks, so several may be skipped at once.
    pub(crate) fn enter(&mut self, input: usize, table: &Table) {
        if self.input != input {
            self.input = input;
            self.record = 0;
            self.line = table.start_of(input).lines;
        }
    }

    fn add(&mut self, finished: &Finished) {
        let Tally { read, written, filtered, rejected, blank, joined, first_joined } = finished.tally;
        if joined > 0 {
            let first = Joined { count: 0, input: self.input, record: self.record + first_joined + 1 };
            self.counts.joined.get_or_insert(first).count += joined;
        }
        self.record += read;
        self.line += finished.lines;
        self.counts.read += read;
        self.counts.written += written;
        self.counts.filtered += filtered;
        self.counts.rejected += rejected;
        self.counts.blank += blank;
    }
}

/// How a pass ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All of the source was read.
    Whole,
    /// The consumer had enough.
    Enough,
    /// The separator on trial occurs in a value.
    Clash,
}

/// Where a pass starts.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) mark: Mark,
    pub(crate) base: Base,
}

impl Start {
    /// The first record of the first input.
    pub(crate) fn of(table: &Table) -> Start {
        Start { mark: Mark::default(), base: Base::at_start(table) }
    }
}

/// What the workers of a pass share.
pub(crate) struct Shared<'a, 'c> {
    pub(crate) table: &'a Table,
    pub(crate) plan: &'a Plan,
    pub(crate) options: &'a Options,
    pub(crate) want: Want,
    pub(crate) pool: Arc<Pool>,
    pub(crate) grid_cell: usize,
    pub(crate) large: Large,
    /// So many records in 2^32 are looked at for frequent identifiers.
    pub(crate) share: u32,
    grid: Mutex<Grid<'a>>,
    /// State at the seam of chunk seq, in slot seq % len: twice the seq, plus 1 where inside. The seq tells it from what an
    /// earlier chunk, which may not have asked, left in the slot.
    states: Vec<AtomicU64>,
    /// One thread converts.
    pub(crate) alone: bool,
    /// Held to sleep until a state is published.
    seam: Mutex<()>,
    seam_moved: Condvar,
    seam_waiters: AtomicUsize,
    head: AtomicU64,
    window: u64,
    stopped: AtomicBool,
    order: Mutex<Order>,
    moved: Condvar,
    sink: Mutex<Sink<'c>>,
    start_inside: bool,
}

#[derive(Default)]
struct Order {
    /// Finished chunks that wait for their turn, in slot seq % window.
    done: Vec<Option<Done>>,
    outcome: Option<Result<Ended>>,
    /// Threads that wait: to notify nobody is a system call too.
    waiting: usize,
}

struct Done {
    chunk: Chunk,
    batch: Batch,
    end: Result<Finished, Stop>,
}

struct Sink<'c> {
    consumer: &'c mut dyn Consumer,
    base: Base,
}

/// Runs a pass from `start` to the end or until the consumer has enough.
pub(crate) fn run(
    table: &Table,
    plan: &Plan,
    options: &Options,
    want: Want,
    start: &Start,
    consumer: &mut dyn Consumer,
) -> Result<(Ended, Base)> {
    let threads = options.threads.max(1);
    let window = if threads == 1 { 1 } else { 3 * threads as u64 };
    let grid = Grid::new(table, options.chunk_bytes, threads, start.mark);
    let shared = Shared {
        table,
        plan,
        options,
        want,
        pool: pool_for(threads, want),
        grid_cell: grid.chunk_bytes(),
        large: Large::default(),
        share: if table.source().stored_bytes() > LOOKED_AT_WHOLE { u32::MAX / 128 } else { u32::MAX },
        grid: Mutex::new(grid),
        states: (0..window + 2).map(|_| AtomicU64::new(u64::MAX)).collect(),
        alone: threads == 1,
        seam: Mutex::new(()),
        seam_moved: Condvar::new(),
        seam_waiters: AtomicUsize::new(0),
        head: AtomicU64::new(0),
        window,
        stopped: AtomicBool::new(false),
        order: Mutex::new(Order { done: (0..window).map(|_| None).collect(), outcome: None, waiting: 0 }),
        moved: Condvar::new(),
        sink: Mutex::new(Sink { consumer, base: start.base.clone() }),
        start_inside: start.mark.inside,
    };
    if threads == 1 {
        shared.work();
    } else {
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // a machine that has no room for more threads gives the same output with fewer
                if std::thread::Builder::new().spawn_scoped(scope, || shared.work()).is_err() {
                    break;
                }
            }
            shared.work();
        });
    }
    let base = shared.lock_sink().base.clone();
    let outcome = shared.lock_order().outcome.take();
    match outcome {
        Some(Ok(ended)) => Ok((ended, base)),
        Some(Err(error)) => Err(error),
        None => Ok((Ended::Whole, base)),
    }
}

impl<'c> Shared<'_, 'c> {
    /// One thread: chunk after chunk.
    fn work(&self) {
        // a panic must not leave the others waiting for ever
        let guard = StopOnPanic(self);
        let mut worker = Worker::new(Tools::new(self.kernel()));
        while !self.is_stopped() {
            let claimed = self.claim(&mut worker);
            let (chunk, failed) = match claimed {
                Claimed::Chunk(chunk) => (chunk, None),
                Claimed::None => break,
                Claimed::Failed(chunk, error) => (chunk, Some(error)),
            };
            if self.wait_for(|head| chunk.seq < head + self.window).is_err() {
                break;
            }
            let mut batch = Batch::default();
            let end = match failed {
                Some(error) => Err(Stop::from(error)),
                None if cancelled(self) => Err(Stop::from(Error::new(Kind::Interrupted, "stopped"))),
                None => worker.chunk(self, chunk, &mut batch),
            };
            worker.give_back_large(self);
            self.finish(Done { chunk, batch, end });
        }
        std::mem::forget(guard);
    }

    /// A reader of records for this pass.
    pub(crate) fn kernel(&self) -> Kernel {
        // a separator of the output that the scan has looked for need not be looked for in each cell
        let scanner = self.table.scanner().marking(self.plan.separator().unwrap_or(b'"'));
        Kernel::new(scanner, self.table.columns().len())
    }

    fn claim(&self, worker: &mut Worker) -> Claimed {
        let mut grid = self.grid.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = None;
        // Whoever is before this chunk needs the grid no more, so it may be locked meanwhile. A pass that is being stopped
        // ends with this chunk.
        let mut enlarge = |seq, buffer: &mut Buffer| {
            if taken.is_none() && self.wait_for_head(seq).is_ok() {
                let mut tools = self.large.take_tools().unwrap_or_else(|| Tools::new(self.kernel()));
                tools.buffer.copy_from(buffer);
                std::mem::swap(&mut tools.buffer, buffer);
                taken = Some(tools);
            }
        };
        let claimed = grid.claim(&mut worker.tools.buffer, &mut enlarge);
        if let Some(tools) = taken {
            worker.use_large(tools);
        }
        match claimed {
            Ok(Some(chunk)) => Claimed::Chunk(chunk),
            Ok(None) => Claimed::None,
            Err(error) => Claimed::Failed(grid.fail(), error),
        }
    }

    /// The state at the seam of a plain chunk, once the one before has published it.
    pub(crate) fn await_state(&self, chunk: Chunk) -> Option<bool> {
        if chunk.index == 0 {
            return Some(false);
        }
        if chunk.seq == 0 {
            return Some(self.start_inside);
        }
        let slot = &self.states[(chunk.seq % self.states.len() as u64) as usize];
        let mut tries = 0u32;
        loop {
            let state = slot.load(Ordering::Acquire);
            if state >> 1 == chunk.seq {
                return Some(state & 1 == 1);
            }
            if self.is_stopped() {
                return None;
            }
            tries += 1;
            if tries < 300 {
                std::hint::spin_loop();
                continue;
            }
            // Sleeps, since yielding hands whole time slices to other processes where the cores are taken. The store of
            // the waiter is seen by whoever publishes, or this load sees what was published: both are SeqCst.
            let guard = self.seam.lock().unwrap_or_else(PoisonError::into_inner);
            self.seam_waiters.fetch_add(1, Ordering::SeqCst);
            if slot.load(Ordering::SeqCst) >> 1 != chunk.seq {
                // whoever stops the pass does not wake this one
                let wait = self.seam_moved.wait_timeout(guard, Duration::from_millis(2));
                drop(wait.unwrap_or_else(PoisonError::into_inner));
            }
            self.seam_waiters.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Tells the state at the seam behind chunk `seq`.
    pub(crate) fn publish(&self, seq: u64, inside: bool) {
        let slot = &self.states[((seq + 1) % self.states.len() as u64) as usize];
        slot.store((seq + 1) << 1 | u64::from(inside), Ordering::SeqCst);
        if self.seam_waiters.load(Ordering::SeqCst) != 0 {
            drop(self.seam.lock().unwrap_or_else(PoisonError::into_inner));
            self.seam_moved.notify_all();
        }
    }

    pub(crate) fn at_head(&self, seq: u64) -> bool {
        self.head.load(Ordering::Acquire) == seq
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Waits until the chunk is at the head. `Err`: the pass is being stopped.
    pub(crate) fn wait_for_head(&self, seq: u64) -> Result<(), ()> {
        self.wait_for(|head| head == seq)
    }

    fn wait_for(&self, ready: impl Fn(u64) -> bool) -> Result<(), ()> {
        if ready(self.head.load(Ordering::Acquire)) {
            return Ok(());
        }
        let mut order = self.lock_order();
        loop {
            if self.is_stopped() {
                return Err(());
            }
            if ready(self.head.load(Ordering::Acquire)) {
                return Ok(());
            }
            order.waiting += 1;
            order = self.moved.wait(order).unwrap_or_else(PoisonError::into_inner);
            order.waiting -= 1;
        }
    }

    /// An empty output, waiting for one if need be.
    pub(crate) fn take_slab(&self, seq: u64) -> Option<OutBuf> {
        self.pool.take(&|| self.at_head(seq), &|| self.is_stopped())
    }

    /// An empty output, if there is one now (the head always gets one).
    pub(crate) fn try_take_slab(&self, seq: u64) -> Option<OutBuf> {
        self.pool.try_take(self.at_head(seq))
    }

    /// Hands a batch of the chunk at the head, which lies in `input`, to the consumer.
    pub(crate) fn consume(&self, input: usize, batch: &mut Batch) -> Result<(), Stop> {
        let mut sink = self.lock_sink();
        let Sink { consumer, base } = &mut *sink;
        base.enter(input, self.table);
        let mut go_on = true;
        if !batch.rows.items.is_empty() {
            let rows = std::mem::take(&mut batch.rows);
            go_on = consumer.rows(&rows, base, self.table)?;
            self.large.give_back_rows(rows);
        }
        for slab in batch.slabs.drain(..) {
            if !go_on {
                break;
            }
            base.out_bytes += slab.bytes;
            base.out_records += slab.records;
            go_on = consumer.slab(slab)?;
        }
        drop(sink);
        if go_on {
            return Ok(());
        }
        self.end(Ok(Ended::Enough));
        Err(Stop::Stopped)
    }

    /// A chunk is over: hand over what is at the head, and what waited behind it.
    fn finish(&self, done: Done) {
        let slot = (done.chunk.seq % self.window) as usize;
        let mut next = {
            let mut order = self.lock_order();
            if !self.at_head(done.chunk.seq) {
                order.done[slot] = Some(done);
                return;
            }
            Some(done)
        };
        while let Some(done) = next.take() {
            let seq = done.chunk.seq;
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
        let Done { chunk, batch, end } = &mut done;
        match self.consume(chunk.input, batch) {
            Ok(()) => {}
            Err(Stop::Fatal(fatal)) => return Err(Err(fatal.error)),
            Err(_) => return Err(Ok(Ended::Enough)),
        }
        match std::mem::replace(end, Err(Stop::Stopped)) {
            Ok(finished) => {
                let mut sink = self.lock_sink();
                let Sink { consumer, base } = &mut *sink;
                if let Some(sights) = &finished.sights {
                    consumer.sights(sights, base);
                }
                base.add(&finished);
                let progress = &self.options.progress;
                progress.records.fetch_add(finished.tally.read, Ordering::Relaxed);
                progress.rejected.fetch_add(finished.tally.rejected, Ordering::Relaxed);
                progress.output_bytes.store(base.out_bytes, Ordering::Relaxed);
                let input = &self.table.source().inputs()[chunk.input];
                if input.is_plain() {
                    progress.source_bytes.fetch_add(finished.bytes, Ordering::Relaxed);
                }
                let mark = Mark { input: chunk.input, chunk: chunk.index, inside: finished.inside };
                match consumer.chunk_end(mark, base, self.table) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Ok(Ended::Enough)),
                    Err(error) => Err(Err(error)),
                }
            }
            Err(Stop::Clash) => Err(Ok(Ended::Clash)),
            Err(Stop::Stopped) => Err(Ok(Ended::Enough)),
            Err(Stop::Fatal(fatal)) => Err(Err(self.placed(fatal, *chunk))),
        }
    }

    /// The error with its place in the input.
    fn placed(&self, fatal: Fatal, chunk: Chunk) -> Error {
        let sink = self.lock_sink();
        let Fatal { mut error, record, line, byte } = fatal;
        if record.is_some() || byte.is_some() {
            let place: &mut Place = error.place_mut();
            place.file = Some(self.table.source().inputs()[chunk.input].name().to_owned());
            place.record = record.map(|n| sink.base.record + n + 1);
            place.line = line.map(|n| sink.base.line + n + 1);
            place.byte = byte;
        }
        error
    }

    /// Ends the pass; the first outcome stands.
    fn end(&self, outcome: Result<Ended>) {
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

enum Claimed {
    Chunk(Chunk),
    None,
    Failed(Chunk, Error),
}

struct StopOnPanic<'s, 'a, 'c>(&'s Shared<'a, 'c>);

impl Drop for StopOnPanic<'_, '_, '_> {
    fn drop(&mut self) {
        self.0.end(Err(Error::new(Kind::Local, "a converting thread failed: this is a bug")));
    }
}
