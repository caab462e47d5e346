//! Compiles a [`Shape`] and the names of the columns to a [`Plan`].

use super::cast::Cast;
use super::column::{ByName, Names};
use super::filter::Filter;
use super::frame::{Frame, cast, kind, refuse_json_template};
use super::literals::{Around, LiteralStates};
use super::op::Op;
use super::output::{CellRule, Form, Output};
use super::plan::{Plan, Rule, Trial, Watched};
use super::scratch::Scratch;
use super::shape::{Cells, Check, Field, Json, Quoting, Separator, Shape, Unit};
use super::spec::{Condition, Empty, From, TemplatePart, Type};
use super::value::{Origin, Piece, Template, Value};
use super::watch::NONE;
use crate::buffer::OutBuf;
use crate::encode;
use crate::error::{Error, Place, Result};
use crate::row::Columns;

/// The separators to try, in order.
const CANDIDATES: [u8; 4] = [b'\t', b'|', b';', b','];

impl Plan {
    /// Compiles against the names of the source's columns.
    ///
    /// # Errors
    /// `Usage`: a column that does not exist (with the nearest name) or exists twice, or a rule of the platform that
    /// the map breaks.
    pub fn compile(shape: &Shape, conditions: &[Condition], columns: &[String]) -> Result<Plan> {
        Plan::compile_for(shape, conditions, &ByName(columns))
    }

    /// Like [`Plan::compile`], against columns that have hints for missing ones.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn compile_for(shape: &Shape, conditions: &[Condition], columns: &dyn Columns) -> Result<Plan> {
        compile(shape, conditions, Names::new(columns, shape, conditions), None)
    }

    /// Returns the same plan with the next separator on trial; `None` if the separator is fixed or the last one.
    #[must_use]
    pub fn next_separator(&self) -> Option<Plan> {
        let Trial { shape, conditions, next } = self.trial.as_ref()?;
        let columns = ByName(&self.columns);
        // it compiled before, and only the separator differs
        compile(shape, conditions, Names::new(&columns, shape, conditions), Some(*next)).ok()
    }
}

/// Compiles; `candidate` is the first separator to try if pass one chooses it.
fn compile(shape: &Shape, conditions: &[Condition], names: Names<'_>, candidate: Option<usize>) -> Result<Plan> {
    names.check(shape, conditions)?;
    let mut compiler = Compiler::new(names, candidate.is_none());
    let filters = Error::collect(conditions.iter().enumerate().map(|(i, condition)| {
        Filter::new(condition, names.index(&condition.column, &format!("where[{i}].column"), &[], false)?)
    }))?;
    compiler.needed.extend(filters.iter().map(|filter| filter.column));
    let layout = match shape {
        Shape::Json(json) => compiler.json(json)?,
        Shape::Delimited(cells) => compiler.delimited(cells, candidate.unwrap_or(0))?,
    };
    if compiler.clash
        && let Some(next) = layout.next
    {
        // a constant is in every record, so there is no need to try
        return compile(shape, conditions, names, Some(next));
    }
    let checks = compiler.checks(layout.checks)?;
    let (end, steps) = compiler.literals.finish(layout.close.as_bytes(), layout.filter_without_units);
    compiler.ops.iter_mut().for_each(|op| op.short = op.steps.is_short(&steps));
    let trial = layout.next.map(|next| Trial { shape: shape.clone(), conditions: conditions.to_vec(), next });
    Ok(Plan {
        head: layout.head,
        filters,
        ops: compiler.ops,
        values: compiler.values,
        short_end: end.is_short(&steps),
        end,
        steps,
        checks,
        constant_bits: compiler.constant_bits,
        max_record_bytes: layout.max_record_bytes.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX)),
        one_line: layout.one_line,
        columns: names.columns.names().to_vec(),
        separator: layout.separator,
        trial,
        watched: compiler.watched,
        needed: compiler.needed,
    })
}

/// The text around the values of a record.
struct Layout<'s> {
    /// The header line of the output.
    head: Vec<u8>,
    separator: Option<u8>,
    /// The separator to try after this one.
    next: Option<usize>,
    one_line: bool,
    /// After the last value.
    close: String,
    filter_without_units: bool,
    checks: &'s [Check],
    max_record_bytes: Option<u64>,
}

/// Returns the separator to use, or to try from `candidate` on, and the one after it.
fn cell_rule(cells: &Cells, candidate: usize) -> (CellRule, Option<usize>) {
    let never = cells.quoting == Quoting::Never;
    let Separator::Auto = cells.separator else {
        let Separator::Byte(separator) = cells.separator else { unreachable!() };
        return (CellRule { separator, trial: false, never }, None);
    };
    let in_names = |byte: u8| cells.header && cells.fields.iter().any(|field| field.name.as_bytes().contains(&byte));
    for (i, &separator) in CANDIDATES.iter().enumerate().skip(candidate) {
        if !in_names(separator) {
            return (CellRule { separator, trial: true, never }, Some(i + 1));
        }
    }
    // all of them occur
    let separator = if never { b'\t' } else { b',' };
    (CellRule { separator, trial: false, never }, None)
}

fn header_line(cells: &Cells, rule: CellRule) -> Result<Vec<u8>> {
    let mut out = OutBuf::default();
    if !cells.header {
        return Ok(Vec::new());
    }
    for (i, field) in cells.fields.iter().enumerate() {
        if i > 0 {
            out.push(rule.separator);
        }
        if rule.never && encode::needs_quotes(field.name.as_bytes(), rule.separator) {
            return Err(Error::usage(format!("{}: the name needs quotes, which quoting: never forbids", field.at)));
        }
        encode::cell(field.name.as_bytes(), rule.separator, &mut out);
    }
    out.push(b'\n');
    Ok(out.into_vec())
}

/// `empty: keep|null` is invalid for fields of an "exactly one of" rule: an empty value would still be written.
fn check_absence(json: &Json) -> Result<()> {
    let counted = json.checks.iter().filter_map(|check| match check {
        Check::ExactlyOne(members) => Some(members),
        Check::NotBothNonZero(..) => None,
    });
    for field in counted.flatten().filter_map(|&unit| json.units.get(unit)?.field.as_ref()) {
        if matches!(field.value.empty, Some(Empty::Keep | Empty::Null)) {
            let message =
                format!("{}: only one of these fields is written, so an empty one has to be left out", field.at);
            return Err(Error::usage(message).with_hint("use empty: omit or reject"));
        }
    }
    Ok(())
}

/// Returns a text of the job file (`what`: constant or default) as it is written to the output.
fn written(field: &Field, what: &str, scratch: &mut Scratch, output: &Output) -> Result<Vec<u8>> {
    let mut out = OutBuf::default();
    output.write(scratch, &mut out).map_err(|error| {
        let error = Error::usage(format!("{}: the {what} is {}", field.at, error.what));
        match field.rules.one_of {
            Some(allowed) => error.with_hint(format!("one of: {}", allowed.join(", "))),
            None => error,
        }
    })?;
    Ok(out.into_vec())
}

pub(super) struct Compiler<'a> {
    columns: Names<'a>,
    /// True in the first compilation; with a later separator, defaults are only written differently.
    checks_defaults: bool,
    literals: LiteralStates,
    ops: Vec<Op>,
    values: Vec<Value>,
    /// Bits of the units that are constants, and of those that are not "0".
    constant_bits: (u64, u64),
    /// The separator on trial occurs in a constant.
    clash: bool,
    /// Names of the units by index, for the messages of checks.
    unit_names: Vec<String>,
    /// The op of a unit, if it has one.
    compiled_units: Vec<Option<usize>>,
    watched: Watched,
    /// Indexes of the columns whose absence changes what is written or rejected.
    pub(super) needed: Vec<usize>,
}

/// A constant after apply, default, split and type; `None` if empty.
pub(super) struct Folded(pub(super) Option<Vec<u8>>);

impl<'a> Compiler<'a> {
    fn new(columns: Names<'a>, checks_defaults: bool) -> Compiler<'a> {
        Compiler {
            columns,
            checks_defaults,
            literals: LiteralStates::new(),
            ops: Vec::new(),
            values: Vec::new(),
            constant_bits: (0, 0),
            clash: false,
            unit_names: Vec::new(),
            compiled_units: Vec::new(),
            watched: Watched::default(),
            needed: Vec::new(),
        }
    }

    /// Compiles all values of a JSON row.
    fn json<'s>(&mut self, json: &'s Json) -> Result<Layout<'s>> {
        check_absence(json)?;
        for unit in &json.lead {
            self.unit(unit, None, false)?;
        }
        self.literals.literal(json.open.as_bytes());
        self.literals.open_list();
        for (i, unit) in json.units.iter().enumerate() {
            self.unit(unit, Some(i), true)?;
        }
        Ok(Layout {
            head: Vec::new(),
            separator: None,
            next: None,
            one_line: true,
            close: format!("{}\n", json.close),
            filter_without_units: json.filter_without_units,
            checks: &json.checks,
            max_record_bytes: json.max_record_bytes,
        })
    }

    /// Compiles all cells of a delimited row; `candidate` is the first separator to try.
    fn delimited<'s>(&mut self, cells: &'s Cells, candidate: usize) -> Result<Layout<'s>> {
        let (rule, next) = cell_rule(cells, candidate);
        let head = header_line(cells, rule)?;
        for (i, field) in cells.fields.iter().enumerate() {
            self.cell(field, i, rule)?;
        }
        Ok(Layout {
            head,
            separator: Some(rule.separator),
            next,
            one_line: cells.quoting == Quoting::Never,
            close: "\n".to_owned(),
            filter_without_units: false,
            checks: &cells.checks,
            max_record_bytes: cells.max_record_bytes,
        })
    }

    /// Returns the origin of a value; `None` for a constant.
    pub(super) fn origin(&mut self, field: &Field) -> Result<Option<Origin>> {
        let columns = &self.columns;
        let column = |name: &str, bare| columns.index(name, &field.at, field.rules.constants, bare);
        Ok(match &field.value.from {
            From::Column(name) => {
                let column = column(name, field.value.bare)?;
                if field.value.split.is_some() && columns.columns.is_list(column) {
                    let place = Place { column: Some(name.clone()), ..Place::default() };
                    return Err(Error::usage(format!("{}: split is for text, but the column is a list", field.at))
                        .with_place(place)
                        .with_hint("leave split out: a list is sent as it is"));
                }
                Some(Origin::Column(column))
            }
            From::Constant(_) => None,
            From::Template(parts, needs) => {
                let mut pieces = Vec::with_capacity(parts.len());
                for part in parts {
                    pieces.push(match part {
                        TemplatePart::Literal(text) => Piece::Literal(text.clone().into_bytes()),
                        TemplatePart::Column(name) => {
                            let column = column(name, false)?;
                            Piece::Column { column, slot: self.watched.slot(column) }
                        }
                    });
                }
                Some(Origin::Template(Template { pieces, needs: *needs }))
            }
            From::Object(members) => Some(Origin::Object(self.object(field, members)?)),
        })
    }

    pub(super) fn value(&mut self, field: &Field, origin: Origin, output: Output) -> Value {
        let mut value = Value {
            origin,
            apply: field.value.apply.clone(),
            default: field.value.default.clone().map(String::into_bytes),
            output,
            name: field.name.clone(),
            slot: NONE,
            identifier: NONE,
        };
        if let Some(column) = value.column().filter(|_| !matches!(value.origin, Origin::Object(_))) {
            value.slot = self.watched.slot(column);
            if field.rules.identifier {
                value.identifier = self.watched.identifier(self.values.len());
            }
        }
        value
    }

    pub(super) fn output(field: &Field, form: Form) -> Output {
        let rules = &field.rules;
        Output {
            split: field.value.split.clone().map(String::into_bytes),
            list: rules.list && !matches!(form, Form::Cell(_)),
            cast: cast(field),
            no_control: rules.no_control,
            lower_email: rules.lower_email,
            not_negative: rules.not_negative,
            max_code_points: rules.max_code_points,
            one_of: rules.one_of,
            form,
        }
    }

    pub(super) fn empty(field: &Field) -> Empty {
        field.value.empty.unwrap_or(if field.required { Empty::Reject } else { Empty::Omit })
    }

    /// A required value cannot be left out, kept empty or null.
    fn check_required(field: &Field) -> Result<()> {
        if !field.required || matches!(field.value.empty, None | Some(Empty::Reject)) {
            return Ok(());
        }
        let message = format!("{}: a value is required, so empty can only be \"reject\"", field.at);
        Err(Error::usage(message)
            .with_hint("to leave out records that have none, use where: [{ column: …, empty: false }]"))
    }

    /// Converts and validates a constant.
    pub(super) fn fold(&mut self, field: &Field, text: &str, output: &Output) -> Result<Folded> {
        let mut scratch = Scratch { text: text.as_bytes().to_vec(), ..Scratch::default() };
        for conversion in &field.value.apply {
            super::apply::apply(conversion, &mut scratch.text, &mut scratch.spare)
                .map_err(|(_, what)| Error::usage(format!("{}: the constant is {what}", field.at)))?;
        }
        if scratch.text.is_empty()
            && let Some(default) = &field.value.default
        {
            scratch.text.extend_from_slice(default.as_bytes());
        }
        if scratch.text.is_empty() {
            if Compiler::empty(field) == Empty::Reject {
                return Err(Error::usage(format!("{}: the constant is empty, but a value is required", field.at)));
            }
            return Ok(Folded(None));
        }
        let value = written(field, "constant", &mut scratch, output)?;
        self.clash |= scratch.clash;
        Ok(Folded(Some(value)))
    }

    /// Validates a default. One that can never be written is a mistake in the job file, not in the rows that would need
    /// it.
    pub(super) fn check_default(&self, field: &Field, output: &Output) -> Result<()> {
        match &field.value.default {
            Some(default) if self.checks_defaults && !default.is_empty() => {
                let mut scratch = Scratch { text: default.as_bytes().to_vec(), ..Scratch::default() };
                written(field, "default", &mut scratch, output).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Compiles a unit of a JSON row; `index` is its number for the checks.
    fn unit(&mut self, unit: &Unit, index: Option<usize>, optional: bool) -> Result<()> {
        if let Some(index) = index {
            debug_assert_eq!(index, self.unit_names.len());
            self.unit_names.push(unit.field.as_ref().map_or(String::new(), |field| field.name.clone()));
            self.compiled_units.push(None);
        }
        let Some(field) = &unit.field else {
            self.literals.constant(format!("{}{}", unit.before, unit.after).as_bytes());
            return Ok(());
        };
        Compiler::check_required(field)?;
        let frame = Frame::of(field);
        let array = frame.kept == "[]";
        if let (Some(Empty::Keep), Some(kind)) = (field.value.empty, &field.rules.default_type)
            && !array
            && !Cast::new(Some(kind)).is_text()
        {
            let message = format!("{}: empty: keep writes an empty text, which this field does not accept", field.at);
            return Err(Error::usage(message).with_hint("use empty: omit or reject"));
        }
        let before = format!("{}{}", unit.before, frame.open);
        let after = format!("{}{}", frame.close, unit.after);
        let instead = match (&unit.when_empty, Compiler::empty(field)) {
            (Some(text), _) => Some(text.clone()),
            (None, Empty::Keep) => Some(format!("{}{}{}", unit.before, frame.kept, unit.after)),
            (None, Empty::Null) => Some(format!("{}null{}", unit.before, unit.after)),
            (None, Empty::Omit | Empty::Reject) => None,
        };
        if !optional && instead.is_none() && Compiler::empty(field) == Empty::Omit {
            return Err(Error::usage(format!("{}: this value cannot be left out", field.at))
                .with_hint("set empty to reject or keep"));
        }
        let list = (format!("{}{}", unit.before, frame.list.0), format!("{}{}", frame.list.1, unit.after));
        let around = Around {
            before: before.as_bytes(),
            after: after.as_bytes(),
            list: self.columns.columns.have_lists().then_some((list.0.as_bytes(), list.1.as_bytes())),
            instead: instead.as_deref().map(str::as_bytes),
            can_be_left_out: false,
            missing_is_left_out: optional
                && instead.is_some()
                && !field.value.missing_is_empty
                && self.columns.columns.have_lists(),
        };
        self.field(field, index, frame.form, around)
    }

    fn cell(&mut self, field: &Field, index: usize, rule: CellRule) -> Result<()> {
        self.unit_names.push(field.name.clone());
        self.compiled_units.push(None);
        Compiler::check_required(field)?;
        if field.value.empty == Some(Empty::Null) {
            return Err(Error::usage(format!("{}: empty: null is for JSON, a delimited file has no null", field.at))
                .with_hint("use keep, omit or reject"));
        }
        if field.value.split.is_some() {
            return Err(Error::usage(format!("{}: split makes an array, a delimited file has no arrays", field.at)));
        }
        let before = if index > 0 { String::from(rule.separator as char) } else { String::new() };
        let instead = (Compiler::empty(field) != Empty::Reject).then_some(before.as_str());
        let around = Around { before: before.as_bytes(), instead: instead.map(str::as_bytes), ..Around::default() };
        self.field(field, Some(index), Form::Cell(rule), around)
    }

    fn field(&mut self, field: &Field, index: Option<usize>, form: Form, mut around: Around<'_>) -> Result<()> {
        let Around { before, after, instead, .. } = around;
        refuse_json_template(field)?;
        if matches!(field.value.from, From::Object(_)) && kind(field) != Some(&Type::Json) {
            let message = format!("{}: an object is for fields that contain JSON", field.at);
            return Err(Error::usage(message).with_hint("use a column, or a template for text"));
        }
        let output = Compiler::output(field, form);
        let bit = index.map_or(0, |index| if index < 64 { 1u64 << index } else { 0 });
        let Some(origin) = self.origin(field)? else {
            let From::Constant(text) = &field.value.from else { unreachable!("only constants have no origin") };
            let text = match self.fold(field, text, &output)?.0 {
                Some(value) => {
                    self.constant_bits.0 |= bit;
                    if value != b"0" {
                        self.constant_bits.1 |= bit;
                    }
                    [before, &value, after].concat()
                }
                None => match instead {
                    Some(instead) => instead.to_vec(),
                    None => return Ok(()),
                },
            };
            self.literals.constant(&text);
            return Ok(());
        };
        self.check_default(field, &output)?;
        if self.literals.is_full() {
            let steps = self.literals.merge();
            self.ops.push(Op::merge(steps));
        }
        let reject = instead.is_none() && Compiler::empty(field) == Empty::Reject;
        let left_out = instead.is_none() && !reject;
        around.can_be_left_out = left_out;
        let steps = self.literals.value(&around);
        let value = self.value(field, origin, output);
        if reject || (instead.is_some() && !matches!(form, Form::Cell(_))) {
            self.needed.extend(value.column());
        }
        let op = Op::new(&value, self.values.len() as u32, steps, left_out);
        self.values.push(value);
        if let Some(index) = index {
            self.compiled_units[index] = Some(self.ops.len());
        }
        self.ops.push(op);
        Ok(())
    }

    /// Compiles the rules over several units, if they can be broken at run time.
    fn checks(&mut self, checks: &[Check]) -> Result<Vec<Rule>> {
        let mut rules = Vec::new();
        for check in checks {
            let (members, exactly_one) = match check {
                Check::ExactlyOne(members) => (members.clone(), true),
                Check::NotBothNonZero(a, b) => (vec![*a, *b], false),
            };
            let names = members.iter().map(|&i| format!("\"{}\"", self.unit_names[i])).collect::<Vec<_>>().join(", ");
            let bits = members.iter().fold(0u64, |bits, &i| bits | (1 << i));
            let constants = members.iter().filter(|&&i| self.constant_bits.0 >> i & 1 == 1).count();
            let ops: Vec<usize> = members.iter().filter_map(|&i| self.compiled_units[i]).collect();
            if exactly_one {
                match (constants, ops.len()) {
                    (1, 0) => continue,
                    (0, 0) => return Err(Error::usage(format!("map: exactly one of {names} is required"))),
                    (2.., _) => return Err(Error::usage(format!("map: only one of {names} may have a value"))),
                    (0, 1) if self.ops[ops[0]].left_out => {
                        // only its absence can break the rule
                        self.literals.reject_empty(self.ops[ops[0]].steps);
                        continue;
                    }
                    _ => {}
                }
            } else if ops.is_empty() && self.constant_bits.1 & bits != bits {
                continue;
            } else if ops.is_empty() {
                return Err(Error::usage(format!("map: {names} are both other than 0: only one of them may be")));
            } else if members.len() == 2 && constants + ops.len() < 2 {
                continue;
            }
            for (&unit, op) in members.iter().filter_map(|i| self.compiled_units[*i].map(|op| (i, op))) {
                self.ops[op].bit = 1 << unit;
                self.ops[op].simple = false;
            }
            rules.push(if exactly_one { Rule::ExactlyOne { bits, names } } else { Rule::NotBoth { bits, names } });
        }
        Ok(rules)
    }
}
