//! An array with its type resolved, so that each value can be written as text.

use super::json::string;
use super::meaning::Meaning;
use crate::format::block::number::{date, decimal, float, float_in_range, integer, timestamp};
use crate::format::block::{Bad, Block};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_array::{BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray};
use arrow_array::{LargeStringArray, StringArray, StringViewArray, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};
use std::ops::Range;

/// An array that is borrowed from a batch.
pub(super) enum Typed<'a> {
    Null,
    Bool(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    UInt8(&'a PrimitiveArray<UInt8Type>),
    UInt16(&'a PrimitiveArray<UInt16Type>),
    UInt32(&'a PrimitiveArray<UInt32Type>),
    UInt64(&'a PrimitiveArray<UInt64Type>),
    Float16(&'a PrimitiveArray<Float16Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal32(&'a PrimitiveArray<Decimal32Type>, i8),
    Decimal64(&'a PrimitiveArray<Decimal64Type>, i8),
    Decimal128(&'a PrimitiveArray<Decimal128Type>, i8),
    Decimal256(&'a PrimitiveArray<Decimal256Type>, i8),
    Date32(&'a PrimitiveArray<Date32Type>),
    Date64(&'a PrimitiveArray<Date64Type>),
    Time(Moments<'a>),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
    Fixed(&'a FixedSizeBinaryArray),
    /// 16 bytes that are a UUID.
    Uuid(&'a FixedSizeBinaryArray),
    /// 12 bytes: nanoseconds of the day, and the Julian day.
    Int96(&'a FixedSizeBinaryArray),
    Dictionary(Box<Dictionary<'a>>),
    Struct(Members<'a>),
    List(Box<Elements<'a>>),
}

/// Timestamps: their numbers, how many of them are a second, and whether they are instants of UTC.
pub(super) struct Moments<'a> {
    values: &'a [i64],
    per_second: i64,
    is_utc: bool,
}

/// Keys of an array of values.
pub(super) struct Dictionary<'a> {
    keys: Vec<Option<usize>>,
    values: Typed<'a>,
    nulls: Option<NullBuffer>,
}

/// The members of objects, in the order of the schema.
pub(super) struct Members<'a> {
    members: Vec<(&'a str, Typed<'a>, Option<NullBuffer>)>,
}

/// Lists: the elements of all, and the range of each.
pub(super) struct Elements<'a> {
    ranges: Vec<Range<usize>>,
    values: Typed<'a>,
    nulls: Option<NullBuffer>,
}

/// Returns the day of 1970-01-01 in the count of Julian days.
const JULIAN_EPOCH: i64 = 2_440_588;

impl<'a> Typed<'a> {
    /// Resolves the type of an array; `None` if it is not supported, which the schema has ruled out.
    pub(super) fn of(array: &'a dyn Array, meaning: &Meaning) -> Option<Typed<'a>> {
        use DataType as T;
        Some(match (array.data_type(), meaning) {
            (T::FixedSizeBinary(16), Meaning::Uuid) => Typed::Uuid(array.as_fixed_size_binary_opt()?),
            (T::FixedSizeBinary(12), Meaning::Int96) => Typed::Int96(array.as_fixed_size_binary_opt()?),
            (T::Null, _) => Typed::Null,
            (T::Boolean, _) => Typed::Bool(array.as_boolean_opt()?),
            (T::Int8, _) => Typed::Int8(array.as_primitive_opt()?),
            (T::Int16, _) => Typed::Int16(array.as_primitive_opt()?),
            (T::Int32, _) => Typed::Int32(array.as_primitive_opt()?),
            (T::Int64, _) => Typed::Int64(array.as_primitive_opt()?),
            (T::UInt8, _) => Typed::UInt8(array.as_primitive_opt()?),
            (T::UInt16, _) => Typed::UInt16(array.as_primitive_opt()?),
            (T::UInt32, _) => Typed::UInt32(array.as_primitive_opt()?),
            (T::UInt64, _) => Typed::UInt64(array.as_primitive_opt()?),
            (T::Float16, _) => Typed::Float16(array.as_primitive_opt()?),
            (T::Float32, _) => Typed::Float32(array.as_primitive_opt()?),
            (T::Float64, _) => Typed::Float64(array.as_primitive_opt()?),
            (T::Decimal32(_, scale), _) => Typed::Decimal32(array.as_primitive_opt()?, *scale),
            (T::Decimal64(_, scale), _) => Typed::Decimal64(array.as_primitive_opt()?, *scale),
            (T::Decimal128(_, scale), _) => Typed::Decimal128(array.as_primitive_opt()?, *scale),
            (T::Decimal256(_, scale), _) => Typed::Decimal256(array.as_primitive_opt()?, *scale),
            (T::Date32, _) => Typed::Date32(array.as_primitive_opt()?),
            (T::Date64, _) => Typed::Date64(array.as_primitive_opt()?),
            (T::Timestamp(unit, zone), _) => Typed::Time(Moments::of(array, *unit, zone.is_some())?),
            (T::Utf8, _) => Typed::Utf8(array.as_string_opt()?),
            (T::LargeUtf8, _) => Typed::LargeUtf8(array.as_string_opt()?),
            (T::Utf8View, _) => Typed::Utf8View(array.as_string_view_opt()?),
            (T::Binary, _) => Typed::Binary(array.as_binary_opt()?),
            (T::LargeBinary, _) => Typed::LargeBinary(array.as_binary_opt()?),
            (T::BinaryView, _) => Typed::BinaryView(array.as_binary_view_opt()?),
            (T::FixedSizeBinary(_), _) => Typed::Fixed(array.as_fixed_size_binary_opt()?),
            (T::Dictionary(..), _) => Typed::Dictionary(Box::new(Dictionary::of(array, meaning)?)),
            (T::Struct(_), _) => Typed::Struct(Members::of(array.as_struct_opt()?, meaning)?),
            (T::List(_) | T::LargeList(_) | T::FixedSizeList(..) | T::ListView(_) | T::LargeListView(_), _) => {
                Typed::List(Box::new(Elements::of(array, meaning)?))
            }
            _ => return None,
        })
    }

    /// Appends the text of a value that is not null.
    #[inline(always)]
    pub(super) fn write(&self, at: usize, text: &mut Vec<u8>) -> Result<(), Bad> {
        match self {
            Typed::Null => {}
            Typed::Bool(array) => text.extend_from_slice(if array.value(at) { b"true" } else { b"false" }),
            Typed::Int8(array) => integer(text, array.value(at)),
            Typed::Int16(array) => integer(text, array.value(at)),
            Typed::Int32(array) => integer(text, array.value(at)),
            Typed::Int64(array) => integer(text, array.value(at)),
            Typed::UInt8(array) => integer(text, array.value(at)),
            Typed::UInt16(array) => integer(text, array.value(at)),
            Typed::UInt32(array) => integer(text, array.value(at)),
            Typed::UInt64(array) => integer(text, array.value(at)),
            Typed::Utf8(array) => text.extend_from_slice(array.value(at).as_bytes()),
            Typed::LargeUtf8(array) => text.extend_from_slice(array.value(at).as_bytes()),
            Typed::Utf8View(array) => text.extend_from_slice(array.value(at).as_bytes()),
            Typed::Binary(array) => text.extend_from_slice(array.value(at)),
            Typed::LargeBinary(array) => text.extend_from_slice(array.value(at)),
            Typed::BinaryView(array) => text.extend_from_slice(array.value(at)),
            Typed::Fixed(array) => text.extend_from_slice(array.value(at)),
            Typed::Float32(array) => float(text, array.value(at))?,
            Typed::Float64(array) => float(text, array.value(at))?,
            Typed::Date32(array) => date(text, i64::from(array.value(at)))?,
            Typed::Time(moments) => moments.write(at, text)?,
            other => return other.write_rare(at, text),
        }
        Ok(())
    }

    fn write_rare(&self, at: usize, text: &mut Vec<u8>) -> Result<(), Bad> {
        match self {
            Typed::Float16(array) => return half(text, array.value(at).to_f32()),
            Typed::Decimal32(array, scale) => decimal(text, itoa::Buffer::new().format(array.value(at)), *scale),
            Typed::Decimal64(array, scale) => decimal(text, itoa::Buffer::new().format(array.value(at)), *scale),
            Typed::Decimal128(array, scale) => decimal(text, itoa::Buffer::new().format(array.value(at)), *scale),
            Typed::Decimal256(array, scale) => decimal(text, &array.value(at).to_string(), *scale),
            Typed::Date64(array) => return date(text, array.value(at).div_euclid(86_400_000)),
            Typed::Uuid(array) => uuid(text, array.value(at)),
            Typed::Int96(array) => return int96(text, array.value(at)),
            Typed::Dictionary(dictionary) => {
                if let Some(key) = dictionary.key(at) {
                    return dictionary.values.write(key, text);
                }
            }
            Typed::Struct(members) => return object(members, at, text),
            Typed::List(elements) => return list(elements, at, text),
            // all others are common
            _ => {}
        }
        Ok(())
    }

    /// Returns the number of bytes of the texts of a range of rows: exactly for texts, roughly for the rest.
    pub(super) fn bytes(&self, rows: Range<usize>) -> usize {
        const USUAL: usize = 12;
        match self {
            Typed::Utf8(array) => span(array.value_offsets(), rows),
            Typed::Binary(array) => span(array.value_offsets(), rows),
            Typed::LargeUtf8(array) => span(array.value_offsets(), rows),
            Typed::LargeBinary(array) => span(array.value_offsets(), rows),
            Typed::Utf8View(array) => array.views()[rows].iter().map(|view| *view as u32 as usize).sum(),
            Typed::BinaryView(array) => array.views()[rows].iter().map(|view| *view as u32 as usize).sum(),
            Typed::Fixed(array) => rows.len() * usize::try_from(array.value_length()).unwrap_or(0),
            Typed::Dictionary(dictionary) => {
                let values = rows.filter_map(|row| dictionary.key(row));
                values.map(|key| dictionary.values.bytes(key..key + 1)).sum()
            }
            Typed::Struct(members) => {
                let of =
                    |(name, typed, _): &(&str, Typed<'_>, _)| rows.len() * (name.len() + 6) + typed.bytes(rows.clone());
                members.members.iter().map(of).sum()
            }
            Typed::List(elements) => elements.ranges[rows]
                .iter()
                .map(|range| 4 + 3 * range.len() + elements.values.bytes(range.clone()))
                .sum(),
            _ => rows.len() * USUAL,
        }
    }

    /// Returns true if a value is null although the array does not say so itself.
    pub(super) fn is_null_value(&self, at: usize) -> bool {
        match self {
            Typed::Null => true,
            Typed::Dictionary(dictionary) => dictionary.key(at).is_none(),
            _ => false,
        }
    }

    /// Returns true if the text of a value is JSON without quotes around it.
    pub(super) fn is_json_itself(&self) -> bool {
        match self {
            Typed::Utf8(_) | Typed::LargeUtf8(_) | Typed::Utf8View(_) => false,
            Typed::Binary(_) | Typed::LargeBinary(_) | Typed::BinaryView(_) | Typed::Fixed(_) => false,
            Typed::Date32(_) | Typed::Date64(_) | Typed::Time(_) | Typed::Uuid(_) | Typed::Int96(_) => false,
            Typed::Dictionary(dictionary) => dictionary.values.is_json_itself(),
            _ => true,
        }
    }

    /// Returns true if its values are lists or objects.
    fn is_nested(&self) -> bool {
        matches!(self, Typed::Struct(_) | Typed::List(_))
    }
}

fn span<O: Copy + TryInto<usize>>(offsets: &[O], rows: Range<usize>) -> usize {
    let at = |row: usize| offsets[row].try_into().unwrap_or(0);
    at(rows.end).saturating_sub(at(rows.start))
}

/// A column of a batch: its array, and where it or an object around it is null.
pub(super) struct Source<'a> {
    pub(super) typed: Typed<'a>,
    nulls: Option<NullBuffer>,
}

impl<'a> Source<'a> {
    /// Follows a path of members from an array.
    pub(super) fn of(array: &'a ArrayRef, path: &[usize], meaning: &Meaning) -> Option<Source<'a>> {
        let mut array: &ArrayRef = array;
        let mut nulls = array.nulls().cloned();
        for member in path {
            let object: &StructArray = array.as_struct_opt()?;
            array = object.columns().get(*member)?;
            nulls = NullBuffer::union(nulls.as_ref(), array.nulls());
        }
        Some(Source { typed: Typed::of(array.as_ref(), meaning)?, nulls })
    }

    /// Puts the values of a range of rows.
    pub(super) fn put(&self, rows: Range<usize>, block: &mut Block) {
        if self.typed.is_nested() {
            for row in rows {
                match self.is_null(row) {
                    true => block.put_empty(),
                    false => block.put_nested(|text| self.typed.write(row, text)),
                }
            }
            return;
        }
        match (&self.typed, &self.nulls) {
            // the common types with loops of their own
            (Typed::BinaryView(array), None) => {
                put_all(rows, block, |row, text| text.extend_from_slice(array.value(row)))
            }
            (Typed::Utf8(array), None) => {
                put_all(rows, block, |row, text| text.extend_from_slice(array.value(row).as_bytes()))
            }
            (Typed::Int64(array), None) => put_all(rows, block, |row, text| integer(text, array.value(row))),
            (Typed::Null, _) => rows.for_each(|_| block.put_empty()),
            (typed, nulls) => {
                for row in rows {
                    match nulls {
                        Some(nulls) if nulls.is_null(row) => block.put_empty(),
                        _ => block.put(|text| typed.write(row, text)),
                    }
                }
            }
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

#[inline(always)]
fn put_all(rows: Range<usize>, block: &mut Block, write: impl Fn(usize, &mut Vec<u8>)) {
    for row in rows {
        block.put(|text| {
            write(row, text);
            Ok(())
        });
    }
}

impl<'a> Moments<'a> {
    fn of(array: &'a dyn Array, unit: TimeUnit, is_utc: bool) -> Option<Moments<'a>> {
        fn values<T: ArrowPrimitiveType<Native = i64>>(array: &dyn Array) -> Option<&[i64]> {
            Some(array.as_primitive_opt::<T>()?.values())
        }
        let (values, per_second) = match unit {
            TimeUnit::Second => (values::<TimestampSecondType>(array)?, 1),
            TimeUnit::Millisecond => (values::<TimestampMillisecondType>(array)?, 1_000),
            TimeUnit::Microsecond => (values::<TimestampMicrosecondType>(array)?, 1_000_000),
            TimeUnit::Nanosecond => (values::<TimestampNanosecondType>(array)?, 1_000_000_000),
        };
        Some(Moments { values, per_second, is_utc })
    }

    fn write(&self, at: usize, text: &mut Vec<u8>) -> Result<(), Bad> {
        let (value, per_second) = (self.values[at], self.per_second);
        let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
        timestamp(text, value.div_euclid(per_second), nanos as u32, self.is_utc)
    }
}

impl<'a> Dictionary<'a> {
    fn of(array: &'a dyn Array, meaning: &Meaning) -> Option<Dictionary<'a>> {
        let any = array.as_any_dictionary_opt()?;
        let values: &'a ArrayRef = any.values();
        let (len, nulls) = (values.len(), any.keys().nulls().cloned());
        let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let keys = match len {
            0 => vec![None; any.len()],
            _ => {
                any.normalized_keys().into_iter().enumerate().map(|(row, key)| (!is_null(row)).then_some(key)).collect()
            }
        };
        Some(Dictionary { keys, values: Typed::of(values.as_ref(), meaning)?, nulls: values.nulls().cloned() })
    }

    /// Returns the key of a value that is not null.
    fn key(&self, at: usize) -> Option<usize> {
        let key = self.keys[at]?;
        (!self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(key))).then_some(key)
    }
}

impl<'a> Members<'a> {
    fn of(array: &'a StructArray, meaning: &Meaning) -> Option<Members<'a>> {
        let fields = array.fields().iter().zip(array.columns());
        let members = fields.enumerate().map(|(at, (field, column))| {
            Some((field.name().as_str(), Typed::of(column.as_ref(), meaning.inner(at))?, column.nulls().cloned()))
        });
        Some(Members { members: members.collect::<Option<_>>()? })
    }
}

impl<'a> Elements<'a> {
    fn of(array: &'a dyn Array, meaning: &Meaning) -> Option<Elements<'a>> {
        fn range(from: impl TryInto<usize>, to: impl TryInto<usize>) -> Range<usize> {
            let (from, to) = (from.try_into().unwrap_or(0), to.try_into().unwrap_or(0));
            from..to.max(from)
        }
        let (ranges, values): (Vec<Range<usize>>, &'a ArrayRef) = if let Some(list) = array.as_list_opt::<i32>() {
            (list.value_offsets().windows(2).map(|ends| range(ends[0], ends[1])).collect(), list.values())
        } else if let Some(list) = array.as_list_opt::<i64>() {
            (list.value_offsets().windows(2).map(|ends| range(ends[0], ends[1])).collect(), list.values())
        } else if let Some(list) = array.as_fixed_size_list_opt() {
            let len = usize::try_from(list.value_length()).ok()?;
            let from = list.value_offset_at(0);
            ((0..list.len()).map(|row| from + row * len..from + (row + 1) * len).collect(), list.values())
        } else if let Some(list) = array.as_list_view_opt::<i32>() {
            let ends = list.offsets().iter().zip(list.sizes().iter());
            (ends.map(|(from, len)| range(*from, from + len)).collect(), list.values())
        } else {
            let list = array.as_list_view_opt::<i64>()?;
            let ends = list.offsets().iter().zip(list.sizes().iter());
            (ends.map(|(from, len)| range(*from, from + len)).collect(), list.values())
        };
        Some(Elements { ranges, values: Typed::of(values.as_ref(), meaning.inner(0))?, nulls: values.nulls().cloned() })
    }
}

/// Appends an object, its keys in the order of the schema.
fn object(members: &Members<'_>, at: usize, text: &mut Vec<u8>) -> Result<(), Bad> {
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
fn list(elements: &Elements<'_>, at: usize, text: &mut Vec<u8>) -> Result<(), Bad> {
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

/// Appends the shortest text that reads back as the same number of 16 bits.
fn half(text: &mut Vec<u8>, value: f32) -> Result<(), Bad> {
    // half of the distance to the next number of 16 bits, which is half as far below a power of two
    let exponent = ((value.to_bits() >> 23 & 0xff) as i32 - 127).max(-14);
    let above = 2f32.powi(exponent - 11);
    let below = if value.to_bits() & 0x007f_ffff == 0 { above / 2.0 } else { above };
    for digits in 0..6 {
        let short = format!("{value:.digits$e}");
        let Ok(back) = short.parse::<f32>() else { continue };
        let gap = if back.abs() < value.abs() { below } else { above };
        if (back - value).abs() < gap {
            return float_in_range(text, value.into(), back);
        }
    }
    float(text, value)
}

fn uuid(text: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        text.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn int96(text: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Bad> {
    let (nanos, day) = bytes.split_at(8);
    let nanos = i64::from_le_bytes(nanos.try_into().unwrap_or_default());
    let day = i64::from(i32::from_le_bytes(day.try_into().unwrap_or_default()));
    let seconds = (day - JULIAN_EPOCH) * 86_400 + nanos.div_euclid(1_000_000_000);
    timestamp(text, seconds, nanos.rem_euclid(1_000_000_000) as u32, false)
}
