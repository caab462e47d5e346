//! Both passes: convert, measure, and the body that streams exactly what was measured.

use crate::error::{Error, Result};
use crate::mapping::Plan;
use crate::reader::Table;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// How the pipeline runs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Converting threads; default: the cores this process may use, at most 8.
    pub threads: usize,
    /// Size of a chunk of the grid in bytes; default 256 KiB. The output does not depend on it.
    pub chunk_bytes: usize,
    /// Where progress is counted.
    pub progress: Arc<Progress>,
}

/// Counters of a pass under way; all relaxed.
#[derive(Default)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What pass one found, and the way to pass two.
pub struct Measured {
    counts: Counts,
    parts: Vec<Part>,
    digest: u64,
    source_bytes: u64,
    separator: Option<u8>,
    table: Arc<Table>,
}

impl Measured {
    /// What became of the records.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
    /// The parts in order; none where nothing was written and there is no header.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
    /// CRC-64/NVME of the content of all parts in order.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }
    /// Bytes of the content of all parts.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
    /// Bytes of the source as stored.
    #[must_use]
    pub fn source_bytes(&self) -> u64 {
        self.source_bytes
    }
    /// The separator of a delimited output, as chosen.
    #[must_use]
    pub fn separator(&self) -> Option<u8> {
        self.separator
    }
    /// The table that was read.
    #[must_use]
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// A fresh body of a part: frame head, content, frame tail, converted again while it is read. Fails before its
    /// last block if it differs from what was measured by one byte.
    #[cfg(feature = "upload")]
    #[must_use]
    pub fn body(&self, part: &Part, frame: &Frame) -> Body {
        let _ = (part, frame);
        todo!()
    }

    /// A range of a part's content (no frame), for servers that answer range requests.
    #[cfg(feature = "upload")]
    #[must_use]
    pub fn range(&self, part: &Part, bytes: Range<u64>) -> Body {
        let _ = (part, bytes);
        todo!()
    }

    /// Converts again from the output record `from` on and shows each written record with its source position, until
    /// `each` says no. How platforms' verdicts come back as the user's rows.
    ///
    /// # Errors
    /// `SourceChanged`, or what `each` says.
    pub fn replay(&self, from: u64, each: &mut dyn FnMut(&Written<'_>) -> Result<bool>) -> Result<()> {
        let _ = (from, each);
        todo!()
    }
}

/// A record that was written, shown by [`Measured::replay`].
pub struct Written<'a> {
    /// In the whole output, from 0.
    pub index: u64,
    /// The output record, LF included.
    pub output: &'a [u8],
    /// As the user named it.
    pub file: &'a str,
    /// From 1, without the header.
    pub record: u64,
    /// From 1, with the header.
    pub line: u64,
    /// Of the record's start, from 0, in the decompressed source.
    pub byte: u64,
    /// The source record without its line end.
    pub raw: &'a [u8],
}

/// An exact-length request body; see [`Measured::body`]. Not `Clone`: a retry opens a fresh one.
#[cfg(feature = "upload")]
pub struct Body {
    _private: (),
}

#[cfg(feature = "upload")]
impl http_body::Body for Body {
    type Data = bytes::Bytes;
    type Error = Error;
    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Error>>> {
        let _ = cx;
        todo!()
    }
    fn size_hint(&self) -> http_body::SizeHint {
        todo!()
    }
}

/// Converts a table in one pass; `out` gets the header line and the records in order.
///
/// # Errors
/// `Data`: damaged input, a quote that never closes. `Local`: reading or `out` failed.
pub fn convert(
    table: &Arc<Table>,
    plan: &Arc<Plan>,
    options: &Options,
    out: &mut (dyn FnMut(&[u8]) -> std::io::Result<()> + Send),
    rejects: &mut dyn RejectSink,
) -> Result<Counts> {
    let _ = (table, plan, options, out, rejects);
    todo!()
}

/// Pass one: converts, counts and digests every record, and throws the output away.
///
/// # Errors
/// As [`convert`]; `SourceChanged` where the source changed meanwhile.
pub fn measure(
    table: &Arc<Table>,
    plan: &Arc<Plan>,
    split: &Split,
    options: &Options,
    rejects: &mut dyn RejectSink,
) -> Result<Measured> {
    let _ = (table, plan, split, options, rejects);
    todo!()
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        Options { threads, chunk_bytes: 256 << 10, progress: Arc::default() }
    }
}
