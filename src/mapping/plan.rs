//! A [`Shape`] and conditions compiled against a header: a flat list of small ops, run once a record.
//!
//! Each op copies the literal that stands before its value (see `literals`) and the value itself. Cells that are clean and
//! need no conversion are one copy (see `op`); everything else goes the general way of `value`.

use super::filter::Filter;
use super::literals::{FILTER, Presence, REJECT, StepTable};
use super::op::{Code, Op};
use super::scratch::Scratch;
use super::shape::Shape;
use super::spec::Condition;
use super::value::{EMPTY, Origin, Value};
use super::watch::{MAX_IDENTIFIERS, MAX_SLOTS, NONE};
use crate::buffer::{Literals, OutBuf};
use crate::row::{CellError, Row, RowError};
use std::collections::HashMap;

/// `map` and `where`, compiled. Immutable; shared by all workers.
pub struct Plan {
    pub(super) head: Vec<u8>,
    pub(super) filters: Vec<Filter>,
    pub(super) ops: Vec<Op>,
    pub(super) values: Vec<Value>,
    /// Literals, each with the state after it; see `literals`.
    pub(super) steps: Literals,
    /// The steps that end a record.
    pub(super) end: StepTable,
    /// The literals that end a record are short.
    pub(super) short_end: bool,
    pub(super) checks: Vec<Rule>,
    /// Bits of units that are constants and there; those of them that are not "0".
    pub(super) constant_bits: (u64, u64),
    pub(super) max_record_bytes: usize,
    pub(super) one_line: bool,
    pub(super) columns: Vec<String>,
    pub(super) separator: Option<u8>,
    /// What is needed to try the next separator.
    pub(super) trial: Option<Trial>,
    pub(super) watched: Watched,
    /// Indexes of the columns whose absence changes what is written or rejected.
    pub(super) needed: Vec<usize>,
}

/// What the next separator is tried with.
pub(super) struct Trial {
    pub(super) shape: Shape,
    pub(super) conditions: Vec<Condition>,
    /// Its number among the candidates.
    pub(super) next: usize,
}

/// The columns that warnings are about.
#[derive(Default)]
pub(super) struct Watched {
    /// By slot.
    pub(super) columns: Vec<u32>,
    slots: HashMap<usize, u16>,
    /// The values that are identifiers, by their number.
    pub(super) identifiers: Vec<u32>,
}

impl Watched {
    /// The slot of a column; `NONE` if there are too many.
    pub(super) fn slot(&mut self, column: usize) -> u16 {
        if let Some(&slot) = self.slots.get(&column) {
            return slot;
        }
        if self.columns.len() == MAX_SLOTS {
            return NONE;
        }
        let slot = self.columns.len() as u16;
        self.columns.push(column as u32);
        self.slots.insert(column, slot);
        slot
    }

    /// The number of a value that is an identifier; `NONE` if there are too many.
    pub(super) fn identifier(&mut self, value: usize) -> u16 {
        if self.identifiers.len() == MAX_IDENTIFIERS {
            return NONE;
        }
        self.identifiers.push(value as u32);
        self.identifiers.len() as u16 - 1
    }
}

/// A rule over several units.
pub(super) enum Rule {
    ExactlyOne { bits: u64, names: String },
    NotBoth { bits: u64, names: String },
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Appended to the output.
    Written,
    /// `where` or the shape leaves it out; nothing was appended.
    Filtered,
    /// Not fit; nothing was appended, the reason is in [`Scratch::error`].
    Rejected,
    /// The separator on trial occurs in a value: pass one starts anew with [`Plan::next_separator`].
    Clash,
}

/// What the general way left behind.
struct Slow {
    /// The next state.
    state: u32,
    /// Where the value starts in the output; `None`: it is empty.
    value: Option<usize>,
}

impl Plan {
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

    /// True where LF occurs in the output only at the end of a record (always for JSON).
    #[must_use]
    pub fn one_line_a_record(&self) -> bool {
        self.one_line
    }

    /// Returns true if `where` names the column, or a value made of it is required, written or deleted when it is empty.
    #[cfg(feature = "jobs")]
    pub(crate) fn needs(&self, column: usize) -> bool {
        self.needed.contains(&column)
    }

    /// Makes a scratch count what warnings are about, until [`Scratch::sights`].
    pub(crate) fn watch(&self, scratch: &mut Scratch) {
        scratch.watch(self.watched.columns.len(), self.watched.identifiers.len());
    }

    /// The names of the columns that [`super::Sights::seen`] counts for, by slot.
    pub(crate) fn watched_columns(&self) -> impl Iterator<Item = &str> {
        self.watched.columns.iter().map(|&column| self.columns[column as usize].as_str())
    }

    /// The names of the columns that identifiers are made of, by their number.
    pub(crate) fn identifier_columns(&self) -> impl Iterator<Item = &str> {
        let columns = self.watched.identifiers.iter().map(|&value| self.values[value as usize].column());
        columns.map(|column| column.map_or("", |column| self.columns[column].as_str()))
    }

    /// Counts the identifiers of a record.
    #[inline(never)]
    pub(crate) fn sample<R: Row>(&self, row: &R, scratch: &mut Scratch) {
        scratch.watch.sampled();
        for (identifier, &value) in self.watched.identifiers.iter().enumerate() {
            let value = &self.values[value as usize];
            match value.origin {
                Origin::Column(column) => scratch.watch.sample(identifier as u16, &row.value(column)),
                _ if value.read(row, scratch).is_ok() => {
                    let text = std::mem::take(&mut scratch.text);
                    scratch.watch.sample(identifier as u16, &text);
                    scratch.text = text;
                    // what reading it saw was seen when the record was run
                    scratch.watch.forget();
                }
                _ => {}
            }
        }
    }

    /// Runs the plan on a record and appends the output record, LF included, to `out`.
    #[inline(always)]
    pub fn run<R: Row>(&self, row: &R, out: &mut OutBuf, scratch: &mut Scratch) -> Outcome {
        self.run_watching::<false, R>(row, out, scratch)
    }

    /// As [`Plan::run`]; with `WATCH` the values are looked at for warnings, if `scratch` watches.
    // The hot loop of the crate, in one piece: state, bits and cursor stay in registers only as long as nothing is called.
    #[inline(always)]
    pub(crate) fn run_watching<const WATCH: bool, R: Row>(
        &self,
        row: &R,
        out: &mut OutBuf,
        scratch: &mut Scratch,
    ) -> Outcome {
        if !self.filters.is_empty()
            && let Some(outcome) = self.filter(row, out, scratch)
        {
            return outcome;
        }
        // of a record before, which was rejected in the end
        scratch.clash = false;
        let begin = out.len();
        let input = row.input();
        let mut cursor = out.cursor();
        let mut state = 0u32;
        let (mut there, mut non_zero) = self.constant_bits;
        // what the scan marked need not be looked for
        let marked = self.separator.is_none_or(|separator| row.is_marked(separator));
        for op in &self.ops {
            let (mut at, mut len) = row.span(op.column as usize);
            if op.simple & marked && row.is_short_and_plain(at, len, op.needs) && len <= op.fast_len as usize {
                let step = op.steps.step(state, op.presence(row, len));
                state = cursor.piece_and_copy(&self.steps, step, op.short, input, at, len, op.lower);
                if state == REJECT {
                    return self.reject(out, begin, EMPTY, None, Some(op), scratch);
                }
                if WATCH {
                    scratch.watch.look(op.slot, op.identifier, input, at, len);
                }
                continue;
            }
            if op.code == Code::Merge {
                state = cursor.piece(&self.steps, op.steps.step(state, Presence::Filled), op.short);
                continue;
            }
            if !op.copies(row, &mut at, &mut len) {
                match cursor.lend(|out| self.slow(op, state, row, out, scratch)) {
                    Ok(done) => {
                        state = done.state;
                        if op.bit != 0
                            && let Some(value) = done.value
                        {
                            there |= op.bit;
                            non_zero |= cursor.lend(|out| if &out.bytes()[value..] == b"0" { 0 } else { op.bit });
                        }
                        continue;
                    }
                    Err(error) => return self.reject(out, begin, error, None, Some(op), scratch),
                }
            }
            state = cursor.piece(&self.steps, op.steps.step(state, op.presence(row, len)), op.short);
            if state == REJECT {
                return self.reject(out, begin, EMPTY, None, Some(op), scratch);
            }
            if WATCH {
                scratch.watch.look(op.slot, op.identifier, input, at, len);
            }
            if op.bit != 0 && len != 0 {
                there |= op.bit;
                non_zero |= if input.bytes()[at..at + len] == *b"0" { 0 } else { op.bit };
            }
            match op.code {
                Code::Split(separator) => super::op::split(input, at, len, separator, &mut cursor),
                _ => cursor.copy(input, at, len, op.lower),
            }
        }
        let end = cursor.piece(&self.steps, self.end.step(state, Presence::Filled), self.short_end);
        if end == FILTER {
            out.truncate(begin);
            return Outcome::Filtered;
        }
        let length = cursor.len() - begin;
        cursor.finish();
        if !self.checks.is_empty()
            && let Some(outcome) = self.check(there, non_zero, out, begin, scratch)
        {
            return outcome;
        }
        if length > self.max_record_bytes {
            let error =
                CellError { code: "record_too_long", what: "a record longer than the platform takes", column: None };
            return self.reject(out, begin, error, None, None, scratch);
        }
        if scratch.clash {
            out.truncate(begin);
            return Outcome::Clash;
        }
        Outcome::Written
    }

    /// What `where` makes of a record; `None`: it stays.
    #[inline(never)]
    fn filter<R: Row>(&self, row: &R, out: &mut OutBuf, scratch: &mut Scratch) -> Option<Outcome> {
        for filter in &self.filters {
            match filter.holds(row, scratch) {
                Ok(true) => {}
                Ok(false) => return Some(Outcome::Filtered),
                Err(error) => return Some(self.reject(out, out.len(), error, Some(filter.column), None, scratch)),
            }
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn slow<R: Row>(
        &self,
        op: &Op,
        state: u32,
        row: &R,
        out: &mut OutBuf,
        scratch: &mut Scratch,
    ) -> std::result::Result<Slow, CellError> {
        let value = &self.values[op.value as usize];
        value.read(row, scratch)?;
        let presence = value.presence(row, scratch);
        let mut cursor = out.cursor();
        let state = cursor.piece(&self.steps, op.steps.step(state, presence), op.short);
        cursor.finish();
        if state == REJECT {
            return Err(EMPTY);
        }
        let value_at = out.len();
        match presence {
            Presence::Filled => value.output.write(scratch, out)?,
            Presence::List => value.output.write_list(scratch, out)?,
            Presence::Empty | Presence::Missing => return Ok(Slow { state, value: None }),
        }
        Ok(Slow { state, value: Some(value_at) })
    }

    #[cold]
    fn check(
        &self,
        there: u64,
        non_zero: u64,
        out: &mut OutBuf,
        begin: usize,
        scratch: &mut Scratch,
    ) -> Option<Outcome> {
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
                scratch.error = RowError { code, column: None, reason };
                return Some(Outcome::Rejected);
            }
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn reject(
        &self,
        out: &mut OutBuf,
        begin: usize,
        error: CellError,
        column: Option<usize>,
        op: Option<&Op>,
        scratch: &mut Scratch,
    ) -> Outcome {
        out.truncate(begin);
        let value = op.map(|op| &self.values[op.value as usize]);
        let column = error.column.or(column).or_else(|| value.and_then(Value::column));
        let mut reason = error.what.to_owned();
        if let Some(value) = value {
            reason.push_str(&format!(" for \"{}\"", value.name));
        }
        if let Some(name) = column.and_then(|column| self.columns.get(column)) {
            reason.push_str(&format!(" (column \"{name}\")"));
        }
        scratch.error = RowError { code: error.code, column, reason };
        Outcome::Rejected
    }
}
