//! Lines of a stretch of text: scans one window at a time, and follows each line while its window is in the first-level
//! cache.
//!
//! State of the loop over windows: `at` is how far the scan has come, `start` is where the line under way starts, at most `at`.
//! Of the tape only the masks and the line ends are used; the cells of a line under way (NUL bytes, since NUL is taken for the
//! delimiter) are dropped, so that the tape does not grow with a long line. A line end is never inside of a value, so a chunk
//! has no state.

use super::row::NdjsonRow;
use super::walk::{Invalid, Line, MAX_DEPTH, Walker};
use crate::buffer::Padded;
use crate::format::chunk::Fatal;
use crate::format::reader::Visit;
use crate::format::text::{BOM, End, Region, Stretch, Unsplit, lines_between, longer_than, record_start};
use crate::row::RowError;
use crate::scan::{Boosted, Carry, Dialect, Scanner, Tape, WINDOW, count_lines};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Hint for a line that is too long.
pub(super) const TOO_LONG: &str = "one JSON object is expected on each line; if lines are really that long, raise \
                                   source.max_record_bytes";

/// Visits the records of stretches of text and reuses its tape.
pub(crate) struct Kernel {
    scanner: Scanner,
    tape: Tape,
    walker: Walker,
    /// Maximum length of a line in bytes.
    longest: usize,
    /// For each column, whether a line had it; shared by all threads.
    seen: Arc<[AtomicBool]>,
}

/// Returns the dialect of a scan without cells: NUL as the delimiter, which cannot occur in JSON.
pub(super) fn dialect(marked: u8) -> Dialect {
    Dialect { delimiter: 0, quote: None, marked }
}

/// Scans a line that is not part of a stretch. Of the tape only the masks are left, so that it does not grow with the line.
pub(super) fn scan_line(input: Padded<'_>, tape: &mut Tape) {
    let (scanner, mut carry) = (Scanner::new(dialect(b'"')), Carry::new(false));
    tape.start(input.len());
    for from in (0..input.len()).step_by(WINDOW) {
        scanner.window(input, from, (from + WINDOW).min(input.len()), &mut carry, tape);
        tape.keep_from(tape.cells.len());
    }
}

impl Kernel {
    pub(super) fn new(marked: Option<u8>, walker: Walker, longest: usize, seen: Arc<[AtomicBool]>) -> Kernel {
        let scanner = Scanner::new(dialect(marked.unwrap_or(b'"')));
        Kernel { scanner, tape: Tape::default(), walker, longest, seen }
    }

    /// Visits the records that start before the limit.
    pub(super) fn run<V: Visit>(&mut self, stretch: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop> {
        let ended = self.windows(stretch, visit);
        for (seen, of_all) in self.walker.seen.iter().zip(&*self.seen) {
            if *seen {
                of_all.store(true, Ordering::Relaxed);
            }
        }
        ended
    }

    fn windows<V: Visit>(&mut self, stretch: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop> {
        let Kernel { scanner, tape, walker, longest, .. } = self;
        let &Stretch { text: input, limit, ended, places, .. } = stretch;
        let bytes = input.bytes();
        let (mut start, mut at, mut lines) = (0, 0, 0);
        let mut carry = Carry::new(false);
        tape.start(bytes.len());
        while at < bytes.len() {
            let to = (at + WINDOW).min(bytes.len());
            scanner.window(input, at, to, &mut carry, tape);
            let last = tape.records.last().map_or(start, |&cells| tape.cells[cells as usize - 1] as usize);
            let region = Region::new(input, tape, scanner.dialect(), (start, last), places);
            let walked =
                scanner.boost(Walk { region: &region, tape, walker, longest: *longest, limit, start, visit })?;
            start = walked.start;
            if walked.done {
                return Ok(End { open: None, inside: false, state: 0, lines: lines + lines_between(bytes, at, limit) });
            }
            let counted = std::mem::take(&mut tape.lines);
            lines += if to <= limit { counted } else { lines_between(bytes, at, limit) };
            tape.keep_from(tape.cells.len());
            at = to;
        }
        if start < limit && !ended {
            return Ok(End { open: Some(start), inside: false, state: 0, lines: count_lines(&bytes[..start]) });
        }
        if start < limit.min(bytes.len()) {
            // the last line may have no line end
            let region = Region::new(input, tape, scanner.dialect(), (start, bytes.len()), places);
            let line = Line::<false> { input, dirty: tape.dirty.bytes(), from: start, to: bytes.len() };
            visit_line(&region, &line, walker, *longest, visit)?;
        }
        Ok(End { open: None, inside: false, state: 0, lines })
    }
}

/// The lines of a window.
struct Walk<'w, V> {
    region: &'w Region<'w>,
    tape: &'w Tape,
    walker: &'w mut Walker,
    longest: usize,
    limit: usize,
    start: usize,
    visit: &'w mut V,
}

/// The end of a walk.
struct Walked {
    /// Start of the next line.
    start: usize,
    /// True if the limit was reached.
    done: bool,
}

impl<V: Visit> Boosted for Walk<'_, V> {
    type Output = Result<Walked, V::Stop>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Walk { region, tape, walker, longest, limit, mut start, visit } = self;
        let bytes = region.input.bytes();
        let dirty = tape.dirty.bytes();
        for &cells in &tape.records {
            let to = tape.cells[cells as usize - 1] as usize;
            let from = std::mem::replace(&mut start, record_start(bytes, to));
            visit_line(region, &Line::<true> { input: region.input, dirty, from, to }, walker, longest, visit)?;
            if start >= limit {
                return Ok(Walked { start, done: true });
            }
        }
        Ok(Walked { start, done: false })
    }
}

#[inline(always)]
fn visit_line<'r, V: Visit, const ENDS: bool>(
    region: &'r Region<'r>,
    line: &Line<'_, ENDS>,
    walker: &mut Walker,
    longest: usize,
    visit: &mut V,
) -> Result<(), V::Stop> {
    let (from, to) = (line.from, line.to);
    if to - from > longest {
        return Err(too_long(region, from, longest).into());
    }
    match walker.walk(line) {
        Ok(()) => visit.row(&NdjsonRow { region, spans: &walker.spans, from, to }),
        Err(_) if line.is_blank() => {
            visit.blank();
            Ok(())
        }
        Err((why, at)) => malformed(Unsplit { region, start: from, end: to }, why, at - from, visit),
    }
}

#[cold]
#[inline(never)]
fn too_long(region: &Region<'_>, start: usize, longest: usize) -> Fatal {
    Fatal { error: longer_than(longest as u64, TOO_LONG), place: Some(region.place(start)) }
}

/// Visits a line that is not a JSON object; `at` is the position of the error in the line.
#[cold]
#[inline(never)]
fn malformed<V: Visit>(line: Unsplit<'_>, why: Invalid, at: usize, visit: &mut V) -> Result<(), V::Stop> {
    let text = &line.region.input.bytes()[line.start..line.end];
    if text.starts_with(&BOM) {
        visit.joined();
    }
    let (code, what) = match why {
        Invalid::Duplicate => {
            let reason = "a key that the job names occurs twice".to_owned();
            return visit.malformed(&line, RowError { code: "duplicate_key", column: None, reason });
        }
        Invalid::TooDeep => {
            let reason = format!("objects and arrays nested deeper than {MAX_DEPTH}");
            return visit.malformed(&line, RowError { code: "too_deep", column: None, reason });
        }
        Invalid::NotAnObject => ("not_an_object", "the line is not a JSON object"),
        Invalid::String => ("not_json", "a string that is not closed on its line"),
        Invalid::Escape => ("not_json", "an escape that JSON does not have"),
        Invalid::Control => ("not_json", "a control character in a string"),
        Invalid::Number => ("not_json", "a malformed number"),
        Invalid::Literal => ("not_json", "a word that is not true, false or null"),
        Invalid::Value => ("not_json", "no value where one is expected"),
        Invalid::Key => ("not_json", "no key in quotes where one is expected"),
        Invalid::Colon => ("not_json", "no colon after a key"),
        Invalid::Comma => ("not_json", "no comma or closing bracket after a value"),
        Invalid::Trailing => ("not_json", "text after the object"),
    };
    visit.malformed(&line, RowError { code, column: None, reason: format!("{what}, at byte {} of the line", at + 1) })
}
