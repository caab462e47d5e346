//! A [`Shape`] and conditions compiled against a header: a flat list of small ops, run once a record.
//!
//! Each op copies the literal that stands before its value (see `joint`) and the value itself. Cells that are clean and
//! need no conversion are one copy; everything else goes the general way of `value`.

use super::compile;
use super::filter::Filter;
use super::joint::Joint;
use super::value::{CellRule, Form, Value, Wrong};
use super::{Condition, Shape};
use crate::error::Result;
use crate::reader::Record;
use crate::scan::{Out, Padded, SLACK};

/// `map` and `where`, compiled. Immutable; shared by all workers.
pub struct Plan {
    pub(super) head: Vec<u8>,
    pub(super) filters: Vec<Filter>,
    pub(super) ops: Vec<Op>,
    pub(super) values: Vec<Value>,
    pub(super) joints: Vec<Joint>,
    /// Literals, with slack behind.
    pub(super) arena: Vec<u8>,
    /// First of the literals that end a record.
    pub(super) end: u32,
    pub(super) checks: Vec<Rule>,
    /// Bits of units that are constants and there; those of them that are not "0".
    pub(super) constant_bits: (u64, u64),
    pub(super) max_record_bytes: usize,
    pub(super) one_line: bool,
    pub(super) columns: Vec<String>,
    pub(super) separator: Option<u8>,
    /// What is needed to try the next separator.
    pub(super) trial: Option<compile::Trial>,
}

/// One value of the row, or a place where states merge.
pub(super) struct Op {
    pub(super) code: Code,
    /// What becomes of an empty value.
    pub(super) empty: OnEmpty,
    /// The state after the value.
    pub(super) own: u8,
    /// Bit of the unit in the checks; 0: none looks at it.
    pub(super) bit: u64,
    pub(super) column: u32,
    /// First of the literals before the value, one a state.
    pub(super) joints: u32,
    /// The general way.
    pub(super) value: u32,
    /// A longer cell goes the general way.
    pub(super) fast_len: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Text as it is, into a JSON string.
    Text,
    /// The same with A-Z as a-z.
    Lower,
    /// Text as it is, into a cell.
    Cell(CellRule),
    /// The same with A-Z as a-z.
    LowerCell(CellRule),
    /// No control characters allowed.
    PlainCell(CellRule),
    /// The same with A-Z as a-z.
    LowerPlainCell(CellRule),
    /// Split at one byte, each element a JSON string.
    Split(u8),
    /// Digits that are already canonical.
    Integer,
    /// The general way.
    Slow,
    /// States merge: not a value.
    Merge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnEmpty {
    Omit,
    Reject,
    /// First of the literals instead, and the state after them.
    Instead(u32, u8),
}

/// A rule over several units.
pub(super) enum Rule {
    ExactlyOne { bits: u64, names: String },
    NotBoth { bits: u64, names: String },
}

/// What a worker lends to [`Plan::run`]; recycled from record to record.
#[derive(Default)]
pub struct Scratch {
    /// Filled by [`Outcome::Rejected`].
    pub fault: Fault,
    pub(super) text: Vec<u8>,
    pub(super) spare: Vec<u8>,
    /// A value held the separator on trial.
    pub(super) clash: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Appended to the output.
    Written,
    /// `where` or the shape leaves it out; nothing was appended.
    Filtered,
    /// Not fit; nothing was appended, the reason is in [`Scratch::fault`].
    Rejected,
    /// The separator on trial occurs in a value: pass one starts anew with [`Plan::next_separator`].
    Clash,
}

/// Why a record was rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Stable, for machines: `invalid_utf8`, `nul`, `empty`, `not_an_integer`, …
    pub code: &'static str,
    /// Index of the source column, where one is to blame.
    pub column: Option<usize>,
    /// For people: what is wrong and with which field; holds no value of the row.
    pub reason: String,
}

/// Why an op did not write.
enum Stop {
    Wrong(Wrong),
    Empty,
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Stop {
        Stop::Wrong(wrong)
    }
}

impl Plan {
    /// Compiles against the names of the source's columns.
    ///
    /// # Errors
    /// `Usage`: a column that is not there (with the nearest name) or there twice, a rule of the platform that the
    /// map breaks.
    pub fn compile(shape: &Shape, conditions: &[Condition], columns: &[String]) -> Result<Plan> {
        compile::plan(shape, conditions, columns, None)
    }

    /// The header line of the output, LF included; empty where there is none. Stands first in each part.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The separator of a delimited output: fixed, or the one on trial.
    #[must_use]
    pub fn separator(&self) -> Option<u8> {
        self.separator
    }

    /// True where the separator is on trial: [`crate::body::measure`] tells whether it holds.
    #[must_use]
    pub fn is_on_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// The same plan with the next separator on trial; `None` where it is fixed or the last one.
    #[must_use]
    pub fn next_separator(&self) -> Option<Plan> {
        self.trial.as_ref()?.next()
    }

    /// True where LF occurs in the output only at the end of a record (always for JSON).
    #[must_use]
    pub fn one_line_a_record(&self) -> bool {
        self.one_line
    }

    /// Runs the plan on a record and appends the output record, LF included, to `out`.
    #[inline]
    pub fn run(&self, record: &Record<'_>, out: &mut Out, scratch: &mut Scratch) -> Outcome {
        for filter in &self.filters {
            match filter.holds(record, scratch) {
                Ok(true) => {}
                Ok(false) => return Outcome::Filtered,
                Err(wrong) => return self.reject(out, out.len(), wrong, Some(filter.column), None, scratch),
            }
        }
        let begin = out.len();
        let arena = Padded::new(&self.arena, 0, self.arena.len() - SLACK);
        let mut state = 0u8;
        let (mut there, mut non_zero) = self.constant_bits;
        scratch.clash = false;
        for op in &self.ops {
            match self.op(op, &mut state, arena, record, out, scratch) {
                Ok(value) => {
                    if op.bit != 0 {
                        there |= op.bit;
                        if &out.bytes()[value..] != b"0" {
                            non_zero |= op.bit;
                        }
                    }
                }
                Err(Stop::Empty) => match op.empty {
                    OnEmpty::Omit => {}
                    OnEmpty::Instead(joints, next) => {
                        let joint = self.joints[joints as usize + state as usize];
                        out.copy(arena, joint.at as usize, joint.len as usize);
                        state = next;
                    }
                    OnEmpty::Reject => {
                        let wrong = Wrong { code: "empty", what: "an empty value where one is required", cell: None };
                        return self.reject(out, begin, wrong, None, Some(op), scratch);
                    }
                },
                Err(Stop::Wrong(wrong)) => return self.reject(out, begin, wrong, None, Some(op), scratch),
            }
        }
        let joint = self.joints[self.end as usize + state as usize];
        if joint == Joint::FILTER {
            out.truncate(begin);
            return Outcome::Filtered;
        }
        out.copy(arena, joint.at as usize, joint.len as usize);
        if !self.checks.is_empty()
            && let Some(outcome) = self.check(there, non_zero, out, begin, scratch)
        {
            return outcome;
        }
        if out.len() - begin > self.max_record_bytes {
            let wrong = Wrong { code: "record_too_long", what: "a record longer than the platform takes", cell: None };
            return self.reject(out, begin, wrong, None, None, scratch);
        }
        if scratch.clash {
            out.truncate(begin);
            return Outcome::Clash;
        }
        Outcome::Written
    }

    /// Writes one value; returns where it starts in `out`, the literal before it left aside.
    #[inline(always)]
    fn op(
        &self,
        op: &Op,
        state: &mut u8,
        arena: Padded<'_>,
        record: &Record<'_>,
        out: &mut Out,
        scratch: &mut Scratch,
    ) -> Result<usize, Stop> {
        if op.code == Code::Slow {
            return self.slow(op, state, arena, record, out, scratch);
        }
        if op.code == Code::Merge {
            if *state >= op.own {
                let joint = self.joints[op.joints as usize + *state as usize];
                out.copy(arena, joint.at as usize, joint.len as usize);
                *state = op.own;
            }
            return Ok(out.len());
        }
        let (at, len) = record.span(op.column as usize);
        if len == 0 {
            return Err(Stop::Empty);
        }
        let input = record.input();
        let ascii = record.is_ascii(at, len);
        let fast = len <= op.fast_len as usize
            && record.is_clean(at, len)
            && match op.code {
                Code::Text | Code::Split(_) => ascii || is_utf8(&input.bytes()[at..at + len]),
                Code::Lower => ascii,
                Code::Cell(rule) => {
                    (ascii || is_utf8(&input.bytes()[at..at + len])) && no_separator(record, rule, at, len)
                }
                Code::LowerCell(rule) => ascii && no_separator(record, rule, at, len),
                Code::PlainCell(rule) | Code::LowerPlainCell(rule) => ascii && no_separator(record, rule, at, len),
                Code::Integer => super::cast::is_canonical_integer(&input.bytes()[at..at + len]),
                Code::Slow | Code::Merge => false,
            };
        if !fast {
            return self.slow(op, state, arena, record, out, scratch);
        }
        let joint = self.joints[op.joints as usize + *state as usize];
        out.copy(arena, joint.at as usize, joint.len as usize);
        let value = out.len();
        match op.code {
            Code::Lower | Code::LowerCell(_) | Code::LowerPlainCell(_) => out.copy_ascii_lower(input, at, len),
            Code::Split(separator) => split(input, at, len, separator, out),
            _ => out.copy(input, at, len),
        }
        *state = op.own;
        Ok(value)
    }

    #[cold]
    #[inline(never)]
    fn slow(
        &self,
        op: &Op,
        state: &mut u8,
        arena: Padded<'_>,
        record: &Record<'_>,
        out: &mut Out,
        scratch: &mut Scratch,
    ) -> Result<usize, Stop> {
        let value = &self.values[op.value as usize];
        value.read(record, scratch)?;
        if scratch.text.is_empty()
            && let Some(default) = &value.default
        {
            scratch.text.extend_from_slice(default);
        }
        if scratch.text.is_empty() {
            return Err(Stop::Empty);
        }
        let joint = self.joints[op.joints as usize + *state as usize];
        out.copy(arena, joint.at as usize, joint.len as usize);
        let begin = out.len();
        value.output.write(scratch, out)?;
        *state = op.own;
        Ok(begin)
    }

    #[cold]
    fn check(&self, there: u64, non_zero: u64, out: &mut Out, begin: usize, scratch: &mut Scratch) -> Option<Outcome> {
        for rule in &self.checks {
            let (broken, code, reason) = match rule {
                Rule::ExactlyOne { bits, names } => {
                    let n = (there & bits).count_ones();
                    (n != 1, "exactly_one", format!("exactly one of {names} must have a value, {n} have"))
                }
                Rule::NotBoth { bits, names } => (
                    non_zero & bits == *bits,
                    "both_non_zero",
                    format!("{names} are both other than 0: only one of them may be"),
                ),
            };
            if broken {
                out.truncate(begin);
                scratch.fault = Fault { code, column: None, reason };
                return Some(Outcome::Rejected);
            }
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn reject(
        &self,
        out: &mut Out,
        begin: usize,
        wrong: Wrong,
        column: Option<usize>,
        op: Option<&Op>,
        scratch: &mut Scratch,
    ) -> Outcome {
        out.truncate(begin);
        let value = op.map(|op| &self.values[op.value as usize]);
        let column = wrong.cell.or(column).or_else(|| value.and_then(Value::column));
        let mut reason = wrong.what.to_owned();
        if let Some(value) = value {
            reason.push_str(&format!(" for \"{}\"", value.name));
        }
        if let Some(name) = column.and_then(|column| self.columns.get(column)) {
            reason.push_str(&format!(" (column \"{name}\")"));
        }
        scratch.fault = Fault { code: wrong.code, column, reason };
        Outcome::Rejected
    }
}

#[inline(never)]
fn is_utf8(bytes: &[u8]) -> bool {
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// True where a clean cell does not hold the separator of the output.
#[inline(always)]
fn no_separator(record: &Record<'_>, rule: CellRule, at: usize, len: usize) -> bool {
    // an unquoted cell cannot hold the delimiter of the input; a control character would not be clean
    rule.separator == record.marked
        || rule.separator == record.delimiter
        || rule.separator < 0x20
        || !contains(&record.input().bytes()[at..at + len], rule.separator)
}

#[inline(always)]
fn contains(bytes: &[u8], wanted: u8) -> bool {
    let blocks = bytes.chunks_exact(16);
    let rest = blocks.remainder();
    blocks.into_iter().any(|block| block.iter().fold(false, |any, &byte| any | (byte == wanted)))
        || rest.contains(&wanted)
}

/// Elements of a clean cell as JSON strings, without the outer quotes.
#[inline(always)]
fn split(input: Padded<'_>, at: usize, len: usize, separator: u8, out: &mut Out) {
    let end = at + len;
    let (mut done, mut i) = (at, at);
    while i < end {
        let mut found = input.matches_16(i, separator);
        if end - i < 16 {
            found &= (1 << (end - i)) - 1;
        }
        while found != 0 {
            let next = i + found.trailing_zeros() as usize;
            out.copy(input, done, next - done);
            out.extend(b"\",\"");
            done = next + 1;
            found &= found - 1;
        }
        i += 16;
    }
    out.copy(input, done, end - done);
}

/// The form a fast op may stand in for.
pub(super) fn code_for(value: &Value) -> Code {
    use super::cast::Cast;
    use super::spec::Apply;
    use super::value::Origin;
    let output = &value.output;
    let simple = matches!(value.origin, Origin::Column(_)) && output.one_of.is_none();
    let lower = match &value.apply[..] {
        [] => false,
        [Apply::Lower] => true,
        _ => return Code::Slow,
    };
    if !simple {
        return Code::Slow;
    }
    match (&output.split, &output.cast, output.form, output.no_control) {
        (None, Cast::String, Form::Quoted, false) if lower => Code::Lower,
        (None, Cast::String, Form::Quoted, false) => Code::Text,
        (None, Cast::String, Form::Cell(rule), false) if lower => Code::LowerCell(rule),
        (None, Cast::String, Form::Cell(rule), false) => Code::Cell(rule),
        (None, Cast::String, Form::Cell(rule), true) if lower => Code::LowerPlainCell(rule),
        (None, Cast::String, Form::Cell(rule), true) => Code::PlainCell(rule),
        (Some(separator), Cast::String, Form::Quoted, false) if separator.len() == 1 && !lower => {
            Code::Split(separator[0])
        }
        (None, Cast::Integer, Form::Raw, _) if !lower => Code::Integer,
        _ => Code::Slow,
    }
}
