//! The options of XLSX, set by a program or a job file.

/// The options of XLSX.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct XlsxOptions {
    /// Maximum length of a row, in bytes of the text of the columns that are read; a longer one ends the run. Default
    /// 8 MiB.
    pub max_record_bytes: u64,
    /// The sheet to read; default the first one.
    pub sheet: SheetChoice,
    /// Number of the row, from 1, that has the names of the columns; rows before it are not read. Default 1.
    pub header_row: u32,
}

/// A sheet of a workbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SheetChoice {
    /// By its position among all sheets of the workbook, hidden ones included, from 1.
    Number(u32),
    /// By its name.
    Name(String),
}

impl Default for XlsxOptions {
    fn default() -> XlsxOptions {
        XlsxOptions { max_record_bytes: 8 << 20, sheet: SheetChoice::Number(1), header_row: 1 }
    }
}
