//! A value in compiled form: the general path from the cells of a row to the bytes of the output, for everything that
//! the ops of the plan cannot do. A JSON object is a value that consists of values: its members are written one after
//! the other, and an empty member by its own rule.

use super::apply::{apply, as_str};
use super::literals::Presence;
use super::output::Output;
use super::scratch::{Elements, Scratch};
use super::spec::{Apply, TemplateNeeds};
use super::watch::{NONE, Sight};
use crate::buffer::OutBuf;
use crate::row::{CellError, CellKind, Row, Stored};

/// The origin of a value; constants are folded into literals.
pub(super) enum Origin {
    Column(usize),
    Template(Template),
    Object(Object),
}

pub(super) struct Template {
    pub(super) pieces: Vec<Piece>,
    pub(super) needs: TemplateNeeds,
}

pub(super) enum Piece {
    Literal(Vec<u8>),
    Column {
        column: usize,
        /// Slot in which warnings about it are counted.
        slot: u16,
    },
}

pub(super) struct Value {
    pub(super) origin: Origin,
    pub(super) apply: Vec<Apply>,
    /// Replaces an empty text.
    pub(super) default: Option<Vec<u8>>,
    pub(super) output: Output,
    /// Name of the field, for messages.
    pub(super) name: String,
    /// Slot in which warnings about it are counted, or `NONE`.
    pub(super) slot: u16,
    /// Number of the identifier, or `NONE`.
    pub(super) identifier: u16,
}

/// An `object` of the map, compiled.
pub(super) struct Object {
    pub(super) members: Vec<Member>,
}

pub(super) struct Member {
    /// `"key":`
    pub(super) key: Vec<u8>,
    pub(super) content: Content,
    /// The rule for an empty value.
    pub(super) empty: WhenEmpty,
}

pub(super) enum Content {
    /// The same JSON for every record.
    Constant(Vec<u8>),
    /// A value with the text before and after it: quotes, brackets.
    Value {
        value: Box<Value>,
        open: &'static str,
        close: &'static str,
        /// The text before and after a list.
        list: (&'static str, &'static str),
        missing_is_empty: bool,
    },
    Object(Object),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenEmpty {
    /// The key is left out.
    Omit,
    /// This JSON is written.
    Write(&'static str),
    /// The record is rejected.
    Reject,
}

/// Size in bytes from which a cell is not copied unless it must be.
const LARGE_CELL: usize = 1 << 20;

/// The error for a value that is empty but must not be.
pub(super) const EMPTY: CellError =
    CellError { code: "empty", what: "an empty value where one is required", column: None };

impl Value {
    /// Puts the text, with `apply` and `default` applied, into `scratch.text`.
    pub(super) fn read(&self, row: &impl Row, scratch: &mut Scratch) -> Result<(), CellError> {
        scratch.text.clear();
        scratch.is_list = false;
        match &self.origin {
            Origin::Column(column) if row.kind(*column) != CellKind::Text => {
                let read = self.read_nested(*column, row, scratch);
                return read.map_err(|error| CellError { column: error.column.or(Some(*column)), ..error });
            }
            Origin::Column(column) => row.append(*column, &mut scratch.text)?,
            Origin::Template(template) => template.fill(row, scratch)?,
            Origin::Object(object) => object.fill(row, scratch)?,
        }
        let mut watched = !scratch.watch.is_on() || matches!(self.origin, Origin::Object(_));
        for conversion in &self.apply {
            if !watched {
                watched = self.watch(conversion, scratch);
            }
            apply(conversion, &mut scratch.text, &mut scratch.spare)
                .map_err(|(code, what)| CellError::new(code, what))?;
        }
        if !watched {
            scratch.watch.text(self.slot, self.identifier, &scratch.text);
        }
        if scratch.text.is_empty()
            && let Some(default) = &self.default
        {
            scratch.text.extend_from_slice(default);
        }
        Ok(())
    }

    /// [`Value::read`] for a list, an object or an array of objects. A list that is not joined is put into
    /// `scratch.elements`, and `scratch.is_list` becomes true.
    #[cold]
    #[inline(never)]
    fn read_nested(&self, column: usize, row: &impl Row, scratch: &mut Scratch) -> Result<(), CellError> {
        let is_json = self.output.cast.is_json();
        if row.kind(column) == CellKind::Json || is_json {
            if !is_json {
                return Err(CellError::new(
                    "not_one_value",
                    "an object where one value is expected (type: json sends its text; a JSON Pointer names a value in it)",
                ));
            }
            row.append(column, &mut scratch.text)?;
            let inside = scratch.text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]"));
            if inside.is_some_and(|inside| inside.trim_ascii().is_empty()) {
                // an empty list is empty, whatever the type
                scratch.text.clear();
            }
        } else {
            scratch.elements.clear();
            let elements = &mut scratch.elements;
            row.elements(column, &mut |element| elements.push(element))?;
            scratch.is_list = true;
        }
        for conversion in &self.apply {
            self.convert_nested(conversion, scratch)?;
        }
        if scratch.is_list && scratch.elements.is_empty() {
            // an empty list is empty
            scratch.is_list = false;
        }
        if scratch.is_list && self.output.split.is_some() {
            return Err(CellError::new("list", "a list where `split` expects one text"));
        }
        if scratch.is_list && !self.output.list {
            let what = "a list where one value is expected (apply: { join: \"|\" } makes one of it)";
            return Err(CellError::new("list", what));
        }
        if !scratch.is_list
            && scratch.text.is_empty()
            && let Some(default) = &self.default
        {
            scratch.text.extend_from_slice(default);
        }
        Ok(())
    }

    /// Applies a conversion to each element of a list, or to the text.
    fn convert_nested(&self, conversion: &Apply, scratch: &mut Scratch) -> Result<(), CellError> {
        let refused = |(code, what)| CellError::new(code, what);
        let Scratch { text, spare, elements, is_list, .. } = scratch;
        if !*is_list {
            return apply(conversion, text, spare).map_err(refused);
        }
        if let Apply::Join(between) = conversion {
            for (nth, element) in elements.iter().enumerate() {
                text.extend_from_slice(if nth > 0 { between.as_bytes() } else { b"" });
                text.extend_from_slice(element);
            }
            *is_list = false;
            return Ok(());
        }
        let mut converted = Elements::default();
        for element in elements.iter() {
            text.clear();
            text.extend_from_slice(element);
            apply(conversion, text, spare).map_err(refused)?;
            converted.push(text);
        }
        text.clear();
        *elements = converted;
        Ok(())
    }

    /// Returns the kind of the value that was just read.
    pub(super) fn presence(&self, row: &impl Row, scratch: &Scratch) -> Presence {
        match (&self.origin, scratch.text.is_empty()) {
            _ if scratch.is_list => Presence::List,
            (_, false) => Presence::Filled,
            (Origin::Column(column), true) if row.is_missing(*column) => Presence::Missing,
            (_, true) => Presence::Empty,
        }
    }

    /// Returns the value of a large cell that nothing is done to: a copy in `scratch` would take as much memory again. `None`:
    /// it is not one, or the copy is needed.
    pub(super) fn large<'r>(&self, row: &'r impl Row, scratch: &mut Scratch) -> Result<Option<Stored<'r>>, CellError> {
        let Origin::Column(column) = self.origin else { return Ok(None) };
        if row.span(column).1 < LARGE_CELL || !self.apply.is_empty() || self.output.split.is_some() {
            return Ok(None);
        }
        let stored = row.stored(column)?;
        match stored {
            Some(Stored::Value(text)) if scratch.watch.is_on() => {
                scratch.watch.text(self.slot, self.identifier, text);
            }
            Some(Stored::Quoted(cell)) if self.output.is_too_long(cell.len()) => {
                return Err(CellError::new("value_too_long", "longer than the platform takes"));
            }
            // its quotes are those of the output only if the output takes any text
            Some(Stored::Quoted(_)) if !self.output.takes_any_cell() || self.identifier != NONE => return Ok(None),
            _ => {}
        }
        Ok(stored)
    }

    /// Examines the text before a conversion that hides what there is to warn about; true if no other examination is
    /// needed.
    fn watch(&self, conversion: &Apply, scratch: &mut Scratch) -> bool {
        let Scratch { watch, text, .. } = scratch;
        match conversion {
            Apply::Hash { unless_hashed, .. } => {
                if !unless_hashed {
                    watch.hashed(self.slot, text);
                }
                watch.text(self.slot, self.identifier, text);
                true
            }
            Apply::Digits if self.identifier != NONE => {
                watch.number(self.slot, text);
                false
            }
            _ => false,
        }
    }

    /// Returns the column to name in an error: the first one that the value reads.
    pub(super) fn column(&self) -> Option<usize> {
        match &self.origin {
            Origin::Column(column) => Some(*column),
            Origin::Template(template) => template.pieces.iter().find_map(|piece| match piece {
                Piece::Column { column, .. } => Some(*column),
                Piece::Literal(_) => None,
            }),
            Origin::Object(object) => object.column(),
        }
    }
}

impl Template {
    /// Appends the text, or nothing if a column that it needs is empty.
    fn fill(&self, row: &impl Row, scratch: &mut Scratch) -> Result<(), CellError> {
        let Scratch { text, watch, .. } = scratch;
        let (mut blank, mut filled, mut first_blank) = (0, 0, NONE);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.extend_from_slice(literal),
                Piece::Column { column, slot } => {
                    let from = text.len();
                    if row.kind(*column) == CellKind::List {
                        let error =
                            CellError::new("list", "a list in a template (apply: { join: \"|\" } is for columns)");
                        return Err(CellError { column: Some(*column), ..error });
                    }
                    row.append(*column, text)?;
                    if !is_blank(&text[from..]) {
                        filled += 1;
                        if watch.is_on() {
                            watch.text(*slot, NONE, &text[from..]);
                        }
                    } else {
                        first_blank = if blank == 0 { *slot } else { first_blank };
                        blank += 1;
                    }
                }
            }
        }
        let emptied = match self.needs {
            TemplateNeeds::All => blank > 0,
            TemplateNeeds::Any => blank > 0 && filled == 0,
        };
        if emptied {
            text.clear();
            // then the other columns are not sent either
            if filled > 0 && watch.is_on() {
                watch.saw(first_blank, Sight::TemplateEmptied);
            }
        }
        Ok(())
    }
}

/// Returns true if the text is empty or white space.
fn is_blank(text: &[u8]) -> bool {
    !matches!(text.first(), Some(b'!'..=b'~')) && as_str(text).chars().all(char::is_whitespace)
}

impl Object {
    /// Puts the JSON of the object into `scratch.text`, or nothing if no member is left.
    pub(super) fn fill(&self, row: &impl Row, scratch: &mut Scratch) -> Result<(), CellError> {
        let mut json = std::mem::take(&mut scratch.json);
        json.truncate(0);
        let written = self.write(row, scratch, &mut json);
        scratch.text.clear();
        scratch.is_list = false;
        if let Ok(true) = written {
            scratch.text.extend_from_slice(json.bytes());
        }
        scratch.json = json;
        written.map(drop)
    }

    /// Appends the object; returns false, with nothing appended, if no member is left.
    fn write(&self, row: &impl Row, scratch: &mut Scratch, out: &mut OutBuf) -> Result<bool, CellError> {
        let begin = out.len();
        let mut before = b'{';
        for member in &self.members {
            let start = out.len();
            out.push(before);
            out.extend(&member.key);
            let presence = member.content.write(row, scratch, out)?;
            if matches!(presence, Presence::Empty | Presence::Missing) {
                let empty = match (presence, member.empty) {
                    (Presence::Missing, WhenEmpty::Write(_)) => WhenEmpty::Omit,
                    (_, empty) => empty,
                };
                match empty {
                    WhenEmpty::Omit => {
                        out.truncate(start);
                        continue;
                    }
                    WhenEmpty::Write(text) => out.extend(text.as_bytes()),
                    WhenEmpty::Reject => {
                        return Err(CellError { column: member.content.column(), ..EMPTY });
                    }
                }
            }
            before = b',';
        }
        if before == b'{' {
            out.truncate(begin);
            return Ok(false);
        }
        out.push(b'}');
        Ok(true)
    }

    /// Returns the first column that the object reads.
    pub(super) fn column(&self) -> Option<usize> {
        self.members.iter().find_map(|member| member.content.column())
    }
}

impl Content {
    /// Appends the JSON, or nothing if it is empty.
    fn write(&self, row: &impl Row, scratch: &mut Scratch, out: &mut OutBuf) -> Result<Presence, CellError> {
        match self {
            Content::Constant(json) => out.extend(json),
            Content::Object(object) if object.write(row, scratch, out)? => {}
            Content::Object(_) => return Ok(Presence::Empty),
            Content::Value { value, open, close, list, missing_is_empty } => {
                value.read(row, scratch)?;
                let presence = value.presence(row, scratch);
                let (open, close) = match presence {
                    Presence::Filled => (open, close),
                    Presence::List => (&list.0, &list.1),
                    Presence::Missing if *missing_is_empty => return Ok(Presence::Empty),
                    Presence::Empty | Presence::Missing => return Ok(presence),
                };
                out.extend(open.as_bytes());
                let output = &value.output;
                let written =
                    if scratch.is_list { output.write_list(scratch, out) } else { output.write(scratch, out) };
                written.map_err(|error| CellError { column: error.column.or(value.column()), ..error })?;
                out.extend(close.as_bytes());
            }
        }
        Ok(Presence::Filled)
    }

    fn column(&self) -> Option<usize> {
        match self {
            Content::Constant(_) => None,
            Content::Value { value, .. } => value.column(),
            Content::Object(object) => object.column(),
        }
    }
}
