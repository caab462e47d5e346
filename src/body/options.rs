//! Options of a pass: threads, chunk size, bounds, and how the output is cut; and the counters of a running pass.

use super::slab;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Options of the pipeline.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Number of converting threads; by default the cores this process may use, at most 8.
    pub threads: usize,
    /// Size of a chunk of the grid in bytes; default 256 KiB. The output does not depend on it.
    pub chunk_bytes: usize,
    /// Counters of the progress.
    pub progress: Arc<Progress>,
    /// If true, both passes run on the calling thread, each in one go, whatever memory that takes: for simulated time,
    /// which must not advance meanwhile. False by default.
    #[doc(hidden)]
    pub in_line: bool,
    /// How much a pass gathers before it passes it on.
    pub(crate) bounds: Bounds,
}

/// How much a pass gathers before it passes it on. The output and the positions do not depend on it, and tests set it
/// low.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Size at which a slab is sealed; one large record may make it larger.
    pub(crate) slab_bytes: usize,
    /// Maximum number of rejected or shown records of a chunk that wait for its end.
    pub(crate) rows: usize,
    /// Maximum number of their bytes.
    pub(crate) row_bytes: usize,
    /// Maximum number of checkpoints; at least 2.
    pub(crate) checkpoints: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { slab_bytes: slab::SLAB_BYTES, rows: 2048, row_bytes: 128 << 10, checkpoints: 4096 }
    }
}

impl Default for Options {
    fn default() -> Options {
        // asked for once, since the answer takes the system a while
        static THREADS: OnceLock<usize> = OnceLock::new();
        let threads = *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).min(8));
        Options { threads, chunk_bytes: 256 << 10, progress: Arc::default(), in_line: false, bounds: Bounds::default() }
    }
}

/// Counters of a running pass; all accesses are relaxed.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the source, as stored, that were read in this pass.
    pub source_bytes: AtomicU64,
    /// Bytes of output in this pass (in pass two: passed to the socket's side).
    pub output_bytes: AtomicU64,
    /// Bytes of content that were passed on to the platform, those of earlier parts included.
    pub sent_bytes: AtomicU64,
    /// The part that is being sent, from 1; 0 before the first.
    pub part: AtomicUsize,
    /// Records read in this pass.
    pub records: AtomicU64,
    /// Records rejected in this pass.
    pub rejected: AtomicU64,
    /// Set to stop: a pass then ends with `Interrupted` within a chunk.
    pub cancelled: AtomicBool,
}

impl Progress {
    /// Resets the counters for another pass.
    pub(crate) fn begin_pass(&self) {
        for counter in [&self.source_bytes, &self.output_bytes, &self.records, &self.rejected] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Records that a part, from 0, is being sent, and how much of the whole content has been.
    #[cfg(feature = "upload")]
    pub(crate) fn sending(&self, part: usize, sent_bytes: u64) {
        self.part.store(part + 1, Ordering::Relaxed);
        self.sent_bytes.store(sent_bytes, Ordering::Relaxed);
    }
}

/// How the output is cut into parts, and its maximum size.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Split {
    /// Maximum size of a part, including its header line; `None` for one part.
    pub max_part_bytes: Option<u64>,
    /// Sizes of the first parts, which an earlier process has sent: they are cut as they were then. Default none.
    pub sent_part_bytes: Vec<u64>,
}
