//! The rejected rows as they are in the source: a source of the same format and encoding.

use super::source_record::SourceRecord;
use crate::format::Tabular;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Result, Write};
use std::path::{Path, PathBuf};

/// A file of rejected rows in the format of their source, created (0600) with its first row.
pub(super) struct SourceRows {
    path: PathBuf,
    /// The bytes before the first row.
    head: Vec<u8>,
    out: Option<BufWriter<File>>,
}

impl SourceRows {
    /// Returns a file at `path` for rows of a table. An existing one is removed.
    #[cfg_attr(not(feature = "jobs"), allow(dead_code, reason = "only jobs keep rows as they are in the source"))]
    pub(super) fn new(path: &Path, table: &dyn Tabular) -> Result<SourceRows> {
        remove(path)?;
        Ok(SourceRows { path: path.to_owned(), head: table.source_head(), out: None })
    }

    /// Adds a row.
    pub(super) fn write(&mut self, row: &SourceRecord<'_>) -> Result<()> {
        if self.out.is_none() {
            let out = self.out.insert(BufWriter::with_capacity(32 << 10, private(&self.path)?));
            out.write_all(&self.head)?;
        }
        self.out.as_mut().map_or(Ok(()), |out| row.write_as_source(out))
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        out.flush()?;
        out.get_ref().sync_data()
    }

    /// Renames the file; it replaces the one of that name, also as long as it has no row.
    pub(super) fn rename(&mut self, path: &Path) -> Result<()> {
        match self.out {
            Some(_) => std::fs::rename(&self.path, path)?,
            None => remove(path)?,
        }
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// Removes the file.
    pub(super) fn remove(&mut self) -> Result<()> {
        if let Some(out) = self.out.take() {
            drop(out.into_parts());
        }
        remove(&self.path)
    }
}

pub(super) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates a file that only its owner can read; an existing link is not followed.
pub(super) fn private(path: &Path) -> Result<File> {
    // the first row may be one that the platform refused, before any pass has created the directory
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !dir.exists()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error)
            if error.kind() == std::io::ErrorKind::AlreadyExists && is_device(&std::fs::symlink_metadata(path)?) =>
        {
            OpenOptions::new().write(true).open(path)
        }
        file => file,
    }
}

/// Whether the path is a device or a pipe, which is written in place.
pub(super) fn is_device(meta: &std::fs::Metadata) -> bool {
    !meta.is_file() && !meta.is_dir() && !meta.is_symlink()
}
