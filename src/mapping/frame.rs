//! JSON around a value when a plan is compiled: quotes and brackets, and templates that are refused.

use super::cast::Cast;
use super::output::Form;
use super::shape::Field;
use super::spec::{From, Type};
use super::template;
use crate::error::{Error, Result};

/// Returns the type of a value, from the job file or else the platform.
pub(super) fn kind(field: &Field) -> Option<&Type> {
    field.value.r#type.as_ref().or(field.rules.default_type.as_ref())
}

/// Returns the conversion and validation of a field's text.
pub(super) fn cast(field: &Field) -> Cast {
    match &field.value.from {
        From::Object(_) => Cast::Built,
        _ => Cast::new(kind(field)),
    }
}

/// Refuses columns inside JSON of a template: a quote or backslash in a cell would change the meaning of the text.
pub(super) fn refuse_json_template(field: &Field) -> Result<()> {
    let From::Template(parts, _) = &field.value.from else { return Ok(()) };
    if kind(field) != Some(&Type::Json) || !template::has_columns(parts) {
        return Ok(());
    }
    let hint = match template::as_object(parts) {
        Some(object) => format!("write {object}"),
        None => "write { object: { key: column, … } }; for a column that contains JSON, { column: …, type: json }"
            .to_owned(),
    };
    let message = format!("{}: a template cannot put columns into JSON, their text is not escaped", field.at);
    Err(Error::usage(message).with_hint(hint))
}

/// The JSON around the text of a value.
pub(super) struct Frame {
    pub(super) form: Form,
    pub(super) open: &'static str,
    pub(super) close: &'static str,
    /// The JSON around a list.
    pub(super) list: (&'static str, &'static str),
    /// Written instead of an empty value that is kept.
    pub(super) kept: &'static str,
}

impl Frame {
    pub(super) fn of(field: &Field) -> Frame {
        let text = field.rules.as_text || cast(field).is_text();
        let array = field.rules.array || field.value.split.is_some();
        let (open, close) = match (array, text) {
            (true, true) => ("[\"", "\"]"),
            (true, false) => ("[", "]"),
            (false, true) => ("\"", "\""),
            (false, false) => ("", ""),
        };
        let kept = if array { "[]" } else { "\"\"" };
        let list = if text { ("[\"", "\"]") } else { ("[", "]") };
        Frame { form: if text { Form::Quoted } else { Form::Raw }, open, close, list, kept }
    }
}
