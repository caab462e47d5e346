//! The naive implementation: one byte at a time, no `unsafe`. The others are compared with it, and it is used where
//! there are none.

use super::tape::{Carry, Tape};
use super::{Dialect, Survey};

/// The state after some byte of a text.
#[derive(Clone, Copy)]
struct State {
    inside: bool,
    may_open: bool,
    closed: bool,
    cr: bool,
    any_cr: bool,
}

/// The role of a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Text,
    Junk,
    Delimiter,
    RecordEnd,
}

impl State {
    fn from(carry: &Carry) -> State {
        State {
            inside: carry.inside != 0,
            may_open: carry.may_open >> 63 != 0,
            closed: carry.closed != 0,
            cr: carry.cr != 0,
            any_cr: carry.any_cr != 0,
        }
    }

    fn into_carry(self) -> Carry {
        Carry {
            inside: if self.inside { !0 } else { 0 },
            may_open: u64::from(self.may_open) << 63,
            closed: self.closed.into(),
            cr: self.cr.into(),
            any_cr: self.any_cr.into(),
        }
    }

    fn step(&mut self, byte: u8, dialect: &Dialect) -> What {
        let after_cr = std::mem::take(&mut self.cr);
        let after_close = std::mem::take(&mut self.closed);
        let may_open = std::mem::take(&mut self.may_open);
        if self.inside {
            if Some(byte) == dialect.quote {
                self.inside = false;
                self.closed = true;
                self.may_open = true;
            }
            return What::Text;
        }
        if Some(byte) == dialect.quote && may_open {
            self.inside = true;
            return What::Text;
        }
        if byte == dialect.delimiter {
            self.may_open = true;
            return What::Delimiter;
        }
        if byte == b'\n' || byte == b'\r' {
            self.may_open = true;
            self.cr = byte == b'\r';
            return if byte == b'\n' && after_cr { What::Text } else { What::RecordEnd };
        }
        if after_close { What::Junk } else { What::Text }
    }

    fn line_end(&mut self, byte: u8) -> bool {
        let after_cr = std::mem::replace(&mut self.any_cr, byte == b'\r');
        byte == b'\r' || (byte == b'\n' && !after_cr)
    }
}

pub(super) fn window(input: &[u8], from: usize, to: usize, dialect: &Dialect, carry: &mut Carry, tape: &mut Tape) {
    let mut state = State::from(carry);
    for (at, &byte) in input.iter().enumerate().take(to).skip(from) {
        if at % 64 == 0 {
            tape.dirty.clear_word(at);
            tape.odd.clear_word(at);
        }
        if byte < 0x20
            || byte == 0x7f
            || byte == dialect.marked
            || byte == b'"'
            || byte == b'\\'
            || Some(byte) == dialect.quote
        {
            tape.dirty.set(at);
            tape.odd.set(at);
        }
        if byte >= 0x80 {
            tape.odd.set(at);
        }
        tape.lines += u64::from(state.line_end(byte));
        match state.step(byte, dialect) {
            What::Text => {}
            What::Junk => tape.junk.push(at as u32),
            What::Delimiter => tape.cells.push(at as u32),
            What::RecordEnd => {
                tape.cells.push(at as u32);
                tape.records.push(tape.cells.len() as u32);
            }
        }
    }
    *carry = state.into_carry();
}

pub(super) fn survey(input: &[u8], to: usize, dialect: &Dialect, inside: bool) -> Survey {
    let mut state = State::from(&Carry::new(inside));
    let mut last_end = None;
    for (at, &byte) in input[..to].iter().enumerate() {
        let was_inside = state.inside;
        state.step(byte, dialect);
        if !was_inside && (byte == b'\n' || byte == b'\r') {
            last_end = Some(at);
        }
    }
    Survey { inside: state.inside, last_end }
}
