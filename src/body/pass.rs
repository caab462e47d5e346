//! The state that the threads of a pass share.

use super::batch::{Collect, Stop};
use super::order::Ordered;
use super::spare::{SpareTools, Tools};
use crate::format::seam::Seams;
use crate::format::{Chunk, Format, Reader};
use crate::mapping::Plan;
use std::sync::Mutex;

/// A running pass, shared by its threads.
pub(crate) struct Pass<'a, 'c, F: Format> {
    pub(crate) ordered: Ordered<'a, 'c>,
    pub(crate) format: &'a F,
    pub(crate) plan: &'a Plan,
    pub(crate) collect: Collect,
    pub(crate) chunk_bytes: usize,
    /// True if only one thread converts.
    pub(crate) alone: bool,
    /// Share of the records, in units of 2^-32, that is examined for frequent identifiers.
    pub(crate) share: u32,
    pub(crate) seams: Seams,
    pub(crate) spare: SpareTools<F::Reader>,
    pub(crate) queue: Mutex<Queue<F::Chunks<'a>>>,
}

/// The chunks that no thread has claimed yet.
pub(crate) struct Queue<C> {
    pub(crate) chunks: C,
    pub(crate) next_seq: u64,
    /// Input of the last chunk.
    pub(crate) input: usize,
    pub(crate) failed: bool,
}

impl<F: Format> Pass<'_, '_, F> {
    /// Creates a reader of chunks for this pass.
    pub(crate) fn reader(&self) -> F::Reader {
        self.format.reader(self.plan.separator(), self.chunk_bytes)
    }

    /// If `bytes` is much more than a chunk, replaces `reader` by the large one and returns the rest of the large set,
    /// which then contains the thread's own reader.
    pub(crate) fn enlarge(
        &self,
        seq: u64,
        reader: &mut F::Reader,
        bytes: usize,
    ) -> Result<Option<Tools<F::Reader>>, Stop> {
        // a thread that is alone is always at the head, so it never waits for the large set and may take it early
        let own = if self.alone { (3 * self.chunk_bytes).max(512 << 10) } else { 2 * self.chunk_bytes + (1 << 20) };
        if bytes <= own {
            return Ok(None);
        }
        self.ordered.wait_for_head(seq)?;
        let mut tools = self.spare.take().unwrap_or_else(|| Tools::large::<F>(self.reader()));
        tools.reader.copy_from(reader);
        std::mem::swap(&mut tools.reader, reader);
        Ok(Some(tools))
    }

    /// Returns the state at the start of a chunk; waits for the chunk before it to publish the state.
    pub(crate) fn state(&self, seq: u64, chunk: &Chunk) -> Result<u64, Stop> {
        match chunk.index {
            0 => Ok(0),
            _ => self.seams.wait(seq, || self.ordered.is_stopped()).ok_or(Stop::Stopped),
        }
    }

    /// Returns true if the pass was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.ordered.options.progress.cancelled.load(std::sync::atomic::Ordering::Relaxed)
    }
}
