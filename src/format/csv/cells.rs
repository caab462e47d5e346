//! The raw cells of a record that is known to split.

use super::row::inside;
use crate::format::cells::Cell;

/// Returns the values of a raw record. Its structure must have been validated: quotes open only at the start of a cell.
pub(super) fn cells(raw: &[u8], delimiter: u8, quote: Option<u8>) -> impl Iterator<Item = Cell<'_>> {
    RawCells { rest: Some(raw), delimiter, quote }.map(move |raw| match inside(raw, quote) {
        Some((inner, quote)) => Cell::with_doubled(inner, quote),
        None => Cell::new(raw),
    })
}

struct RawCells<'a> {
    rest: Option<&'a [u8]>,
    delimiter: u8,
    quote: Option<u8>,
}

impl<'a> Iterator for RawCells<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let mut inside = self.quote.is_some_and(|quote| rest.first() == Some(&quote));
        let start = usize::from(inside);
        for (at, &byte) in rest.iter().enumerate().skip(start) {
            if inside {
                // a doubled quote closes the quoted part and opens it again
                inside = Some(byte) != self.quote;
            } else if byte == self.delimiter {
                self.rest = Some(&rest[at + 1..]);
                return Some(&rest[..at]);
            } else if start == 1 && Some(byte) == self.quote {
                inside = true;
            }
        }
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::unquote;
    use super::*;

    fn split(raw: &str, quote: Option<u8>) -> Vec<String> {
        let text = |cell: Cell<'_>| String::from_utf8(cell.into_value().into_owned()).unwrap();
        cells(raw.as_bytes(), b';', quote).map(text).collect()
    }

    #[test]
    fn a_record_is_split_at_delimiters_outside_of_quotes() {
        assert_eq!(split("a;b;;c", Some(b'"')), ["a", "b", "", "c"]);
        assert_eq!(split("\"a;b\";\"c\"\"d\n;\";e\"f", Some(b'"')), ["a;b", "c\"d\n;", "e\"f"]);
        assert_eq!(split("\"a;b\";'c;d'", Some(b'\'')), ["\"a", "b\"", "c;d"]);
        assert_eq!(split("\"a;b\"", None), ["\"a", "b\""]);
        assert_eq!(split("", Some(b'"')), [""]);
    }

    #[test]
    fn the_pieces_of_a_value_are_the_value() {
        for quote in [None, Some(b'"'), Some(b'\'')] {
            for raw in [
                "",
                "a",
                "a\"b",
                "\"a\"",
                "\"\"",
                "\"a\"\"b\"",
                "\"\"\"\"",
                "\"a\"\"\"",
                "\"\"\"a\n\"\"\"\"\"",
                "'a''b'",
                "''''",
            ] {
                let mut all = cells(raw.as_bytes(), b';', quote);
                let cell = all.next().unwrap();
                assert!(all.next().is_none(), "{raw}");
                let want = unquote(raw.as_bytes(), quote);
                assert_eq!(cell.pieces().collect::<Vec<_>>().concat(), *want, "{raw:?} {quote:?}");
                assert_eq!(cell.into_value(), want, "{raw:?} {quote:?}");
            }
        }
    }
}
