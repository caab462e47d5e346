//! A record of the source, as seen by sinks and callers.

use super::batch::{LoggedRow, RowLog};
use super::totals::Totals;
use crate::format::Tabular;
use crate::format::cells::Cells;
use crate::row::GroupRow;
use std::borrow::Cow;

/// A record of the source with its place; lent while it is rejected or shown.
#[non_exhaustive]
#[derive(Clone, Copy)]
pub struct SourceRecord<'a> {
    /// The file, as the user named it.
    pub file: &'a str,
    /// Number of the record in the file, from 1, without the header.
    pub record: u64,
    /// Line of its start, from 1, with the header; `None` if the format has no lines.
    pub line: Option<u64>,
    /// Offset of its start in the decompressed file, from 0; `None` if the format has no such place.
    pub byte: Option<u64>,
    row: Option<GroupRow>,
    input: usize,
    kept: &'a [u8],
    is_split: bool,
    table: &'a dyn Tabular,
}

impl<'a> SourceRecord<'a> {
    pub(super) fn new(row: &LoggedRow, rows: &'a RowLog, totals: &Totals, table: &'a dyn Tabular) -> SourceRecord<'a> {
        SourceRecord {
            file: table.source().inputs()[totals.input].name(),
            record: totals.record + row.record + 1,
            line: row.place.line.map(|line| totals.line + line + 1),
            byte: row.place.byte,
            row: row.place.row,
            input: totals.input,
            kept: rows.bytes(row.kept),
            is_split: row.is_split,
            table,
        }
    }

    /// Returns the row in its row group, batch or sheet, in words; `None` if the format has none of these.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        self.row.map(|row| self.table.row_in_words(self.input, row))
    }

    /// Returns the record as it is shown to people: text as it is in the source, without its line end.
    #[must_use]
    pub fn text(&self) -> Cow<'a, [u8]> {
        self.table.text(self.kept)
    }

    /// Returns the values of the record in the order of the columns; `None` if it could not be split into columns.
    #[must_use]
    pub fn cells(&self) -> Option<Cells<'a>> {
        self.is_split.then(|| self.table.shown_cells(self.kept))
    }

    /// Returns the part of the record that the reject file has besides its cells.
    pub(super) fn raw(&self) -> Option<Cow<'a, [u8]>> {
        (!self.is_split || self.table.rejects_have_text()).then(|| self.text())
    }

    /// Writes the record as it is in the source, with its end.
    pub(super) fn write_as_source(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        self.table.write_as_source(self.kept, out)
    }

    /// Creates a record at (record, line, byte) of the first file.
    #[cfg(test)]
    pub(super) fn for_test(
        (record, line, byte): (u64, u64, u64),
        kept: &'a [u8],
        is_split: bool,
        table: &'a dyn Tabular,
    ) -> SourceRecord<'a> {
        let file = table.source().inputs()[0].name();
        SourceRecord { file, record, line: Some(line), byte: Some(byte), row: None, input: 0, kept, is_split, table }
    }
}
