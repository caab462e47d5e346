//! A record as a format hands it out and as the plan reads it: cells by number, and what is wrong with one.
//!
//! `format` and `mapping` share only this file. A row is a set of spans into padded memory, whatever the format: the
//! text itself (CSV, NDJSON), or an arena that the cells were decoded into (Parquet). Formats implement [`Row`], and
//! the plan is compiled once for each of them, so that nothing is dispatched while records are read.

use crate::buffer::Padded;
use std::borrow::Cow;

/// The condition under which a cell may be copied unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Valid UTF-8.
    Utf8 = 0,
    /// UTF-8 without the control characters above DEL.
    NoControls = 1,
    /// ASCII.
    Ascii = 2,
}

/// A record of a source, split into columns or not.
pub trait Record {
    /// Returns where the record is, as far as the format has such a place. Records have to be asked in the order of the source.
    fn place(&self) -> RecordPlace;

    /// Returns the number of bytes that [`Record::keep`] appends.
    fn kept_bytes(&self) -> usize;

    /// Appends what is kept of the record when it is rejected or shown: its text, or its values in a form that the same
    /// format can read back.
    fn keep(&self, into: &mut Vec<u8>);
}

/// The value of a cell where it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<'r> {
    /// The value itself.
    Value(&'r [u8]),
    /// The value in `"`, with those inside doubled.
    Quoted(&'r [u8]),
}

/// A record split into the columns of the source.
///
/// A cell is *plain* if its span may be copied into JSON or a delimited row unchanged: it contains no control character
/// (DEL included), no `"` and no `\`, nothing that the format would have to decode, and is valid as far as [`Needs`]
/// asks. False does not mean that the cell is not plain, only that the format has to look again.
pub trait Row: Record {
    /// Returns the memory that the spans of this row are positions in.
    fn input(&self) -> Padded<'_>;

    /// Returns position and length of a cell as it is stored, perhaps with quotes around it.
    fn span(&self, column: usize) -> (usize, usize);

    /// Returns true if a plain cell never contains that byte: the format has looked for it already.
    fn is_marked(&self, byte: u8) -> bool;

    /// Returns true if the span is plain.
    fn is_plain(&self, at: usize, len: usize, needs: Needs) -> bool;

    /// The same for a short span, with fewer instructions; false for a long one.
    fn is_short_and_plain(&self, at: usize, len: usize, needs: Needs) -> bool;

    /// Returns the plain span to copy for a cell whose span is not plain at first sight: quotes left out, bytes above 0x7F
    /// validated. `None`: there is none.
    fn second_look(&self, at: usize, len: usize, needs: Needs) -> Option<(usize, usize)>;

    /// Appends the value of a cell, decoded and validated: the way for everything that cannot be copied.
    ///
    /// # Errors
    /// Why the cell has no value.
    fn append(&self, column: usize, text: &mut Vec<u8>) -> Result<(), CellError>;

    /// Returns what kind of value a cell is. Formats without lists have text only.
    #[inline(always)]
    fn kind(&self, _column: usize) -> CellKind {
        CellKind::Text
    }

    /// Passes the elements of a [`CellKind::List`] on, decoded and validated as by [`Row::append`].
    ///
    /// # Errors
    /// An element that is not a value of its own (`list_element`), or has none.
    fn elements(&self, _column: usize, _each: &mut dyn FnMut(&[u8])) -> Result<(), CellError> {
        Ok(())
    }

    /// Returns true if the record does not have the column at all. Its span is empty then.
    #[inline(always)]
    fn is_missing(&self, _column: usize) -> bool {
        false
    }

    /// Returns the value of a cell, validated, without copying it; `None`: it has to be [appended](Row::append). For large
    /// cells, of which a copy takes as much memory again.
    ///
    /// # Errors
    /// As for [`Row::append`].
    fn stored(&self, _column: usize) -> Result<Option<Stored<'_>>, CellError> {
        Ok(None)
    }

    /// Returns the value of a cell, not validated.
    fn value(&self, column: usize) -> Cow<'_, [u8]>;
}

/// The kind of the value of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// One value; empty if there is none.
    Text,
    /// A list of values.
    List,
    /// A JSON object, or an array of objects: [`Row::append`] gives its JSON text.
    Json,
}

/// The position of a record in its chunk and its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordPlace {
    /// Physical lines of the chunk before the record; `None`: the format has no lines.
    pub line: Option<u64>,
    /// Offset of its first byte in the decompressed content of the input; `None`: the format has no such place.
    pub byte: Option<u64>,
    /// Row in a row group, a batch or a sheet; `None`: the format has none of these.
    pub row: Option<GroupRow>,
}

/// A row in a group of rows of an input: a row group of Parquet, a batch of Arrow, a sheet of XLSX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Number of the group, from 1.
    pub group: u64,
    /// Number of the row in the group, from 1.
    pub row: u64,
}

/// The reason why a cell, or the value made of cells, is not valid, before it is put into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellError {
    /// The code, stable and for machines: `invalid_utf8`, `nul`, `empty`, `not_an_integer`, …
    pub code: &'static str,
    /// The reason in words, for people.
    pub what: &'static str,
    /// The column, if the cell is to blame and not the value made of it.
    pub column: Option<usize>,
}

impl CellError {
    /// An error of the value.
    #[cold]
    #[must_use]
    pub fn new(code: &'static str, what: &'static str) -> CellError {
        CellError { code, what, column: None }
    }

    /// The bytes of a cell are not UTF-8.
    #[cold]
    #[must_use]
    pub fn invalid_utf8(column: usize) -> CellError {
        CellError { code: "invalid_utf8", what: "invalid UTF-8", column: Some(column) }
    }

    /// A cell contains a NUL byte.
    #[cold]
    #[must_use]
    pub fn nul(column: usize) -> CellError {
        CellError { code: "nul", what: "a NUL byte", column: Some(column) }
    }
}

/// The reason why a record was rejected, in the one form used from the plan or the format to the reject file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowError {
    /// The code, stable and for machines: `invalid_utf8`, `nul`, `empty`, `not_an_integer`, …
    pub code: &'static str,
    /// Index of the source column, if one is to blame.
    pub column: Option<usize>,
    /// The reason for people: what is wrong, and with which field; contains no value of the row.
    pub reason: String,
}

/// The columns that a plan is compiled against.
pub trait Columns {
    /// Returns their names in the order of the source.
    fn names(&self) -> &[String];

    /// Returns the names of all columns that a job can name, each with whether its values can be sent as text or lists.
    fn offered(&self) -> Vec<(String, bool)> {
        self.names().iter().map(|name| (name.clone(), true)).collect()
    }

    /// Returns true if messages may show the names although the job names none of them. A first line that is not a
    /// header contains values of the user.
    fn may_be_shown(&self) -> bool {
        false
    }

    /// Returns true if records may lack a column, or have lists in it.
    fn have_lists(&self) -> bool;

    /// Returns true if the schema says that the values of a column are lists.
    fn is_list(&self, _column: usize) -> bool {
        false
    }

    /// Returns what to do about a column that is not there, if the format knows better than "did you mean".
    fn missing(&self, _name: &str) -> Option<String> {
        None
    }

    /// Returns what to do if the job names no column of the source.
    fn all_missing(&self) -> Option<String> {
        None
    }
}

impl Columns for [String] {
    fn names(&self) -> &[String] {
        self
    }

    fn have_lists(&self) -> bool {
        false
    }
}
