//! The bytes of rows: NDJSON for rows that are serialised, CSV for rows of cells.

use crate::error::{Error, Result};
use serde::Serialize;

/// The form of the rows, which the first of them decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// NDJSON.
    Objects,
    /// CSV with so many columns.
    Cells(usize),
}

/// Writes rows to a buffer.
#[derive(Debug, Default)]
pub(super) struct Rows {
    form: Option<Form>,
    /// Number of rows so far.
    rows: u64,
}

impl Rows {
    /// Returns the name of the format; NDJSON if there were no rows.
    pub(super) fn format(&self) -> &'static str {
        match self.form {
            Some(Form::Cells(_)) => "csv",
            _ => "ndjson",
        }
    }

    /// Writes the names of the columns.
    pub(super) fn columns<C: AsRef<[u8]>>(
        &mut self,
        columns: impl IntoIterator<Item = C>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if self.form.is_some() {
            return Err(Error::usage("the columns of a feed are set once, before its first row"));
        }
        let before = out.len();
        let mut count = 0;
        for column in columns {
            // in quotes, so that no name is taken for a line such as `sep=;`
            quoted(column.as_ref(), count, out);
            count += 1;
        }
        if count == 0 {
            out.truncate(before);
            return Err(Error::usage("a feed of cells needs at least one column"));
        }
        out.push(b'\n');
        self.form = Some(Form::Cells(count));
        Ok(())
    }

    /// Writes a row of cells; after an error nothing of it.
    pub(super) fn cells<C: AsRef<[u8]>>(
        &mut self,
        cells: impl IntoIterator<Item = C>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(Form::Cells(columns)) = self.form else {
            return Err(Error::usage("a feed of cells needs its columns first")
                .with_hint("call `feed.columns([…])`, or `feed.serialize(&row)` for rows with names"));
        };
        let before = out.len();
        let mut count = 0;
        for cell in cells {
            let cell = cell.as_ref();
            let is_plain = !cell.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'));
            // a single cell may be empty, or look like the trailer of an export
            if is_plain && columns > 1 {
                if count > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(cell);
            } else {
                quoted(cell, count, out);
            }
            count += 1;
        }
        if count != columns {
            out.truncate(before);
            let row = self.rows + 1;
            return Err(Error::usage(format!("row {row} has {count} cells, and the feed has {columns} columns")));
        }
        out.push(b'\n');
        self.rows += 1;
        Ok(())
    }

    /// Writes a row as a JSON object; after an error nothing of it.
    pub(super) fn object<T: Serialize + ?Sized>(&mut self, row: &T, out: &mut Vec<u8>) -> Result<()> {
        if let Some(Form::Cells(_)) = self.form {
            return Err(Error::usage("a feed takes either cells or serialised rows, not both"));
        }
        let before = out.len();
        let written = serde_json::to_writer(&mut *out, row);
        let is_object = out.get(before) == Some(&b'{');
        if let Err(error) = written {
            out.truncate(before);
            let row = self.rows + 1;
            return Err(Error::usage(format!("row {row} cannot be serialised")).with_source(error));
        }
        if !is_object {
            out.truncate(before);
            return Err(Error::usage(format!("row {} is not a struct or a map", self.rows + 1))
                .with_hint("derive `serde::Serialize` for a struct whose fields are the columns"));
        }
        out.push(b'\n');
        self.form = Some(Form::Objects);
        self.rows += 1;
        Ok(())
    }
}

fn quoted(cell: &[u8], index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
    out.push(b'"');
    for part in cell.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_back_as_they_were() {
        let rows = [["a,b", "\"x\"\"", ""], ["", "", ""], ["(3 rows)", " y ", "1\r\n2"]];
        let mut out = Vec::new();
        let mut writer = Rows::default();
        writer.columns(["sep=;", "b\"", "c"], &mut out).unwrap();
        rows.iter().for_each(|row| writer.cells(row, &mut out).unwrap());
        assert_eq!(
            writer.cells(["a"], &mut out).unwrap_err().message(),
            "row 4 has 1 cells, and the feed has 3 columns"
        );
        let mut reader = csv::ReaderBuilder::new().from_reader(&out[..]);
        assert_eq!(reader.headers().unwrap(), ["sep=;", "b\"", "c"].as_slice());
        let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(read, rows.map(|row| csv::StringRecord::from(row.to_vec())));
    }

    #[test]
    fn a_row_that_cannot_be_written_leaves_nothing_behind() {
        let mut out = Vec::new();
        let mut writer = Rows::default();
        writer.object(&serde_json::json!({ "id": 1, "tags": ["a"], "none": null }), &mut out).unwrap();
        let whole = out.clone();
        assert_eq!(whole, b"{\"id\":1,\"tags\":[\"a\"],\"none\":null}\n");
        for bad in [serde_json::json!([1]), serde_json::json!("x")] {
            assert!(writer.object(&bad, &mut out).unwrap_err().message().starts_with("row 2 is not"));
        }
        let keys = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(writer.object(&keys, &mut out).unwrap_err().message(), "row 2 cannot be serialised");
        assert!(writer.columns(["a"], &mut out).is_err());
        assert_eq!(out, whole);
    }
}
