//! A file that was opened: its footer checked and decoded.

use super::pages::{ColumnBytes, damaged};
use super::schema;
use super::thrift::is_encrypted;
use crate::error::{Error, Place, Result};
use crate::format::columnar::{Columns, Wanted, unless_panic};
use crate::format::text::{Front, refuse_foreign};
use crate::source::{Compression as Packing, Input, into_error};
use arrow_schema::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{Compression, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::schema::types::SchemaDescriptor;
use std::sync::Arc;

const MAGIC: &[u8] = b"PAR1";
const ENCRYPTED: &[u8] = b"PARE";
/// Length and magic at the end of the file.
const TAIL_BYTES: u64 = 8;

/// The footer of a file.
pub(super) struct File {
    /// The schema as it is in the file.
    pub(super) written: Arc<SchemaDescriptor>,
    /// The same with the types of the program that wrote it.
    pub(super) noted: Schema,
    /// The metadata of the file and the schema to read it with.
    pub(super) metadata: ArrowReaderMetadata,
}

impl File {
    /// Reads the footer of an input.
    ///
    /// # Errors
    /// `Data`: it is not a Parquet file, is damaged or encrypted. `Local`: it cannot be read.
    pub(super) fn open(input: &Input, max_bytes: u64) -> Result<File> {
        let placed = |mut error: Error| {
            error.place_mut().file.get_or_insert_with(|| input.name().to_owned());
            error
        };
        let footer = footer(input, max_bytes).map_err(placed)?;
        let decoded = unless_panic(|| decode(&footer));
        decoded.map_err(|error| placed(damaged(&format!("its footer is not valid ({error})"))))
    }

    fn parquet(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    pub(super) fn groups(&self) -> usize {
        self.parquet().num_row_groups()
    }

    /// Returns the number of rows of a row group, which [`File::check`] has found to be valid.
    pub(super) fn rows(&self, group: usize) -> u64 {
        u64::try_from(self.parquet().row_group(group).num_rows()).unwrap_or(0)
    }

    /// Returns the columns of the file that the mapped ones consist of.
    pub(super) fn leaves(&self, wanted: &[Wanted]) -> Vec<usize> {
        let mut leaves: Vec<usize> = wanted.iter().flat_map(|wanted| schema::leaves(&self.written, wanted)).collect();
        leaves.sort_unstable();
        leaves.dedup();
        leaves
    }

    pub(super) fn mask(&self, leaves: &[usize]) -> ProjectionMask {
        ProjectionMask::leaves(self.parquet().file_metadata().schema_descr(), leaves.iter().copied())
    }

    /// Checks the sizes that the footer has for the mapped columns, and their compressions.
    ///
    /// # Errors
    /// `Data`.
    pub(super) fn check(&self, input: &Input, columns: &Columns) -> Result<()> {
        let leaves = self.leaves(&columns.wanted);
        let place = |group: usize, column: Option<String>| Place {
            file: Some(input.name().to_owned()),
            row: Some(format!("row group {}", group + 1)),
            column,
            ..Place::default()
        };
        for group in 0..self.groups() {
            let rows = self.parquet().row_group(group).num_rows();
            if !(0..1 << 48).contains(&rows) {
                return Err(damaged("a row group has an impossible number of rows").with_place(place(group, None)));
            }
            // some writers leave the places of an empty row group unset
            if rows == 0 {
                continue;
            }
            for leaf in &leaves {
                self.check_column(input, group, *leaf).map_err(|error| {
                    let name = self.written.column(*leaf).path().string();
                    error.with_place(place(group, Some(name)))
                })?;
            }
        }
        Ok(())
    }

    fn check_column(&self, input: &Input, group: usize, leaf: usize) -> Result<()> {
        let column = self.parquet().row_group(group).column(leaf);
        if column.file_path().is_some() {
            return Err(Error::data("the column is in another file").with_hint("export it as one file"));
        }
        let name = match column.compression() {
            Compression::LZO => Some("LZO"),
            Compression::BROTLI(_) => Some("Brotli"),
            _ => None,
        };
        if let Some(name) = name {
            return Err(Error::data(format!("the column is compressed with {name}, which is not supported"))
                .with_hint("write the file with zstd, snappy, gzip or lz4_raw"));
        }
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let range = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
        let end = range.and_then(|(start, len)| start.checked_add(len));
        if end.is_none_or(|end| end > input.stored_bytes()) || column.data_page_offset() < start {
            return Err(damaged("a column is outside of the file"));
        }
        if column.num_values() < 0 {
            return Err(damaged("a column has an impossible number of values"));
        }
        Ok(())
    }

    /// Returns the bytes of the mapped columns in a row group.
    pub(super) fn columns(&self, group: usize, leaves: &[usize]) -> Vec<ColumnBytes> {
        let of = |leaf: &usize| {
            let column = self.parquet().row_group(group).column(*leaf);
            let (start, len) = column.byte_range();
            let least = match self.written.column(*leaf).physical_type() {
                Physical::INT64 | Physical::DOUBLE => 8,
                Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
                _ => 1,
            };
            ColumnBytes {
                start,
                end: start + len,
                name: self.written.column(*leaf).path().string(),
                compression: column.compression(),
                values: column.num_values(),
                least,
            }
        };
        leaves.iter().map(of).collect()
    }

    /// Returns the number of bytes of a row of the mapped columns in a row group, on the average.
    pub(super) fn row_bytes(&self, group: usize, leaves: &[usize]) -> u64 {
        /// Memory of a value beside its bytes, if a row has several of them.
        const VALUE_BYTES: u64 = 24;
        let rows = self.rows(group).max(1);
        let of = |leaf: &usize| {
            let column = self.parquet().row_group(group).column(*leaf);
            let values = match self.written.column(*leaf).max_rep_level() {
                0 => 0,
                _ => u64::try_from(column.num_values()).unwrap_or(0),
            };
            u64::try_from(column.uncompressed_size()).unwrap_or(0).saturating_add(values.saturating_mul(VALUE_BYTES))
        };
        leaves.iter().map(of).fold(0u64, u64::saturating_add) / rows
    }
}

/// Reads the bytes of the footer.
fn footer(input: &Input, max_bytes: u64) -> Result<Vec<u8>> {
    if !input.is_plain() {
        return Err(match input.compression() {
            Packing::None => Error::data("a Parquet file cannot be read from a stream"),
            _ => Error::data("the Parquet file is compressed as a whole"),
        }
        .with_hint("decompress it to a file first: its columns are compressed already"));
    }
    let size = input.stored_bytes();
    let magic = read(input, 0, MAGIC.len() as u64)?;
    if magic != MAGIC && magic != ENCRYPTED {
        let front = Front::new(input)?;
        if front.bytes.is_empty() {
            return Err(Error::data("the file is empty").with_hint("was the export still being written?"));
        }
        refuse_foreign(&front, "Parquet")?;
        return Err(Error::data("this is not a Parquet file").with_hint("set source.format to what it is, or to auto"));
    }
    let tail = read(input, size.saturating_sub(TAIL_BYTES), TAIL_BYTES)?;
    let (len, end) = tail.split_at(4.min(tail.len()));
    if magic == ENCRYPTED || end == ENCRYPTED {
        return Err(encrypted());
    }
    if end != MAGIC || size < TAIL_BYTES + MAGIC.len() as u64 {
        return Err(Error::data("the Parquet file is cut off: it does not end with its footer")
            .with_hint("export or copy it again; was it still being written?"));
    }
    let len = u64::from(u32::from_le_bytes(len.try_into().unwrap_or_default()));
    if len + TAIL_BYTES + MAGIC.len() as u64 > size {
        return Err(damaged("its footer is longer than the file"));
    }
    if len > max_bytes {
        return Err(Error::data(format!(
            "the footer has {len} bytes, more than source.parquet.max_page_bytes ({max_bytes})"
        ))
        .with_hint("raise it (memory grows with it), or write larger row groups"));
    }
    let footer = read(input, size - TAIL_BYTES - len, len)?;
    if is_encrypted(&footer) {
        return Err(encrypted());
    }
    Ok(footer)
}

fn encrypted() -> Error {
    Error::data("the Parquet file is encrypted, which is not supported").with_hint("export it without encryption")
}

fn read(input: &Input, at: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let mut have = 0;
    while have < bytes.len() {
        match input.read_at(&mut bytes[have..], at + have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(into_error(error, &format!("reading {}", input.name()))),
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

fn decode(footer: &[u8]) -> Result<File, ParquetError> {
    let written = ParquetMetaDataReader::decode_schema(footer)?;
    let options = ParquetMetaDataOptions::new()
        .with_schema(schema::plain(&written)?)
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let metadata = ParquetMetaDataReader::decode_metadata_with_options(footer, Some(&options))?;
    let notes = metadata.file_metadata().key_value_metadata();
    // without valid notes of the writer the types are those of the file
    let noted = parquet_to_arrow_schema(&written, notes).or_else(|_| parquet_to_arrow_schema(&written, None))?;
    let plain = parquet_to_arrow_schema(metadata.file_metadata().schema_descr(), None)?;
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema::arrays(&plain, &noted)));
    let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)?;
    Ok(File { written, noted, metadata })
}
