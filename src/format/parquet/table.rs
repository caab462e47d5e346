//! A source opened as Parquet.

use super::batches::{Batches, Files};
use super::file::File;
use super::options::ParquetOptions;
use crate::error::Result;
use crate::format::chunk::ChunkId;
use crate::format::columnar::{self, BatchReader, Columnar};
use crate::format::entry::validate_max_record_bytes;
use crate::format::reader::Format;
use crate::source::OpenSource;
use std::sync::Arc;

/// A [`OpenSource`] of Parquet files. Its columns are those requested when it was opened, as far as the files have them.
pub struct Parquet {
    source: Arc<OpenSource>,
    options: ParquetOptions,
    columns: columnar::Columns,
}

impl Parquet {
    /// Reads the footer of every file. `columns` are names of columns, or JSON Pointers to members of structs, which
    /// start with `/`; a repeated name counts once, and one that the files do not have is left out.
    ///
    /// # Errors
    /// [`crate::error::Kind::Data`]: a file is not Parquet, is damaged or encrypted, or has other columns than the first.
    /// [`crate::error::Kind::Local`]: the source cannot be read.
    /// [`crate::error::Kind::Usage`]: a pointer is not valid, or the type of a column cannot be sent.
    pub fn open(source: Arc<OpenSource>, columns: &[&str], options: ParquetOptions) -> Result<Parquet> {
        validate_max_record_bytes(options.max_record_bytes)?;
        let mut found: Option<columnar::Columns> = None;
        for input in source.inputs() {
            let file = File::open(input, options.max_page_bytes)?;
            let known = match &mut found {
                None => found.insert(columnar::Columns::find(&file.noted, columns)?),
                Some(known) => {
                    known.check(&file.noted, input)?;
                    known
                }
            };
            file.check(input, known)?;
        }
        // a source has at least one input
        let columns = match found {
            Some(columns) => columns,
            None => columnar::Columns::find(&arrow_schema::Schema::empty(), columns)?,
        };
        Ok(Parquet { source, options, columns })
    }
}

impl Columnar for Parquet {
    const GROUP: &str = "row group";

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

impl Format for Parquet {
    type Chunks<'f> = Batches<'f>;
    type Reader = BatchReader;

    fn chunks(&self, from: ChunkId, chunk_bytes: usize, _threads: usize) -> Batches<'_> {
        let (source, columns, max_page_bytes) = (&self.source, &self.columns, self.options.max_page_bytes);
        Batches::new(Files { source, columns, max_page_bytes }, from, chunk_bytes)
    }

    fn reader(&self, marked: Option<u8>, _chunk_bytes: usize) -> BatchReader {
        BatchReader::new(marked)
    }
}
