//! Both passes: convert, measure, and the body that streams exactly what was measured.

mod convert;
mod crc;
mod findings;
mod grid;
mod large;
mod manifest;
mod measure;
mod pipeline;
#[cfg(feature = "upload")]
mod queue;
mod rejects;
mod replay;
mod slab;
#[cfg(feature = "upload")]
mod stream;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_positions;
mod worker;

pub use convert::convert;
pub use manifest::Manifest;
pub use measure::{Measured, measure};
#[cfg(feature = "jobs")]
pub(crate) use rejects::{Lies, failed as reject_file_failed, lies};
pub use rejects::{MAX_REJECT_ROWS, RejectFile, cells};
pub use replay::{Preview, Written, preview};
#[cfg(feature = "upload")]
pub use stream::{Body, BodyReader};

use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

/// What became of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// All data records: written + filtered + rejected.
    pub read: u64,
    /// In the output.
    pub written: u64,
    /// Left out by `where` or by the shape.
    pub filtered: u64,
    /// Not fit.
    pub rejected: u64,
    /// Empty lines passed over; not in `read`.
    pub blank: u64,
    /// Rejects by code.
    pub reject_reasons: BTreeMap<String, u64>,
    /// What shows that files were joined into one.
    #[serde(skip)]
    pub joined: Option<Joined>,
}

/// Records that are the header line again or begin with a byte order mark, as in files that were joined with `cat`. They
/// are records like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// How many there are.
    pub count: u64,
    /// The input of the first, an index into [`crate::source::Source::inputs`].
    pub input: usize,
    /// The first in its input, from 1, without the header.
    pub record: u64,
}

/// A rejected record with its position, lent to a [`RejectSink`].
pub struct Reject<'a> {
    /// As the user named it.
    pub file: &'a str,
    /// From 1, without the header.
    pub record: u64,
    /// From 1, with the header.
    pub line: u64,
    /// Of the record's start, from 0, in the decompressed source.
    pub byte: u64,
    /// The source column, where one is to blame.
    pub column: Option<&'a str>,
    /// Stable, for machines.
    pub code: &'a str,
    /// For people; no value of the row in it.
    pub reason: &'a str,
    /// The record as it stands in the source, without its line end.
    pub raw: &'a [u8],
    /// False: it could not be split into the columns of the header.
    pub splits: bool,
}

/// Takes rejects in the order of the source.
pub trait RejectSink: Send {
    /// Takes one.
    ///
    /// # Errors
    /// Ends the pass.
    fn reject(&mut self, reject: &Reject<'_>) -> Result<()>;

    /// Forgets all: the pass starts anew.
    ///
    /// # Errors
    /// Ends the pass.
    fn restart(&mut self) -> Result<()>;

    /// The pass ended before the end of the source: the records of all whole chunks, and the rejected ones of the chunk
    /// that it ended in. Default: nothing is made of it.
    fn stopped(&mut self, _so_far: &Counts) {}
}

/// Takes rejects and forgets them.
pub struct DiscardRejects;

impl RejectSink for DiscardRejects {
    fn reject(&mut self, _: &Reject<'_>) -> Result<()> {
        Ok(())
    }
    fn restart(&mut self) -> Result<()> {
        Ok(())
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

/// Bytes around the content of each part (multipart framing); not counted in sizes and digest of the content.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Before the content.
    pub head: Vec<u8>,
    /// After the content; held back with its last slab.
    pub tail: Vec<u8>,
}

/// One body's worth of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// From 0.
    pub index: usize,
    /// Content, header line included, framing not.
    pub bytes: u64,
    /// Records.
    pub records: u64,
    /// Index of its first record in the whole output.
    pub first_record: u64,
    /// CRC-64/NVME of the content.
    pub crc: u64,
    /// Position of its first record's first byte in the whole output without header lines.
    pub(crate) at: u64,
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        Options { threads, chunk_bytes: 256 << 10, progress: Arc::default(), in_line: false, bounds: Bounds::default() }
    }
}

impl Progress {
    /// Counts from 0 again: another pass begins.
    pub(crate) fn begin_pass(&self) {
        for counter in [&self.source_bytes, &self.output_bytes, &self.records, &self.rejected] {
            counter.store(0, std::sync::atomic::Ordering::Relaxed);
        }
    }
}
