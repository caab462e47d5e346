//! A value compiled: the general way from a row's cells to the bytes of the output, for all that the ops of the plan
//! have no shortcut for. A JSON object is a value made of values: its members are written one after the other, those that are
//! empty by their own rule.

use super::apply::{apply, as_str};
use super::output::Output;
use super::scratch::Scratch;
use super::spec::{Apply, TemplateNeeds};
use super::watch::{NONE, Sight};
use crate::buffer::OutBuf;
use crate::row::{CellError, Row};

/// Where a value comes from; constants are folded into literals.
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
        /// Where warnings about it are counted.
        slot: u16,
    },
}

pub(super) struct Value {
    pub(super) origin: Origin,
    pub(super) apply: Vec<Apply>,
    /// Instead of an empty text.
    pub(super) default: Option<Vec<u8>>,
    pub(super) output: Output,
    /// Of the field, for messages.
    pub(super) name: String,
    /// Where warnings about it are counted; `NONE`: nowhere.
    pub(super) slot: u16,
    /// The number of the identifier; `NONE`: it is none.
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
    /// What becomes of it if it is empty.
    pub(super) empty: WhenEmpty,
}

pub(super) enum Content {
    /// The same JSON in each record.
    Constant(Vec<u8>),
    /// A value with the text around it: quotes, brackets.
    Value {
        value: Box<Value>,
        open: &'static str,
        close: &'static str,
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

/// Stands for every value that is empty and must not be.
pub(super) const EMPTY: CellError =
    CellError { code: "empty", what: "an empty value where one is required", column: None };

impl Value {
    /// Leaves the text, with `apply` and `default` done, in `scratch.text`.
    pub(super) fn read(&self, row: &impl Row, scratch: &mut Scratch) -> Result<(), CellError> {
        scratch.text.clear();
        match &self.origin {
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

    /// Looks at the text before a conversion after which there is nothing to see; true if that was all.
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

    /// The column to blame: the first one that it reads.
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
    /// Appends the text, or nothing if columns that it needs are empty.
    fn fill(&self, row: &impl Row, scratch: &mut Scratch) -> Result<(), CellError> {
        let Scratch { text, watch, .. } = scratch;
        let (mut blank, mut filled, mut first_blank) = (0, 0, NONE);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.extend_from_slice(literal),
                Piece::Column { column, slot } => {
                    let from = text.len();
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
            // what other columns have is not sent either
            if filled > 0 && watch.is_on() {
                watch.saw(first_blank, Sight::TemplateEmptied);
            }
        }
        Ok(())
    }
}

/// Empty or white space.
fn is_blank(text: &[u8]) -> bool {
    !matches!(text.first(), Some(b'!'..=b'~')) && as_str(text).chars().all(char::is_whitespace)
}

impl Object {
    /// Leaves the object's JSON in `scratch.text`; nothing if no member is left.
    pub(super) fn fill(&self, row: &impl Row, scratch: &mut Scratch) -> Result<(), CellError> {
        let mut json = std::mem::take(&mut scratch.json);
        json.truncate(0);
        let written = self.write(row, scratch, &mut json);
        scratch.text.clear();
        if let Ok(true) = written {
            scratch.text.extend_from_slice(json.bytes());
        }
        scratch.json = json;
        written.map(drop)
    }

    /// Appends the object; false, and nothing appended, if no member is left.
    fn write(&self, row: &impl Row, scratch: &mut Scratch, out: &mut OutBuf) -> Result<bool, CellError> {
        let begin = out.len();
        let mut before = b'{';
        for member in &self.members {
            let start = out.len();
            out.push(before);
            out.extend(&member.key);
            if !member.content.write(row, scratch, out)? {
                match member.empty {
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

    /// The first column that it reads.
    pub(super) fn column(&self) -> Option<usize> {
        self.members.iter().find_map(|member| member.content.column())
    }
}

impl Content {
    /// Appends the JSON; false, and nothing appended, if it is empty.
    fn write(&self, row: &impl Row, scratch: &mut Scratch, out: &mut OutBuf) -> Result<bool, CellError> {
        match self {
            Content::Constant(json) => out.extend(json),
            Content::Object(object) => return object.write(row, scratch, out),
            Content::Value { value, open, close } => {
                value.read(row, scratch)?;
                if scratch.text.is_empty() {
                    return Ok(false);
                }
                out.extend(open.as_bytes());
                value
                    .output
                    .write(scratch, out)
                    .map_err(|error| CellError { column: error.column.or(value.column()), ..error })?;
                out.extend(close.as_bytes());
            }
        }
        Ok(true)
    }

    fn column(&self) -> Option<usize> {
        match self {
            Content::Constant(_) => None,
            Content::Value { value, .. } => value.column(),
            Content::Object(object) => object.column(),
        }
    }
}
