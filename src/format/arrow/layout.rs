//! The places of the buffers of mapped columns in a record batch, so that only these are read and checked.

use super::damage::damaged;
use crate::error::{Error, Result};
use arrow_ipc::{MetadataVersion, RecordBatch as Header};
use arrow_schema::{DataType, Field, Schema, UnionMode};
use std::ops::Range;

/// Marks a buffer that is not compressed although the batch is.
const NOT_COMPRESSED: i64 = -1;
/// Bytes before compressed data.
const PREFIX_BYTES: u64 = 8;
/// Size above which the ratio of decompressed to stored bytes is checked.
const MIN_CHECKED_BYTES: u64 = 64 << 20;

/// A buffer of a batch.
pub(super) struct Stored {
    pub(super) range: Range<u64>,
    /// True if a mapped column needs it.
    pub(super) is_wanted: bool,
}

/// Returns the buffers of a batch. `version` is that of its message, `wanted` are the indexes of the fields that are read; `None`: all.
///
/// # Errors
/// `Data`: a buffer is outside of the body, or there are others than the schema says.
pub(super) fn buffers(
    header: &Header<'_>,
    version: MetadataVersion,
    (schema, wanted): (&Schema, Option<&[usize]>),
    body: u64,
) -> Result<Vec<Stored>> {
    let mut counts = header.variadicBufferCounts().into_iter().flatten();
    let mut is_wanted = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        let number = number(field, version, &mut counts)?;
        is_wanted.resize(is_wanted.len() + number, wanted.is_none_or(|wanted| wanted.contains(&at)));
    }
    let stored = header.buffers().map(|buffers| buffers.iter().map(|buffer| (buffer.offset(), buffer.length())));
    let mut found = Vec::new();
    for (at, (offset, length)) in stored.into_iter().flatten().enumerate() {
        let range = u64::try_from(offset).ok().zip(u64::try_from(length).ok());
        let range = range.and_then(|(offset, length)| Some(offset..offset.checked_add(length)?));
        let range =
            range.filter(|range| range.end <= body).ok_or_else(|| damaged("a buffer is outside of its batch"))?;
        found.push(Stored { range, is_wanted: is_wanted.get(at).copied().unwrap_or(true) });
    }
    if wanted.is_some() && found.len() != is_wanted.len() {
        return Err(damaged("a batch has other columns than the schema"));
    }
    Ok(found)
}

/// Returns the number of buffers of a field and the fields in it.
fn number(field: &Field, version: MetadataVersion, counts: &mut dyn Iterator<Item = i64>) -> Result<usize> {
    let mut number = |field: &Field| number(field, version, counts);
    Ok(match field.data_type() {
        DataType::Null => 0,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 3,
        DataType::Utf8View | DataType::BinaryView => {
            let count = counts.next().and_then(|count| usize::try_from(count).ok()).filter(|count| *count < 1 << 24);
            2 + count.ok_or_else(|| damaged("a batch does not say how many buffers its texts have"))?
        }
        DataType::List(inner) | DataType::LargeList(inner) | DataType::Map(inner, _) => 2 + number(inner)?,
        DataType::ListView(inner) | DataType::LargeListView(inner) => 3 + number(inner)?,
        DataType::FixedSizeList(inner, _) => 1 + number(inner)?,
        DataType::Struct(members) => members.iter().try_fold(1, |sum, member| Ok::<_, Error>(sum + number(member)?))?,
        DataType::Union(members, mode) => {
            let nulls = usize::from(version < MetadataVersion::V5);
            let own = nulls + if *mode == UnionMode::Dense { 2 } else { 1 };
            members.iter().try_fold(own, |sum, (_, member)| Ok::<_, Error>(sum + number(member)?))?
        }
        DataType::RunEndEncoded(ends, values) => number(ends)? + number(values)?,
        // numbers, times, and the keys of dictionaries
        _ => 2,
    })
}

/// Checks the size that a compressed buffer claims to have, which is its first eight bytes.
///
/// # Errors
/// `Data`: it is impossible or too large.
pub(super) fn check_claim(claim: [u8; 8], stored: u64, max_expansion: u64) -> Result<()> {
    let claim = i64::from_le_bytes(claim);
    if claim == NOT_COMPRESSED {
        return Ok(());
    }
    let Ok(claim) = u64::try_from(claim) else { return Err(damaged("a compressed buffer has an impossible length")) };
    let most = stored.saturating_sub(PREFIX_BYTES).saturating_mul(max_expansion).max(MIN_CHECKED_BYTES);
    if claim > most {
        return Err(Error::data(format!(
            "a buffer expands to more than {max_expansion} times its size (source.max_expansion)"
        ))
        .with_hint("if the source is right, raise source.max_expansion"));
    }
    Ok(())
}
