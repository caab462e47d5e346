//! The zip archive of a workbook: its directory, and the parts that it lists.

use super::at::{At, damaged};
use super::foreign::without_directory;
use super::part::PartReader;
use crate::error::{Error, Result};
use crate::source::into_error;
use rawzip::{CompressionMethod, ErrorKind, ZipArchive, ZipArchiveEntryWayfinder};
use std::io;

/// Maximum number of parts, and of bytes of their names.
const MAX_PARTS: usize = 65_536;
const MAX_NAMES_BYTES: usize = 4 << 20;
/// The directory's end and the longest comment after it.
const TAIL_BYTES: u64 = 22 + 65_535;

/// The archive of a workbook.
pub(super) struct Package {
    archive: ZipArchive<At>,
    parts: Vec<Entry>,
}

/// A part as the directory lists it.
struct Entry {
    name: String,
    found: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    is_encrypted: bool,
    crc: u32,
}

impl Package {
    /// Reads the directory.
    ///
    /// # Errors
    /// `Data`: it is damaged or cut off. `Local`: it cannot be read.
    pub(super) fn open(at: At) -> Result<Package> {
        let size = at.input().stored_bytes();
        let mut buffer = vec![0; rawzip::MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
        let located = ZipArchive::with_max_search_space(TAIL_BYTES).locate_in_reader(at, &mut buffer, size);
        let archive = located.map_err(|(at, error)| match error.kind() {
            ErrorKind::MissingEndOfCentralDirectory => without_directory(at.input()),
            _ => failed(error, at.input().name(), "its directory"),
        })?;
        let name = archive.get_ref().input().name().to_owned();
        let (mut parts, mut names_bytes) = (Vec::new(), 0);
        let mut entries = archive.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(|error| failed(error, &name, "its directory"))? {
            // some programs write backslashes
            let part = String::from_utf8_lossy(entry.file_path().as_bytes()).replace('\\', "/");
            names_bytes += part.len();
            if parts.len() == MAX_PARTS || names_bytes > MAX_NAMES_BYTES {
                return Err(damaged("its directory lists too many parts"));
            }
            parts.push(Entry {
                name: part,
                found: entry.wayfinder(),
                method: entry.compression_method(),
                is_encrypted: entry.flags().is_encrypted() || entry.flags().is_masked(),
                crc: entry.crc32(),
            });
        }
        if archive.entries_hint() != parts.len() as u64 {
            return Err(damaged("its directory is not complete"));
        }
        Ok(Package { archive, parts })
    }

    /// Returns true if the name of a part starts like this.
    pub(super) fn has(&self, start: &str) -> bool {
        self.parts.iter().any(|part| part.name.starts_with(start))
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        let exact = self.parts.iter().find(|part| part.name == name);
        // names of parts are the same in any case
        exact.or_else(|| self.parts.iter().find(|part| part.name.eq_ignore_ascii_case(name)))
    }

    /// Opens a part by its name; `None`: there is none.
    ///
    /// # Errors
    /// `Data`: it is damaged, encrypted, or compressed in a way that is not supported. `Local`: it cannot be read.
    pub(super) fn part(&self, name: &str) -> Result<Option<PartReader>> {
        let Some(entry) = self.find(name) else { return Ok(None) };
        if entry.is_encrypted {
            return Err(Error::data("the parts of the Excel workbook are encrypted, which is not supported")
                .with_hint("save it without a password"));
        }
        let is_deflated = match entry.method {
            CompressionMethod::STORE => false,
            CompressionMethod::DEFLATE => true,
            _ => {
                return Err(Error::data(format!("the part {name} is compressed in a way that is not supported"))
                    .with_hint("save the workbook again in a spreadsheet program"));
            }
        };
        let at = self.archive.get_ref();
        let found = self.archive.get_entry(entry.found);
        let (from, to) = found.map_err(|error| failed(error, at.input().name(), name))?.compressed_data_range();
        if to > at.input().stored_bytes() {
            return Err(damaged(&format!("the part {name} is cut off")));
        }
        Ok(Some(PartReader::new(
            at.clone(),
            name,
            from..to,
            is_deflated,
            (entry.found.uncompressed_size_hint(), entry.crc),
        )))
    }
}

/// Converts an error of the archive's reader; `what` is the part that was read.
fn failed(error: rawzip::Error, name: &str, what: &str) -> Error {
    match error.into_kind() {
        ErrorKind::IO(error) if error.kind() == io::ErrorKind::UnexpectedEof => damaged(&format!("{what} is cut off")),
        ErrorKind::IO(error) => into_error(error, &format!("reading {name}")),
        ErrorKind::Eof => damaged(&format!("{what} is cut off")),
        _ => damaged(&format!("{what} is not valid")),
    }
}
