//! Lists and objects as JSON text.

use super::typed::{Elements, Members, Typed};
use crate::format::block::Bad;
use arrow_buffer::NullBuffer;

/// Appends an object, its keys in the order of the schema.
pub(super) fn object(members: &Members<'_>, at: usize, text: &mut Vec<u8>) -> Result<(), Bad> {
    text.push(b'{');
    for (nth, (name, typed, nulls)) in members.members.iter().enumerate() {
        if nth > 0 {
            text.push(b',');
        }
        string(text, name.as_bytes())?;
        text.push(b':');
        value(typed, nulls.as_ref(), at, text)?;
    }
    text.push(b'}');
    Ok(())
}

/// Appends a list.
pub(super) fn list(elements: &Elements<'_>, at: usize, text: &mut Vec<u8>) -> Result<(), Bad> {
    text.push(b'[');
    for (nth, element) in elements.ranges[at].clone().enumerate() {
        if nth > 0 {
            text.push(b',');
        }
        value(&elements.values, elements.nulls.as_ref(), element, text)?;
    }
    text.push(b']');
    Ok(())
}

fn value(typed: &Typed<'_>, nulls: Option<&NullBuffer>, at: usize, text: &mut Vec<u8>) -> Result<(), Bad> {
    if nulls.is_some_and(|nulls| nulls.is_null(at)) || typed.is_null_value(at) {
        text.extend_from_slice(b"null");
        return Ok(());
    }
    if typed.is_json_itself() {
        return typed.write(at, text);
    }
    let mut plain = Vec::new();
    typed.write(at, &mut plain)?;
    string(text, &plain)
}

/// Appends a text in quotes.
fn string(text: &mut Vec<u8>, value: &[u8]) -> Result<(), Bad> {
    let value = simdutf8::basic::from_utf8(value).map_err(|_| Bad::invalid_utf8())?;
    if value.contains('\0') {
        return Err(Bad::nul());
    }
    // a text can always be written to memory
    let _ = serde_json::to_writer(text, value);
    Ok(())
}
