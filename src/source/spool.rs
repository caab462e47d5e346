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
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Copies the stream into a new file in `dir`; removed again where it fails.
pub(super) fn write(name: &str, reader: &mut dyn Read, dir: &Path, max: u64) -> Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    make_private_dir(dir).map_err(|error| Error::io(format!("making {}", dir.display()), error))?;
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!("spool-{}-{nanos:x}-{number}", std::process::id()));
    let mut file = create_private(&path).map_err(|error| Error::io(format!("creating {}", path.display()), error))?;
    let copied = copy(name, reader, &mut file, &path, max);
    if copied.is_err() {
        // the first error is the one to report
        let _ = fs::remove_file(&path);
    }
    copied.map(|()| path)
}

fn copy(name: &str, reader: &mut dyn Read, file: &mut File, path: &Path, max: u64) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0u64;
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) => break,
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
    file.sync_all().map_err(|error| Error::io(format!("writing {}", path.display()), error))
}
