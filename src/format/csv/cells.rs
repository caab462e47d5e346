//! The raw cells of a record that is known to split.

use super::nulls::Nulls;
use super::options::ESCAPE;
use super::row::inside;
use crate::format::cells::Cell;

/// The rules by which a record is split.
#[derive(Clone, Copy)]
pub(super) struct Rules<'r> {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) escape: bool,
    pub(super) nulls: Option<&'r Nulls>,
}

/// Returns the values of a raw record. Its structure must have been validated: quotes open only at the start of a cell.
pub(super) fn cells<'k>(raw: &'k [u8], rules: Rules<'k>) -> impl Iterator<Item = Cell<'k>> {
    RawCells { rest: Some(raw), rules }.map(move |raw| match inside(raw, rules.quote) {
        Some((inner, _)) if rules.escape => Cell::with_escapes(inner),
        Some((inner, quote)) => Cell::with_doubled(inner, quote),
        None if rules.nulls.is_some_and(|nulls| nulls.contain(raw)) => Cell::new(&b""[..]),
        None if rules.escape => Cell::with_escapes(raw),
        None => Cell::new(raw),
    })
}

struct RawCells<'a> {
    rest: Option<&'a [u8]>,
    rules: Rules<'a>,
}

impl<'a> Iterator for RawCells<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let Rules { delimiter, quote, escape, .. } = self.rules;
        let mut inside = quote.is_some_and(|quote| rest.first() == Some(&quote));
        let start = usize::from(inside);
        let mut is_escaped = false;
        for (at, &byte) in rest.iter().enumerate().skip(start) {
            if std::mem::take(&mut is_escaped) {
            } else if escape && byte == ESCAPE {
                is_escaped = true;
            } else if inside {
                // a doubled quote closes the quoted part and opens it again
                inside = Some(byte) != quote;
            } else if byte == delimiter {
                self.rest = Some(&rest[at + 1..]);
                return Some(&rest[..at]);
            } else if start == 1 && Some(byte) == quote {
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
        cells(raw.as_bytes(), plain(quote)).map(text).collect()
    }

    fn plain(quote: Option<u8>) -> Rules<'static> {
        Rules { delimiter: b';', quote, escape: false, nulls: None }
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
    fn escapes_are_decoded_and_nulls_are_empty() {
        let nulls = Nulls::new(&[b"\\N".to_vec(), b"NULL".to_vec()]);
        let rules = Rules { escape: true, nulls: Some(&nulls), ..plain(Some(b'"')) };
        let split = |raw: &str| -> Vec<String> {
            let all: Vec<_> = cells(raw.as_bytes(), rules).collect();
            assert!(all.iter().all(|cell| cell.pieces().collect::<Vec<_>>().concat() == *cell.clone().into_value()));
            all.into_iter().map(|cell| String::from_utf8(cell.into_value().into_owned()).unwrap()).collect()
        };
        assert_eq!(split("a\\;b;\\N;\\\\N;NULL;\"NULL\";nul"), ["a;b", "", "\\N", "", "NULL", "nul"]);
        assert_eq!(split("\"a\\\";b\";\"c\\nd\";\\"), ["a\";b", "c\nd", "\\"]);
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
                let mut all = cells(raw.as_bytes(), plain(quote));
                let cell = all.next().unwrap();
                assert!(all.next().is_none(), "{raw}");
                let want = unquote(raw.as_bytes(), quote);
                assert_eq!(cell.pieces().collect::<Vec<_>>().concat(), *want, "{raw:?} {quote:?}");
                assert_eq!(cell.into_value(), want, "{raw:?} {quote:?}");
            }
        }
    }
}
