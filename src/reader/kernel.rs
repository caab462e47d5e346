//! Records of a region: the scan a window at a time, each record judged for its structure and handed on while its
//! window is in the first-level cache.

use super::record::{Record, Region};
use crate::buffer::Padded;
use crate::scan::{Boosted, Carry, Scanner, Tape, WINDOW, count_lines};

/// Takes what a region holds, in order.
pub(crate) trait Visit {
    /// Why it stops before the end.
    type Stop;
    /// A record with the right number of cells.
    fn record(&mut self, record: &Record<'_>) -> Result<(), Self::Stop>;
    /// A record that is not: `text[start..end]`.
    fn malformed(&mut self, text: &[u8], start: usize, end: usize, why: Malformed) -> Result<(), Self::Stop>;
    /// An empty line.
    fn blank(&mut self);
}

/// What is wrong with the structure of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// That many cells, which the header has not.
    Ragged(usize),
    /// Bytes between a closing quote and the next delimiter.
    AfterQuote,
}

/// How a region ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Where the record starts that is not wholly within the input; `None`: all that start before the limit were seen.
    pub(crate) open: Option<usize>,
    /// Whether a quoted cell is open where the input ends (only where `open`).
    pub(crate) inside: bool,
    /// Whether a quoted cell is open at the limit (only where not `open`).
    pub(crate) crosses: bool,
    /// Physical lines before the limit, or before `open`.
    pub(crate) lines: u64,
}

/// Reads regions, its tape recycled.
pub(crate) struct Kernel {
    scanner: Scanner,
    columns: usize,
    tape: Tape,
}

impl Kernel {
    pub(crate) fn new(scanner: Scanner, columns: usize) -> Kernel {
        Kernel { scanner, columns, tape: Tape::default() }
    }

    /// Visits the records that start in `input[..limit]`, which starts behind a line end: `inside` a quoted cell of a
    /// record that is somebody else's, or at the start of one. `ended`: nothing follows the input.
    pub(crate) fn run<V: Visit>(
        &mut self,
        input: Padded<'_>,
        limit: usize,
        inside: bool,
        ended: bool,
        visit: &mut V,
    ) -> Result<End, V::Stop> {
        let Kernel { scanner, columns, tape } = self;
        let (columns, bytes) = (*columns, input.bytes());
        let mut carry = Carry::new(inside);
        let mut skip = inside;
        let mut start = 0usize;
        let mut next_junk = 0usize;
        let mut at = 0usize;
        // cells of the open record that are no longer on the tape
        let mut dropped = 0usize;
        // physical lines in `bytes[..at]`, at most up to the limit: behind it they are of the next one
        let mut lines = 0;
        tape.start(bytes.len());
        while at < bytes.len() {
            let to = (at + WINDOW).min(bytes.len());
            scanner.window(input, at, to, &mut carry, tape);
            if to == bytes.len() && ended && !carry.inside() {
                let last = tape.records.last().map_or(0, |&cells| cells as usize);
                let from = if last == 0 { start } else { record_start(bytes, tape.cells[last - 1] as usize) };
                if from < bytes.len() || tape.cells.len() > last {
                    tape.cells.push(bytes.len() as u32);
                    tape.records.push(tape.cells.len() as u32);
                }
            }
            let last = tape.records.last().map_or(start, |&cells| tape.cells[cells as usize - 1] as usize);
            let region = Region::new(input, tape, scanner.dialect(), (start, last));
            let walk = Walk { region: &region, tape, columns, limit, start, skip, next_junk, dropped, visit };
            let walked = scanner.boost(walk)?;
            let (first, done) = (walked.cells, walked.done);
            dropped = walked.dropped;
            (start, skip, next_junk) = (walked.start, walked.skip, walked.next_junk);
            if done || (skip && to >= limit) {
                // the limit stands behind a line end: outside quotes a record starts right there
                let crosses = !done || start > limit;
                return Ok(End { open: None, inside: false, crosses, lines: lines + lines_between(bytes, at, limit) });
            }
            let counted = std::mem::take(&mut tape.lines);
            lines += if to <= limit { counted } else { lines_between(bytes, at, limit) };
            tape.keep_from(first);
            dropped += tape.drop_cells(columns + 1);
            at = to;
        }
        if start >= limit || (ended && !carry.inside() && !skip) || (skip && bytes.len() >= limit) {
            return Ok(End { open: None, inside: false, crosses: skip || start > limit, lines });
        }
        let before = count_lines(&bytes[..start]);
        Ok(End { open: Some(start), inside: carry.inside(), crosses: false, lines: before })
    }
}

/// The records of a window.
struct Walk<'w, V> {
    region: &'w Region<'w>,
    tape: &'w Tape,
    columns: usize,
    limit: usize,
    start: usize,
    skip: bool,
    next_junk: usize,
    /// Cells of the first record that are no longer on the tape; it has more than enough then.
    dropped: usize,
    visit: &'w mut V,
}

/// Where a walk ended.
struct Walked {
    /// Cells of the tape that it is done with.
    cells: usize,
    /// Of the next record.
    start: usize,
    skip: bool,
    next_junk: usize,
    dropped: usize,
    /// At the limit.
    done: bool,
}

impl<V: Visit> Boosted for Walk<'_, V> {
    type Output = Result<Walked, V::Stop>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Walk { region, tape, columns, limit, mut start, mut skip, mut next_junk, mut dropped, visit } = self;
        let bytes = region.input.bytes();
        let junk_at = |next: usize| tape.junk.get(next).map_or(usize::MAX, |&at| at as usize);
        let mut junk = junk_at(next_junk);
        let mut first = 0usize;
        let mut done = false;
        for &cells in &tape.records {
            let ends = &tape.cells[first..cells as usize];
            first = cells as usize;
            let end = ends[ends.len() - 1] as usize;
            let from = std::mem::replace(&mut start, record_start(bytes, end));
            if ends.len() == columns && junk >= end && !skip {
                visit.record(&Record { region, start: from as u32, ends })?;
            } else if std::mem::take(&mut skip) {
                dropped = 0;
            } else if ends.len() == 1 && end == from && columns != 1 {
                visit.blank();
            } else {
                let found = ends.len() + std::mem::take(&mut dropped);
                let why = if junk < end { Malformed::AfterQuote } else { Malformed::Ragged(found) };
                visit.malformed(bytes, from, end, why)?;
            }
            while junk < end {
                next_junk += 1;
                junk = junk_at(next_junk);
            }
            if start >= limit {
                done = true;
                break;
            }
        }
        Ok(Walked { cells: first, start, skip, next_junk, dropped, done })
    }
}

/// Where the record behind the line end at `end` starts.
#[inline(always)]
fn record_start(bytes: &[u8], end: usize) -> usize {
    if end < bytes.len() && bytes[end] == b'\r' && end + 1 < bytes.len() && bytes[end + 1] == b'\n' {
        end + 2
    } else {
        end + 1
    }
}

/// Physical line ends in `bytes[from..to]`, where `from` may lie within a CRLF.
fn lines_between(bytes: &[u8], from: usize, to: usize) -> u64 {
    if to <= from {
        return 0;
    }
    let split = from > 0 && bytes[from - 1] == b'\r' && bytes[from] == b'\n';
    count_lines(&bytes[from + usize::from(split)..to])
}
