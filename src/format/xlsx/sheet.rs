//! The rows of a sheet, read from its XML one after the other.

use super::text::{push_char, push_raw};
use super::xml::{Node, Xml};
use crate::error::Result;
use crate::format::text::longer_than;
use quick_xml::events::BytesStart;

/// Number of columns of a sheet: XFD is the last one.
pub(super) const MAX_COLUMNS: u32 = 16_384;
/// Maximum number of a row; spreadsheet programs have 1,048,576.
const MAX_ROW: u32 = 1 << 31;
/// Hint for a row that is too long.
pub(super) const TOO_LONG: &str = "map other columns, or raise source.max_record_bytes";

/// The type of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellType {
    Number,
    /// The number of a shared string.
    Shared,
    /// A text, in the cell or the result of a formula.
    Text,
    Boolean,
    Error,
    /// A date in ISO 8601.
    Date,
}

/// A cell with a value.
pub(super) struct SheetCell<'c> {
    /// From 0.
    pub(super) column: u32,
    pub(super) kind: CellType,
    pub(super) style: u32,
    /// The value as it is stored, without XML's references.
    pub(super) text: &'c [u8],
}

/// The start of a cell.
#[derive(Clone, Copy)]
struct Open {
    column: u32,
    kind: CellType,
    style: u32,
}

/// Reads the rows of a sheet.
pub(super) struct Sheet {
    xml: Xml,
    is_in_data: bool,
    is_over: bool,
    /// Number of the last row.
    row: u32,
    text: Vec<u8>,
    longest: usize,
}

impl Sheet {
    /// Starts to read a sheet; a cell has at most `longest` bytes.
    pub(super) fn new(xml: Xml, longest: usize) -> Sheet {
        Sheet { xml, is_in_data: false, is_over: false, row: 0, text: Vec::new(), longest }
    }

    /// Returns the number of stored bytes read so far, and of all.
    pub(super) fn progress(&self) -> (u64, u64) {
        self.xml.part().progress()
    }

    /// Returns the number of the last row that was begun.
    pub(super) fn row(&self) -> u32 {
        self.row
    }

    /// Reads the next row and passes its cells that have a value on, in the order of their columns. Returns its number,
    /// from 1; `None` after the last row, when the whole part has been compared with the directory.
    ///
    /// # Errors
    /// `Data`: the sheet is damaged, or a cell is too long. `Local`: it cannot be read. Those of `cell`.
    pub(super) fn next_row(&mut self, cell: &mut dyn FnMut(SheetCell<'_>) -> Result<()>) -> Result<Option<u32>> {
        if self.is_over {
            return Ok(None);
        }
        loop {
            let (number, has_content) = match self.xml.next()? {
                Node::Start(tag) => match tag.local_name().as_ref() {
                    b"row" if self.is_in_data => (number_of(&tag), true),
                    b"sheetData" => {
                        self.is_in_data = true;
                        continue;
                    }
                    _ => continue,
                },
                Node::Empty(tag) => match tag.local_name().as_ref() {
                    b"row" if self.is_in_data => (number_of(&tag), false),
                    b"sheetData" => break,
                    _ => continue,
                },
                Node::End(tag, _) if tag.local_name().as_ref() == b"sheetData" => break,
                Node::Eof => return Err(self.xml.damaged("has no rows and does not say so")),
                _ => continue,
            };
            // without a number it is the next one
            let number = number.map_or(self.row.checked_add(1), Number::ok);
            let Some(number) = number.filter(|number| *number > self.row && *number <= MAX_ROW) else {
                return Err(self.xml.damaged("has rows that are not in the order of their numbers"));
            };
            self.row = number;
            if has_content {
                self.cells(cell)?;
            }
            return Ok(Some(number));
        }
        self.is_over = true;
        self.xml.finish()?;
        Ok(None)
    }

    /// Reads the cells up to the end of the row.
    fn cells(&mut self, cell: &mut dyn FnMut(SheetCell<'_>) -> Result<()>) -> Result<()> {
        let depth = self.xml.depth();
        let mut next = 0;
        loop {
            let (open, has_content) = match self.xml.next()? {
                Node::Start(tag) if tag.local_name().as_ref() == b"c" => (Open::of(&tag, next), true),
                Node::Empty(tag) if tag.local_name().as_ref() == b"c" => (Open::of(&tag, next), false),
                Node::End(_, left) if left < depth => return Ok(()),
                Node::Eof => return Err(self.xml.damaged("is cut off")),
                _ => continue,
            };
            let Some(open) = open.filter(|open| (next..MAX_COLUMNS).contains(&open.column)) else {
                return Err(self.xml.damaged("has cells that are not in the order of their columns"));
            };
            next = open.column + 1;
            if !has_content {
                continue;
            }
            self.value()?;
            if !self.text.is_empty() {
                cell(SheetCell { column: open.column, kind: open.kind, style: open.style, text: &self.text })?;
            }
        }
    }

    /// Reads the content of a cell: the text of `v`, or the texts of `is` that are not how a text is pronounced.
    fn value(&mut self) -> Result<()> {
        let depth = self.xml.depth();
        self.text.clear();
        let (mut is_in_text, mut is_inline, mut is_phonetic, mut has_value) = (false, false, false, false);
        loop {
            match self.xml.next()? {
                Node::Start(tag) => match tag.local_name().as_ref() {
                    b"v" => {
                        // the value counts, not a text beside it
                        self.text.clear();
                        (is_in_text, has_value) = (true, true);
                    }
                    b"is" => is_inline = true,
                    b"rPh" => is_phonetic = true,
                    b"t" => is_in_text = is_inline && !is_phonetic && !has_value,
                    _ => {}
                },
                Node::End(_, left) if left < depth => return Ok(()),
                Node::End(tag, _) => match tag.local_name().as_ref() {
                    b"v" | b"t" => is_in_text = false,
                    b"is" => is_inline = false,
                    b"rPh" => is_phonetic = false,
                    _ => {}
                },
                Node::Text(text) if is_in_text => push_raw(&mut self.text, &text),
                Node::Char(c) if is_in_text => push_char(&mut self.text, c),
                Node::Eof => return Err(self.xml.damaged("is cut off")),
                _ => {}
            }
            if self.text.len() > self.longest {
                return Err(longer_than(self.longest as u64, TOO_LONG));
            }
        }
    }
}

impl Open {
    /// Reads the attributes of a cell; without a reference it is in the column `next`. `None`: they are not valid.
    fn of(tag: &BytesStart<'_>, next: u32) -> Option<Open> {
        let mut open = Open { column: next, kind: CellType::Number, style: 0 };
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.ok()?;
            match attribute.key.as_ref() {
                b"r" => open.column = column_of(&attribute.value)?,
                b"s" => open.style = digits(&attribute.value)?,
                b"t" => {
                    open.kind = match &*attribute.value {
                        b"n" => CellType::Number,
                        b"s" => CellType::Shared,
                        b"str" | b"inlineStr" => CellType::Text,
                        b"b" => CellType::Boolean,
                        b"e" => CellType::Error,
                        b"d" => CellType::Date,
                        _ => return None,
                    };
                }
                _ => {}
            }
        }
        Some(open)
    }
}

/// The number of a row; `None`: it is not a number.
struct Number(Option<u32>);

impl Number {
    fn ok(self) -> Option<u32> {
        self.0
    }
}

/// Returns the number that a row has; `None`: none.
fn number_of(tag: &BytesStart<'_>) -> Option<Number> {
    let mut attributes = tag.attributes();
    let found = attributes.with_checks(false).flatten().find(|found| found.key.as_ref() == b"r");
    found.map(|found| Number(digits(&found.value)))
}

/// Returns the column of a reference such as `XFD12`, from 0.
fn column_of(reference: &[u8]) -> Option<u32> {
    let letters = reference.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    if !(1..=3).contains(&letters) {
        return None;
    }
    let number = |number: u32, letter: &u8| number * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1;
    Some(reference[..letters].iter().fold(0, number) - 1)
}

fn digits(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u32::from(byte - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_letters_for_columns() {
        for (reference, want) in [
            ("A1", Some(0)),
            ("Z9", Some(25)),
            ("AA1", Some(26)),
            ("xfd1048576", Some(MAX_COLUMNS - 1)),
            ("XFE1", Some(MAX_COLUMNS)),
            ("1", None),
            ("", None),
            ("AAAA1", None),
        ] {
            assert_eq!(column_of(reference.as_bytes()), want, "{reference}");
        }
        assert_eq!((digits(b"17"), digits(b""), digits(b"1x"), digits(b"4294967296")), (Some(17), None, None, None));
    }
}
