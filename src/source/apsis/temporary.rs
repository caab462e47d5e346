//! A file that gets its name when it is whole.

use crate::error::{Error, Result};
use crate::source::spool;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file under a temporary name, removed unless it is kept.
pub(super) struct Temporary {
    pub(super) file: File,
    pub(super) path: PathBuf,
    kept: bool,
}

impl Temporary {
    pub(super) fn beside(target: &Path) -> Result<Temporary> {
        let nanos =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let name = target.file_name().ok_or_else(|| Error::usage(format!("{} names no file", target.display())))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{nanos:x}.part", std::process::id()));
        let path = target.with_file_name(hidden);
        let file =
            spool::create_private(&path).map_err(|error| Error::io(format!("creating {}", path.display()), error))?;
        Ok(Temporary { file, path, kept: false })
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|error| Error::io(format!("writing {}", self.path.display()), error))
    }

    pub(super) fn keep(mut self) -> PathBuf {
        self.kept = true;
        self.path.clone()
    }

    pub(super) fn replace(mut self, target: &Path) -> Result<()> {
        let placed = std::fs::rename(&self.path, target);
        placed.map_err(|error| Error::io(format!("renaming to {}", target.display()), error))?;
        self.kept = true;
        // the name is safe once its directory is
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(dir) = File::open(dir) {
            dir.sync_all().map_err(|error| Error::io(format!("syncing {}", target.display()), error))?;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
