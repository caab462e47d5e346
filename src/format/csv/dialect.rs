//! The differences between the dialects of delimited text for the kernel, which is compiled for each of the two kinds.

use super::dialect_row::DialectRow;
use super::nulls::Nulls;
use super::options::{CsvOptions, ESCAPE};
use super::row::CsvRow;
use crate::buffer::Padded;
use crate::format::reader::Visit;
use crate::scan::{self, Careful, CarefulCarry, Carry, Scanner, Tape};

/// How a dialect finds the structure of a text, and visits its rows.
pub(crate) trait Dialect: Send {
    /// The state between two windows.
    type Carry;

    /// Whether lines can be comments.
    const HAS_COMMENTS: bool = false;

    /// Returns the state at the start of a text.
    fn carry(&self, state: u64) -> Self::Carry;

    /// Scans a window; see [`Scanner::window`].
    fn window(&self, input: Padded<'_>, from: usize, to: usize, carry: &mut Self::Carry, tape: &mut Tape);

    /// Returns true if a quoted cell is open.
    fn is_inside(carry: &Self::Carry) -> bool;

    /// Returns the state at the end of `text`, which is inside a record and after a line end.
    fn state_at(&self, text: Padded<'_>, state: u64) -> u64;

    /// Returns the scanner, which knows the best instructions.
    fn scanner(&self) -> &Scanner;

    /// Returns delimiter and quote.
    fn dialect(&self) -> scan::Dialect;

    /// Returns true if the line end at `end` of `text` is escaped, so that it ends nothing.
    fn is_escaped(&self, text: &[u8], end: usize) -> bool {
        let _ = (text, end);
        false
    }

    /// Returns true if a record is a comment.
    fn is_comment(&self, record: &[u8]) -> bool {
        let _ = record;
        false
    }

    /// Visits a row.
    ///
    /// # Errors
    /// The visitor stops.
    fn visit<V: Visit>(&self, row: CsvRow<'_>, visit: &mut V) -> Result<(), V::Stop>;
}

/// Delimiter and quotes are all there is.
impl Dialect for Scanner {
    type Carry = Carry;

    fn carry(&self, state: u64) -> Carry {
        Carry::new(state != 0)
    }

    #[inline(always)]
    fn window(&self, input: Padded<'_>, from: usize, to: usize, carry: &mut Carry, tape: &mut Tape) {
        Scanner::window(self, input, from, to, carry, tape);
    }

    fn is_inside(carry: &Carry) -> bool {
        carry.inside()
    }

    fn state_at(&self, _text: Padded<'_>, _state: u64) -> u64 {
        1
    }

    fn scanner(&self) -> &Scanner {
        self
    }

    fn dialect(&self) -> scan::Dialect {
        Scanner::dialect(self)
    }

    #[inline(always)]
    fn visit<V: Visit>(&self, row: CsvRow<'_>, visit: &mut V) -> Result<(), V::Stop> {
        visit.row(&row)
    }
}

/// A dialect with escapes, comments, or texts that mean empty.
#[derive(Clone, Debug)]
pub(crate) struct Special {
    structure: Structure,
    escape: bool,
    pub(super) nulls: Nulls,
    comment: Option<u8>,
}

/// How the structure is found: escapes, and quotes in comments, change it.
#[derive(Clone, Copy, Debug)]
enum Structure {
    Fast(Scanner),
    Careful(Careful),
}

/// The state of [`Structure`].
pub(crate) enum SpecialCarry {
    Fast(Carry),
    Careful(CarefulCarry),
}

impl Special {
    pub(super) fn new(options: &CsvOptions) -> Special {
        let (dialect, comment) = (options.dialect(), options.comment);
        let structure = if options.escape || (comment.is_some() && options.quote.is_some()) {
            Structure::Careful(Careful::new(dialect, options.escape.then_some(ESCAPE), comment))
        } else {
            Structure::Fast(Scanner::new(dialect))
        };
        Special { structure, escape: options.escape, nulls: Nulls::new(&options.nulls), comment }
    }

    /// Returns the dialect with one more byte that makes a cell dirty.
    pub(super) fn marking(&self, byte: u8) -> Special {
        let structure = match self.structure {
            Structure::Fast(scanner) => Structure::Fast(scanner.marking(byte)),
            Structure::Careful(careful) => Structure::Careful(careful.marking(byte)),
        };
        Special { structure, ..self.clone() }
    }

    /// Returns the state after a text that starts and ends after a line end.
    pub(super) fn state_after(&self, text: Padded<'_>, state: u64) -> u64 {
        match &self.structure {
            Structure::Fast(scanner) => scanner.inside_after(text, state != 0).into(),
            Structure::Careful(careful) => careful.state_after(text, state),
        }
    }

    /// Returns the position of the last byte that ends a record.
    pub(super) fn last_end(&self, text: Padded<'_>) -> Option<usize> {
        match &self.structure {
            Structure::Fast(scanner) => scanner.survey(text, false).last_end,
            Structure::Careful(careful) => careful.last_end(text),
        }
    }
}

impl Dialect for Special {
    type Carry = SpecialCarry;
    const HAS_COMMENTS: bool = true;

    fn carry(&self, state: u64) -> SpecialCarry {
        match &self.structure {
            Structure::Fast(_) => SpecialCarry::Fast(Carry::new(state != 0)),
            Structure::Careful(careful) => SpecialCarry::Careful(careful.carry(state)),
        }
    }

    fn window(&self, input: Padded<'_>, from: usize, to: usize, carry: &mut SpecialCarry, tape: &mut Tape) {
        match (&self.structure, carry) {
            (Structure::Fast(scanner), SpecialCarry::Fast(carry)) => scanner.window(input, from, to, carry, tape),
            (Structure::Careful(careful), SpecialCarry::Careful(carry)) => careful.window(input, from, to, carry, tape),
            _ => {}
        }
    }

    fn is_inside(carry: &SpecialCarry) -> bool {
        match carry {
            SpecialCarry::Fast(carry) => carry.inside(),
            SpecialCarry::Careful(carry) => carry.inside(),
        }
    }

    fn state_at(&self, text: Padded<'_>, state: u64) -> u64 {
        self.state_after(text, state)
    }

    fn scanner(&self) -> &Scanner {
        match &self.structure {
            Structure::Fast(scanner) => scanner,
            Structure::Careful(careful) => careful.scanner(),
        }
    }

    fn dialect(&self) -> scan::Dialect {
        match &self.structure {
            Structure::Fast(scanner) => scanner.dialect(),
            Structure::Careful(careful) => careful.dialect(),
        }
    }

    fn is_escaped(&self, text: &[u8], end: usize) -> bool {
        self.escape && text[..end].iter().rev().take_while(|byte| **byte == ESCAPE).count() % 2 == 1
    }

    fn is_comment(&self, record: &[u8]) -> bool {
        self.comment.is_some() && record.first().copied() == self.comment
    }

    fn visit<V: Visit>(&self, row: CsvRow<'_>, visit: &mut V) -> Result<(), V::Stop> {
        visit.row(&DialectRow { region: row.region, row, nulls: &self.nulls, escape: self.escape })
    }
}
