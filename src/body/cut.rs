//! Where a slab of output can be cut: record boundaries in what we wrote ourselves.

/// The end of the last record that ends within `bytes[..limit]`, and how many end there. `bytes` starts with a record.
///
/// Our delimited output has quotes only around and, doubled, inside cells, so an LF behind an odd number of them lies within
/// a cell.
pub(crate) fn last_record_end(bytes: &[u8], limit: u64, one_line_a_record: bool) -> (usize, u64) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len());
    let within = &bytes[..limit];
    if one_line_a_record {
        let Some(last) = memchr::memrchr(b'\n', within) else { return (0, 0) };
        return (last + 1, memchr::memchr_iter(b'\n', &within[..=last]).count() as u64);
    }
    let (mut end, mut records, mut inside) = (0, 0, false);
    for at in memchr::memchr2_iter(b'\n', b'"', within) {
        if within[at] == b'"' {
            inside = !inside;
        } else if !inside {
            end = at + 1;
            records += 1;
        }
    }
    (end, records)
}

#[cfg(test)]
mod tests {
    use super::last_record_end;

    #[test]
    fn a_cut_lies_between_records() {
        assert_eq!(last_record_end(b"a\nbb\nccc\n", 5, true), (5, 2));
        assert_eq!(last_record_end(b"a\nbb\nccc\n", 4, true), (2, 1));
        assert_eq!(last_record_end(b"aaa\n", 3, true), (0, 0));
        assert_eq!(last_record_end(b"a,\"x\ny\"\nb,\"\"\"\n\"\n", 17, false), (17, 2));
        assert_eq!(last_record_end(b"a,\"x\ny\"\nb\n", 7, false), (0, 0));
        assert_eq!(last_record_end(b"a,\"x\ny\"\nb\n", 9, false), (8, 1));
    }
}
