//! Arrow record batches as a source: written as an IPC stream while it is read.

use super::source::Source;
use crate::error::{Error, Kind};
use crate::origin::Content;
use arrow_array::cast::AsArray as _;
use arrow_array::{
    Array, ArrayRef, GenericListArray, OffsetSizeTrait, RecordBatch, RecordBatchIterator, RecordBatchOptions,
    RecordBatchReader, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, SchemaRef};
use std::io::{self, Read};
use std::sync::Arc;

/// Maximum number of rows that are written together.
const MAX_ROWS: usize = 16_384;

impl Source {
    /// Reads record batches, once. Batches of any size are written in slices, so memory does not grow with them.
    #[must_use]
    pub fn from_arrow(name: impl Into<String>, batches: impl RecordBatchReader + Send + 'static) -> Source {
        Source::from_reader(name, Stream(Some(Ipc::new(Box::new(batches))))).in_format("arrow")
    }

    /// Reads record batches that are in memory, for each pass: nothing is copied to the disk.
    #[must_use]
    pub fn from_batches(name: impl Into<String>, schema: SchemaRef, batches: Vec<RecordBatch>) -> Source {
        let batches = Arc::new(batches);
        Source::from_arrow_again(name, move || {
            // the columns of a clone are shared
            let batches = (0..batches.len()).map({
                let batches = Arc::clone(&batches);
                move |at| Ok(batches[at].clone())
            });
            Ok(Box::new(RecordBatchIterator::new(batches, Arc::clone(&schema))))
        })
    }

    /// Reads record batches that can be asked for again: `open` is called for each pass, and must give the same rows
    /// each time. Nothing is copied to the disk. If the rows differ, nothing is sent, or the body fails before its last
    /// block.
    #[must_use]
    pub fn from_arrow_again(
        name: impl Into<String>,
        open: impl Fn() -> Result<Box<dyn RecordBatchReader + Send>, ArrowError> + Send + Sync + 'static,
    ) -> Source {
        let open = move || -> crate::Result<Box<dyn Read + Send>> {
            let batches = open().map_err(failed)?;
            Ok(Box::new(Stream(Some(Ipc::new(batches)))))
        };
        Source::given(name, Content::Again(Arc::new(open))).in_format("arrow")
    }
}

fn failed(error: ArrowError) -> Error {
    Error::new(Kind::Local, format!("the record batches cannot be read: {error}")).with_source(error)
}

/// An IPC stream of record batches; nothing after its end or after an error.
struct Stream(Option<Ipc>);

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(ipc) = &mut self.0 else { return Ok(0) };
        let read = ipc.read(buf).map_err(|error| io::Error::other(failed(error)));
        if !matches!(read, Ok(n) if n > 0) && !buf.is_empty() {
            self.0 = None;
        }
        read
    }
}

/// Writes record batches to a buffer as they are read from it.
struct Ipc {
    batches: Box<dyn RecordBatchReader + Send>,
    /// `None` before the first batch.
    writer: Option<StreamWriter<Vec<u8>>>,
    is_finished: bool,
    /// Number of bytes that were read of the buffer of the writer.
    at: usize,
    /// The batch that is being written, from this row on.
    current: Option<(RecordBatch, usize)>,
}

impl Ipc {
    fn new(batches: Box<dyn RecordBatchReader + Send>) -> Ipc {
        Ipc { batches, writer: None, is_finished: false, at: 0, current: None }
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ArrowError> {
        loop {
            let writer = match &mut self.writer {
                Some(writer) => writer,
                None => {
                    // the head is in the buffer now
                    let writer = StreamWriter::try_new(Vec::new(), &self.batches.schema())?;
                    self.writer.insert(writer)
                }
            };
            let ready = &writer.get_ref()[self.at..];
            if !ready.is_empty() {
                let n = ready.len().min(buf.len());
                buf[..n].copy_from_slice(&ready[..n]);
                self.at += n;
                return Ok(n);
            }
            if self.is_finished {
                return Ok(0);
            }
            self.at = 0;
            writer.get_mut().clear();
            match slice(&mut self.batches, &mut self.current)? {
                Some(rows) => writer.write(&rows)?,
                None => {
                    writer.finish()?;
                    self.is_finished = true;
                }
            }
        }
    }
}

/// Returns the next rows to write.
fn slice(
    batches: &mut Box<dyn RecordBatchReader + Send>,
    current: &mut Option<(RecordBatch, usize)>,
) -> Result<Option<RecordBatch>, ArrowError> {
    loop {
        if let Some((batch, from)) = current {
            let rows = (batch.num_rows() - *from).min(MAX_ROWS);
            if rows > 0 {
                let part = batch.slice(*from, rows);
                *from += rows;
                return if rows < batch.num_rows() { compact(&part).map(Some) } else { Ok(Some(part)) };
            }
        }
        match batches.next() {
            None => return Ok(None),
            Some(batch) => *current = Some((batch?, 0)),
        }
    }
}

/// Copies the texts of views, since all buffers of a view are written with each slice.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(compacted).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

fn compacted(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        DataType::Struct(fields) if !fields.is_empty() => {
            let (fields, members, nulls) = array.as_struct().clone().into_parts();
            let members = members.iter().map(compacted).collect::<Result<Vec<_>, _>>()?;
            Arc::new(StructArray::try_new(fields, members, nulls)?)
        }
        DataType::List(_) => compacted_list(array.as_list::<i32>())?,
        DataType::LargeList(_) => compacted_list(array.as_list::<i64>())?,
        _ => Arc::clone(array),
    })
}

fn compacted_list<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Result<ArrayRef, ArrowError> {
    let (field, offsets, elements, nulls) = list.clone().into_parts();
    let lengths = offsets.windows(2).map(|pair| (pair[1] - pair[0]).as_usize());
    let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
    let elements = compacted(&elements.slice(first, last - first))?;
    Ok(Arc::new(GenericListArray::try_new(field, OffsetBuffer::<O>::from_lengths(lengths), elements, nulls)?))
}
