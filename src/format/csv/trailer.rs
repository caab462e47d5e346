//! The line that some programs write after the rows: `(500 rows)`.
//!
//! It must be the last line of the input. Blank lines may follow it, but only a few, so that whether it is the last is
//! known from a few bytes, whatever the chunks; if the header has one column, a blank line is a record, so none may.

use super::dialect::Dialect;
use crate::format::text::Stretch;
use std::ops::Range;

/// Maximum length of a trailer.
const MOST_BYTES: usize = 60;

/// Maximum number of bytes of line ends after it, its own included. [`crate::format::text`] reads further than that
/// before it cuts a stream.
const MOST_LINE_ENDS: usize = 16;

/// The end of a stretch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Records only, as far as the stretch is concerned.
    Records,
    /// There is a trailer at this position.
    Trailer(usize),
    /// At this position there is a trailer unless more follows.
    Unknown(usize),
}

/// Looks for a trailer among the records that start before the limit.
pub(super) fn find<D: Dialect>(stretch: &Stretch<'_>, columns: usize, dialect: &D) -> Tail {
    let bytes = stretch.text.bytes();
    let Some(line) = (if stretch.follows { None } else { last_line(bytes) }) else { return Tail::Records };
    let at = line.start;
    let after = &bytes[line.end..];
    let count = |end: u8| after.iter().filter(|byte| **byte == end).count();
    let ends = count(b'\n').max(count(b'\r'));
    let structure = [Some(dialect.dialect().delimiter), dialect.dialect().quote];
    let is_one_cell = !bytes[line.clone()].iter().any(|byte| structure.contains(&Some(*byte)));
    if at >= stretch.limit
        || (at == 0 && stretch.state != 0)
        || (columns == 1 && ends > 1)
        || !is_one_cell
        || !looks_like(&bytes[line])
        || (at > 0 && dialect.is_escaped(bytes, at - 1))
    {
        return Tail::Records;
    }
    if stretch.ended { Tail::Trailer(at) } else { Tail::Unknown(at) }
}

/// Returns the last line that is not empty, if it is short and followed by few line ends.
fn last_line(bytes: &[u8]) -> Option<Range<usize>> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let ends = bytes.iter().rev().take(MOST_LINE_ENDS + 1).take_while(|byte| is_end(byte)).count();
    let end = bytes.len() - ends;
    let len = bytes[..end].iter().rev().take(MOST_BYTES + 1).take_while(|byte| !is_end(byte)).count();
    (ends <= MOST_LINE_ENDS && (1..=MOST_BYTES).contains(&len)).then_some(end - len..end)
}

/// Returns true for `(500 rows)`, `(1 row affected)`, `500 rows selected.` and the like, and for `\.` of PostgreSQL.
pub(super) fn looks_like(line: &[u8]) -> bool {
    const ROWS: &[&str] = &[
        "row",
        "rows",
        "row(s)",
        "record",
        "records",
        "record(s)",
        "zeile",
        "zeilen",
        "ligne",
        "lignes",
        "fila",
        "filas",
        "riga",
        "righe",
        "linha",
        "linhas",
        "rij",
        "rijen",
        "rad",
        "rader",
    ];
    if line == b"\\." {
        return true;
    }
    let Ok(text) = std::str::from_utf8(line) else { return false };
    let text = text.trim();
    let (text, is_enclosed) = match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) => (inner, true),
        None => (text.trim_end_matches('.'), false),
    };
    let mut words = text.split_ascii_whitespace();
    let is_number = words.next().is_some_and(|n| {
        n.starts_with(|c: char| c.is_ascii_digit()) && n.bytes().all(|b| b.is_ascii_digit() || matches!(b, b',' | b'.'))
    });
    let is_rows = words.next().is_some_and(|word| ROWS.contains(&word.to_lowercase().as_str()));
    let rest: Vec<String> = words.map(str::to_lowercase).collect();
    is_number
        && is_rows
        && match rest.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => is_enclosed,
            ["affected" | "selected" | "returned" | "retrieved" | "exported" | "fetched"] => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_rows_are_trailers_and_values_are_not() {
        for line in [
            "(500 rows)",
            "(1 row)",
            "(0 rows)",
            "(12 Zeilen)",
            "(500 rows affected)",
            "500 rows selected.",
            "1,000 record(s) selected.",
            " 5 rows affected ",
            "\\.",
        ] {
            assert!(looks_like(line.as_bytes()), "{line}");
        }
        for line in
            ["", "500", "rows", "5 rows", "(rows)", "(500)", "(500 people)", "a@example.com", "(x rows)", "()", "."]
        {
            assert!(!looks_like(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn the_last_line_is_found_behind_a_few_line_ends() {
        assert_eq!(last_line(b"a\n(5 rows)\n\r\n"), Some(2..10));
        assert_eq!(last_line(b"(5 rows)"), Some(0..8));
        assert_eq!(last_line(b"\n\n"), None);
        assert_eq!(last_line(b""), None);
        assert_eq!(last_line(&[b"x".as_slice(), &[b'\n'; MOST_LINE_ENDS + 1]].concat()), None);
        assert_eq!(last_line(&[b'x'; MOST_BYTES + 1]), None);
    }
}
