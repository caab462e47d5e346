//! Lines of a stretch of text, found a window at a time.

use super::row::Line;
use crate::format::chunk::Fatal;
use crate::format::reader::Visit;
use crate::format::text::{BOM, End, Region, Stretch, longer_than, record_start};
use crate::scan::{Boosted, Carry, Scanner, Tape, WINDOW, count_lines};

/// Hint for a line that is too long.
pub(super) const TOO_LONG: &str = "is it a list of one value a line? else raise source.max_record_bytes";

/// Visits the lines of stretches of text and reuses its tape.
pub(crate) struct Kernel {
    scanner: Scanner,
    longest: usize,
    tape: Tape,
}

impl Kernel {
    pub(super) fn new(scanner: Scanner, longest: usize) -> Kernel {
        Kernel { scanner, longest, tape: Tape::default() }
    }

    /// Visits the lines that start before the limit. `start` is the start of the current line; the tape has only the
    /// line ends of the current window.
    pub(super) fn run<V: Visit>(&mut self, stretch: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop> {
        let Kernel { scanner, longest, tape } = self;
        let &Stretch { text: input, limit, ended, places, .. } = stretch;
        let bytes = input.bytes();
        let mut carry = Carry::new(false);
        let (mut start, mut at) = (0, 0);
        tape.start(bytes.len());
        while at < bytes.len() && start < limit {
            let to = (at + WINDOW).min(bytes.len());
            scanner.window(input, at, to, &mut carry, tape);
            if to == bytes.len() && ended {
                end_last_line(tape, bytes, start);
            }
            let last = tape.records.last().map_or(start, |&cells| tape.cells[cells as usize - 1] as usize);
            let region = Region::new(input, tape, scanner.dialect(), (start, last), places);
            start = scanner.boost(Walk { region: &region, tape, longest: *longest, limit, start, visit })?;
            tape.keep_from(tape.cells.len());
            at = to;
        }
        let open = (start < limit && !ended).then_some(start);
        let lines = count_lines(&bytes[..open.unwrap_or(limit)]);
        Ok(End { open, inside: false, state: 0, lines })
    }
}

/// Ends the current line, if there is one, at the end of the input.
fn end_last_line(tape: &mut Tape, bytes: &[u8], start: usize) {
    let from = tape.records.last().map_or(start, |&cells| record_start(bytes, tape.cells[cells as usize - 1] as usize));
    if from < bytes.len() {
        tape.cells.push(bytes.len() as u32);
        tape.records.push(tape.cells.len() as u32);
    }
}

/// The lines of a window; the output is the start of the next line.
struct Walk<'w, V> {
    region: &'w Region<'w>,
    tape: &'w Tape,
    longest: usize,
    limit: usize,
    start: usize,
    visit: &'w mut V,
}

impl<V: Visit> Boosted for Walk<'_, V> {
    type Output = Result<usize, V::Stop>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Walk { region, tape, longest, limit, mut start, visit } = self;
        let bytes = region.input.bytes();
        for &cells in &tape.records {
            let end = tape.cells[cells as usize - 1] as usize;
            let from = std::mem::replace(&mut start, record_start(bytes, end));
            if end - from > longest {
                let error = longer_than(longest as u64, TOO_LONG);
                return Err(Fatal { error, place: Some(region.place(from)) }.into());
            }
            if from == end {
                visit.blank();
            } else {
                if bytes.get(from) == Some(&BOM[0]) && bytes[from..end].starts_with(&BOM) {
                    visit.joined();
                }
                visit.row(&Line { region, start: from, end })?;
            }
            if start >= limit {
                break;
            }
        }
        Ok(start)
    }
}
