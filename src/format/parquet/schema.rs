//! The schema that a file is read with.
//!
//! The `parquet` crate refuses a whole batch if one text is not UTF-8, and reads timestamps of 96 bits as nanoseconds, of
//! which 64 bits reach only to the year 2262. So texts are read as bytes, and those timestamps as 12 bytes each.

use super::super::columnar::{Meaning, Wanted};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use parquet::basic::{LogicalType, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};
use std::sync::Arc;

/// Returns the schema to read a file with.
pub(super) fn plain(schema: &SchemaDescriptor) -> Result<Arc<SchemaDescriptor>, ParquetError> {
    let root = schema.root_schema();
    let fields = root.get_fields().iter().map(|field| plain_type(field, true)).collect::<Result<_, _>>()?;
    let root = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(root))))
}

/// `outside`: the type is not inside of a list or a map.
fn plain_type(of: &TypePtr, outside: bool) -> Result<TypePtr, ParquetError> {
    let info = of.get_basic_info();
    let id = info.has_id().then(|| info.id());
    if let Type::GroupType { fields, .. } = &**of {
        let is_struct =
            info.logical_type_ref().is_none() && info.converted_type() == parquet::basic::ConvertedType::NONE;
        let fields = fields.iter().map(|field| plain_type(field, outside && is_struct)).collect::<Result<_, _>>()?;
        let mut group = Type::group_type_builder(of.name())
            .with_fields(fields)
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_id(id);
        if info.has_repetition() {
            group = group.with_repetition(info.repetition());
        }
        return Ok(Arc::new(group.build()?));
    }
    let is_text = matches!(
        info.logical_type_ref(),
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json | LogicalType::Bson)
    ) || matches!(
        info.converted_type(),
        parquet::basic::ConvertedType::UTF8
            | parquet::basic::ConvertedType::ENUM
            | parquet::basic::ConvertedType::JSON
            | parquet::basic::ConvertedType::BSON
    );
    let builder = match of.get_physical_type() {
        Physical::BYTE_ARRAY if is_text => Type::primitive_type_builder(of.name(), Physical::BYTE_ARRAY),
        Physical::INT96 if outside => {
            Type::primitive_type_builder(of.name(), Physical::FIXED_LEN_BYTE_ARRAY).with_length(12)
        }
        _ => return Ok(Arc::clone(of)),
    };
    Ok(Arc::new(builder.with_repetition(info.repetition()).with_id(id).build()?))
}

/// Returns the schema of the arrays to read: that of the plain file, with bytes as views, and with what the writer noted
/// about integers.
pub(super) fn arrays(plain: &Schema, noted: &Schema) -> Schema {
    Schema::new_with_metadata(arrays_of(plain.fields(), noted.fields()), plain.metadata().clone())
}

/// Both are made from the same columns, so they have the same order.
fn arrays_of(plain: &Fields, noted: &Fields) -> Fields {
    let of = |(at, field): (usize, &FieldRef)| array(field, noted.get(at).filter(|noted| noted.name() == field.name()));
    plain.iter().enumerate().map(of).collect()
}

fn array(plain: &FieldRef, noted: Option<&FieldRef>) -> FieldRef {
    let noted_type = noted.map(|noted| match noted.data_type() {
        DataType::Dictionary(_, values) => values,
        other => other,
    });
    let with = |data_type: DataType| Arc::new(Field::clone(plain).with_data_type(data_type));
    let inner = |field: &FieldRef| {
        let noted = noted_type.and_then(|noted| match noted {
            DataType::List(noted) | DataType::LargeList(noted) | DataType::FixedSizeList(noted, _) => Some(noted),
            _ => None,
        });
        array(field, noted)
    };
    match (plain.data_type(), noted_type) {
        (DataType::Binary, _) => with(DataType::BinaryView),
        (DataType::Int32 | DataType::Int64, Some(noted @ (DataType::Timestamp(..) | DataType::Date64))) => {
            with(noted.clone())
        }
        (DataType::Date32, Some(noted @ DataType::Date64)) => with(noted.clone()),
        (DataType::Struct(members), Some(DataType::Struct(noted))) => with(DataType::Struct(arrays_of(members, noted))),
        (DataType::Struct(members), _) => with(DataType::Struct(arrays_of(members, &Fields::empty()))),
        (DataType::List(field), _) => with(DataType::List(inner(field))),
        (DataType::LargeList(field), _) => with(DataType::LargeList(inner(field))),
        (DataType::FixedSizeList(field, len), _) => with(DataType::FixedSizeList(inner(field), *len)),
        _ => Arc::clone(plain),
    }
}

/// Returns the columns of the file that a mapped column consists of.
pub(super) fn leaves(schema: &SchemaDescriptor, wanted: &Wanted) -> Vec<usize> {
    let is_of = |at: &usize| schema.column(*at).path().parts().starts_with(&wanted.steps);
    (0..schema.num_columns()).filter(is_of).collect()
}

/// Returns the meaning of the bytes of a column, by the schema of the file and the types that its writer noted.
pub(super) fn meaning(written: &SchemaDescriptor, noted: &Schema, wanted: &Wanted) -> Meaning {
    let Some(noted) = wanted.field(noted) else { return Meaning::Plain };
    let mut leaves = leaves(written, wanted).into_iter();
    Meaning::of(noted, &mut |noted| {
        let Some(leaf) = leaves.next() else { return Meaning::Plain };
        let column = written.column(leaf);
        match (column.physical_type(), column.logical_type_ref()) {
            (Physical::INT96, _) => Meaning::Int96,
            (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)) => Meaning::Uuid,
            _ => Meaning::of_extension(noted),
        }
    })
}
