//! A pass over a source with all cores, in order and with bounded memory. Threads claim chunks, convert them in
//! parallel, and pass their output on in the order of the source.

use super::Options;
use super::batch::{Batch, Collect, Stop};
use super::order::{Consumer, Done, Ended, Ordered, StopOnPanic};
use super::pass::{Pass, Queue};
use super::slab::{Pool, QUEUED_SLABS};
use super::spare::SpareTools;
use super::totals::{Start, Totals};
use super::worker::Worker;
use crate::error::{Error, Kind, Result};
use crate::format::seam::Seams;
use crate::format::{Format, FormatVisitor, Table};
use crate::mapping::Plan;
use std::sync::{Arc, Mutex};

/// Size, as stored, above which only a sample of the records is examined for frequent identifiers.
const LOOKED_AT_WHOLE: u64 = 16 << 20;

/// Runs a pass from `start` until the source ends or the consumer stops.
pub(crate) fn run_pass(
    table: &Table,
    plan: &Plan,
    options: &Options,
    collect: Collect,
    start: &Start,
    consumer: &mut dyn Consumer,
) -> Result<(Ended, Totals)> {
    table.visit(Run { plan, options, collect, start, consumer })
}

struct Run<'r> {
    plan: &'r Plan,
    options: &'r Options,
    collect: Collect,
    start: &'r Start,
    consumer: &'r mut dyn Consumer,
}

impl FormatVisitor for Run<'_> {
    type Output = Result<(Ended, Totals)>;

    fn visit<F: Format>(self, format: &F) -> Self::Output {
        let Run { plan, options, collect, start, consumer } = self;
        let threads = options.threads.max(1);
        let chunk_bytes = options.chunk_bytes.max(1);
        let window = if threads == 1 { 1 } else { 3 * threads as u64 };
        let pool = pool_for(threads, collect);
        let chunks = format.chunks(start.chunk, chunk_bytes, threads);
        let pass = Pass {
            ordered: Ordered::new(format, options, pool, window, start.totals.clone(), consumer),
            format,
            plan,
            collect,
            chunk_bytes,
            alone: threads == 1,
            share: if format.source().stored_bytes() > LOOKED_AT_WHOLE { u32::MAX / 128 } else { u32::MAX },
            seams: Seams::new(window),
            spare: SpareTools::new(),
            queue: Mutex::new(Queue { chunks, next_seq: 0, input: start.chunk.input, failed: false }),
        };
        pass.seams.publish(0, start.chunk.state);
        if threads == 1 {
            work(&pass);
        } else {
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    // with fewer threads than requested the output is the same
                    if std::thread::Builder::new().spawn_scoped(scope, || work(&pass)).is_err() {
                        break;
                    }
                }
                work(&pass);
            });
        }
        pass.ordered.outcome()
    }
}

/// The loop of a thread: converts one chunk after the other.
fn work<F: Format>(pass: &Pass<'_, '_, F>) {
    let ordered = &pass.ordered;
    let guard = StopOnPanic(ordered);
    let mut worker = Worker::new(pass.reader());
    while !ordered.is_stopped() {
        let Some((seq, chunk, claimed)) = worker.claim(pass) else { break };
        if ordered.wait_for_window(seq).is_err() {
            break;
        }
        let mut batch = Batch::default();
        let end = match claimed {
            Err(stop) => Err(stop),
            Ok(()) if pass.is_cancelled() => Err(Stop::from(Error::new(Kind::Interrupted, "stopped"))),
            Ok(()) => worker.chunk(pass, seq, chunk, &mut batch),
        };
        worker.give_back_large(pass);
        ordered.finish(Done { seq, chunk, batch, end });
    }
    std::mem::forget(guard);
}

/// Creates a pool of the size that a pass with this many threads needs.
fn pool_for(threads: usize, collect: Collect) -> Arc<Pool> {
    // output that is passed on may wait for the socket, up to the same size again
    Pool::new(4 * threads + 4 + if collect.data { 2 * QUEUED_SLABS * threads } else { 0 })
}
