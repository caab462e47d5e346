//! Record boundaries in encoded output.

/// Returns the largest number of bytes, at most `limit`, that contains only whole records. `bytes` starts at the start
/// of a record.
///
/// If `one_line_a_record`, LF occurs only at the end of a record (JSON, or cells that cannot contain LF). Otherwise LF
/// inside quotes is skipped: in our output a quote occurs only around a quoted cell or doubled inside one, so the
/// parity of the quotes decides.
#[must_use]
pub fn cut(bytes: &[u8], limit: usize, one_line_a_record: bool) -> usize {
    let window = &bytes[..limit.min(bytes.len())];
    if one_line_a_record {
        return memchr::memrchr(b'\n', window).map_or(0, |at| at + 1);
    }
    let mut end = 0;
    for_each_end(window, |at| end = at);
    end
}

/// Returns the number of records in `bytes`, which starts at the start of a record. See [`cut`].
#[must_use]
pub fn count_records(bytes: &[u8], one_line_a_record: bool) -> u64 {
    if one_line_a_record {
        return memchr::memchr_iter(b'\n', bytes).count() as u64;
    }
    let mut count = 0;
    for_each_end(bytes, |_| count += 1);
    count
}

fn for_each_end(bytes: &[u8], mut each: impl FnMut(usize)) {
    let mut quoted = false;
    for at in memchr::memchr2_iter(b'"', b'\n', bytes) {
        if bytes[at] == b'"' {
            quoted = !quoted;
        } else if !quoted {
            each(at + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::OutBuf;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cuts_are_at_record_ends(
            rows in proptest::collection::vec(proptest::collection::vec("[ab,\"\r\n]{0,6}", 2), 0..12),
            limit in 0usize..120,
        ) {
            let mut out = OutBuf::default();
            let mut ends = vec![0];
            for row in &rows {
                crate::encode::cell(row[0].as_bytes(), b',', &mut out);
                out.push(b',');
                crate::encode::cell(row[1].as_bytes(), b',', &mut out);
                out.push(b'\n');
                ends.push(out.len());
            }
            let want = ends.iter().copied().filter(|&end| end <= limit).max().unwrap();
            prop_assert_eq!(cut(out.bytes(), limit, false), want);
            prop_assert_eq!(count_records(&out.bytes()[..want], false), ends.iter().position(|&e| e == want).unwrap() as u64);
            if rows.iter().flatten().all(|cell| !cell.contains('\n')) {
                prop_assert_eq!(cut(out.bytes(), limit, true), want);
                prop_assert_eq!(count_records(out.bytes(), true), rows.len() as u64);
            }
        }
    }
}
