//! Compiles JSON objects of the map.

use super::compile::Compiler;
use super::frame::{Frame, refuse_json_template};
use super::shape::{Field, Rules};
use super::spec::{Empty, From, ValueSpec};
use super::value::{Content, Member, Object, Origin, WhenEmpty};
use crate::error::Result;

impl Compiler<'_> {
    pub(super) fn object(&mut self, field: &Field, members: &[(String, ValueSpec)]) -> Result<Object> {
        let mut compiled = Vec::with_capacity(members.len());
        for (key, value) in members {
            let member = Field {
                at: format!("{}.object.{key}", field.at),
                name: format!("{}.{key}", field.name),
                value: value.clone(),
                required: false,
                rules: Rules { list: true, ..Rules::default() },
            };
            compiled.extend(self.member(&member, key)?);
        }
        Ok(Object { members: compiled })
    }

    /// Compiles a member of an object; `None` for a constant that is empty and left out.
    fn member(&mut self, field: &Field, key: &str) -> Result<Option<Member>> {
        refuse_json_template(field)?;
        let frame = Frame::of(field);
        let output = Compiler::output(field, frame.form);
        let empty = match Compiler::empty(field) {
            Empty::Omit => WhenEmpty::Omit,
            Empty::Keep => WhenEmpty::Write(frame.kept),
            Empty::Null => WhenEmpty::Write("null"),
            Empty::Reject => WhenEmpty::Reject,
        };
        let content = match (&field.value.from, self.origin(field)?) {
            (_, Some(Origin::Object(object))) => Content::Object(object),
            (_, Some(origin)) => {
                self.check_default(field, &output)?;
                let value = self.value(field, origin, output);
                if empty != WhenEmpty::Omit {
                    self.needed.extend(value.column());
                }
                let (open, close, list) = (frame.open, frame.close, frame.list);
                let missing_is_empty = field.value.missing_is_empty;
                Content::Value { value: Box::new(value), open, close, list, missing_is_empty }
            }
            (From::Constant(text), None) => match (self.fold(field, text, &output)?.0, empty) {
                (Some(json), _) => Content::Constant([frame.open.as_bytes(), &json, frame.close.as_bytes()].concat()),
                (None, WhenEmpty::Write(json)) => Content::Constant(json.as_bytes().to_vec()),
                (None, _) => return Ok(None),
            },
            (_, None) => unreachable!("only constants have no origin"),
        };
        Ok(Some(Member { key: format!("{}:", serde_json::Value::from(key)).into_bytes(), content, empty }))
    }
}
