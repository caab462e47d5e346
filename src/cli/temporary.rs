//! A temporary directory that lasts as long as the command.

use listferry::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The beginning of the names of temporary directories.
const DIRS: &str = "listferry-tmp-";

/// The beginning of the names of files with the rejected rows of runs against the sandbox, which outlive their run.
pub(crate) const REJECTS: &str = "listferry-rejects-";

/// Minimum age of what is removed.
const LEFT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Accessible to its owner alone; removed with its contents when dropped.
pub(crate) struct TemporaryDir(PathBuf);

impl TemporaryDir {
    /// Removes what killed commands left in the directory of temporary files a week ago or earlier: their directories, and
    /// rejected rows of runs against the sandbox. Returns the number of files and their bytes.
    pub(crate) fn remove_left() -> (u64, u64) {
        let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return (0, 0) };
        let (mut files, mut bytes) = (0, 0);
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(meta) = std::fs::symlink_metadata(entry.path()) else { continue };
            let is_old = meta.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > LEFT_FOR);
            let removed = match (meta.is_dir(), meta.is_file()) {
                _ if !is_old => continue,
                (true, _) if name.starts_with(DIRS) => {
                    let held = held(&entry.path());
                    std::fs::remove_dir_all(entry.path()).map(|()| held)
                }
                (_, true) if name.starts_with(REJECTS) => std::fs::remove_file(entry.path()).map(|()| (1, meta.len())),
                _ => continue,
            };
            if let Ok((n, size)) = removed {
                (files, bytes) = (files + n, bytes + size);
            }
        }
        (files, bytes)
    }

    pub(crate) fn new(what: &str) -> Result<TemporaryDir> {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let dir = std::env::temp_dir().join(format!("{DIRS}{what}-{}-{nanos:x}", std::process::id()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&dir).map_err(|error| Error::io(dir.display().to_string(), error))?;
        Ok(TemporaryDir(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// Returns the number of files in a directory, and their bytes.
fn held(dir: &Path) -> (u64, u64) {
    let Ok(entries) = std::fs::read_dir(dir) else { return (0, 0) };
    let each = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => held(&entry.path()),
        Ok(meta) => (1, meta.len()),
        Err(_) => (0, 0),
    });
    each.fold((0, 0), |(files, bytes), (n, size)| (files + n, bytes + size))
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
