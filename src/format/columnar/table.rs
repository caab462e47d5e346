//! The part of an opened source that is the same for all formats of Arrow's arrays.

use super::column;
use crate::format::block;
use crate::format::cells::Cells;
use crate::format::reader::Tabular;
use crate::row::{Columns, GroupRow};
use crate::source::OpenSource;
use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

/// A format that is read in batches. It is a table of the columns that were found.
pub(in crate::format) trait Columnar: Send + Sync {
    /// The name of a group of rows, in words.
    const GROUP: &str;

    /// Returns the source.
    fn opened(&self) -> &Arc<OpenSource>;

    /// Returns the columns.
    fn wanted(&self) -> &column::Columns;

    /// Returns the maximum length of a row.
    fn longest(&self) -> usize;
}

impl<F: Columnar> Columns for F {
    fn names(&self) -> &[String] {
        &self.wanted().names
    }

    fn offered(&self) -> Vec<(String, bool)> {
        self.wanted().offered.clone()
    }

    fn have_lists(&self) -> bool {
        self.wanted().have_lists()
    }

    fn is_list(&self, column: usize) -> bool {
        self.wanted().is_list(column)
    }

    fn may_be_shown(&self) -> bool {
        true
    }

    fn missing(&self, name: &str) -> Option<String> {
        Some(self.wanted().missing(name))
    }
}

impl<F: Columnar> Tabular for F {
    fn source(&self) -> &Arc<OpenSource> {
        self.opened()
    }

    #[cfg(feature = "jobs")]
    fn shared_columns(&self) -> &Arc<[String]> {
        &self.wanted().names
    }

    fn lines_before(&self, _input: usize) -> u64 {
        0
    }

    fn row_in_words(&self, _input: usize, at: GroupRow) -> String {
        format!("{} {}, row {}", F::GROUP, at.group, at.row)
    }

    fn cells<'k>(&self, kept: &'k [u8]) -> Cells<'k> {
        block::cells(kept)
    }

    fn write_as_source(&self, kept: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
        block::write_line(kept, &self.wanted().names, out)
    }

    fn text<'k>(&self, kept: &'k [u8]) -> Cow<'k, [u8]> {
        block::text(kept, &self.wanted().names)
    }
}
