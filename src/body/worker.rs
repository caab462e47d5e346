//! A converting thread and its tools.
//!
//! The tools of a thread (reader, scratch, output) are reused for each chunk. A record much larger than a chunk needs
//! the large set, of which the pass has one: the thread waits until its chunk is at the head, takes the set, and keeps
//! its own tools aside until the chunk has ended. This can happen while the chunk is claimed, opened or read; reader,
//! scratch and output always change together, see [`Worker::use_large`] and [`Convert`]'s `enlarge`.

use super::batch::{Batch, ChunkEnd, Stop};
use super::convert_rows::Convert;
use super::pass::Pass;
use super::slab::SLAB_BYTES;
use super::spare::Tools;
use crate::buffer::OutBuf;
use crate::format::{Chunk, Chunks, Extent, Format, Host, Reader};
use std::sync::PoisonError;

/// The number of a claimed chunk in the pass, the chunk, and whether claiming it failed.
pub(crate) type Claimed = (u64, Chunk, Result<(), Stop>);

/// A converting thread.
pub(crate) struct Worker<R> {
    pub(crate) tools: Tools<R>,
    /// The thread's own tools while it uses the large set.
    set_aside: Option<Tools<R>>,
}

impl<R> Worker<R> {
    pub(crate) fn new(reader: R) -> Worker<R> {
        Worker { tools: Tools::new(reader), set_aside: None }
    }

    /// Switches to the large set. The readers have been exchanged before, so `tools` contains the thread's own reader.
    fn use_large(&mut self, mut tools: Tools<R>) {
        std::mem::swap(&mut self.tools.scratch, &mut tools.scratch);
        std::mem::swap(&mut self.tools.own, &mut tools.own);
        self.set_aside = Some(tools);
    }

    /// Claims the next chunk; `None` if there are no more.
    pub(crate) fn claim<F: Format<Reader = R>>(&mut self, pass: &Pass<'_, '_, F>) -> Option<Claimed> {
        let mut queue = pass.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.failed {
            return None;
        }
        let seq = queue.next_seq;
        let mut taken = None;
        // The threads with earlier chunks no longer need the queue, so it can stay locked while this one waits. A pass
        // that is being stopped ends with this chunk.
        let mut enlarge = |reader: &mut R, bytes: usize| {
            if taken.is_none() {
                taken = pass.enlarge(seq, reader, bytes).unwrap_or_default();
            }
        };
        let next = queue.chunks.next(&mut self.tools.reader, &mut enlarge);
        if let Some(tools) = taken {
            self.use_large(tools);
        }
        let (chunk, end) = match next {
            Ok(chunk) => (chunk?, Ok(())),
            Err(error) => {
                queue.failed = true;
                (Chunk { input: queue.input, index: 0, offset: 0, is_held: true }, Err(Stop::from(error)))
            }
        };
        queue.next_seq += 1;
        queue.input = chunk.input;
        Some((seq, chunk, end))
    }

    /// Converts a claimed chunk; a batch that cannot wait goes to the ordered stage when the chunk is at the head.
    pub(crate) fn chunk<F: Format<Reader = R>>(
        &mut self,
        pass: &Pass<'_, '_, F>,
        seq: u64,
        chunk: Chunk,
        batch: &mut Batch,
    ) -> Result<ChunkEnd, Stop>
    where
        R: Reader<F>,
    {
        let mut opening = Opening { pass, seq, chunk, may_enlarge: self.set_aside.is_none(), taken: None };
        let opened = self.tools.reader.open(pass.format, &chunk, &mut opening);
        if let Some(tools) = opening.taken {
            self.use_large(tools);
        }
        let extent = opened?;
        if extent.is_empty() {
            return Ok(ChunkEnd { state: extent.state, ..ChunkEnd::default() });
        }
        match pass.collect.sights {
            true => self.convert::<true, F>(pass, seq, (chunk, extent), batch),
            false => self.convert::<false, F>(pass, seq, (chunk, extent), batch),
        }
    }

    /// Converts the records of an opened chunk; with `WATCH`, examines them for warnings.
    fn convert<const WATCH: bool, F: Format<Reader = R>>(
        &mut self,
        pass: &Pass<'_, '_, F>,
        seq: u64,
        (chunk, extent): (Chunk, Extent),
        batch: &mut Batch,
    ) -> Result<ChunkEnd, Stop>
    where
        R: Reader<F>,
    {
        if WATCH {
            pass.plan.watch(&mut self.tools.scratch);
        }
        let out = self.out(pass, seq)?;
        let scratch = std::mem::take(&mut self.tools.scratch);
        let mut convert = Convert::<WATCH, F>::new(pass, seq, chunk, out, scratch, batch);
        convert.set_aside = self.set_aside.take();
        let read = self.tools.reader.read(pass.format, &chunk, &extent, &mut convert);
        let lines = read.map_err(|stop| stop.after(convert.counts.read))?;
        let (counts, joined) = (std::mem::take(&mut convert.counts), convert.joined);
        self.set_aside = convert.set_aside.take();
        let (out, scratch) = convert.finish();
        self.tools.scratch = scratch;
        let sights = WATCH.then(|| self.tools.scratch.sights());
        let is_large = self.set_aside.is_some();
        if !pass.collect.data {
            self.tools.own = if out.capacity() > 4 * SLAB_BYTES && !is_large { OutBuf::default() } else { out };
        }
        if !is_large {
            self.tools.reader.shrink();
        }
        let length = (extent.to - extent.from) as u64;
        Ok(ChunkEnd { counts, joined, lines, state: extent.state, length, sights })
    }

    /// Returns the buffer for the output of a chunk.
    fn out<F: Format<Reader = R>>(&mut self, pass: &Pass<'_, '_, F>, seq: u64) -> Result<OutBuf, Stop> {
        if !pass.collect.data {
            return Ok(std::mem::take(&mut self.tools.own));
        }
        match self.set_aside {
            Some(_) => Ok(pass.ordered.pool.take_large()),
            None => pass.ordered.take_slab(seq),
        }
    }

    /// Returns the large set after a chunk, so that the next chunk at the head can use it.
    pub(crate) fn give_back_large<F: Format<Reader = R>>(&mut self, pass: &Pass<'_, '_, F>) {
        if let Some(own) = self.set_aside.take() {
            pass.spare.give_back(std::mem::replace(&mut self.tools, own));
        }
    }
}

/// The services of the pass for a reader that opens a chunk.
struct Opening<'p, 'a, 'c, F: Format> {
    pass: &'p Pass<'a, 'c, F>,
    seq: u64,
    chunk: Chunk,
    /// True if the thread does not use the large set yet.
    may_enlarge: bool,
    /// The large set, which contains the thread's own reader.
    taken: Option<Tools<F::Reader>>,
}

impl<F: Format> Host<F::Reader> for Opening<'_, '_, '_, F> {
    type Stop = Stop;

    fn state(&mut self) -> Result<u64, Stop> {
        self.pass.state(self.seq, &self.chunk)
    }

    fn publish(&mut self, state: u64) {
        self.pass.seams.publish(self.seq + 1, state);
    }

    fn is_alone(&self) -> bool {
        self.pass.alone
    }

    fn enlarge(&mut self, reader: &mut F::Reader, bytes: usize) -> Result<(), Stop> {
        if self.may_enlarge && self.taken.is_none() {
            self.taken = self.pass.enlarge(self.seq, reader, bytes)?;
        }
        Ok(())
    }
}
