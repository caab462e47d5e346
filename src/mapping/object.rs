//! A JSON object of values: its members written one after the other, those that are empty by their own rule.

use super::plan::Scratch;
use super::value::{Value, Wrong};
use crate::buffer::OutBuf;
use crate::reader::Record;

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

impl Object {
    /// Leaves the object's JSON in `scratch.text`; nothing if no member is left.
    pub(super) fn fill(&self, record: &Record<'_>, scratch: &mut Scratch) -> Result<(), Wrong> {
        let mut json = std::mem::take(&mut scratch.json);
        json.truncate(0);
        let written = self.write(record, scratch, &mut json);
        scratch.text.clear();
        if let Ok(true) = written {
            scratch.text.extend_from_slice(json.bytes());
        }
        scratch.json = json;
        written.map(drop)
    }

    /// Appends the object; false, and nothing appended, if no member is left.
    fn write(&self, record: &Record<'_>, scratch: &mut Scratch, out: &mut OutBuf) -> Result<bool, Wrong> {
        let begin = out.len();
        let mut before = b'{';
        for member in &self.members {
            let start = out.len();
            out.push(before);
            out.extend(&member.key);
            if !member.content.write(record, scratch, out)? {
                match member.empty {
                    WhenEmpty::Omit => {
                        out.truncate(start);
                        continue;
                    }
                    WhenEmpty::Write(text) => out.extend(text.as_bytes()),
                    WhenEmpty::Reject => {
                        return Err(Wrong { cell: member.content.column(), ..Wrong::EMPTY });
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
    fn write(&self, record: &Record<'_>, scratch: &mut Scratch, out: &mut OutBuf) -> Result<bool, Wrong> {
        match self {
            Content::Constant(json) => out.extend(json),
            Content::Object(object) => return object.write(record, scratch, out),
            Content::Value { value, open, close } => {
                value.read(record, scratch)?;
                if scratch.text.is_empty() {
                    return Ok(false);
                }
                out.extend(open.as_bytes());
                value
                    .output
                    .write(scratch, out)
                    .map_err(|wrong| Wrong { cell: wrong.cell.or(value.column()), ..wrong })?;
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
