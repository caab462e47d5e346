//! The schema of the data. A column of a type that the `arrow-ipc` crate does not know is left out, unless it is mapped.

use super::damage::damaged;
use crate::error::{Error, Place, Result};
use crate::format::columnar::{UNREADABLE, unless_panic};
use arrow_ipc::{Field as Written, Type};
use arrow_schema::{DataType, Field, Schema};
use std::collections::HashMap;
use std::sync::Arc;

/// Reads a schema.
///
/// # Errors
/// `Data`: it is not valid, or the buffers of a column of an unknown type cannot be distinguished from those of other columns.
pub(super) fn read(written: arrow_ipc::Schema<'_>) -> Result<Schema> {
    let invalid = |what: String| damaged(&format!("its schema is not valid ({what})"));
    let refused = match unless_panic(|| arrow_ipc::convert::try_fb_to_schema(written)) {
        Ok(schema) => return Ok(schema),
        Err(what) => what,
    };
    let Some(fields) = written.fields() else { return Err(invalid(refused)) };
    let mut known = Vec::with_capacity(fields.len());
    for field in fields {
        known.push(match known_field(field) {
            Some(known) => known,
            None if is_invalid(field) => return Err(invalid(refused)),
            None => unknown_field(field).ok_or_else(|| unknown_layout(field))?,
        });
    }
    Ok(Schema::new(known))
}

fn known_field(field: Written<'_>) -> Option<Field> {
    unless_panic(|| Ok::<_, String>(Field::from(field))).ok()
}

/// Whether a field has no type at all.
fn is_invalid(field: Written<'_>) -> bool {
    field.type_type() == Type::NONE || (field.type_type().variant_name().is_some() && field.type_().is_none())
}

/// Returns a field with the buffers of an unknown one, marked where it cannot be read; `None` if they are not known.
fn unknown_field(field: Written<'_>) -> Option<Field> {
    let member = |member: Written<'_>| known_field(member).or_else(|| unknown_field(member));
    let one = || {
        let members = field.children().filter(|members| members.len() == 1)?;
        Some(Arc::new(member(members.get(0))?))
    };
    let name = field.name().unwrap_or_default();
    let data_type = match field.type_type() {
        // keys that are not known have the buffers of keys
        _ if field.dictionary().is_some() => return Some(unreadable(field)),
        Type::Int
        | Type::FloatingPoint
        | Type::Decimal
        | Type::Date
        | Type::Time
        | Type::Timestamp
        | Type::Interval
        | Type::Duration => return Some(unreadable(field)),
        Type::List => DataType::List(one()?),
        Type::LargeList => DataType::LargeList(one()?),
        Type::ListView => DataType::ListView(one()?),
        Type::LargeListView => DataType::LargeListView(one()?),
        Type::FixedSizeList => DataType::FixedSizeList(one()?, field.type_as_fixed_size_list()?.listSize()),
        Type::Map => DataType::Map(one()?, false),
        Type::Struct_ => DataType::Struct(field.children()?.iter().map(member).collect::<Option<_>>()?),
        _ => return None,
    };
    Some(Field::new(name, data_type, field.nullable()))
}

/// Returns a field for values of a size that is not known, which has two buffers like all numbers.
fn unreadable(field: Written<'_>) -> Field {
    let int = field.type_as_int().filter(|_| field.dictionary().is_none());
    let what = match int.map(|int| int.bitWidth()) {
        Some(bits) => format!("integers of {bits} bits"),
        None => "values of a type that this version does not know".to_owned(),
    };
    Field::new(field.name().unwrap_or_default(), DataType::Int8, field.nullable())
        .with_metadata(HashMap::from([(UNREADABLE.to_owned(), what)]))
}

fn unknown_layout(field: Written<'_>) -> Error {
    let name = field.name().unwrap_or_default();
    let place = Place { column: Some(name.to_owned()), ..Place::default() };
    Error::data(format!("the column {name:?} has a type that this version does not know, so no column can be read"))
        .with_place(place)
        .with_hint("write the file without the column, or with the column as text")
}
