//! The rows of a sheet as the values of the columns that are read.

use super::at::{At, damaged};
use super::book::Book;
use super::columns::HeaderCell;
use super::options::XlsxOptions;
use super::sheet::{CellType, MAX_COLUMNS, Sheet, SheetCell, TOO_LONG};
use super::strings::{Lookup, Strings, each};
use super::value::Meanings;
use super::xml::Xml;
use crate::error::{Error, Place, Result};
use crate::format::block::Bad;
use crate::format::text::longer_than;
use crate::source::OpenSource;
use std::sync::Arc;

/// Room for the tags around a value, beside its text.
const TAG_BYTES: usize = 64 << 10;

/// Values in a text, row after row.
#[derive(Clone, Default)]
pub(super) struct Values {
    pub(super) text: Vec<u8>,
    /// Position and length of each.
    pub(super) spans: Vec<(u32, u32)>,
    /// Those that are not valid, by their number.
    pub(super) bad: Vec<(u32, Bad)>,
}

impl Values {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.bad.clear();
    }

    /// Appends the values of another one.
    pub(super) fn append(&mut self, other: &Values) {
        let (at, number) = (self.text.len() as u32, self.spans.len() as u32);
        self.text.extend_from_slice(&other.text);
        self.spans.extend(other.spans.iter().map(|(from, len)| (from + at, *len)));
        self.bad.extend(other.bad.iter().map(|(of, bad)| (of + number, *bad)));
    }
}

/// The sheet of an input, at its header or after it.
pub(super) struct Opened {
    pub(super) book: Book,
    sheet: Sheet,
    meanings: Meanings,
    longest: usize,
}

impl Opened {
    /// Opens the sheet of an input and reads its header.
    ///
    /// # Errors
    /// As [`Book::open`]; `Data`: the sheet has no header.
    pub(super) fn open(at: At, options: &XlsxOptions) -> Result<(Opened, Vec<HeaderCell>)> {
        let longest = usize::try_from(options.max_record_bytes).unwrap_or(usize::MAX);
        let mut book = Book::open(at, &options.sheet)?;
        let sheet = Sheet::new(Xml::new(book.sheet()?, longest.saturating_add(TAG_BYTES))?, longest);
        let meanings = Meanings::of(&mut book);
        let mut opened = Opened { book, sheet, meanings, longest };
        let header = opened.header(options.header_row).map_err(|error| opened.placed(error))?;
        Ok((opened, header))
    }

    /// Reads the header.
    fn header(&mut self, wanted: u32) -> Result<Vec<HeaderCell>> {
        let mut cells: Vec<(u32, Header)> = Vec::new();
        let mut bytes = 0;
        loop {
            cells.clear();
            let (meanings, longest) = (&self.meanings, self.longest);
            let found = self.sheet.next_row(&mut |cell| {
                bytes += cell.text.len();
                if bytes > longest {
                    return Err(longer_than(longest as u64, TOO_LONG));
                }
                cells.push((cell.column, Header::of(&cell, meanings)?));
                Ok(())
            })?;
            match found {
                Some(number) if number < wanted => bytes = 0,
                Some(number) if number == wanted && !cells.is_empty() => break,
                _ => {
                    return Err(Error::data(format!("row {wanted}, which names the columns, is empty"))
                        .with_hint("source.xlsx.header_row is the number of the row that names the columns"));
                }
            }
        }
        self.names(cells)
    }

    /// Returns the names in the cells of the header; shared strings are looked up.
    fn names(&self, cells: Vec<(u32, Header)>) -> Result<Vec<HeaderCell>> {
        let mut shared: Vec<u64> = cells.iter().filter_map(|(_, cell)| cell.number()).collect();
        shared.sort_unstable();
        shared.dedup();
        let mut found: Vec<Vec<u8>> = Vec::with_capacity(shared.len());
        if let (Some(part), Some(last)) = (self.book.strings()?, shared.last().copied()) {
            let (mut at, mut bytes) = (0, 0);
            each(Xml::new(part, self.longest.saturating_add(TAG_BYTES))?, self.longest, &mut |string| {
                if shared.get(found.len()) == Some(&at) {
                    bytes += string.len();
                    found.push(string.to_owned());
                }
                at += 1;
                Ok(at <= last && bytes <= self.longest)
            })?;
        }
        let mut names = Vec::with_capacity(cells.len());
        for (column, cell) in cells {
            let text = match cell {
                Header::Text(text) => text,
                Header::Shared(number) => {
                    let at = shared.binary_search(&number).ok().and_then(|at| found.get(at));
                    at.ok_or_else(unknown_string)?.clone()
                }
            };
            let name = String::from_utf8(text);
            let name = name.map_err(|_| Error::data("a name in the header is not valid UTF-8"))?;
            if !name.is_empty() {
                names.push(HeaderCell { column, name });
            }
        }
        Ok(names)
    }

    /// Adds the sheet and the row to an error.
    fn placed(&self, mut error: Error) -> Error {
        if error.kind() == crate::error::Kind::Data {
            let place: &mut Place = error.place_mut();
            place.row.get_or_insert_with(|| row_in_words(&self.book.sheet_name, u64::from(self.sheet.row().max(1))));
        }
        error
    }

    /// Starts to decode the rows after the header; `columns` are those that are read, in their order.
    ///
    /// # Errors
    /// `Data`, `Local`: the shared strings cannot be read or stored.
    pub(super) fn decode(self, columns: &[u32], source: &OpenSource) -> Result<Decoder> {
        let strings = match self.book.strings()? {
            Some(part) => {
                let longest = self.longest;
                Strings::read(Xml::new(part, longest.saturating_add(TAG_BYTES))?, longest, source)?
            }
            None => Strings::none(),
        };
        let mut places = vec![NOT_READ; MAX_COLUMNS as usize];
        for (number, column) in columns.iter().enumerate() {
            places[*column as usize] = number as u16;
        }
        let Opened { book, sheet, meanings, longest } = self;
        let strings = Lookup::new(Arc::new(strings));
        Ok(Decoder { sheet_name: book.sheet_name, sheet, meanings, longest, strings, places, columns: columns.len() })
    }
}

/// Returns a place in words.
pub(super) fn row_in_words(sheet: &str, row: u64) -> String {
    format!("sheet {sheet}, row {row}")
}

fn unknown_string() -> Error {
    damaged("a cell has the number of a shared string that does not exist")
}

/// A cell of the header.
enum Header {
    Text(Vec<u8>),
    Shared(u64),
}

impl Header {
    fn of(cell: &SheetCell<'_>, meanings: &Meanings) -> Result<Header> {
        if cell.kind == CellType::Shared {
            return number(cell.text).map(Header::Shared).ok_or_else(unknown_string);
        }
        let mut text = Vec::new();
        // of a value that is not valid the name is its text
        let _ = meanings.push(&mut text, cell);
        Ok(Header::Text(text))
    }

    fn number(&self) -> Option<u64> {
        match self {
            Header::Shared(number) => Some(*number),
            Header::Text(_) => None,
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Marks a column that is not read.
const NOT_READ: u16 = u16::MAX;

/// Decodes the rows of a sheet.
pub(super) struct Decoder {
    sheet_name: String,
    sheet: Sheet,
    meanings: Meanings,
    longest: usize,
    strings: Lookup,
    /// For each column of the sheet its number among those that are read.
    places: Vec<u16>,
    /// Number of columns that are read.
    columns: usize,
}

impl Decoder {
    /// Decodes the next row that is not empty. Returns its number; `None` after the last one.
    ///
    /// # Errors
    /// `Data`: the sheet is damaged, or the row is too long. `Local`: it cannot be read.
    pub(super) fn next(&mut self, row: &mut Values) -> Result<Option<u32>> {
        let Decoder { sheet, meanings, longest, strings, places, columns, .. } = self;
        loop {
            row.clear();
            row.spans.resize(*columns, (0, 0));
            let mut is_empty = true;
            let number = sheet.next_row(&mut |cell| {
                let place = places[cell.column as usize];
                if place == NOT_READ && !is_empty {
                    return Ok(());
                }
                let at = row.text.len();
                let done = match cell.kind {
                    CellType::Shared => {
                        let number = number(cell.text).ok_or_else(unknown_string)?;
                        if !strings.push(number, &mut row.text)? {
                            return Err(unknown_string());
                        }
                        Ok(())
                    }
                    _ => meanings.push(&mut row.text, &cell),
                };
                is_empty &= row.text.len() == at;
                if place == NOT_READ {
                    row.text.truncate(at);
                    return Ok(());
                }
                if row.text.len() > *longest {
                    return Err(longer_than(*longest as u64, TOO_LONG));
                }
                row.spans[usize::from(place)] = (at as u32, (row.text.len() - at) as u32);
                if let Err(bad) = done {
                    row.bad.push((u32::from(place), bad));
                }
                Ok(())
            })?;
            if number.is_none() || !is_empty {
                row.bad.sort_unstable_by_key(|(place, _)| *place);
                return Ok(number);
            }
        }
    }

    /// Returns the name of the sheet.
    pub(super) fn sheet_name(&self) -> &str {
        &self.sheet_name
    }

    /// Returns the number of the last row that was begun.
    pub(super) fn row(&self) -> u32 {
        self.sheet.row()
    }

    /// Returns the number of stored bytes of the sheet read so far, and of all.
    pub(super) fn progress(&self) -> (u64, u64) {
        self.sheet.progress()
    }
}
