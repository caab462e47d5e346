//! A source opened as lines.

use super::kernel::Kernel;
use super::options::LinesOptions;
use crate::error::{Error, Result};
use crate::format::cells::{Cell, Cells};
use crate::format::encoding::Coding;
use crate::format::entry::validate_max_record_bytes;
use crate::format::reader::{Tabular, Visit};
use crate::format::text::{DataStart, End, Front, Stretch, Text, longer_than, refuse_foreign};
use crate::row::Columns;
use crate::scan::{Dialect, Scanner};
use crate::source::OpenSource;
use std::sync::Arc;

/// Name of the only column.
const COLUMN: &str = "value";

/// A [`OpenSource`] with one value per line. Its only column is named `value`; empty lines are skipped. Lines end with LF,
/// CRLF or CR.
pub struct Lines {
    source: Arc<OpenSource>,
    options: LinesOptions,
    columns: Arc<[String]>,
    starts: Vec<DataStart>,
    scanner: Scanner,
}

impl Lines {
    /// Checks the first bytes of every file.
    ///
    /// # Errors
    /// [`crate::error::Kind::Data`]: UTF-16, UTF-32 or a binary format. [`crate::error::Kind::Local`]: the source cannot be
    /// read. [`crate::error::Kind::Usage`]: `max_record_bytes` is out of its range.
    pub fn open(source: Arc<OpenSource>, options: LinesOptions) -> Result<Lines> {
        validate_max_record_bytes(options.max_record_bytes)?;
        let mut starts = Vec::with_capacity(source.inputs().len());
        for input in source.inputs() {
            let front = Front::new(input)?;
            refuse_foreign(&front, "text").map_err(|mut error| {
                error.place_mut().file.get_or_insert_with(|| input.name().to_owned());
                error
            })?;
            starts.push(front.data_start(front.bom()));
        }
        // no valid value contains NUL, so it can serve as the delimiter: a line that contains one is examined again
        let scanner = Scanner::new(Dialect { delimiter: 0, quote: None, marked: b'"' });
        Ok(Lines { source, options, columns: Arc::new([COLUMN.to_owned()]), starts, scanner })
    }
}

impl Columns for Lines {
    fn names(&self) -> &[String] {
        &self.columns
    }

    fn have_lists(&self) -> bool {
        false
    }

    /// The name of the column is not from the source.
    fn may_be_shown(&self) -> bool {
        true
    }
}

impl Tabular for Lines {
    fn source(&self) -> &Arc<OpenSource> {
        &self.source
    }

    #[cfg(feature = "jobs")]
    fn shared_columns(&self) -> &Arc<[String]> {
        &self.columns
    }

    fn coding(&self) -> Option<Coding> {
        self.starts.first().and_then(|start| start.coding)
    }

    fn lines_before(&self, _input: usize) -> u64 {
        0
    }

    fn cells<'k>(&'k self, kept: &'k [u8]) -> Cells<'k> {
        Box::new(std::iter::once(Cell::new(kept)))
    }
}

impl Text for Lines {
    type Kernel = Kernel;

    fn kernel(&self, marked: Option<u8>) -> Kernel {
        let longest = usize::try_from(self.options.max_record_bytes).unwrap_or(usize::MAX);
        Kernel::new(self.scanner.marking(marked.unwrap_or(b'"')), longest)
    }

    fn start_of(&self, input: usize) -> DataStart {
        self.starts[input]
    }

    fn max_record_bytes(&self) -> u64 {
        self.options.max_record_bytes
    }

    fn run<V: Visit>(kernel: &mut Kernel, text: &Stretch<'_>, visit: &mut V) -> Result<End, V::Stop> {
        kernel.run(text, visit)
    }

    fn never_ends(&self, _record: &[u8], _inside: bool, _ended: bool) -> (Error, usize) {
        (longer_than(self.options.max_record_bytes, super::kernel::TOO_LONG), 0)
    }
}
