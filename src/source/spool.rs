//! A stream written to disk, so that it can be read twice.

use crate::error::{Error, Kind, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes a directory that only its owner may enter.
pub(super) fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// A new file that only its owner may read.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A name in `dir` that no other process takes.
pub(super) fn name_in(dir: &Path) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    dir.join(format!("spool-{}-{nanos:x}-{number}", std::process::id()))
}

/// A new file, and its directory where that is missing.
pub(super) fn create(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent() {
        make_private_dir(dir).map_err(|error| Error::io(format!("making {}", dir.display()), error))?;
    }
    create_private(path).map_err(|error| Error::io(format!("creating {}", path.display()), error))
}

/// Copies the stream into a new file at `path`; removed again where it fails.
pub(super) fn write(name: &str, reader: &mut dyn Read, path: &Path, max: u64) -> Result<()> {
    let mut file = create(path)?;
    let copied = copy(name, reader, &mut file, path, max)
        .and_then(|()| file.sync_all().map_err(|error| Error::io(format!("writing {}", path.display()), error)));
    if copied.is_err() {
        // the first error is the one to report
        let _ = fs::remove_file(path);
    }
    copied
}

/// Copies the stream to the end of a file; `path` names it in messages.
pub(super) fn copy(name: &str, reader: &mut dyn Read, file: &mut File, path: &Path, max: u64) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0u64;
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(super::into_error(error, &format!("reading {name}"))),
        };
        total += n as u64;
        if total > max {
            return Err(Error::new(Kind::Data, format!("{name} is larger than spool.max ({max} bytes)"))
                .with_hint("raise spool.max, or put the list into a file and name that"));
        }
        file.write_all(&buffer[..n]).map_err(|error| {
            Error::io(format!("writing {}", path.display()), error).with_hint("set spool.dir to a disk with more room")
        })?;
    }
}
