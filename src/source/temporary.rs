//! A file that appears under its name only when it is complete.

use crate::error::{Error, Kind, Result};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Minimum age of an abandoned file before it is removed. It must also be unlocked: its writer locks it at once.
const LEFT_FOR: Duration = Duration::from_secs(60);

/// A file under a temporary name beside its target, locked while it is written, and removed unless it is kept.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    target: PathBuf,
    kept: bool,
}

impl Temporary {
    /// Creates a file that only its owner can read.
    ///
    /// # Errors
    /// `Local`: the target is a directory, or the file cannot be created. `Usage`: the target has no file name.
    pub(crate) fn private(target: &Path) -> Result<Temporary> {
        Temporary::beside(target, Some(0o600))
    }

    /// Creates a file with the permissions of the file that it replaces, or those of any new file.
    ///
    /// # Errors
    /// As [`Temporary::private`].
    #[cfg(feature = "jobs")]
    pub(crate) fn public(target: &Path) -> Result<Temporary> {
        Temporary::beside(target, None)
    }

    #[expect(clippy::disallowed_methods, reason = "names of files contain the time of the machine")]
    fn beside(target: &Path, mode: Option<u32>) -> Result<Temporary> {
        let failed = |error| Error::io(format!("{} cannot be written", target.display()), error);
        let there = fs::metadata(target).ok();
        if there.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(Error::new(Kind::Local, format!("{} is a directory", target.display())));
        }
        // a link keeps its place: the file that it leads to is replaced or created
        let resolved = match there {
            Some(_) => target.canonicalize().map_err(failed)?,
            None => led_to(target).map_err(failed)?,
        };
        let name = resolved
            .file_name()
            .ok_or_else(|| Error::usage(format!("{} is not the name of a file", target.display())))?;
        sweep(&resolved);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        // in a container the process id alone is not unique
        hidden.push(format!(".{}-{nanos:x}.part", std::process::id()));
        let path = resolved.with_file_name(hidden);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if let Some(mode) = mode {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        }
        let file = options.open(&path).map_err(failed)?;
        // if files cannot be locked, none is swept either
        let _ = file.try_lock();
        let temporary = Temporary { file, path, target: resolved, kept: false };
        if let (None, Some(there)) = (mode, there) {
            temporary.file.set_permissions(there.permissions()).map_err(failed)?;
        }
        Ok(temporary)
    }

    /// Syncs the file to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|error| Error::io(format!("{} cannot be written", self.target.display()), error))
    }

    /// Keeps the file under its temporary name.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.kept = true;
        self.path.clone()
    }

    /// Replaces the target once everything is on the disk.
    pub(crate) fn replace(mut self) -> Result<()> {
        self.sync()?;
        fs::rename(&self.path, &self.target)
            .map_err(|error| Error::io(format!("{} cannot be replaced", self.target.display()), error))?;
        self.kept = true;
        // the rename is durable only once the directory is synced; if that is not possible, the file exists anyway
        let dir = self.target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(dir).and_then(|dir| dir.sync_all());
        Ok(())
    }
}

/// Follows the links of a path that does not exist, or whose last link leads nowhere.
fn led_to(target: &Path) -> io::Result<PathBuf> {
    let mut path = target.to_owned();
    // Linux follows as many
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of links"))
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether the target is written in place instead of being replaced: a device or a pipe.
pub(crate) fn is_special(target: &Path) -> bool {
    fs::metadata(target).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// Removes files that killed processes left beside the target. Files that cannot be examined stay.
fn sweep(target: &Path) {
    let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Some(name), Ok(entries)) = (target.file_name(), fs::read_dir(dir)) else { return };
    let prefix = format!(".{}.", name.to_string_lossy());
    for entry in entries.flatten() {
        let text = entry.file_name().to_string_lossy().into_owned();
        let middle = text.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".part"));
        if middle.is_some_and(is_ours) && is_left(&entry.path()).unwrap_or(false) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether the middle of a name is `PROCESS-NANOSECONDS`, the second in hexadecimal.
fn is_ours(middle: &str) -> bool {
    middle.split_once('-').is_some_and(|(process, nanos)| {
        let all = |text: &str, digit: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|byte| digit(&byte));
        all(process, u8::is_ascii_digit) && all(nanos, u8::is_ascii_hexdigit)
    })
}

#[expect(clippy::disallowed_methods, reason = "ages of files are by the time of the machine")]
fn is_left(path: &Path) -> io::Result<bool> {
    let meta = fs::symlink_metadata(path)?;
    let age = SystemTime::now().duration_since(meta.modified()?).unwrap_or_default();
    if !meta.is_file() || age < LEFT_FOR {
        return Ok(false);
    }
    Ok(OpenOptions::new().write(true).open(path)?.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn it_has_its_name_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.csv");
        fs::write(&target, "old").unwrap();
        let mut dropped = Temporary::public(&target).unwrap();
        dropped.file.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        let mut whole = Temporary::public(&target).unwrap();
        whole.file.write_all(b"new").unwrap();
        whole.replace().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["out.csv"]);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "ages of files are by the time of the machine")]
    fn what_killed_processes_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.csv");
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        let old = |name: &str| {
            let file = File::create(dir.path().join(name)).unwrap();
            file.set_modified(long_ago).unwrap();
            file
        };
        drop(old(".out.csv.1-17ab.part"));
        let written = old(".out.csv.1-17ac.part");
        written.lock().unwrap();
        for other in [".out.csv.notes.part", ".other.csv.1-17ab.part", "out.csv.1-17ab.part", ".out.csv.1-17ab"] {
            drop(old(other));
        }
        drop(File::create(dir.path().join(".out.csv.7-17ad.part")).unwrap());
        Temporary::public(&target).unwrap().replace().unwrap();
        let kept = [
            ".other.csv.1-17ab.part",
            ".out.csv.1-17ab",
            ".out.csv.1-17ac.part",
            ".out.csv.7-17ad.part",
            ".out.csv.notes.part",
            "out.csv",
            "out.csv.1-17ab.part",
        ];
        assert_eq!(names(dir.path()), kept);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_stays_and_what_it_names_is_made() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let (link, second) = (dir.path().join("link.csv"), dir.path().join("second.csv"));
        fs::create_dir(dir.path().join("sub")).unwrap();
        symlink("sub/second", &link).unwrap();
        symlink("../third.csv", dir.path().join("sub/second")).unwrap();
        let mut new = Temporary::public(&link).unwrap();
        new.file.write_all(b"new").unwrap();
        new.replace().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(dir.path().join("third.csv")).unwrap(), b"new");
        symlink("nowhere/x.csv", &second).unwrap();
        assert_eq!(Temporary::public(&second).unwrap_err().kind(), Kind::Local);
        symlink("loop", dir.path().join("loop")).unwrap();
        assert_eq!(Temporary::public(&dir.path().join("loop")).unwrap_err().kind(), Kind::Local);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_the_rights_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("real.csv"), dir.path().join("link.csv"));
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut new = Temporary::public(&link).unwrap();
        new.file.write_all(b"new").unwrap();
        new.replace().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(is_special(Path::new("/dev/null")) && !is_special(&target) && !is_special(dir.path()));
    }
}
