//! The text of a block, and where each value is in it.
//!
//! `text` has the values in the order in which they were put, each followed by a comma: without it the last byte of one
//! value and the first of the next could look like one character. `spans[i]` is the i-th value that was put: all of the
//! first column, then those of the second. A nested value, and one that is not valid, starts with a quote, which is not part
//! of it but ensures that the scan does not take the value for plain text.

use crate::buffer::{Padded, SLACK};
use crate::row::CellError;
use crate::scan::{Carry, Scanner, Tape, WINDOW};

/// The values of some rows.
#[derive(Default)]
pub(in crate::format) struct Block {
    pub(super) text: Vec<u8>,
    /// Length of the text without the slack.
    len: usize,
    pub(super) spans: Vec<Span>,
    rows: usize,
    columns: usize,
    /// The values that are not valid, by their number in `spans`.
    bad: Vec<(u32, Bad)>,
    pub(super) tape: Tape,
}

/// Position and length of a value, with the quote of a marked one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) len: u32,
}

/// The kind of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum ColumnKind {
    /// One value.
    Value,
    /// A list.
    List,
    /// A list of objects.
    Objects,
    /// An object.
    Object,
}

/// The reason why a value is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) struct Bad {
    pub(in crate::format) code: &'static str,
    pub(in crate::format) what: &'static str,
}

impl Bad {
    #[cold]
    pub(in crate::format) fn new(code: &'static str, what: &'static str) -> Bad {
        Bad { code, what }
    }

    #[cold]
    pub(in crate::format) fn invalid_utf8() -> Bad {
        let CellError { code, what, .. } = CellError::invalid_utf8(0);
        Bad { code, what }
    }

    #[cold]
    pub(in crate::format) fn nul() -> Bad {
        let CellError { code, what, .. } = CellError::nul(0);
        Bad { code, what }
    }
}

impl Block {
    /// Empties the block for rows with that many columns.
    pub(in crate::format) fn start(&mut self, columns: usize) {
        self.text.clear();
        self.spans.clear();
        self.bad.clear();
        (self.len, self.rows, self.columns) = (0, 0, columns);
    }

    /// Puts a value, which `write` appends.
    #[inline(always)]
    pub(in crate::format) fn put(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Bad>) {
        let at = self.text.len();
        if let Err(bad) = write(&mut self.text) {
            self.mark_bad(at, bad);
        }
        self.spans.push(Span { at: at as u32, len: (self.text.len() - at) as u32 });
        self.text.push(b',');
    }

    /// Puts a list or an object; `write` appends its JSON text.
    pub(in crate::format) fn put_nested(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Bad>) {
        let at = self.text.len();
        self.text.push(b'"');
        if let Err(bad) = write(&mut self.text) {
            self.bad.push((self.spans.len() as u32, bad));
        }
        self.spans.push(Span { at: at as u32, len: (self.text.len() - at) as u32 });
        self.text.push(b',');
    }

    /// Puts an empty value.
    #[inline(always)]
    pub(in crate::format) fn put_empty(&mut self) {
        self.spans.push(Span { at: self.text.len() as u32, len: 0 });
    }

    #[cold]
    #[inline(never)]
    fn mark_bad(&mut self, at: usize, bad: Bad) {
        self.text.insert(at, b'"');
        self.bad.push((self.spans.len() as u32, bad));
    }

    /// Returns the number of bytes put so far.
    pub(in crate::format) fn bytes(&self) -> usize {
        if self.rows == 0 { self.text.len() } else { self.len }
    }

    /// Ends the block, which has `rows` rows, and scans it.
    pub(in crate::format) fn finish(&mut self, rows: usize, scanner: &Scanner) {
        debug_assert_eq!(self.spans.len(), rows * self.columns);
        (self.rows, self.len) = (rows, self.text.len());
        self.text.resize(self.len + SLACK, 0);
        let Block { text, tape, len, .. } = self;
        let input = Padded::new(text, 0, *len);
        let (mut carry, mut at) = (Carry::new(false), 0);
        tape.start(*len);
        while at < *len {
            let to = (at + WINDOW).min(*len);
            scanner.window(input, at, to, &mut carry, tape);
            tape.keep_from(tape.cells.len());
            tape.junk.clear();
            at = to;
        }
    }

    /// Returns the text.
    pub(super) fn input(&self) -> Padded<'_> {
        Padded::new(&self.text, 0, self.len)
    }

    pub(in crate::format) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    #[inline(always)]
    pub(super) fn number(&self, row: usize, column: usize) -> usize {
        column * self.rows + row
    }

    /// Returns the number of bytes of the values of a row.
    pub(in crate::format) fn row_bytes(&self, row: usize) -> usize {
        (0..self.columns).map(|column| self.spans[self.number(row, column)].len as usize).sum()
    }

    /// Returns why a value is not valid.
    #[inline(always)]
    pub(super) fn bad(&self, number: usize) -> Option<Bad> {
        if self.bad.is_empty() {
            return None;
        }
        let found = self.bad.binary_search_by_key(&(number as u32), |(at, _)| *at);
        found.ok().map(|at| self.bad[at].1)
    }

    /// Frees the memory of a large row.
    pub(in crate::format) fn shrink(&mut self, usual: usize) {
        if self.text.capacity() > 4 * usual {
            *self = Block::default();
        }
    }

    /// Reserves room for that many bytes of text.
    pub(in crate::format) fn reserve(&mut self, bytes: usize) {
        self.text.reserve_exact((bytes + SLACK).saturating_sub(self.text.len()));
    }
}
