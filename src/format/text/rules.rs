//! The rules that distinguish one text format from another.

use super::region::Places;
use crate::buffer::Padded;
use crate::error::Error;
use crate::format::encoding::Coding;
use crate::format::reader::{Tabular, Visit};
use crate::scan::count_lines;

/// A format whose records are text between line ends. Everything else is shared: grid, streams, seams, long records,
/// positions.
pub(crate) trait Text: Tabular + Sized + 'static {
    /// Finds the records of a stretch of text; reused between stretches.
    type Kernel: Send;

    /// Whether a chunk needs the state at the end of the chunk before it. Default false: every line end ends a record.
    const HAS_STATE: bool = false;

    /// Returns a kernel; see [`crate::format::Format::reader`].
    fn kernel(&self, marked: Option<u8>) -> Self::Kernel;

    /// Returns the start of the data of an input.
    fn start_of(&self, input: usize) -> DataStart;

    /// Returns the maximum length of a record; a longer one ends the pass.
    fn max_record_bytes(&self) -> u64;

    /// Returns the state after `text`, which starts after a line end in `state`. Default 0.
    fn state_after(&self, text: Padded<'_>, state: u64) -> u64 {
        let _ = (text, state);
        0
    }

    /// Returns the position of the last byte that ends a record in `text`, which starts with a record. Default: of the last
    /// line end.
    fn last_end(&self, text: Padded<'_>) -> Option<usize> {
        memchr::memrchr2(b'\n', b'\r', text.bytes())
    }

    /// Visits the records that start in `text[..limit]`.
    ///
    /// # Errors
    /// The visitor stops, or a record is too long.
    fn run<V: Visit>(kernel: &mut Self::Kernel, text: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop>;

    /// Returns the error for `record`, which does not end within the maximum length or, if `ended`, within the input,
    /// and the position of its cause in the record.
    fn never_ends(&self, record: &[u8], inside: bool, ended: bool) -> (Error, usize);
}

/// The start of the data of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataStart {
    /// Byte offset in the decompressed content, after BOM and header.
    pub(crate) byte: u64,
    /// Physical lines before it.
    pub(crate) lines: u64,
    /// How the text is transcoded; `None`: it is UTF-8.
    pub(crate) coding: Option<Coding>,
}

/// A text for a kernel to visit.
pub(crate) struct Stretch<'a> {
    /// The text; starts after a line end.
    pub(crate) text: Padded<'a>,
    /// Records that start here or later belong to the next chunk.
    pub(crate) limit: usize,
    /// State at the start: not 0 inside a record that the chunk before has visited.
    pub(crate) state: u64,
    /// True if the input ends with the text.
    pub(crate) ended: bool,
    /// True if at least [`LOOKAHEAD`] bytes follow the text, which cannot be extended.
    pub(crate) follows: bool,
    /// The places of its records.
    pub(crate) places: &'a Places<'a>,
}

/// Number of bytes that are read of a stream beyond the end of a chunk, so that a format can see the last record from the
/// end of the chunk that contains it.
pub(crate) const LOOKAHEAD: usize = 64;

/// The end of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Start of the record that the text does not contain completely; `None` if all records before the limit were
    /// visited.
    pub(crate) open: Option<usize>,
    /// True if a quoted cell is open at the end of the text (only with `open`).
    pub(crate) inside: bool,
    /// State at the limit (only without `open`).
    pub(crate) state: u64,
    /// Physical lines before the limit, or before `open`.
    pub(crate) lines: u64,
}

/// Returns the error for a record that is longer than `source.max_record_bytes`.
pub(crate) fn longer_than(limit: u64, hint: &str) -> Error {
    Error::data(format!("the record is longer than {limit} bytes (source.max_record_bytes)")).with_hint(hint.to_owned())
}

/// Returns the start of the record after the line end at `end`.
#[inline(always)]
pub(crate) fn record_start(bytes: &[u8], end: usize) -> usize {
    if end < bytes.len() && bytes[end] == b'\r' && end + 1 < bytes.len() && bytes[end + 1] == b'\n' {
        end + 2
    } else {
        end + 1
    }
}

/// Counts the physical line ends in `bytes[from..to]`; `from` may be inside a CRLF.
pub(crate) fn lines_between(bytes: &[u8], from: usize, to: usize) -> u64 {
    if to <= from {
        return 0;
    }
    let split = from > 0 && bytes[from - 1] == b'\r' && bytes[from] == b'\n';
    count_lines(&bytes[from + usize::from(split)..to])
}
