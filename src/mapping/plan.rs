//! A [`Shape`] and conditions compiled against a header: a flat list of small ops, which runs once per record.
//!
//! Each op copies the literals before its value (see `literals`) and the value itself. A cell that is clean and needs
//! no conversion is a single copy (see `op`); all others take the general path of `value`.

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

/// `map` and `where` in compiled form. Immutable; shared by all workers.
pub struct Plan {
    pub(super) head: Vec<u8>,
    pub(super) filters: Vec<Filter>,
    pub(super) ops: Vec<Op>,
    pub(super) values: Vec<Value>,
    /// Literals, each with the state after it; see `literals`.
    pub(super) steps: Literals,
    /// The steps that end a record.
    pub(super) end: StepTable,
    /// True if the literals that end a record are short.
    pub(super) short_end: bool,
    pub(super) checks: Vec<Rule>,
    /// Bits of the units that are non-empty constants, and of those among them that are not "0".
    pub(super) constant_bits: (u64, u64),
    pub(super) max_record_bytes: usize,
    pub(super) one_line: bool,
    pub(super) columns: Vec<String>,
    pub(super) separator: Option<u8>,
    /// The data for trying the next separator.
    pub(super) trial: Option<Trial>,
    pub(super) watched: Watched,
    /// Indexes of the columns whose absence changes what is written or rejected.
    #[cfg_attr(not(feature = "jobs"), allow(dead_code, reason = "jobs ask for it"))]
    pub(super) needed: Vec<usize>,
}

/// The data for trying the next separator.
pub(super) struct Trial {
    pub(super) shape: Shape,
    pub(super) conditions: Vec<Condition>,
    /// Index of the next candidate.
    pub(super) next: usize,
}

/// The columns whose warnings are counted.
#[derive(Default)]
pub(super) struct Watched {
    /// Columns by slot.
    pub(super) columns: Vec<u32>,
    slots: HashMap<usize, u16>,
    /// Values that are identifiers, by identifier number.
    pub(super) identifiers: Vec<u32>,
}

impl Watched {
    /// Returns the slot of a column; `NONE` if there are too many.
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

    /// Returns the number of a value that is an identifier; `NONE` if there are too many.
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

/// The result of running the plan on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Appended to the output.
    Written,
    /// `where` or the shape excludes the record; nothing was appended.
    Filtered,
    /// The record is not valid; nothing was appended, and the reason is in [`Scratch::error`].
    Rejected,
    /// The separator on trial occurs in a value: pass one has to start again with [`Plan::next_separator`].
    Clash,
}

/// The result of the general path.
struct Slow {
    /// The next state.
    state: u32,
    /// Start of the value in the output; `None` if the value is empty.
    value: Option<usize>,
}

impl Plan {
    /// Returns the first line of each part: the header with LF, or nothing if the output has no header.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns the separator of a delimited output: the fixed one, or the one on trial.
    #[must_use]
    pub fn separator(&self) -> Option<u8> {
        self.separator
    }

    /// Returns true if the separator is on trial; [`crate::body::measure`] determines whether a value contains it.
    #[must_use]
    pub fn is_on_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// Returns true if LF occurs in the output only at the end of a record, as it always does in JSON.
    #[must_use]
    pub fn one_line_a_record(&self) -> bool {
        self.one_line
    }

    /// Returns true if `where` names the column, or a value made of it is required, written or deleted when it is empty.
    #[cfg(feature = "jobs")]
    pub(crate) fn needs(&self, column: usize) -> bool {
        self.needed.contains(&column)
    }

    /// Makes `scratch` count warnings until [`Scratch::sights`].
    pub(crate) fn watch(&self, scratch: &mut Scratch) {
        scratch.watch(self.watched.columns.len(), self.watched.identifiers.len());
    }

    /// Returns the names of the columns for which [`super::Sights::seen`] has counts, by slot.
    pub(crate) fn watched_columns(&self) -> impl Iterator<Item = &str> {
        self.watched.columns.iter().map(|&column| self.columns[column as usize].as_str())
    }

    /// Returns the names of the columns that identifiers are made of, by identifier number.
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
                    // warnings about the value were counted when the record was run
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

    /// [`Plan::run`], which with `WATCH` also examines the values for warnings if `scratch` watches.
    // The hottest loop of the crate, not split into functions: state, bits and cursor stay in registers as long as
    // nothing is called.
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
        // left from an earlier record, which was rejected
        scratch.clash = false;
        let begin = out.len();
        let input = row.input();
        let mut cursor = out.cursor();
        let mut state = 0u32;
        let (mut there, mut non_zero) = self.constant_bits;
        // a separator that the scan marked needs no search
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

    /// Applies `where` to a record; `None` if the record is included.
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
        let large = value.large(row, scratch)?;
        let presence = if large.is_some() {
            Presence::Filled
        } else {
            value.read(row, scratch)?;
            value.presence(row, scratch)
        };
        let mut cursor = out.cursor();
        let state = cursor.piece(&self.steps, op.steps.step(state, presence), op.short);
        cursor.finish();
        if state == REJECT {
            return Err(EMPTY);
        }
        let value_at = out.len();
        match (large, presence) {
            (Some(large), _) => value.output.write_large(large, scratch, out)?,
            (None, Presence::Filled) => value.output.write(scratch, out)?,
            (None, Presence::List) => value.output.write_list(scratch, out)?,
            (None, Presence::Empty | Presence::Missing) => return Ok(Slow { state, value: None }),
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
