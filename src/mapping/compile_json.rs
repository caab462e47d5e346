//! What JSON around a value needs when a plan is compiled: quotes and brackets, objects, and templates that are refused.

use super::compile::Compiler;
use super::object::{Content, Member, Object, WhenEmpty};
use super::shape::{Field, Rules};
use super::spec::{Empty, From, Type, ValueSpec};
use super::template;
use super::value::{Form, Origin};
use crate::error::{Error, Result};

/// What a value must be, by the job file or else the platform.
pub(super) fn kind(field: &Field) -> Option<&Type> {
    field.value.r#type.as_ref().or(field.rules.default_type.as_ref())
}

/// A template knows nothing of JSON: a quote or backslash in a cell would change what the text means.
pub(super) fn judge_json_template(field: &Field) -> Result<()> {
    let From::Template(parts, _) = &field.value.from else { return Ok(()) };
    if kind(field) != Some(&Type::Json) || !template::has_columns(parts) {
        return Ok(());
    }
    let hint = match template::as_object(parts) {
        Some(object) => format!("write {object}"),
        None => {
            "write { object: { key: column, … } }; for JSON that a column holds, { column: …, type: json }".to_owned()
        }
    };
    let message = format!("{}: a template cannot put columns into JSON, their text is not escaped", field.at);
    Err(Error::usage(message).with_hint(hint))
}

/// What stands around the text of a value in JSON.
pub(super) struct Frame {
    pub(super) form: Form,
    pub(super) open: &'static str,
    pub(super) close: &'static str,
    /// In place of an empty one that is kept.
    pub(super) kept: &'static str,
}

impl Frame {
    pub(super) fn of(field: &Field) -> Frame {
        let text = field.rules.as_text || Compiler::cast(field).is_text();
        let array = field.rules.array || field.value.split.is_some();
        let (open, close) = match (array, text) {
            (true, true) => ("[\"", "\"]"),
            (true, false) => ("[", "]"),
            (false, true) => ("\"", "\""),
            (false, false) => ("", ""),
        };
        let kept = if array { "[]" } else { "\"\"" };
        Frame { form: if text { Form::Quoted } else { Form::Raw }, open, close, kept }
    }
}

impl Compiler<'_> {
    pub(super) fn object(&mut self, field: &Field, members: &[(String, ValueSpec)]) -> Result<Object> {
        let mut compiled = Vec::with_capacity(members.len());
        for (key, value) in members {
            let member = Field {
                at: format!("{}.object.{key}", field.at),
                name: format!("{}.{key}", field.name),
                value: value.clone(),
                required: false,
                rules: Rules::default(),
            };
            compiled.extend(self.member(&member, key)?);
        }
        Ok(Object { members: compiled })
    }

    /// A member of an object; `None`: a constant that is empty and left out.
    fn member(&mut self, field: &Field, key: &str) -> Result<Option<Member>> {
        judge_json_template(field)?;
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
                self.judge_default(field, &output)?;
                let value = self.value(field, origin, output);
                Content::Value { value: Box::new(value), open: frame.open, close: frame.close }
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
