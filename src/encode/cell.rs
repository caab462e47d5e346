//! Cells of delimited text.

use crate::buffer::OutBuf;

/// Returns true if a cell has to be quoted: it contains the separator, a quote, CR or LF.
#[must_use]
pub fn needs_quotes(text: &[u8], separator: u8) -> bool {
    const BLOCK: usize = 32;
    let is = |b: u8| (b == separator) | (b == b'"') | (b == b'\n') | (b == b'\r');
    let blocks = text.chunks_exact(BLOCK);
    let rest = blocks.remainder();
    blocks.into_iter().any(|block| block.iter().fold(false, |any, &b| any | is(b))) || rest.iter().any(|&b| is(b))
}

/// Appends a cell. It is quoted, with quotes inside doubled, if and only if it contains the separator, a quote, CR or
/// LF.
pub fn cell(text: &[u8], separator: u8, out: &mut OutBuf) {
    if needs_quotes(text, separator) {
        quoted(text, out);
    } else {
        out.extend(text);
    }
}

#[cold]
fn quoted(text: &[u8], out: &mut OutBuf) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'"', rest) {
        out.extend(&rest[..=at]);
        out.push(b'"');
        rest = &rest[at + 1..];
    }
    out.extend(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(cells: &[Vec<u8>], separator: u8) -> Vec<u8> {
        let mut out = OutBuf::default();
        for (i, text) in cells.iter().enumerate() {
            if i > 0 {
                out.push(separator);
            }
            cell(text, separator, &mut out);
        }
        out.push(b'\n');
        out.into_vec()
    }

    #[test]
    fn a_cell_is_quoted_only_if_it_must_be() {
        let cells: Vec<Vec<u8>> =
            ["a", "", "b c", "x,y", "say \"hi\"", "l\nf", "c\rr", "'"].iter().map(|s| s.as_bytes().to_vec()).collect();
        let text = line(&cells, b',');
        assert_eq!(text, b"a,,b c,\"x,y\",\"say \"\"hi\"\"\",\"l\nf\",\"c\rr\",'\n");
    }

    proptest! {
        #[test]
        fn the_csv_crate_reads_the_same_cells(
            cells in proptest::collection::vec("([a-c,;|\t\"\r\n]|\\PC){0,70}", 2..6),
            separator in prop_oneof![Just(b','), Just(b';'), Just(b'|'), Just(b'\t')],
        ) {
            let cells: Vec<Vec<u8>> = cells.into_iter().map(String::into_bytes).collect();
            let text = line(&cells, separator);
            let mut reader = csv::ReaderBuilder::new().delimiter(separator).has_headers(false).from_reader(&text[..]);
            let record = reader.byte_records().next().unwrap().unwrap();
            prop_assert_eq!(record.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), cells);
        }
    }
}
