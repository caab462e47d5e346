//! Converts a reject file to NDJSON while it is copied.
//!
//! The input is CSV as a reject file has it: rows end with LF, and a cell with a delimiter, a quote or a line end is
//! quoted. `column` is the position in the row, and `place` the position in the cell; both change with each byte.
//! Nothing but the header and the digits of a number is kept in memory.

use std::io::{Result, Write};
use std::ops::Range;

/// The last columns of a reject file of which the cells are numbers, counted from `_stage`.
const NUMBERS: Range<usize> = 2..5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first byte of a cell.
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted cell: it is doubled, or the cell has ended.
    Quote,
}

/// Takes the text of a reject file and writes an object for each row.
pub(super) struct JsonRows<W: Write> {
    out: W,
    /// The names of the columns as JSON; `None` until the header was read.
    keys: Option<Vec<String>>,
    header: Vec<String>,
    /// The cell, in the header and in columns of numbers.
    cell: Vec<u8>,
    numbers: Range<usize>,
    column: usize,
    place: Place,
}

impl<W: Write> JsonRows<W> {
    pub(super) fn new(out: W) -> JsonRows<W> {
        JsonRows {
            out,
            keys: None,
            header: Vec::new(),
            cell: Vec::new(),
            numbers: 0..0,
            column: 0,
            place: Place::Start,
        }
    }

    /// Ends a last row without a line end, and writes out what is buffered.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.column > 0 || self.place != Place::Start {
            self.end_row()?;
        }
        self.out.flush()
    }

    fn is_kept(&self) -> bool {
        self.keys.is_none() || self.numbers.contains(&self.column)
    }

    /// Writes the key of the cell that begins.
    fn begin_cell(&mut self) -> Result<()> {
        let Some(key) = self.keys.as_ref().map(|keys| keys.get(self.column)) else { return Ok(()) };
        self.out.write_all(if self.column == 0 { b"{" } else { b"," })?;
        self.out.write_all(key.map_or("\"\"", String::as_str).as_bytes())?;
        self.out.write_all(if self.is_kept() { b":" } else { b":\"" })
    }

    fn end_cell(&mut self) -> Result<()> {
        if self.place == Place::Start {
            self.begin_cell()?;
        }
        if self.keys.is_none() {
            self.header.push(String::from_utf8_lossy(&self.cell).into_owned());
        } else if self.is_kept() {
            let digits = !self.cell.is_empty() && self.cell.iter().all(u8::is_ascii_digit);
            self.out.write_all(if digits { &self.cell } else { b"null" })?;
        } else {
            self.out.write_all(b"\"")?;
        }
        self.cell.clear();
        self.place = Place::Start;
        self.column += 1;
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.end_cell()?;
        self.column = 0;
        if self.keys.is_some() {
            return self.out.write_all(b"}\n");
        }
        let header = std::mem::take(&mut self.header);
        let marks = header.iter().rposition(|name| name == "_stage").unwrap_or(header.len());
        self.numbers = marks + NUMBERS.start..marks + NUMBERS.end;
        self.keys = Some(unique(&header).iter().map(|name| serde_json::json!(name).to_string()).collect());
        Ok(())
    }

    fn put(&mut self, byte: u8) -> Result<()> {
        if self.is_kept() {
            self.cell.push(byte);
            return Ok(());
        }
        match byte {
            b'"' => self.out.write_all(b"\\\""),
            b'\\' => self.out.write_all(b"\\\\"),
            b'\n' => self.out.write_all(b"\\n"),
            b'\r' => self.out.write_all(b"\\r"),
            b'\t' => self.out.write_all(b"\\t"),
            0..0x20 => write!(self.out, "\\u{byte:04x}"),
            byte => self.out.write_all(&[byte]),
        }
    }

    fn take(&mut self, byte: u8) -> Result<()> {
        match (self.place, byte) {
            (Place::Start | Place::Plain | Place::Quote, b',') => self.end_cell(),
            (Place::Start | Place::Plain | Place::Quote, b'\n') => self.end_row(),
            (Place::Start, b'"') => {
                self.begin_cell()?;
                self.place = Place::Quoted;
                Ok(())
            }
            (Place::Start, byte) => {
                self.begin_cell()?;
                self.place = Place::Plain;
                self.put(byte)
            }
            (Place::Quoted, b'"') => {
                self.place = Place::Quote;
                Ok(())
            }
            (Place::Quote, byte) => {
                self.place = Place::Quoted;
                self.put(byte)
            }
            (Place::Plain | Place::Quoted, byte) => self.put(byte),
        }
    }
}

impl<W: Write> Write for JsonRows<W> {
    /// Whole characters of UTF-8 are expected.
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        bytes.iter().try_for_each(|byte| self.take(*byte))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.out.flush()
    }
}

/// Numbers names that occur more than once, since a reader of JSON would keep only the last.
fn unique(header: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut names = Vec::with_capacity(header.len());
    for name in header {
        let numbered = (2..).map(|n| format!("{name} ({n})")).filter(|other| !header.contains(other));
        let own = std::iter::once(name.clone()).chain(numbered).find(|own| seen.insert(own.clone()));
        names.push(own.unwrap_or_default());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const MARKS: &str = "_stage,_file,_record,_line,_byte,_place,_column,_code,_reason,_raw";

    fn rows(csv: &str, chunk: usize) -> Vec<Value> {
        let mut out = Vec::new();
        let mut rows = JsonRows::new(&mut out);
        for piece in csv.as_bytes().chunks(chunk) {
            rows.write_all(piece).unwrap();
        }
        rows.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_row_is_an_object_with_its_place_as_numbers() {
        let csv = format!(
            "id,\"no\"\"te\",{MARKS}\n7,\"a,\"\"b\"\"\r\n\t\u{1}\\é\",local,x.csv,3,5,77,,id,empty,why,\n,,platform,,,,,,,platform,no,\"\"\n"
        );
        let want = [
            json!({"id": "7", "no\"te": "a,\"b\"\r\n\t\u{1}\\é", "_stage": "local", "_file": "x.csv", "_record": 3, "_line": 5,
                   "_byte": 77, "_place": "", "_column": "id", "_code": "empty", "_reason": "why", "_raw": ""}),
            json!({"id": "", "no\"te": "", "_stage": "platform", "_file": "", "_record": null, "_line": null,
                   "_byte": null, "_place": "", "_column": "", "_code": "platform", "_reason": "no", "_raw": ""}),
        ];
        for chunk in [1, 2, 3, 7, 4096] {
            assert_eq!(rows(&csv, chunk), want, "{chunk} bytes at a time");
        }
    }

    #[test]
    fn columns_of_one_name_are_numbered() {
        let csv = format!("x,x,x (2),{MARKS}\n1,2,3,local,x.csv,1,2,3,,,,,\n");
        let row = &rows(&csv, 4096)[0];
        let keys: Vec<_> = row.as_object().unwrap().keys().take(3).cloned().collect();
        assert_eq!(keys, ["x", "x (3)", "x (2)"]);
        assert_eq!((&row["x"], &row["x (3)"], &row["x (2)"]), (&json!("1"), &json!("2"), &json!("3")));
    }

    #[test]
    fn a_file_without_rows_gives_none_and_a_last_row_needs_no_line_end() {
        assert_eq!(rows("", 1), Vec::<Value>::new());
        assert_eq!(rows(&format!("id,{MARKS}\n"), 5), Vec::<Value>::new());
        assert_eq!(rows(&format!("id,{MARKS}\n1,local,f,1,2,3,,,,,r"), 5)[0]["_raw"], "r");
    }
}
