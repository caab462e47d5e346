//! What sets one text format apart from another.

use super::region::Places;
use crate::buffer::Padded;
use crate::error::Error;
use crate::format::reader::{Tabular, Visit};
use crate::scan::count_lines;

/// A format whose records are text between line ends: the rest (grid, streams, seams, long records, positions) is shared.
pub(crate) trait Text: Tabular + Sized + 'static {
    /// Finds the records of a stretch of text; recycled.
    type Kernel: Send;

    /// Whether the chunk before has to be asked how this one starts.
    const HAS_STATE: bool;

    /// Returns a kernel; see [`crate::format::Format::reader`].
    fn kernel(&self, marked: Option<u8>) -> Self::Kernel;

    /// Returns where the records of an input start.
    fn start_of(&self, input: usize) -> DataStart;

    /// A longer record ends the pass.
    fn max_record_bytes(&self) -> u64;

    /// Returns the state after `text`, which starts after a line end in `state`.
    fn state_after(&self, text: Padded<'_>, state: u64) -> u64;

    /// Returns the position of the last byte that ends a record in `text`, which starts with a record.
    fn last_end(&self, text: Padded<'_>) -> Option<usize>;

    /// Visits the records that start in `text[..limit]`.
    ///
    /// # Errors
    /// What the visitor says; a record that is too long.
    fn run<V: Visit>(kernel: &mut Self::Kernel, text: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop>;

    /// Returns the error for `record`, which has no end within the bound or, if `ended`, within the input, and the position in
    /// it that is to blame.
    fn never_ends(&self, record: &[u8], inside: bool, ended: bool) -> (Error, usize);
}

/// Where the records of an input start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataStart {
    /// Byte offset in the decompressed content, after BOM and header.
    pub(crate) byte: u64,
    /// Physical lines before it.
    pub(crate) lines: u64,
}

/// A text that a kernel goes through.
pub(crate) struct Stretch<'a> {
    /// Starts after a line end.
    pub(crate) text: Padded<'a>,
    /// Records that start here or later are the next chunk's.
    pub(crate) limit: usize,
    /// State at its start: not 0 inside of a record that the chunk before has visited.
    pub(crate) state: u64,
    /// Nothing follows the text.
    pub(crate) ended: bool,
    /// Where its records are.
    pub(crate) places: &'a Places,
}

/// How a stretch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Where the record starts that is not wholly within the text; `None`: all that start before the limit were visited.
    pub(crate) open: Option<usize>,
    /// Whether a quoted cell is open where the text ends (only if `open`).
    pub(crate) inside: bool,
    /// State at the limit (only if not `open`).
    pub(crate) state: u64,
    /// Physical lines before the limit, or before `open`.
    pub(crate) lines: u64,
}

/// The error for a record that is longer than `source.max_record_bytes`.
pub(crate) fn longer_than(limit: u64, hint: &str) -> Error {
    Error::data(format!("the record is longer than {limit} bytes (source.max_record_bytes)")).with_hint(hint.to_owned())
}

/// Where the record after the line end at `end` starts.
#[inline(always)]
pub(crate) fn record_start(bytes: &[u8], end: usize) -> usize {
    if end < bytes.len() && bytes[end] == b'\r' && end + 1 < bytes.len() && bytes[end + 1] == b'\n' {
        end + 2
    } else {
        end + 1
    }
}

/// Physical line ends in `bytes[from..to]`, where `from` may lie within a CRLF.
pub(crate) fn lines_between(bytes: &[u8], from: usize, to: usize) -> u64 {
    if to <= from {
        return 0;
    }
    let split = from > 0 && bytes[from - 1] == b'\r' && bytes[from] == b'\n';
    count_lines(&bytes[from + usize::from(split)..to])
}
