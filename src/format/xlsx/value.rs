//! The text of a cell's value.

use super::book::Book;
use super::number_format::Meaning;
use super::serial::{Epoch, push};
use super::sheet::{CellType, SheetCell};
use super::styles::Styles;
use super::text::push_unescaped;
use crate::format::block::{Bad, number};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// The styles and the system of dates, which give numbers a meaning.
#[derive(Default)]
pub(super) struct Meanings {
    styles: Styles,
    epoch: Epoch,
}

impl Meanings {
    /// Takes the styles and the system of dates of a workbook.
    pub(super) fn of(book: &mut Book) -> Meanings {
        Meanings { styles: std::mem::take(&mut book.styles), epoch: book.epoch }
    }

    /// Appends the text of a cell that is not a shared string.
    pub(super) fn push(&self, text: &mut Vec<u8>, cell: &SheetCell<'_>) -> Result<(), Bad> {
        match cell.kind {
            CellType::Number => self.number(text, cell),
            CellType::Text | CellType::Shared => {
                push_unescaped(text, cell.text);
                Ok(())
            }
            CellType::Boolean => {
                let (value, is_valid) = match cell.text.trim_ascii() {
                    b"1" | b"true" => (&b"true"[..], true),
                    b"0" | b"false" => (&b"false"[..], true),
                    other => (other, false),
                };
                text.extend_from_slice(value);
                let bad = || Bad::new("not_a_boolean", "a cell for a boolean with another value");
                if is_valid { Ok(()) } else { Err(bad()) }
            }
            CellType::Error => {
                text.extend_from_slice(cell.text);
                Err(Bad::new("error_cell", "an error such as #N/A in the cell"))
            }
            CellType::Date => self.iso(text, cell),
        }
    }

    fn number(&self, text: &mut Vec<u8>, cell: &SheetCell<'_>) -> Result<(), Bad> {
        let stored = cell.text.trim_ascii();
        let meaning = self.styles.meaning(cell.style);
        if meaning == Meaning::Number && is_short_integer(stored) {
            text.extend_from_slice(stored);
            return Ok(());
        }
        let parsed = std::str::from_utf8(stored).ok().and_then(|stored| stored.parse::<f64>().ok());
        let Some(value) = parsed else {
            text.extend_from_slice(stored);
            return Err(Bad::new("not_a_decimal", "a cell for a number with another value"));
        };
        match meaning {
            Meaning::Number => number::float(text, value),
            meaning => push(text, meaning, self.epoch, value),
        }
    }

    /// Appends a date that is stored as such; the format says what of it is meant.
    fn iso(&self, text: &mut Vec<u8>, cell: &SheetCell<'_>) -> Result<(), Bad> {
        let stored = std::str::from_utf8(cell.text.trim_ascii()).unwrap_or_default();
        let plain = stored.strip_suffix('Z').unwrap_or(stored);
        let time = NaiveTime::parse_from_str(plain.trim_start_matches('T'), "%H:%M:%S%.f").ok();
        let date = NaiveDate::parse_from_str(plain, "%Y-%m-%d").ok();
        let at = plain.parse::<NaiveDateTime>().ok().or_else(|| date.map(NaiveDateTime::from));
        let meaning = match self.styles.meaning(cell.style) {
            Meaning::Number if time.is_some() => Meaning::Time,
            Meaning::Number if date.is_some() => Meaning::Date,
            Meaning::Number => Meaning::Timestamp,
            meaning => meaning,
        };
        match (meaning, at, time.or_else(|| at.map(|at| at.time()))) {
            (Meaning::Date, Some(at), _) => number::date(text, at.and_utc().timestamp().div_euclid(86_400)),
            (Meaning::Timestamp, Some(at), _) => number::timestamp(text, at.and_utc().timestamp(), 0, false),
            (Meaning::Time | Meaning::Elapsed, _, Some(time)) => {
                number::time_of_day(text, time.num_seconds_from_midnight());
                Ok(())
            }
            _ => {
                text.extend_from_slice(cell.text);
                Err(Bad::new("not_a_date", "a cell for a date with another value"))
            }
        }
    }
}

/// Returns true for an integer that a float holds exactly, written as floats are.
fn is_short_integer(stored: &[u8]) -> bool {
    let digits = stored.strip_prefix(b"-").unwrap_or(stored);
    matches!(digits, [b'1'..=b'9', rest @ ..] if rest.len() < 15 && rest.iter().all(u8::is_ascii_digit))
        || stored == b"0"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: CellType, stored: &str) -> Result<String, &'static str> {
        let mut text = Vec::new();
        let cell = SheetCell { column: 0, kind, style: 0, text: stored.as_bytes() };
        let done = Meanings::default().push(&mut text, &cell);
        done.map(|()| String::from_utf8(text).unwrap()).map_err(|bad| bad.code)
    }

    #[test]
    fn values_have_the_text_that_the_contract_says() {
        for (kind, stored, want) in [
            (CellType::Number, "12", Ok("12")),
            (CellType::Number, " 12.50 ", Ok("12.5")),
            (CellType::Number, "0", Ok("0")),
            (CellType::Number, "-0", Ok("0")),
            (CellType::Number, "007", Ok("7")),
            (CellType::Number, "999999999999999", Ok("999999999999999")),
            (CellType::Number, "1000000000000000", Ok("1e15")),
            (CellType::Number, "1234567890123456", Ok("1.234567890123456e15")),
            (CellType::Number, "0.1", Ok("0.1")),
            (CellType::Number, "0.10000000000000001", Ok("0.1")),
            (CellType::Number, "4.9E+11", Ok("490000000000")),
            (CellType::Number, "1E-10", Ok("1e-10")),
            (CellType::Number, "NaN", Err("not_finite")),
            (CellType::Number, "1e999", Err("not_finite")),
            (CellType::Number, "1,5", Err("not_a_decimal")),
            (CellType::Text, "a_x0041_", Ok("aA")),
            (CellType::Boolean, "1", Ok("true")),
            (CellType::Boolean, "false", Ok("false")),
            (CellType::Boolean, "yes", Err("not_a_boolean")),
            (CellType::Error, "#N/A", Err("error_cell")),
            (CellType::Date, "2024-02-29", Ok("2024-02-29")),
            (CellType::Date, "2024-02-29T06:07:08.9", Ok("2024-02-29T06:07:08")),
            (CellType::Date, "T06:07:08", Ok("06:07:08")),
            (CellType::Date, "soon", Err("not_a_date")),
        ] {
            assert_eq!(text(kind, stored), want.map(str::to_owned), "{kind:?} {stored}");
        }
    }
}
