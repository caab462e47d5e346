//! How a pass runs: threads, chunk size, how much it gathers, how the output is cut; and the counters of a pass under way.

use super::slab;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// How the pipeline runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Converting threads; default: the cores this process may use, at most 8.
    pub threads: usize,
    /// Size of a chunk of the grid in bytes; default 256 KiB. The output does not depend on it.
    pub chunk_bytes: usize,
    /// Where progress is counted.
    pub progress: Arc<Progress>,
    /// Both passes are run by the thread that asks for them, each at one go, whatever memory that takes: for simulated
    /// time, which must not go on meanwhile. Default false.
    #[doc(hidden)]
    pub in_line: bool,
    /// How much is gathered before it is handed on.
    pub(crate) bounds: Bounds,
}

/// How much a pass gathers before it hands it on. The output and the positions do not depend on it: tests set it low.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// A slab is sealed at this size; one large record may make it larger.
    pub(crate) slab_bytes: usize,
    /// Rejected or shown records of a chunk that wait for its end.
    pub(crate) rows: usize,
    /// Their bytes.
    pub(crate) row_bytes: usize,
    /// Places where a later pass can start; at least 2.
    pub(crate) checkpoints: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { slab_bytes: slab::SLAB_BYTES, rows: 2048, row_bytes: 128 << 10, checkpoints: 4096 }
    }
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        Options { threads, chunk_bytes: 256 << 10, progress: Arc::default(), in_line: false, bounds: Bounds::default() }
    }
}

/// Counters of a pass under way; all relaxed.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the source (as stored) read in this pass.
    pub source_bytes: AtomicU64,
    /// Bytes of output in this pass (in pass two: handed to the socket's side).
    pub output_bytes: AtomicU64,
    /// Records read in this pass.
    pub records: AtomicU64,
    /// Records rejected in this pass.
    pub rejected: AtomicU64,
    /// Set to stop: passes end with `Interrupted` within a chunk.
    pub cancelled: AtomicBool,
}

impl Progress {
    /// Counts from 0 again: another pass begins.
    pub(crate) fn begin_pass(&self) {
        for counter in [&self.source_bytes, &self.output_bytes, &self.records, &self.rejected] {
            counter.store(0, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// How the output is cut into parts, and what is too much.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Split {
    /// A part holds at most that many bytes, header line included; `None`: one part.
    pub max_part_bytes: Option<u64>,
    /// Sizes of the first parts, which an earlier process has sent: they are cut as they were then. Default none.
    pub sent_part_bytes: Vec<u64>,
}
