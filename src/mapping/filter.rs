//! The conditions of `where`, compiled.

use super::scratch::Scratch;
use super::spec::{Condition, Test};
use crate::error::{Error, Result};
use crate::row::{CellError, CellKind, Needs, Row};
use regex::bytes::Regex;

pub(super) struct Filter {
    pub(super) column: usize,
    test: Compiled,
}

enum Compiled {
    Equals { text: Vec<u8>, wanted: bool },
    In { texts: Vec<Vec<u8>>, wanted: bool },
    Matches(Regex),
    Empty { wanted: bool },
}

impl Filter {
    pub(super) fn new(condition: &Condition, column: usize) -> Result<Filter> {
        let list = |texts: &[String]| {
            let mut texts: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
            texts.sort();
            texts
        };
        let test = match &condition.test {
            Test::Equals(text) => Compiled::Equals { text: text.clone().into_bytes(), wanted: true },
            Test::NotEquals(text) => Compiled::Equals { text: text.clone().into_bytes(), wanted: false },
            Test::In(texts) => Compiled::In { texts: list(texts), wanted: true },
            Test::NotIn(texts) => Compiled::In { texts: list(texts), wanted: false },
            Test::Matches(pattern) => Compiled::Matches(
                Regex::new(pattern)
                    .map_err(|error| Error::usage(format!("where: matches: not a regular expression: {error}")))?,
            ),
            Test::Empty(wanted) => Compiled::Empty { wanted: *wanted },
        };
        Ok(Filter { column, test })
    }

    /// Returns true if the record is kept.
    pub(super) fn holds(&self, row: &impl Row, scratch: &mut Scratch) -> Result<bool, CellError> {
        if row.kind(self.column) == CellKind::List {
            return self.holds_for_list(row);
        }
        let (at, len) = row.span(self.column);
        if row.is_plain(at, len, Needs::Ascii) {
            return Ok(self.test(&row.input().bytes()[at..at + len]));
        }
        scratch.text.clear();
        row.append(self.column, &mut scratch.text)?;
        Ok(self.test(&scratch.text))
    }

    /// Of a list `equals`, `in` and `matches` hold if one element fits, `not_equals` and `not_in` if none does.
    #[cold]
    fn holds_for_list(&self, row: &impl Row) -> Result<bool, CellError> {
        let (mut fits_one, mut fits_all, mut is_empty) = (false, true, true);
        row.elements(self.column, &mut |element| {
            let fits = self.test(element);
            (fits_one, fits_all, is_empty) = (fits_one | fits, fits_all & fits, false);
        })?;
        if is_empty {
            // as null and a missing key
            return Ok(self.test(b""));
        }
        Ok(match &self.test {
            Compiled::Equals { wanted, .. } | Compiled::In { wanted, .. } => {
                if *wanted {
                    fits_one
                } else {
                    fits_all
                }
            }
            Compiled::Matches(_) => fits_one,
            Compiled::Empty { wanted } => is_empty == *wanted,
        })
    }

    #[inline]
    fn test(&self, value: &[u8]) -> bool {
        match &self.test {
            Compiled::Equals { text, wanted } => (value == text) == *wanted,
            Compiled::In { texts, wanted } => {
                texts.binary_search_by(|text| text.as_slice().cmp(value)).is_ok() == *wanted
            }
            Compiled::Matches(regex) => regex.is_match(value),
            Compiled::Empty { wanted } => value.is_empty() == *wanted,
        }
    }
}
