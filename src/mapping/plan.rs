//! A [`Shape`] and conditions compiled against a header: a flat list of small ops, run once a record.
//!
//! Each op copies the literal that stands before its value (see `literals`) and the value itself. Cells that are clean and
//! need no conversion are one copy (see `op`); everything else goes the general way of `value`.

use super::compile;
use super::filter::Filter;
use super::literals::{FILTER, REJECT, StepTable};
use super::op::{Code, Op};
use super::value::{Origin, Value, Wrong};
use super::watch::{Sights, Watch};
use super::{Condition, Shape};
use crate::buffer::{Literals, OutBuf};
use crate::error::Result;
use crate::reader::Record;

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
    pub(super) trial: Option<compile::Trial>,
    pub(super) watched: compile::Watched,
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
    /// An object on its way into `text`.
    pub(super) json: OutBuf,
    /// A value held the separator on trial.
    pub(super) clash: bool,
    pub(super) watch: Watch,
}

impl Scratch {
    /// Counts what warnings are about from here on, until [`Scratch::sights`].
    pub(crate) fn watch(&mut self, plan: &Plan) {
        self.watch.start(plan.watched.columns.len().max(1), plan.watched.identifiers.len());
    }

    /// Goes on with what another scratch has counted since [`Scratch::watch`].
    pub(crate) fn take_sights_of(&mut self, other: &mut Scratch) {
        std::mem::swap(&mut self.watch, &mut other.watch);
    }

    /// What warnings are about, since [`Scratch::watch`].
    pub(crate) fn sights(&mut self) -> Sights {
        self.watch.take()
    }

    /// True if something was seen in the record that was run: see [`Scratch::commit`].
    #[inline(always)]
    pub(crate) fn is_pending(&self) -> bool {
        self.watch.is_pending()
    }

    /// The record was written: what was seen in it counts.
    #[cold]
    pub(crate) fn commit(&mut self, record: u64) {
        self.watch.commit(record);
    }

    /// The record was not written.
    pub(crate) fn forget(&mut self) {
        self.watch.forget();
    }
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

/// What the general way left behind.
struct Slow {
    /// The next state.
    state: u32,
    /// Where the value starts in the output; `None`: it is empty.
    value: Option<usize>,
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

    /// The names of the columns that [`Sights::seen`] counts for, by slot.
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
    pub(crate) fn sample(&self, record: &Record<'_>, scratch: &mut Scratch) {
        scratch.watch.sampled();
        for (identifier, &value) in self.watched.identifiers.iter().enumerate() {
            let value = &self.values[value as usize];
            match value.origin {
                Origin::Column(column) => scratch.watch.sample(identifier as u16, &record.value(column)),
                _ if value.read(record, scratch).is_ok() => {
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
    pub fn run(&self, record: &Record<'_>, out: &mut OutBuf, scratch: &mut Scratch) -> Outcome {
        self.run_watching::<false>(record, out, scratch)
    }

    /// As [`Plan::run`]; with `WATCH` the values are looked at for warnings, if `scratch` watches.
    #[inline(always)]
    pub(crate) fn run_watching<const WATCH: bool>(
        &self,
        record: &Record<'_>,
        out: &mut OutBuf,
        scratch: &mut Scratch,
    ) -> Outcome {
        if !self.filters.is_empty()
            && let Some(outcome) = self.filter(record, out, scratch)
        {
            return outcome;
        }
        // of a record before, which was rejected in the end
        scratch.clash = false;
        let begin = out.len();
        let input = record.input();
        let mut cursor = out.cursor();
        let mut state = 0u32;
        let (mut there, mut non_zero) = self.constant_bits;
        // what the scan marked need not be looked for
        let marked = self.separator.is_none_or(|separator| separator == record.region.dialect.marked);
        for op in &self.ops {
            let (mut at, mut len) = record.span(op.column as usize);
            if op.simple & marked && record.is_short_and_plain(at, len, op.needs) && len <= op.fast_len as usize {
                let step = op.steps.step(state, len == 0);
                state = cursor.piece_and_copy(&self.steps, step, op.short, input, at, len, op.lower);
                if state == REJECT {
                    return self.reject(out, begin, Wrong::EMPTY, None, Some(op), scratch);
                }
                if WATCH {
                    scratch.watch.look(op, input, at, len);
                }
                continue;
            }
            if op.code == Code::Merge {
                state = cursor.piece(&self.steps, op.steps.step(state, false), op.short);
                continue;
            }
            if !op.copies(record, &mut at, &mut len) {
                match cursor.lend(|out| self.slow(op, state, record, out, scratch)) {
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
                    Err(wrong) => return self.reject(out, begin, wrong, None, Some(op), scratch),
                }
            }
            state = cursor.piece(&self.steps, op.steps.step(state, len == 0), op.short);
            if state == REJECT {
                return self.reject(out, begin, Wrong::EMPTY, None, Some(op), scratch);
            }
            if WATCH {
                scratch.watch.look(op, input, at, len);
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
        let end = cursor.piece(&self.steps, self.end.step(state, false), self.short_end);
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
            let wrong = Wrong { code: "record_too_long", what: "a record longer than the platform takes", cell: None };
            return self.reject(out, begin, wrong, None, None, scratch);
        }
        if scratch.clash {
            out.truncate(begin);
            return Outcome::Clash;
        }
        Outcome::Written
    }

    /// What `where` makes of a record; `None`: it stays.
    #[inline(never)]
    fn filter(&self, record: &Record<'_>, out: &mut OutBuf, scratch: &mut Scratch) -> Option<Outcome> {
        for filter in &self.filters {
            match filter.holds(record, scratch) {
                Ok(true) => {}
                Ok(false) => return Some(Outcome::Filtered),
                Err(wrong) => return Some(self.reject(out, out.len(), wrong, Some(filter.column), None, scratch)),
            }
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn slow(
        &self,
        op: &Op,
        state: u32,
        record: &Record<'_>,
        out: &mut OutBuf,
        scratch: &mut Scratch,
    ) -> std::result::Result<Slow, Wrong> {
        let value = &self.values[op.value as usize];
        value.read(record, scratch)?;
        let empty = scratch.text.is_empty();
        let mut cursor = out.cursor();
        let state = cursor.piece(&self.steps, op.steps.step(state, empty), op.short);
        cursor.finish();
        if state == REJECT {
            return Err(Wrong::EMPTY);
        }
        let value_at = out.len();
        if !empty {
            value.output.write(scratch, out)?;
        }
        Ok(Slow { state, value: (!empty).then_some(value_at) })
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
        out: &mut OutBuf,
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
