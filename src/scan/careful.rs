//! The structure of dialects with an escape byte or comments, which the instruction sets do not know. Safe code over the
//! scan of a text without quotes: it finds all delimiters and line ends, and the walk here drops those that are
//! escaped, quoted, or in a comment.
//!
//! State of the walk ([`CarefulCarry`]); what changes together: `start` and `mode` belong to the cell under way, and
//! `is_first` says that it is the first of its record. When a cell ends, `start` moves after its end and `mode` is
//! [`Mode::Start`] again. Positions are from the start of the text, so they survive a change of the window. `at` in
//! [`Mode::Quoted`] is the next byte to examine; an escape may have moved it beyond the window.

use super::tape::{Carry, Tape};
use super::{Dialect, Scanner, WINDOW};
use crate::buffer::Padded;

/// Finds cells and records in a dialect with an escape byte or comments.
#[derive(Clone, Copy, Debug)]
pub struct Careful {
    /// Scans as if there were no quotes.
    scanner: Scanner,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
}

/// The role of a cell that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing of it was examined.
    Start,
    /// Text from this position on: not quoted, or after the closing quote.
    Text(usize),
    /// Inside quotes.
    Quoted(usize),
    /// The byte before this position closed the quotes.
    Closed(usize),
    /// The line is a comment.
    Comment,
}

/// The state at a line end: outside, inside a quoted cell, or in a cell that an escaped line end does not end.
pub const ESCAPED_END: u64 = 2;

/// The state between two windows of a text.
#[derive(Clone, Copy, Debug)]
pub struct CarefulCarry {
    scan: Carry,
    start: usize,
    mode: Mode,
    is_first: bool,
}

impl CarefulCarry {
    /// Returns true if a quoted cell is open.
    #[must_use]
    pub fn inside(&self) -> bool {
        matches!(self.mode, Mode::Quoted(_))
    }
}

impl Careful {
    /// Creates a scanner. `escape` is a backslash; `comment` begins a line that is skipped.
    #[must_use]
    pub fn new(dialect: Dialect, escape: Option<u8>, comment: Option<u8>) -> Careful {
        let scanner = Scanner::new(Dialect { quote: None, ..dialect });
        Careful { scanner, quote: dialect.quote, escape, comment }
    }

    /// Returns the scanner with one more byte that makes a cell dirty.
    #[must_use]
    pub fn marking(mut self, byte: u8) -> Careful {
        self.scanner = self.scanner.marking(byte);
        self
    }

    /// Returns delimiter and quote.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect { quote: self.quote, ..self.scanner.dialect() }
    }

    /// Returns the scanner of the text without quotes.
    #[must_use]
    pub fn scanner(&self) -> &Scanner {
        &self.scanner
    }

    /// Returns the state at the start of a text that follows a line end in `state`.
    #[must_use]
    pub fn carry(&self, state: u64) -> CarefulCarry {
        let mode = match state {
            0 => Mode::Start,
            ESCAPED_END => Mode::Text(0),
            _ => Mode::Quoted(0),
        };
        CarefulCarry { scan: Carry::new(false), start: 0, mode, is_first: state == 0 }
    }

    /// Scans `input[from..to]` onto the tape; see [`Scanner::window`].
    pub fn window(&self, input: Padded<'_>, from: usize, to: usize, carry: &mut CarefulCarry, tape: &mut Tape) {
        let (first, records) = (tape.cells.len(), tape.records.len());
        self.scanner.window(input, from, to, &mut carry.scan, tape);
        tape.records.truncate(records);
        let bytes = input.bytes();
        let mut kept = first;
        for next in first..tape.cells.len() {
            let found = tape.cells[next] as usize;
            let Some(end) = self.end_at(bytes, found, carry, tape) else { continue };
            tape.cells[kept] = end as u32;
            kept += 1;
            let ends_record = matches!(bytes[end], b'\n' | b'\r');
            if ends_record {
                tape.records.push(kept as u32);
            }
            let is_crlf = bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n');
            (carry.start, carry.mode, carry.is_first) = (end + 1 + usize::from(is_crlf), Mode::Start, ends_record);
        }
        tape.cells.truncate(kept);
        self.examine(bytes, to, carry, tape);
        if let Mode::Closed(at) = carry.mode
            && at < to
        {
            tape.junk.push(at as u32);
            carry.mode = Mode::Text(at);
        }
    }

    /// Returns the state after `input`, which starts after a line end in `state` and ends after one.
    #[must_use]
    pub fn state_after(&self, input: Padded<'_>, state: u64) -> u64 {
        let (carry, _) = self.survey(input, state);
        match carry.mode {
            Mode::Quoted(_) => 1,
            Mode::Start if carry.is_first => 0,
            _ => ESCAPED_END,
        }
    }

    /// Returns the position of the last byte that ends a record in `input`, which starts with a record.
    #[must_use]
    pub fn last_end(&self, input: Padded<'_>) -> Option<usize> {
        let (bytes, end) = (input.bytes(), self.survey(input, 0).1?);
        let is_crlf = bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n');
        Some(end + usize::from(is_crlf))
    }

    fn survey(&self, input: Padded<'_>, state: u64) -> (CarefulCarry, Option<usize>) {
        let (mut carry, mut tape) = (self.carry(state), Tape::default());
        let (mut at, mut last_end) = (0, None);
        tape.start(input.len());
        while at < input.len() {
            let to = (at + WINDOW).min(input.len());
            self.window(input, at, to, &mut carry, &mut tape);
            let last = tape.records.last().map(|&cells| tape.cells[cells as usize - 1] as usize);
            last_end = last.or(last_end);
            tape.keep_from(tape.cells.len());
            tape.junk.clear();
            at = to;
        }
        (carry, last_end)
    }

    /// Returns the end of the cell under way if the delimiter or line end at `found` ends it.
    fn end_at(&self, bytes: &[u8], found: usize, carry: &mut CarefulCarry, tape: &mut Tape) -> Option<usize> {
        if found < carry.start {
            // the second half of a CRLF
            return None;
        }
        self.examine(bytes, found, carry, tape);
        let from = match carry.mode {
            Mode::Start => return Some(found),
            Mode::Comment => return matches!(bytes[found], b'\n' | b'\r').then_some(found),
            Mode::Quoted(_) => return None,
            Mode::Text(from) => from,
            Mode::Closed(at) => {
                if at != found {
                    tape.junk.push(at as u32);
                }
                at
            }
        };
        carry.mode = Mode::Text(from);
        let Some(escape) = self.escape else { return Some(found) };
        let run = bytes[from..found].iter().rev().take_while(|byte| **byte == escape).count();
        if run % 2 == 0 {
            return Some(found);
        }
        // an escaped CR leaves its LF
        (bytes[found] == b'\r' && bytes.get(found + 1) == Some(&b'\n')).then_some(found + 1)
    }

    /// Examines the cell under way up to `to`.
    fn examine(&self, bytes: &[u8], to: usize, carry: &mut CarefulCarry, tape: &mut Tape) {
        if carry.mode == Mode::Start && carry.start < to {
            let first = Some(bytes[carry.start]);
            carry.mode = if carry.is_first && self.comment.is_some() && self.comment == first {
                Mode::Comment
            } else if self.quote.is_some() && self.quote == first {
                self.mark(carry.start, tape);
                Mode::Quoted(carry.start + 1)
            } else {
                Mode::Text(carry.start)
            };
        }
        let (Mode::Quoted(mut at), Some(quote)) = (carry.mode, self.quote) else { return };
        while at < to {
            let rest = &bytes[at..to];
            let found = match self.escape {
                Some(escape) => memchr::memchr2(quote, escape, rest),
                None => memchr::memchr(quote, rest),
            };
            let Some(found) = found.map(|found| at + found) else {
                at = to;
                break;
            };
            if bytes[found] != quote {
                at = found + 2;
                continue;
            }
            self.mark(found, tape);
            if self.escape.is_none() && bytes.get(found + 1) == Some(&quote) {
                self.mark(found + 1, tape);
                at = found + 2;
                continue;
            }
            carry.mode = Mode::Closed(found + 1);
            return;
        }
        carry.mode = Mode::Quoted(at);
    }

    /// Makes a quote dirty, which the scan does only with `"`.
    fn mark(&self, at: usize, tape: &mut Tape) {
        if self.quote != Some(b'"') {
            tape.dirty.set(at);
            tape.odd.set(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::SLACK;
    use proptest::prelude::*;

    /// A dialect of the tests.
    #[derive(Clone, Copy, Debug)]
    struct Rules {
        quote: Option<u8>,
        escape: Option<u8>,
        comment: Option<u8>,
    }

    /// The structure of a text.
    #[derive(Debug, Default, PartialEq)]
    struct Found {
        cells: Vec<u32>,
        records: Vec<u32>,
        junk: Vec<u32>,
        inside: bool,
    }

    /// Finds the structure one byte at a time, in the way of a person who reads the contract.
    fn naive(rules: Rules, text: &[u8], state: u64) -> Found {
        let mut found = Found::default();
        let (mut quoted, mut is_start, mut is_first) = (state == 1, state == 0, state == 0);
        let (mut comment, mut closed, mut at) = (false, false, 0);
        while at < text.len() {
            let byte = text[at];
            let was_closed = std::mem::take(&mut closed);
            if comment {
                comment = !matches!(byte, b'\n' | b'\r');
            } else if is_start && is_first && Some(byte) == rules.comment {
                comment = true;
            } else if quoted {
                if Some(byte) == rules.escape {
                    at += 1;
                } else if Some(byte) == rules.quote {
                    let doubled = rules.escape.is_none() && text.get(at + 1) == Some(&byte);
                    (quoted, closed) = (doubled, !doubled);
                    at += usize::from(doubled);
                }
                at += 1;
                continue;
            } else if is_start && Some(byte) == rules.quote {
                (quoted, is_start) = (true, false);
                at += 1;
                continue;
            }
            if was_closed && !matches!(byte, b',' | b'\n' | b'\r') {
                found.junk.push(at as u32);
            }
            let ends_record = !comment && matches!(byte, b'\n' | b'\r');
            if !comment && !ends_record && Some(byte) == rules.escape {
                at += 1;
                is_start = false;
            } else if ends_record || (!comment && byte == b',') {
                found.cells.push(at as u32);
                if ends_record {
                    found.records.push(found.cells.len() as u32);
                    at += usize::from(byte == b'\r' && text.get(at + 1) == Some(&b'\n'));
                }
                (is_start, is_first) = (true, ends_record);
            } else {
                is_start = false;
            }
            at += 1;
        }
        found.inside = quoted;
        found
    }

    fn scan(rules: Rules, text: &[u8], state: u64, step: usize) -> (Found, u64, Option<usize>) {
        let dialect = Dialect { delimiter: b',', quote: rules.quote, marked: b'"' };
        let careful = Careful::new(dialect, rules.escape, rules.comment);
        let mut padded = text.to_vec();
        padded.resize(text.len() + SLACK, b'"');
        let view = Padded::new(&padded, 0, text.len());
        let (mut carry, mut tape) = (careful.carry(state), Tape::default());
        tape.start(text.len());
        for from in (0..text.len()).step_by(step * 64) {
            careful.window(view, from, (from + step * 64).min(text.len()), &mut carry, &mut tape);
        }
        let found = Found { cells: tape.cells, records: tape.records, junk: tape.junk, inside: carry.inside() };
        (found, careful.state_after(view, state), careful.last_end(view))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        #[cfg_attr(miri, ignore = "an interpreter needs many minutes for it")]
        fn the_walk_finds_what_a_reader_of_single_bytes_finds(
            text in proptest::collection::vec(prop_oneof![
                3 => Just(b'a'), 3 => Just(b'"'), 1 => Just(b'\''), 3 => Just(b','), 3 => Just(b'\n'), 1 => Just(b'\r'),
                3 => Just(b'\\'), 2 => Just(b'#'), 1 => any::<u8>()], 0..300),
            quote in prop_oneof![3 => Just(Some(b'"')), 1 => Just(Some(b'\'')), 1 => Just(None)],
            escape in prop_oneof![Just(Some(b'\\')), Just(None)],
            comment in prop_oneof![Just(Some(b'#')), Just(None)], state in 0u64..3, step in 1usize..4,
        ) {
            let rules = Rules { quote, escape, comment };
            let state = match state {
                1 if quote.is_none() => 0,
                ESCAPED_END if escape.is_none() => 0,
                state => state,
            };
            let (found, after, last_end) = scan(rules, &text, state, step);
            let want = naive(rules, &text, state);
            prop_assert_eq!(&found, &want);
            // a text of a chunk ends after a line end
            if text.last() == Some(&b'\n') {
                let ended = want.records.last().is_some_and(|&cells| want.cells[cells as usize - 1] as usize + 1 == text.len())
                    || (text.ends_with(b"\r\n")
                        && want.cells.last().is_some_and(|&end| end as usize + 2 == text.len()));
                prop_assert_eq!(after, if want.inside { 1 } else if ended { 0 } else { ESCAPED_END });
            }
            if state == 0 {
                let last = want.records.last().map(|&cells| want.cells[cells as usize - 1] as usize);
                let is_crlf = |end: &usize| text[*end] == b'\r' && text.get(end + 1) == Some(&b'\n');
                prop_assert_eq!(last_end, last.map(|end| end + usize::from(is_crlf(&end))));
            }
        }
    }

    #[test]
    fn an_escape_takes_the_meaning_of_the_next_byte() {
        let rules = Rules { quote: Some(b'"'), escape: Some(b'\\'), comment: Some(b'#') };
        let text = b"a\\,b,\"c\\\",\"\n#\",\n\\\r\n\\\\,\n";
        let (found, state, _) = scan(rules, text, 0, 1);
        assert_eq!(found.cells, [4, 11, 15, 18, 21, 22]);
        assert_eq!(found.records, [2, 3, 4, 6]);
        assert_eq!(state, 0);
    }
}
