//! The messages of Arrow's stream format: a schema, dictionaries, batches, and an end marker.
//!
//! A file that is read by position has a footer, which says where its messages are; some programs write other things
//! before the first one. A file that comes as a stream is read from its start, where most programs write a stream.

use super::compact::Compact;
use super::content::{CONTINUATION, Content, MAGIC};
use super::damage::{cut_off, damaged};
use super::layout;
use super::schema;
use crate::error::{Error, Result};
use crate::format::columnar::unless_panic;
use crate::format::text::{Front, refuse_foreign};
use crate::source::Input;
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{Block, Endianness, Message, MessageHeader, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Largest metadata of a message.
const MAX_METADATA_BYTES: usize = 64 << 20;
/// Bytes before the metadata.
const PREFIX_BYTES: usize = 8;

/// The messages of an input.
pub(super) struct Messages<'i> {
    content: Content<'i>,
    /// The schema, as it was written.
    pub(super) schema: Arc<Schema>,
    max_expansion: u64,
    decoder: FileDecoder,
    /// Indexes of the fields that are read, and the numbers of their dictionaries.
    fields: Vec<usize>,
    dictionaries: Vec<i64>,
    /// The positions of the messages that follow, if the footer of a file says so.
    blocks: Option<VecDeque<u64>>,
}

/// A record batch that was announced.
pub(super) struct Announced {
    metadata: Vec<u8>,
    body: u64,
    pub(super) rows: u64,
    wanted: Compact,
}

impl Announced {
    /// Returns the size of what will be read of it.
    pub(super) fn wanted_bytes(&self) -> u64 {
        self.wanted.len
    }
}

/// A message, without its body.
struct Head {
    /// The metadata after its prefix.
    metadata: Vec<u8>,
    body: u64,
}

impl Head {
    fn message(&self) -> Result<Message<'_>> {
        root_as_message(&self.metadata[PREFIX_BYTES..]).map_err(|_| damaged("a message is not valid"))
    }
}

impl<'i> Messages<'i> {
    /// Reads the schema of an input.
    ///
    /// # Errors
    /// `Data`: it is not Arrow, or is damaged.
    pub(super) fn open(input: &'i Input, threads: usize) -> Result<Messages<'i>> {
        let mut content = Content::open(input, threads)?;
        let mut magic = [0; MAGIC.len()];
        let have = content.fill(&mut magic)?;
        let is_file = magic == *MAGIC;
        if is_file && input.is_plain() {
            return Messages::of_file(input, content);
        }
        if !is_file && !magic[..have].starts_with(&CONTINUATION) {
            return Err(not_arrow(input, &magic[..have]));
        }
        let before = if is_file { padding(&mut content)? } else { magic[..have].to_vec() };
        let head = head(&mut content, before)?.ok_or_else(|| damaged("it has no schema"))?;
        let message = head.message()?;
        let written = message.header_as_schema().ok_or_else(|| damaged("it does not start with its schema"))?;
        content.skip(head.body)?;
        Messages::new(input, content, written, None)
    }

    /// Reads the footer of a file.
    fn of_file(input: &'i Input, mut content: Content<'i>) -> Result<Messages<'i>> {
        const TAIL: &[u8] = b"ARROW1";
        let size = input.stored_bytes();
        let tail = (TAIL.len() + 4) as u64;
        content.seek(size.checked_sub(tail).ok_or_else(cut_off)?);
        let bytes = content.read(TAIL.len() + 4)?;
        if !bytes.ends_with(TAIL) {
            return Err(Error::data("the Arrow file is cut off: it does not end with its footer")
                .with_hint("export or copy it again; was it still being written?"));
        }
        let len = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let start = size.checked_sub(tail + len as u64).filter(|_| len <= MAX_METADATA_BYTES);
        content.seek(start.ok_or_else(|| damaged("its footer has an impossible length"))?);
        let footer = content.read(len)?;
        let footer = root_as_footer(&footer).map_err(|_| damaged("its footer is not valid"))?;
        let written = footer.schema().ok_or_else(|| damaged("it has no schema"))?;
        let blocks = footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten());
        let at = |block: &Block| u64::try_from(block.offset()).ok().filter(|at| *at < size);
        let blocks: Option<VecDeque<u64>> = blocks.map(at).collect();
        let blocks = blocks.ok_or_else(|| damaged("a batch is outside of the file"))?;
        Messages::new(input, content, written, Some(blocks))
    }

    fn new(
        input: &'i Input,
        content: Content<'i>,
        written: arrow_ipc::Schema<'_>,
        blocks: Option<VecDeque<u64>>,
    ) -> Result<Messages<'i>> {
        if written.endianness() != Endianness::Little {
            return Err(Error::data("the Arrow data is big-endian, which is not supported")
                .with_hint("write it on another machine, or as Parquet"));
        }
        let schema = Arc::new(schema::read(written)?);
        let decoder = FileDecoder::new(Arc::new(bytes_schema(&schema)), MetadataVersion::V1);
        let max_expansion = input.max_expansion();
        Ok(Messages { content, schema, max_expansion, decoder, fields: Vec::new(), dictionaries: Vec::new(), blocks })
    }

    /// Reads only these fields from now on.
    pub(super) fn project(&mut self, fields: Vec<usize>) {
        let decoder = FileDecoder::new(Arc::new(bytes_schema(&self.schema)), MetadataVersion::V1);
        self.decoder = decoder.with_projection(fields.clone());
        self.dictionaries.clear();
        for field in &fields {
            dictionaries(self.schema.field(*field), &mut self.dictionaries);
        }
        self.fields = fields;
    }

    pub(super) fn at(&self) -> u64 {
        self.content.at()
    }

    /// Returns the next record batch, before which dictionaries are read; `None` at the end marker.
    pub(super) fn next(&mut self) -> Result<Option<Announced>> {
        loop {
            if let Some(blocks) = &mut self.blocks {
                let Some(at) = blocks.pop_front() else { return Ok(None) };
                self.content.seek(at);
            }
            let Some(mut head) = head(&mut self.content, Vec::new())? else {
                if self.blocks.is_some() {
                    return Err(damaged("a batch is missing"));
                }
                self.content.finish()?;
                return Ok(None);
            };
            let message = head.message()?;
            match message.header_type() {
                MessageHeader::DictionaryBatch => self.dictionary(&head)?,
                MessageHeader::RecordBatch => {
                    let batch = message.header_as_record_batch().ok_or_else(|| damaged("a batch is not valid"))?;
                    let rows = u64::try_from(batch.length()).ok().filter(|rows| *rows < 1 << 48);
                    let rows = rows.ok_or_else(|| damaged("a batch has an impossible number of rows"))?;
                    let of = (&*self.schema, Some(&self.fields[..]));
                    let stored = layout::buffers(&batch, message.version(), of, head.body)?;
                    let wanted = Compact::wanted(&stored, &mut head.metadata, PREFIX_BYTES)?;
                    return Ok(Some(Announced { metadata: head.metadata, body: head.body, rows, wanted }));
                }
                MessageHeader::Schema => return Err(damaged("it has two schemas")),
                _ => self.content.skip(head.body)?,
            }
        }
    }

    /// Checks the claims of compressed buffers.
    fn check_claims(&self, metadata: usize, buffers: &[Range<u64>], body: &Buffer) -> Result<()> {
        for range in buffers.iter().filter(|range| !range.is_empty()) {
            let at = metadata + range.start as usize;
            let claim = body.as_slice().get(at..at + 8).and_then(|claim| claim.try_into().ok());
            let claim = claim.ok_or_else(|| damaged("a compressed buffer has no length"))?;
            layout::check_claim(claim, range.end - range.start, self.max_expansion)?;
        }
        Ok(())
    }

    fn dictionary(&mut self, head: &Head) -> Result<()> {
        let message = head.message()?;
        let batch = message.header_as_dictionary_batch().ok_or_else(|| damaged("a dictionary is not valid"))?;
        if !self.dictionaries.contains(&batch.id()) {
            return self.content.skip(head.body);
        }
        let data = batch.data().ok_or_else(|| damaged("a dictionary is not valid"))?;
        let stored = layout::buffers(&data, message.version(), (&Schema::empty(), None), head.body)?;
        let whole = Compact::whole(head.body, &stored);
        let body = self.content.body(&head.metadata, head.body, &whole)?;
        if data.compression().is_some() {
            self.check_claims(head.metadata.len(), &whole.buffers, &body)?;
        }
        let block = Block::new(0, head.metadata.len() as i32, head.body as i64);
        let decoder = &mut self.decoder;
        unless_panic(|| decoder.read_dictionary(&block, &body)).map_err(|what| damaged(&what))
    }

    /// Skips the body of a batch.
    pub(super) fn skip(&mut self, announced: &Announced) -> Result<()> {
        self.content.skip(announced.body)
    }

    /// Reads a batch.
    pub(super) fn read(&mut self, announced: Announced) -> Result<RecordBatch> {
        let Announced { metadata, body, rows, wanted } = announced;
        let buffer = self.content.body(&metadata, body, &wanted)?;
        let message = root_as_message(&metadata[PREFIX_BYTES..]).map_err(|_| damaged("a message is not valid"))?;
        let header = message.header_as_record_batch();
        if header.is_some_and(|header| header.compression().is_some()) {
            self.check_claims(metadata.len(), &wanted.buffers, &buffer)?;
        }
        let block = Block::new(0, metadata.len() as i32, wanted.len as i64);
        let decoder = &self.decoder;
        let batch = unless_panic(|| decoder.read_record_batch(&block, &buffer)).map_err(|what| damaged(&what))?;
        let batch = batch.filter(|batch| batch.num_rows() as u64 == rows);
        batch.ok_or_else(|| damaged("a batch has another number of rows than it says"))
    }
}

/// Skips the zeros that align the first message of a file; returns the first bytes of the message.
fn padding(content: &mut Content<'_>) -> Result<Vec<u8>> {
    const MAX_PADDING: usize = 64;
    for _ in 0..MAX_PADDING / PREFIX_BYTES {
        let word = content.read(PREFIX_BYTES)?;
        if word.iter().any(|byte| *byte != 0) {
            return Ok(word);
        }
    }
    Err(damaged("it has no schema"))
}

/// Reads the metadata of a message; `before` are its first bytes, which were read already. `None` at the end marker.
fn head(content: &mut Content<'_>, mut before: Vec<u8>) -> Result<Option<Head>> {
    let mut prefix = [0; PREFIX_BYTES];
    prefix[..before.len()].copy_from_slice(&before);
    let from = before.len();
    let have = from + content.fill(&mut prefix[from..])?;
    before.clear();
    if have < PREFIX_BYTES {
        return Err(cut_off());
    }
    if prefix[..4] != CONTINUATION {
        return Err(damaged("a message does not start where the one before it ends"));
    }
    let len = i32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
    if len == 0 {
        return Ok(None);
    }
    let len = usize::try_from(len).ok().filter(|len| *len <= MAX_METADATA_BYTES);
    let len = len.ok_or_else(|| damaged("the metadata of a message has an impossible length"))?;
    let metadata = [&prefix[..], &content.read(len)?].concat();
    let head = Head { metadata, body: 0 };
    let body = head.message()?.bodyLength();
    let body = u64::try_from(body).map_err(|_| damaged("a message has an impossible length"))?;
    Ok(Some(Head { body, ..head }))
}

/// Returns the error for an input that is not Arrow.
fn not_arrow(input: &Input, first: &[u8]) -> Error {
    if first.is_empty() {
        return Error::data("the source is empty").with_hint("was the export still being written?");
    }
    if first.starts_with(b"FEA1") {
        return Error::data("this is a Feather file of version 1, which is not supported")
            .with_hint("write it as Feather version 2, Arrow or Parquet");
    }
    if let Ok(front) = Front::new(input)
        && let Err(error) = refuse_foreign(&front, "Arrow")
    {
        return error;
    }
    Error::data("this is not Arrow data").with_hint("set source.format to what it is, or to auto")
}

/// Returns the schema with texts as bytes, since a text that is not UTF-8 rejects its row and not the batch.
fn bytes_schema(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(bytes_field).collect::<Vec<_>>())
}

fn bytes_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(bytes_type(field.data_type())))
}

fn bytes_type(of: &DataType) -> DataType {
    match of {
        DataType::Utf8 => DataType::Binary,
        DataType::LargeUtf8 => DataType::LargeBinary,
        DataType::Utf8View => DataType::BinaryView,
        DataType::Dictionary(key, value) => DataType::Dictionary(key.clone(), Box::new(bytes_type(value))),
        DataType::List(field) => DataType::List(bytes_field(field)),
        DataType::LargeList(field) => DataType::LargeList(bytes_field(field)),
        DataType::ListView(field) => DataType::ListView(bytes_field(field)),
        DataType::LargeListView(field) => DataType::LargeListView(bytes_field(field)),
        DataType::FixedSizeList(field, len) => DataType::FixedSizeList(bytes_field(field), *len),
        DataType::Struct(members) => DataType::Struct(members.iter().map(bytes_field).collect()),
        other => other.clone(),
    }
}

/// Collects the numbers of the dictionaries of a field and the fields in it.
fn dictionaries(field: &Field, found: &mut Vec<i64>) {
    for field in Schema::new(vec![field.clone()]).flattened_fields() {
        #[expect(deprecated, reason = "the decoder finds dictionaries by this number")]
        found.extend(field.dict_id());
    }
}
