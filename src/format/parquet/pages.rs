//! Reads pages by position for the `parquet` crate, and checks the header of each before the crate reads the page.
//!
//! The crate allocates what a header says. So each header is parsed here first: pages and dictionaries over the limit are
//! refused, and so are numbers of values that the page cannot have and contents that do not have the checksum of their
//! header. The crate asks for a header by `get_read` and for the content by `get_bytes`; after it has peeked at a header it
//! calls `get_read` at the content once more, which `pending` tells apart. With an index of pages, `get_bytes` returns header
//! and content together.

use super::thrift::{PageHeader, page_header};
use crate::error::{Error, Place};
use crate::source::{OpenSource, into_error};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest header of a page.
const MAX_HEADER_BYTES: usize = 1 << 20;
/// Number of bytes that are read for a header at first.
const HEADER_BYTES: usize = 256;

/// The bytes of a mapped column in a row group.
#[derive(Clone, Debug)]
pub(super) struct ColumnBytes {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) name: String,
    pub(super) compression: Compression,
    /// Number of values, nulls included.
    pub(super) values: i64,
    /// Least number of bytes of a value in a dictionary.
    pub(super) least: i64,
}

/// The pages of a row group.
#[derive(Clone)]
pub(super) struct Pages(Arc<Shared>);

struct Shared {
    source: Arc<OpenSource>,
    input: usize,
    /// Number of the row group, from 1.
    group: usize,
    columns: Vec<ColumnBytes>,
    max_page_bytes: u64,
    /// True if the crate has an index of pages.
    is_indexed: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// For a column, the header that was read last and the start of its content.
    pending: HashMap<usize, (u64, PageHeader)>,
    /// The first error, which the crate would only pass on as text.
    error: Option<Error>,
}

impl Pages {
    pub(super) fn new(
        (source, input): (Arc<OpenSource>, usize),
        group: usize,
        columns: Vec<ColumnBytes>,
        max_page_bytes: u64,
        is_indexed: bool,
    ) -> Pages {
        let state = Mutex::default();
        Pages(Arc::new(Shared { source, input, group, columns, max_page_bytes, is_indexed, state }))
    }

    /// Returns the bytes of the whole input, for its indexes of pages.
    pub(super) fn of_index(source: (Arc<OpenSource>, usize), size: u64) -> Pages {
        let whole = ColumnBytes {
            start: 0,
            end: size,
            name: String::new(),
            compression: Compression::UNCOMPRESSED,
            values: 0,
            least: 1,
        };
        Pages::new(source, 0, vec![whole], size, false)
    }

    /// Returns the error that made the crate fail.
    pub(super) fn take_error(&self) -> Option<Error> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).error.take()
    }

    fn fail(&self, error: Error) -> ParquetError {
        let text = error.to_string();
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).error.get_or_insert(error);
        ParquetError::General(text)
    }

    fn place(&self, column: Option<usize>) -> Place {
        Place {
            file: Some(self.0.source.inputs()[self.0.input].name().to_owned()),
            row: Some(format!("row group {}", self.0.group)),
            column: column.map(|column| self.0.columns[column].name.clone()),
            ..Place::default()
        }
    }

    /// Returns the column that has a position.
    fn column(&self, at: u64) -> Result<usize, ParquetError> {
        let found = self.0.columns.iter().position(|column| (column.start..column.end).contains(&at));
        found.ok_or_else(|| self.fail(damaged("a page is outside of its column").with_place(self.place(None))))
    }

    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>, ParquetError> {
        let mut bytes = vec![0; len];
        let mut read = self.bytes_from(at);
        let mut have = 0;
        while have < len {
            match read.read(&mut bytes[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let name = self.0.source.inputs()[self.0.input].name();
                    return Err(self.fail(into_error(error, &format!("reading {name}"))));
                }
            }
        }
        bytes.truncate(have);
        Ok(bytes)
    }

    fn bytes_from(&self, at: u64) -> BytesFrom {
        BytesFrom { source: Arc::clone(&self.0.source), input: self.0.input, at }
    }

    /// Reads and checks the header of a page at a position.
    fn header(&self, column: usize, at: u64) -> Result<PageHeader, ParquetError> {
        let room = self.0.columns[column].end - at;
        let mut want = HEADER_BYTES;
        loop {
            let len = usize::try_from(room).unwrap_or(usize::MAX).min(want);
            let bytes = self.read(at, len)?;
            if let Some(header) = page_header(&bytes) {
                self.check(column, &header)?;
                return Ok(header);
            }
            if bytes.len() < want || want >= MAX_HEADER_BYTES {
                let error = damaged("the header of a page is not valid");
                return Err(self.fail(error.with_place(self.place(Some(column)))));
            }
            want *= 4;
        }
    }

    fn check(&self, column: usize, header: &PageHeader) -> Result<(), ParquetError> {
        let max = i64::try_from(self.0.max_page_bytes).unwrap_or(i64::MAX);
        let of = &self.0.columns[column];
        let what = if header.is_dictionary() { "the dictionary" } else { "a page" };
        let (size, stored) = (header.uncompressed, header.compressed);
        let error = if size.max(stored) > max {
            let size = size.max(stored);
            Error::data(format!("{what} has {size} bytes, more than source.parquet.max_page_bytes ({max})")).with_hint(
                "raise it (memory grows with it), write the file with smaller pages, or do not map the column",
            )
        } else if size < 0 || stored < 0 || header.values < 0 || header.levels < 0 || header.levels > size {
            damaged("the header of a page is not valid")
        } else if header.is_dictionary() && header.values.saturating_mul(of.least) > size {
            damaged("a dictionary has fewer bytes than values")
        } else if !header.is_dictionary() && header.values > of.values {
            damaged("a page has more values than its column")
        } else {
            return Ok(());
        };
        Err(self.fail(error.with_place(self.place(Some(column)))))
    }

    /// Checks the content of a page: its checksum, if it has one, and what the crate decompresses without a limit.
    fn check_content(&self, column: usize, header: &PageHeader, content: &[u8]) -> Result<(), ParquetError> {
        const LZ4_FRAME: &[u8] = &[4, 0x22, 0x4d, 0x18];
        let fail = |error: Error| Err(self.fail(error.with_place(self.place(Some(column)))));
        let content = usize::try_from(header.compressed).ok().and_then(|len| content.get(..len));
        let Some(content) = content else { return fail(damaged("a page is longer than the index of pages says")) };
        if header.crc.is_some_and(|crc| crc != crc32(content)) {
            return fail(damaged("a page has another checksum than its header says"));
        }
        let packed = content.get(usize::try_from(header.levels).unwrap_or(0)..).unwrap_or_default();
        fail(match self.0.columns[column].compression {
            Compression::GZIP(_) if inflates_beyond(packed, header.uncompressed) => {
                damaged("a page has more bytes than its header says")
            }
            Compression::LZ4 if packed.starts_with(LZ4_FRAME) => {
                Error::data("the column is compressed with LZ4 in frames, a form that was never standard")
                    .with_hint("write the file again, with zstd or snappy")
            }
            _ => return Ok(()),
        })
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

/// Returns true if gzip data has more than `most` bytes when it is decompressed.
fn inflates_beyond(packed: &[u8], most: i64) -> bool {
    let most = u64::try_from(most).unwrap_or(0);
    let mut data = flate2::read::MultiGzDecoder::new(packed).take(most + 1);
    // damage is found when the page is decompressed again
    io::copy(&mut data, &mut io::sink()).is_ok_and(|bytes| bytes > most)
}

/// Returns an error for a file that is not valid.
pub(super) fn damaged(what: &str) -> Error {
    Error::data(format!("the Parquet file is damaged: {what}")).with_hint("export or copy the file again")
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.0.source.inputs()[self.0.input].stored_bytes()
    }
}

impl ChunkReader for Pages {
    type T = BufReader<BytesFrom>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let column = self.column(start)?;
        let is_content = |state: &State| {
            state.pending.get(&column).is_some_and(|(at, header)| *at == start && header.compressed > 0)
        };
        if !is_content(&self.0.state.lock().unwrap_or_else(PoisonError::into_inner)) {
            let header = self.header(column, start)?;
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.pending.insert(column, (start + header.len as u64, header));
        }
        Ok(BufReader::with_capacity(HEADER_BYTES, self.bytes_from(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes, ParquetError> {
        let column = self.column(start)?;
        let end = start.checked_add(length as u64).filter(|end| *end <= self.0.columns[column].end);
        let most = self.0.max_page_bytes.saturating_add(MAX_HEADER_BYTES as u64);
        if end.is_none() || length as u64 > most {
            let error = damaged("a page is longer than its column");
            return Err(self.fail(error.with_place(self.place(Some(column)))));
        }
        let content_of = if self.0.is_indexed {
            let header = self.header(column, start)?;
            Some((header.len, header))
        } else {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.pending.remove(&column).map(|(_, header)| (0, header))
        };
        let bytes = self.read(start, length)?;
        if bytes.len() < length {
            let error = damaged("the file ends inside of a page");
            return Err(self.fail(error.with_place(self.place(Some(column)))));
        }
        if let Some((skip, header)) = content_of {
            self.check_content(column, &header, bytes.get(skip..).unwrap_or_default())?;
        }
        Ok(bytes.into())
    }
}

/// The bytes of an input from a position on.
pub(super) struct BytesFrom {
    source: Arc<OpenSource>,
    input: usize,
    at: u64,
}

impl Read for BytesFrom {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.inputs()[self.input].read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
