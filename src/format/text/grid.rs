//! The chunk grid of text: determines the next chunk and, for streams, reads its bytes.
//!
//! Plain inputs are cut every `chunk_bytes` after the header; the seam of a chunk is the first line end at or after its
//! start, so the cuts depend only on the input. Streams are read by the thread that claims the next chunk (with several
//! threads, other threads decompress them) and cut after the last record end, so their chunks always start outside
//! quotes.

use super::bytes::{ChunkBytes, next_want, shrunk};
use super::reader::TextReader;
use super::rules::{DataStart, LOOKAHEAD, Text};
use crate::error::Result;
use crate::format::chunk::{Chunk, ChunkId};
use crate::format::encoding::{Coding, Transcoder};
use crate::format::reader::{Chunks, Format};
use crate::scan::count_lines;
use crate::source::{self, Input};
use std::io::Read;

/// Hands out the chunks of a pass in order.
pub(crate) struct Grid<'f, F> {
    format: &'f F,
    chunk_bytes: usize,
    /// Number of converting threads; as many may decompress.
    threads: usize,
    input: usize,
    index: u64,
    stream: Option<Stream>,
}

struct Stream {
    content: Content,
    /// Offset of the next chunk.
    offset: u64,
    /// Bytes after the last record end of the previous chunk.
    left: Vec<u8>,
    ended: bool,
}

/// The text of a stream.
enum Content {
    /// In UTF-8.
    Plain(Box<dyn Read + Send>),
    Transcoded(Box<Transcoder>),
}

impl Content {
    fn read(&mut self) -> &mut dyn Read {
        match self {
            Content::Plain(reader) => reader,
            Content::Transcoded(reader) => reader,
        }
    }
}

impl<'f, F: Text> Grid<'f, F> {
    pub(crate) fn new(format: &'f F, from: ChunkId, chunk_bytes: usize, threads: usize) -> Grid<'f, F> {
        Grid { format, chunk_bytes, threads, input: from.input, index: from.index, stream: None }
    }

    fn hand_out(&mut self, offset: u64, is_held: bool) -> Chunk {
        let chunk = Chunk { input: self.input, index: self.index, offset, is_held };
        self.index += 1;
        chunk
    }

    /// Reads the next chunk of a stream into `reader`; `None` if the stream has ended.
    fn next_of_stream(
        &mut self,
        input: &Input,
        start: DataStart,
        reader: &mut TextReader<F>,
        enlarge: &mut dyn FnMut(&mut TextReader<F>, usize),
    ) -> Result<Option<u64>> {
        let mut skip = 0;
        if self.stream.is_none() {
            skip = std::mem::take(&mut self.index);
            self.stream = Some(Stream::open(input, start, self.threads)?);
        }
        while let Some(stream) = &mut self.stream {
            let Some(offset) = stream.fill(self.format, input, self.chunk_bytes, reader, enlarge)? else { break };
            if self.index < skip {
                self.index += 1;
                continue;
            }
            return Ok(Some(offset));
        }
        self.stream = None;
        Ok(None)
    }
}

impl<F: Text> Format for F {
    type Chunks<'f> = Grid<'f, F>;
    type Reader = TextReader<F>;

    fn chunks(&self, from: ChunkId, chunk_bytes: usize, threads: usize) -> Grid<'_, F> {
        Grid::new(self, from, chunk_bytes, threads)
    }

    fn reader(&self, marked: Option<u8>, chunk_bytes: usize) -> TextReader<F> {
        TextReader::new(self, marked, chunk_bytes)
    }
}

impl<F: Text> Chunks<TextReader<F>> for Grid<'_, F> {
    fn next(
        &mut self,
        reader: &mut TextReader<F>,
        enlarge: &mut dyn FnMut(&mut TextReader<F>, usize),
    ) -> Result<Option<Chunk>> {
        reader.bytes.clear();
        reader.lengths = None;
        let format = self.format;
        while let Some(input) = format.source().inputs().get(self.input) {
            let start = format.start_of(self.input);
            if input.is_plain() && start.coding.is_none() {
                let offset = start.byte + self.index * self.chunk_bytes as u64;
                if offset < input.stored_bytes() {
                    return Ok(Some(self.hand_out(offset, false)));
                }
            } else if let Some(offset) = self.next_of_stream(input, start, reader, enlarge)? {
                return Ok(Some(self.hand_out(offset, true)));
            }
            input.verify_end()?;
            self.input += 1;
            self.index = 0;
        }
        Ok(None)
    }
}

impl Stream {
    fn open(input: &Input, start: DataStart, threads: usize) -> Result<Stream> {
        let failed = |error| source::into_error(error, &format!("reading {}", input.name()));
        let reader = input.open_stream_beside(threads)?;
        let (mut content, skip) = match start.coding {
            None => (Content::Plain(reader), start.byte),
            Some(Coding { encoding, mark, text }) => {
                let reader = Transcoder::new(reader, input.name(), encoding, mark).map_err(failed)?;
                (Content::Transcoded(Box::new(reader)), text)
            }
        };
        if std::io::copy(&mut content.read().take(skip), &mut std::io::sink()).map_err(failed)? < skip {
            return Err(shrunk(input));
        }
        if let Content::Transcoded(reader) = &mut content {
            reader.lengths.take(start.lines, &mut Vec::new());
        }
        Ok(Stream { content, offset: start.byte, left: Vec::new(), ended: false })
    }

    /// Reads complete records, about `chunk_bytes` of them or one larger record, and returns their offset; `None` if
    /// the stream has ended.
    fn fill<F: Text>(
        &mut self,
        format: &F,
        input: &Input,
        chunk_bytes: usize,
        reader: &mut TextReader<F>,
        enlarge: &mut dyn FnMut(&mut TextReader<F>, usize),
    ) -> Result<Option<u64>> {
        let bytes = &mut reader.bytes;
        bytes.room(self.left.len().max(chunk_bytes.saturating_add(LOOKAHEAD)) + 1);
        bytes.start_with(&self.left);
        bytes.ended = self.ended;
        self.left.clear();
        self.left.shrink_to(chunk_bytes);
        let mut want = chunk_bytes.saturating_add(LOOKAHEAD);
        let max = usize::try_from(format.max_record_bytes()).unwrap_or(usize::MAX).saturating_add(chunk_bytes);
        loop {
            let bytes = &mut reader.bytes;
            bytes.read_stream(input, self.content.read(), want)?;
            self.ended = bytes.ended;
            let filled = bytes.filled();
            if filled == 0 {
                return Ok(None);
            }
            let offset = self.offset;
            let cut = if self.ended { Some(filled) } else { last_end(format, bytes) };
            // without a record end within the maximum length, reading the chunk finds the record that is too long
            if let Some(cut) = cut.or((filled > max).then_some(filled)) {
                self.left.extend_from_slice(&bytes.bytes()[cut..]);
                bytes.truncate(cut);
                self.offset += match &mut self.content {
                    Content::Plain(_) => cut as u64,
                    Content::Transcoded(from) => {
                        from.lengths.take(count_lines(bytes.bytes()), reader.lengths.get_or_insert_default())
                    }
                };
                return Ok(Some(offset));
            }
            want = next_want(filled).clamp(64, max.saturating_add(1));
            enlarge(reader, want);
        }
    }
}

/// Returns the position after the last record end, which must be [`LOOKAHEAD`] bytes before the last byte.
fn last_end<F: Text>(format: &F, bytes: &ChunkBytes) -> Option<usize> {
    let mut certain = bytes.filled().checked_sub(LOOKAHEAD)?;
    // a CR at the end may be the first half of a CRLF
    certain -= usize::from(certain > 0 && bytes.bytes()[certain - 1] == b'\r');
    format.last_end(bytes.view(0, certain)).map(|end| end + 1)
}
