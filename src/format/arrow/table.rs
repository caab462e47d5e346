//! A source opened as Arrow IPC.

use super::batches::Batches;
use super::options::ArrowOptions;
use super::stream::Messages;
use crate::error::{Error, Result};
use crate::format::chunk::ChunkId;
use crate::format::columnar::{self, BatchReader, Columnar};
use crate::format::entry::validate_max_record_bytes;
use crate::format::reader::Format;
use crate::source::OpenSource;
use std::sync::Arc;

/// A [`OpenSource`] of Arrow IPC files or streams. Its columns are those requested when it was opened, as far as the files
/// have them.
pub struct Arrow {
    source: Arc<OpenSource>,
    options: ArrowOptions,
    columns: columnar::Columns,
}

impl Arrow {
    /// Reads the schema of every file. `columns` are names of columns, or JSON Pointers to members of structs, which
    /// start with `/`; a repeated name counts once, and one that the files do not have is left out.
    ///
    /// # Errors
    /// [`crate::error::Kind::Data`]: a file is not Arrow, is damaged, or has other columns than the first.
    /// [`crate::error::Kind::Local`]: the source cannot be read.
    /// [`crate::error::Kind::Usage`]: a pointer is not valid, or the type of a column cannot be sent.
    pub fn open(source: Arc<OpenSource>, columns: &[&str], options: ArrowOptions) -> Result<Arrow> {
        validate_max_record_bytes(options.max_record_bytes)?;
        let mut found: Option<columnar::Columns> = None;
        for input in source.inputs() {
            let placed = |mut error: Error| {
                error.place_mut().file.get_or_insert_with(|| input.name().to_owned());
                error
            };
            let messages = Messages::open(input, 1).map_err(placed)?;
            match &found {
                None => found = Some(columnar::Columns::find(&messages.schema, columns)?),
                Some(known) => known.check(&messages.schema, input)?,
            }
        }
        // a source has at least one input
        let columns = match found {
            Some(columns) => columns,
            None => columnar::Columns::find(&arrow_schema::Schema::empty(), columns)?,
        };
        Ok(Arrow { source, options, columns })
    }
}

impl Columnar for Arrow {
    const GROUP: &str = "batch";

    fn opened(&self) -> &Arc<OpenSource> {
        &self.source
    }

    fn wanted(&self) -> &columnar::Columns {
        &self.columns
    }

    fn longest(&self) -> usize {
        usize::try_from(self.options.max_record_bytes).unwrap_or(usize::MAX)
    }
}

impl Format for Arrow {
    type Chunks<'f> = Batches<'f>;
    type Reader = BatchReader;

    fn chunks(&self, from: ChunkId, chunk_bytes: usize, threads: usize) -> Batches<'_> {
        Batches::new((&self.source, &self.columns), from, chunk_bytes, threads)
    }

    fn reader(&self, marked: Option<u8>, _chunk_bytes: usize) -> BatchReader {
        BatchReader::new(marked)
    }
}
