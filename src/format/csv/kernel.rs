//! Records of a stretch of text: scans one window at a time, and validates the structure of each record and visits it
//! while its window is in the first-level cache.
//!
//! State of the loop over windows ([`Kernel::run`]) and over the records of one ([`Walk::run`]); what changes together:
//!
//! - `at` is how far the scan has come, `carry` its state there; `start` is where the record under way starts, at most `at`. When
//!   a record ends, `start` moves after its line end. Cells of the record under way stay on the tape ([`Tape::keep_from`]) until
//!   it ends.
//! - `skip`: the text starts inside of a quoted cell or after an escaped line end, so its first record is the chunk before's and is not visited. True until
//!   that record has ended, and never again. While it is true `start` is 0, and `dropped` means nothing.
//! - `dropped` counts cells of the record under way that were taken from the tape because there are more than columns: such a
//!   record is ragged in any case, and the tape must not grow with it. Set to 0 when a record ends.
//! - `junk` is the position of the next byte between a closing quote and a delimiter, `next_junk` its index on the tape. A
//!   record has one if `junk < end`; `next_junk` moves past those of the record when it ends.
//! - `limit` is the seam: records that start there or later are the next chunk's. It is after a line end, so outside of quotes a
//!   record starts exactly there. If one does not (`start > limit`, or `skip` at the limit), the line end before the limit
//!   was inside of quotes: that is the state that the next chunk starts with.
//! - A trailer at the end of the input ([`trailer`]) is found before the loop, which then ends before it.
//! - `lines` counts physical lines up to `at`, but not past the limit.

use super::dialect::Dialect;
use super::row::CsvRow;
use super::trailer::{self, Tail};
use crate::format::chunk::Fatal;
use crate::format::reader::Visit;
use crate::format::text::{BOM, End, Region, Stretch, Unsplit, lines_between, longer_than, record_start};
use crate::row::RowError;
use crate::scan::{Boosted, Tape, WINDOW, count_lines};
use std::sync::Arc;

/// Hint for a record that is too long.
pub(super) const TOO_LONG: &str = "a quote that never closes? else raise source.max_record_bytes";

/// Visits the records of stretches of text in a dialect and reuses its tape.
pub(crate) struct Kernel<D> {
    dialect: D,
    rules: Rules,
    tape: Tape,
}

/// Requirements on a record.
pub(super) struct Rules {
    pub(super) columns: usize,
    /// Maximum length in bytes.
    pub(super) longest: usize,
    /// The header line, which inside a file shows that files were concatenated; empty if there is none.
    pub(super) header: Arc<[u8]>,
}

impl<D: Dialect> Kernel<D> {
    pub(super) fn new(dialect: D, rules: Rules) -> Kernel<D> {
        Kernel { dialect, rules, tape: Tape::default() }
    }

    /// Visits the records that start before the limit. A state other than 0 means that the text starts inside a record.
    pub(super) fn run<V: Visit>(&mut self, stretch: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop> {
        let (at, is_last) = match trailer::find(stretch, self.rules.columns, &self.dialect) {
            Tail::Records => return self.records(stretch, visit),
            Tail::Trailer(at) => (at, true),
            Tail::Unknown(at) => (at, false),
        };
        let before = Stretch { text: stretch.text.first(at), limit: at, ended: true, ..*stretch };
        let mut end = self.records(&before, visit)?;
        if end.open.is_some() {
            return Ok(end);
        }
        if end.state != 0 {
            // the record of the chunk before goes on, so there was none yet
            return self.records(stretch, visit);
        }
        if !is_last {
            return Ok(End { open: Some(at), ..end });
        }
        let (bytes, limit) = (stretch.text.bytes(), stretch.limit);
        let close = at + memchr::memchr2(b'\n', b'\r', &bytes[at..]).unwrap_or(bytes.len() - at);
        self.tape.start(bytes.len());
        let region = Region::new(stretch.text, &self.tape, self.dialect.dialect(), (at, close), stretch.places);
        let reason = "it looks like the count of rows that a program has added to the list".to_owned();
        let error = RowError { code: "trailer", column: None, reason };
        visit.malformed(&Unsplit { region: &region, start: at, end: close }, error)?;
        let mut next = record_start(bytes, close);
        while next < limit.min(bytes.len()) {
            visit.blank();
            next = record_start(bytes, next);
        }
        end.lines += lines_between(bytes, at, limit);
        Ok(end)
    }

    /// Visits records, none of which is a trailer.
    fn records<V: Visit>(&mut self, stretch: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop> {
        let Kernel { dialect, rules, tape } = self;
        let &Stretch { text: input, limit, state, ended, places, .. } = stretch;
        let bytes = input.bytes();
        let mut carry = dialect.carry(state);
        let mut skip = state != 0;
        let mut start = 0usize;
        let mut next_junk = 0usize;
        let mut at = 0usize;
        let mut dropped = 0usize;
        let mut lines = 0;
        tape.start(bytes.len());
        while at < bytes.len() {
            let to = (at + WINDOW).min(bytes.len());
            dialect.window(input, at, to, &mut carry, tape);
            if to == bytes.len() && ended && !D::is_inside(&carry) {
                end_last_record(tape, bytes, start);
            }
            let last = tape.records.last().map_or(start, |&cells| tape.cells[cells as usize - 1] as usize);
            let region = Region::new(input, tape, dialect.dialect(), (start, last), places);
            let walk = Walk { dialect, region: &region, tape, rules, limit, start, skip, next_junk, dropped, visit };
            let walked = dialect.scanner().boost(walk)?;
            let (first, done) = (walked.cells, walked.done);
            dropped = walked.dropped;
            (start, skip, next_junk) = (walked.start, walked.skip, walked.next_junk);
            if done || (skip && to >= limit) {
                let state = if !done || start > limit { dialect.state_at(input.first(limit), state) } else { 0 };
                return Ok(End { open: None, inside: false, state, lines: lines + lines_between(bytes, at, limit) });
            }
            let counted = std::mem::take(&mut tape.lines);
            lines += if to <= limit { counted } else { lines_between(bytes, at, limit) };
            tape.keep_from(first);
            dropped += tape.drop_cells(rules.columns + 1);
            at = to;
        }
        let is_inside = D::is_inside(&carry);
        if start >= limit || (ended && !is_inside && !skip) || (skip && bytes.len() >= limit) {
            let state = if skip || start > limit { dialect.state_at(input.first(limit), state) } else { 0 };
            return Ok(End { open: None, inside: false, state, lines });
        }
        let before = count_lines(&bytes[..start]);
        Ok(End { open: Some(start), inside: is_inside, state: 0, lines: before })
    }
}

/// Ends the current record, if there is one, at the end of the input.
fn end_last_record(tape: &mut Tape, bytes: &[u8], start: usize) {
    let last = tape.records.last().map_or(0, |&cells| cells as usize);
    let from = if last == 0 { start } else { record_start(bytes, tape.cells[last - 1] as usize) };
    if from < bytes.len() || tape.cells.len() > last {
        tape.cells.push(bytes.len() as u32);
        tape.records.push(tape.cells.len() as u32);
    }
}

/// The records of a window.
struct Walk<'w, D, V> {
    dialect: &'w D,
    region: &'w Region<'w>,
    tape: &'w Tape,
    rules: &'w Rules,
    limit: usize,
    start: usize,
    skip: bool,
    next_junk: usize,
    dropped: usize,
    visit: &'w mut V,
}

/// The end of a walk.
struct Walked {
    /// Number of cells of the tape that are finished.
    cells: usize,
    /// Start of the next record.
    start: usize,
    skip: bool,
    next_junk: usize,
    dropped: usize,
    /// True if the limit was reached.
    done: bool,
}

impl<D: Dialect, V: Visit> Boosted for Walk<'_, D, V> {
    type Output = Result<Walked, V::Stop>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Walk { dialect, region, tape, rules, limit, mut start, mut skip, mut next_junk, mut dropped, visit } = self;
        let bytes = region.input.bytes();
        let junk_at = |next: usize| tape.junk.get(next).map_or(usize::MAX, |&at| at as usize);
        let mut junk = junk_at(next_junk);
        let mut first = 0usize;
        let mut done = false;
        let (columns, longest, header_len) = (rules.columns, rules.longest, rules.header.len());
        for &cells in &tape.records {
            let ends = &tape.cells[first..cells as usize];
            first = cells as usize;
            let end = ends[ends.len() - 1] as usize;
            let from = std::mem::replace(&mut start, record_start(bytes, end));
            if D::HAS_COMMENTS && !skip && dialect.is_comment(&bytes[from..end]) {
                dropped = 0;
            } else if ends.len() == columns && junk >= end && !skip {
                let length = end - from;
                if length > longest {
                    return Err(too_long(region, from, longest).into());
                }
                // one comparison for a header line with or without a byte order mark, one for the mark alone
                if (length.wrapping_sub(header_len) & !3 == 0 || bytes.get(from) == Some(&BOM[0]))
                    && is_joined(&bytes[from..end], &rules.header)
                {
                    visit.joined();
                }
                dialect.visit(CsvRow { region, start: from as u32, ends }, visit)?;
            } else if std::mem::take(&mut skip) {
                dropped = 0;
            } else if ends.len() == 1 && end == from && columns != 1 {
                visit.blank();
            } else {
                let found = ends.len() + std::mem::take(&mut dropped);
                let found = if junk < end { None } else { Some(found) };
                malformed(Unsplit { region, start: from, end }, found, rules, visit)?;
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

/// Returns true if a record shows that files were concatenated: it starts with a byte order mark or is a header line.
#[cold]
#[inline(never)]
fn is_joined(record: &[u8], header: &[u8]) -> bool {
    record.starts_with(&BOM) || (record == header && !record.is_empty())
}

/// Returns the error for a record that the chunk contains completely but that is too long.
#[cold]
#[inline(never)]
fn too_long(region: &Region<'_>, start: usize, longest: usize) -> Fatal {
    Fatal { error: longer_than(longest as u64, TOO_LONG), place: Some(region.place(start)) }
}

/// Visits a malformed record: `found` is a number of cells other than that of the header, or `None` if there is text
/// after a closing quote.
#[cold]
#[inline(never)]
fn malformed<V: Visit>(record: Unsplit<'_>, found: Option<usize>, rules: &Rules, visit: &mut V) -> Result<(), V::Stop> {
    let Unsplit { region, start, end } = record;
    if end - start > rules.longest {
        return Err(too_long(region, start, rules.longest).into());
    }
    if is_joined(&region.input.bytes()[start..end], &rules.header) {
        visit.joined();
    }
    let (code, reason) = match found {
        Some(found) => {
            let whose = if rules.header.is_empty() { "source.csv.columns" } else { "the header" };
            ("ragged", format!("{found} cells where {whose} has {}", rules.columns))
        }
        None => ("text_after_quote", "text between a closing quote and the next delimiter".to_owned()),
    };
    visit.malformed(&record, RowError { code, column: None, reason })
}
