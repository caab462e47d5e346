//! What the threads of a pass share.

use super::batch::{Collect, Stop};
use super::order::Ordered;
use super::spare::{SpareTools, Tools};
use crate::format::seam::Seams;
use crate::format::{Chunk, Format, Reader};
use crate::mapping::Plan;
use std::sync::Mutex;

/// A pass under way, shared by its threads.
pub(crate) struct Pass<'a, 'c, F: Format> {
    pub(crate) ordered: Ordered<'a, 'c>,
    pub(crate) format: &'a F,
    pub(crate) plan: &'a Plan,
    pub(crate) collect: Collect,
    pub(crate) chunk_bytes: usize,
    /// One thread converts.
    pub(crate) alone: bool,
    /// So many records in 2^32 are looked at for frequent identifiers.
    pub(crate) share: u32,
    pub(crate) seams: Seams,
    pub(crate) spare: SpareTools<F::Reader>,
    pub(crate) queue: Mutex<Queue<F::Chunks<'a>>>,
}

/// The chunks that no thread has claimed yet.
pub(crate) struct Queue<C> {
    pub(crate) chunks: C,
    pub(crate) next_seq: u64,
    /// Of the last chunk.
    pub(crate) input: usize,
    pub(crate) failed: bool,
}

impl<F: Format> Pass<'_, '_, F> {
    /// A reader of chunks for this pass.
    pub(crate) fn reader(&self) -> F::Reader {
        self.format.reader(self.plan.separator(), self.chunk_bytes)
    }

    /// Exchanges a reader for the large one if that many bytes are much more than a chunk; returns the rest of the large set, in
    /// which the thread's own reader now is.
    pub(crate) fn enlarge(
        &self,
        seq: u64,
        reader: &mut F::Reader,
        bytes: usize,
    ) -> Result<Option<Tools<F::Reader>>, Stop> {
        if bytes <= 2 * self.chunk_bytes + (1 << 20) {
            return Ok(None);
        }
        self.ordered.wait_for_head(seq)?;
        let mut tools = self.spare.take().unwrap_or_else(|| Tools::new(self.reader()));
        tools.reader.copy_from(reader);
        std::mem::swap(&mut tools.reader, reader);
        Ok(Some(tools))
    }

    /// The state at the start of a chunk, once the chunk before has published it.
    pub(crate) fn state(&self, seq: u64, chunk: &Chunk) -> Result<u64, Stop> {
        match chunk.index {
            0 => Ok(0),
            _ => self.seams.wait(seq, || self.ordered.is_stopped()).ok_or(Stop::Stopped),
        }
    }

    /// Whether the user asked to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.ordered.options.progress.cancelled.load(std::sync::atomic::Ordering::Relaxed)
    }
}
