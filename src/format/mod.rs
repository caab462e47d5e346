//! Formats convert the bytes of a source into rows: options, header, chunk boundaries, readers, positions, and the
//! values of rejected records. `mapping` and `body` see only rows and chunks.
//!
//! `reader` defines the traits of a format; `text` contains what formats of text lines share. A format is a folder and
//! a line in the registry below. A pass asks for its format once (`Table::visit`); all code after that is compiled
//! for the format.

#[cfg(feature = "arrow")]
pub mod arrow;
#[cfg(any(feature = "parquet", feature = "arrow", feature = "xlsx"))]
mod block;
pub mod cells;
pub(crate) mod chunk;
#[cfg(any(feature = "parquet", feature = "arrow"))]
mod columnar;
pub mod csv;
mod encoding;
mod entry;
mod escape;
mod json;
pub mod lines;
#[cfg(feature = "jobs")]
mod lookup;
pub mod ndjson;
#[cfg(feature = "parquet")]
pub mod parquet;
mod pointer;
pub(crate) mod reader;
pub(crate) mod seam;
mod text;
#[cfg(feature = "xlsx")]
pub mod xlsx;

pub(crate) use chunk::{Chunk, ChunkId, Extent, Fatal};
pub(crate) use reader::{Chunks, Format, Host, Reader, Tabular, Visit};
#[cfg(feature = "jobs")]
pub(crate) use {
    entry::Entry,
    lookup::{Found, find},
    reader::Occurs,
};

use crate::row::Columns;
use crate::source::OpenSource;
use std::sync::Arc;

/// An operation on an opened source, compiled for each format.
pub(crate) trait FormatVisitor {
    /// The result.
    type Output;

    /// Runs the operation.
    fn visit<F: Format>(self, format: &F) -> Self::Output;
}

/// An opened source with columns and rows, in any format. Cheap to clone.
///
/// ```
/// use listferry::format::{Table, csv::{Csv, CsvOptions}};
/// use listferry::source::{OpenSource, SourceOptions};
/// use std::sync::Arc;
///
/// let source = OpenSource::from_bytes("list.csv", b"id,email\n1,a@example.com\n".to_vec(), &SourceOptions::default())?;
/// let table = Table::from(Csv::open(Arc::new(source), CsvOptions::default())?);
/// assert_eq!(table.columns(), ["id", "email"]);
/// # Ok::<(), listferry::Error>(())
/// ```
#[derive(Clone)]
pub struct Table(AnyFormat);

macro_rules! registry {
    ($($(#[$if:meta])? $variant:ident: $format:ty, $options:ty, [$($(#[$if_entry:meta])? $entry:path),+];)+) => {
        #[derive(Clone)]
        enum AnyFormat {
            $($(#[$if])? $variant(Arc<$format>),)+
        }

        $($(#[$if])? impl From<$format> for Table {
            fn from(format: $format) -> Table {
                Table(AnyFormat::$variant(Arc::new(format)))
            }
        })+

        impl Table {
            /// Returns the properties that do not depend on the format.
            pub(crate) fn tabular(&self) -> &dyn Tabular {
                match &self.0 {
                    $($(#[$if])? AnyFormat::$variant(format) => &**format,)+
                }
            }

            /// Runs a visitor on the format.
            pub(crate) fn visit<V: FormatVisitor>(&self, visitor: V) -> V::Output {
                match &self.0 {
                    $($(#[$if])? AnyFormat::$variant(format) => visitor.visit(&**format),)+
                }
            }
        }

        /// The options of a format, as read from a job file.
        #[cfg(feature = "jobs")]
        #[derive(Clone)]
        pub(crate) enum TableOptions {
            $($(#[$if])? $variant($options),)+
        }

        #[cfg(feature = "jobs")]
        impl TableOptions {
            /// Opens a source; see [`entry::Options::open`].
            ///
            /// # Errors
            /// An error of the source or its header.
            pub(crate) fn open(&self, source: Arc<OpenSource>, wanted: &[&str]) -> crate::error::Result<Table> {
                match self {
                    $($(#[$if])? TableOptions::$variant(options) => Ok(entry::Options::open(options, source, wanted)?.into()),)+
                }
            }
        }

        /// The formats of the job file; the first one is the default.
        #[cfg(feature = "jobs")]
        pub(crate) const FORMATS: &[Entry<TableOptions>] = &[$($($(#[$if_entry])? Entry {
            name: $entry.name,
            endings: $entry.endings,
            looks_like: $entry.looks_like,
            by_position: $entry.by_position,
            section: $entry.section,
            keys: $entry.keys,
            read: |source| ($entry.read)(source).map(TableOptions::$variant),
        },)+)+];
    };
}

registry! {
    Csv: csv::Csv, csv::CsvOptions, [csv::CSV, csv::TSV];
    Ndjson: ndjson::Ndjson, ndjson::NdjsonOptions, [ndjson::NDJSON];
    Lines: lines::Lines, lines::LinesOptions, [lines::LINES];
    #[cfg(feature = "parquet")]
    Parquet: parquet::Parquet, parquet::ParquetOptions, [#[cfg(feature = "parquet")] parquet::PARQUET];
    #[cfg(feature = "arrow")]
    Arrow: arrow::Arrow, arrow::ArrowOptions, [#[cfg(feature = "arrow")] arrow::ARROW];
    #[cfg(feature = "xlsx")]
    Xlsx: xlsx::Xlsx, xlsx::XlsxOptions, [#[cfg(feature = "xlsx")] xlsx::XLSX];
}

/// The format that the content of a source looks like; `None`: no format says so.
///
/// # Errors
/// The source cannot be read.
#[cfg(feature = "jobs")]
pub(crate) fn by_content(source: &OpenSource) -> crate::error::Result<Option<&'static Entry<TableOptions>>> {
    let Some(first) = source.inputs().first().map(crate::source::Input::first_bytes).transpose()?.flatten() else {
        return Ok(None);
    };
    let text = encoding::start(&first, source.inputs()[0].encoding());
    Ok(FORMATS.iter().find(|entry| (entry.looks_like)(&text)))
}

impl Columns for Table {
    fn names(&self) -> &[String] {
        self.tabular().names()
    }

    fn offered(&self) -> Vec<(String, bool)> {
        self.tabular().offered()
    }

    fn have_lists(&self) -> bool {
        self.tabular().have_lists()
    }

    fn is_list(&self, column: usize) -> bool {
        self.tabular().is_list(column)
    }

    fn may_be_shown(&self) -> bool {
        self.tabular().may_be_shown()
    }

    fn missing(&self, name: &str) -> Option<String> {
        self.tabular().missing(name)
    }

    fn all_missing(&self) -> Option<String> {
        self.tabular().all_missing()
    }
}

impl Table {
    /// Returns the names of the columns, in the order of the source.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        Columns::names(self.tabular())
    }

    /// Returns the columns that no record has had so far; see [`Tabular::never_seen`].
    #[cfg(feature = "jobs")]
    pub(crate) fn never_seen(&self) -> Vec<reader::NeverSeen> {
        self.tabular().never_seen()
    }

    /// Returns the source.
    #[must_use]
    pub fn source(&self) -> &Arc<OpenSource> {
        self.tabular().source()
    }
}
