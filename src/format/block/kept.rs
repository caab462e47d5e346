//! The form in which the values of a row are kept when it is rejected or shown: for each column a byte, 1 if the value is
//! JSON text, the length in four bytes, and the value.

use crate::format::cells::{Cell, Cells};
use crate::format::pointer::steps;
use std::borrow::Cow;
use std::io::Write;

/// Bytes before a value.
const HEAD_BYTES: usize = 5;

/// Returns the number of bytes that a row takes.
pub(super) fn bytes(values: usize, columns: usize) -> usize {
    values + HEAD_BYTES * columns
}

/// Appends a value.
pub(super) fn push(into: &mut Vec<u8>, is_json: bool, value: &[u8]) {
    into.push(u8::from(is_json));
    into.extend_from_slice(&(value.len() as u32).to_le_bytes());
    into.extend_from_slice(value);
}

/// Returns the values, and whether each is JSON text.
fn values(mut kept: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    std::iter::from_fn(move || {
        let ([is_json, len @ ..], rest) = kept.split_first_chunk::<HEAD_BYTES>()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        kept = rest;
        Some((*is_json == 1, value))
    })
}

/// Returns the values of a row that was kept.
pub(in crate::format) fn cells(kept: &[u8]) -> Cells<'_> {
    Box::new(values(kept).map(|(_, value)| Cell::new(value)))
}

/// Returns a row that was kept as a JSON object, from which the format `ndjson` reads the same columns: one that is a
/// JSON Pointer is a member of an object.
pub(in crate::format) fn text<'k>(kept: &'k [u8], columns: &[String]) -> Cow<'k, [u8]> {
    let mut text = Vec::with_capacity(kept.len() + 16 * columns.len());
    let value = |(column, (is_json, value)): (&String, (bool, &'k [u8]))| {
        // a pointer that is not valid was refused before
        Value { steps: steps(column).unwrap_or_else(|_| vec![column.clone()]), is_json, value }
    };
    let values: Vec<Value<'_>> = columns.iter().zip(values(kept)).map(value).collect();
    object(&mut text, &values.iter().collect::<Vec<_>>(), 0);
    Cow::Owned(text)
}

/// Writes a row that was kept as a line of NDJSON.
///
/// # Errors
/// `out` fails.
pub(in crate::format) fn write_line(kept: &[u8], columns: &[String], out: &mut dyn Write) -> std::io::Result<()> {
    out.write_all(&text(kept, columns))?;
    out.write_all(b"\n")
}

/// A value of a row, and the keys on the way to it.
struct Value<'k> {
    steps: Vec<String>,
    is_json: bool,
    value: &'k [u8],
}

/// Appends an object of the values whose first `depth` keys led to it.
fn object(text: &mut Vec<u8>, values: &[&Value<'_>], depth: usize) {
    text.push(b'{');
    let mut done: Vec<&str> = Vec::new();
    for value in values {
        let key = value.steps[depth].as_str();
        if done.contains(&key) {
            continue;
        }
        text.extend_from_slice(if done.is_empty() { b"" } else { b"," });
        done.push(key);
        string(text, key);
        text.push(b':');
        let same: Vec<&Value<'_>> = values.iter().copied().filter(|value| value.steps[depth] == key).collect();
        // an object has all its members already
        match same.iter().find(|value| value.steps.len() == depth + 1) {
            None => object(text, &same, depth + 1),
            Some(Value { is_json: true, value: b"", .. }) => text.extend_from_slice(b"null"),
            Some(Value { is_json: true, value, .. }) => text.extend_from_slice(value),
            Some(Value { value, .. }) => string(text, &String::from_utf8_lossy(value)),
        }
    }
    text.push(b'}');
}

fn string(text: &mut Vec<u8>, value: &str) {
    // a text can always be written to memory as JSON
    let _ = serde_json::to_writer(text, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_as_cells_and_as_json() {
        let mut kept = Vec::new();
        let row: [(bool, &[u8]); 5] =
            [(false, b"a\"b"), (false, b""), (true, b"[1,2]"), (true, b""), (false, b"x\xffy")];
        for (is_json, value) in row {
            push(&mut kept, is_json, value);
        }
        assert_eq!(kept.len(), bytes(row.iter().map(|(_, value)| value.len()).sum(), row.len()));
        let back: Vec<Vec<u8>> = cells(&kept).map(|cell| cell.into_value().into_owned()).collect();
        assert_eq!(back, row.map(|(_, value)| value.to_vec()));
        let columns = ["id", "e", "tags", "none", "x"].map(str::to_owned);
        let json = text(&kept, &columns);
        assert_eq!(
            String::from_utf8_lossy(&json),
            "{\"id\":\"a\\\"b\",\"e\":\"\",\"tags\":[1,2],\"none\":null,\"x\":\"x\u{fffd}y\"}"
        );
        assert_eq!(&*text(&[], &[]), b"{}");
        let columns = ["/a/b", "id", "/a/c/d", "/x/y", "/x"].map(str::to_owned);
        let json = text(&kept, &columns);
        let want = "{\"a\":{\"b\":\"a\\\"b\",\"c\":{\"d\":[1,2]}},\"id\":\"\",\"x\":\"x\u{fffd}y\"}";
        assert_eq!(String::from_utf8_lossy(&json), want);
    }
}
