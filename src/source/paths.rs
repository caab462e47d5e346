//! Finds the files that match a path or a glob. Names are bytes: names that are not UTF-8 are matched and opened, too.

use crate::error::{Error, Kind, Result};
use glob::{MatchOptions, Pattern};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

/// Names that start with a dot are hidden, as in a shell: half-copied files of rsync, for example.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// One step of a glob.
enum Step {
    /// A literal name.
    Name(OsString),
    /// All entries that match a pattern.
    Matching(Pattern),
    /// Any number of nested folders, or none.
    Folders,
}

/// Returns the paths that match `pattern` relative to `folder`, in byte order. `folder` is taken literally.
pub(super) fn paths(folder: &Path, pattern: &Path) -> Result<Vec<PathBuf>> {
    let literal = folder.join(pattern);
    if !is_glob(pattern.as_os_str()) || literal.exists() {
        return Ok(vec![literal]);
    }
    let (start, steps) = steps(folder, pattern)?;
    let mut found = Vec::new();
    let mut walk = Walk { pattern, found: &mut found };
    walk.go(start, &steps)?;
    if found.is_empty() {
        return Err(Error::new(Kind::Local, format!("no file matches {}", literal.display()))
            .with_hint("source.path is relative to the folder of the job file"));
    }
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    found.dedup();
    Ok(found)
}

fn is_glob(text: &OsStr) -> bool {
    text.as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Returns the folder to start in and the steps that follow.
fn steps(folder: &Path, pattern: &Path) -> Result<(PathBuf, Vec<Step>)> {
    let mut start = if pattern.has_root() { PathBuf::new() } else { folder.to_owned() };
    let mut steps = Vec::new();
    for component in pattern.components() {
        match component {
            Component::Prefix(_) | Component::RootDir => start.push(component),
            Component::Normal(name) if name == "**" => {
                if !matches!(steps.last(), Some(Step::Folders)) {
                    steps.push(Step::Folders);
                }
            }
            Component::Normal(name) if is_glob(name) => {
                let pattern = Pattern::new(&name.to_string_lossy()).map_err(|error| {
                    let shown = pattern.display();
                    Error::usage(format!("source.path: {shown} is not a valid glob: {}", error.msg))
                        .with_hint("in a glob * ? and [ are special; [*] stands for a star")
                })?;
                steps.push(Step::Matching(pattern));
            }
            Component::Normal(_) | Component::CurDir | Component::ParentDir => {
                steps.push(Step::Name(component.as_os_str().to_owned()));
            }
        }
    }
    if matches!(steps.last(), Some(Step::Folders)) {
        steps.push(Step::Matching(Pattern::new("*").map_err(|error| Error::usage(error.msg))?));
    }
    Ok((start, steps))
}

struct Walk<'w> {
    /// For messages.
    pattern: &'w Path,
    found: &'w mut Vec<PathBuf>,
}

impl Walk<'_> {
    fn go(&mut self, at: PathBuf, steps: &[Step]) -> Result<()> {
        let Some((step, rest)) = steps.split_first() else {
            // a folder that cannot be read must not be skipped: half a list would look complete
            if !at.is_dir() {
                self.found.push(at);
            }
            return Ok(());
        };
        match step {
            Step::Name(name) => {
                let next = at.join(name);
                // a dangling link is part of the list, and an error when it is opened
                let there = if rest.is_empty() { next.symlink_metadata().is_ok() } else { next.is_dir() };
                if there { self.go(next, rest) } else { Ok(()) }
            }
            Step::Matching(pattern) => {
                for name in self.names(&at)? {
                    // bytes that are not UTF-8 become a character that only a wildcard matches
                    if !pattern.matches_with(&name.to_string_lossy(), OPTIONS) {
                        continue;
                    }
                    let next = at.join(name);
                    if rest.is_empty() || next.is_dir() {
                        self.go(next, rest)?;
                    }
                }
                Ok(())
            }
            Step::Folders => {
                for name in self.names(&at)? {
                    let next = at.join(&name);
                    // links are not followed here, since they may lead back
                    let folder = next.symlink_metadata().is_ok_and(|meta| meta.is_dir());
                    if folder && !name.as_encoded_bytes().starts_with(b".") {
                        self.go(next, steps)?;
                    }
                }
                self.go(at, rest)
            }
        }
    }

    /// Returns the names in a folder; none if it is not a folder.
    fn names(&self, dir: &Path) -> Result<Vec<OsString>> {
        let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let failed = |error: io::Error| {
            Error::io(format!("looking for {} in {}", self.pattern.display(), here.display()), error)
                .with_hint("check that this user may read the folder")
        };
        match std::fs::read_dir(here) {
            Ok(entries) => entries.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect(),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Vec::new())
            }
            Err(error) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path, pattern: &str) -> Vec<String> {
        let found = paths(dir, Path::new(pattern)).unwrap_or_default();
        found.iter().map(|path| path.strip_prefix(dir).unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn globs_find_what_a_shell_finds() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["b.csv", "a.csv", "B.csv", "c.txt", ".h.csv", "x/a.csv", "x/y/a.csv", "x/.h/a.csv", "z.csv/f.csv"]
        {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "a\n").unwrap();
        }
        for (pattern, want) in [
            ("*.csv", &["B.csv", "a.csv", "b.csv"][..]),
            ("?.csv", &["B.csv", "a.csv", "b.csv"]),
            ("[ab].csv", &["a.csv", "b.csv"]),
            ("[!ab].csv", &["B.csv"]),
            (".*.csv", &[".h.csv"]),
            ("*/a.csv", &["x/a.csv"]),
            ("*/*/a.csv", &["x/y/a.csv"]),
            ("**/a.csv", &["a.csv", "x/a.csv", "x/y/a.csv"]),
            ("x/**/**/a.csv", &["x/a.csv", "x/y/a.csv"]),
            ("x/**", &["x/a.csv", "x/y/a.csv"]),
            ("./x/../x/*.csv", &["x/../x/a.csv"]),
            ("nowhere/*.csv", &[]),
            ("a.csv/*", &[]),
        ] {
            assert_eq!(names(dir.path(), pattern), want, "{pattern}");
        }
        assert_eq!(paths(dir.path(), Path::new("[a")).unwrap_err().kind(), Kind::Usage);
        assert_eq!(paths(Path::new("elsewhere"), &dir.path().join("a.*")).unwrap(), [dir.path().join("a.csv")]);
    }

    #[test]
    fn special_characters_in_the_folder_stand_for_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("[prod] *");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.csv"), "a\n").unwrap();
        assert_eq!(names(&folder, "*.csv"), ["a.csv"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_utf8_are_found_and_opened() {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(OsStr::from_bytes(b"k\xE4se"));
        std::fs::create_dir(&folder).unwrap();
        for name in [&b"m\xFCller.csv"[..], b"a.csv", b"\xFF"] {
            std::fs::write(folder.join(OsStr::from_bytes(name)), "a\n").unwrap();
        }
        let found = |pattern: &str| paths(&folder, Path::new(pattern)).unwrap_or_default();
        let names: Vec<_> = found("*").iter().map(|path| path.file_name().unwrap().as_bytes().to_vec()).collect();
        assert_eq!(names, [&b"a.csv"[..], b"m\xFCller.csv", b"\xFF"]);
        assert!(found("*").iter().all(|path| std::fs::read(path).is_ok()));
        assert_eq!(found("m?ller.csv").len(), 1);
        assert_eq!(found("*.csv").len(), 2);
        assert_eq!(found("mueller*").len(), 0);
        // a pattern matches the folder itself, too
        assert_eq!(paths(dir.path(), Path::new("k*/*.csv")).unwrap().len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_back_ends_the_search() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("x")).unwrap();
        std::fs::write(dir.path().join("x/a.csv"), "a\n").unwrap();
        std::os::unix::fs::symlink("..", dir.path().join("x/up")).unwrap();
        std::os::unix::fs::symlink("x", dir.path().join("link")).unwrap();
        assert_eq!(names(dir.path(), "**/a.csv"), ["x/a.csv"]);
        assert_eq!(names(dir.path(), "link/*.csv"), ["link/a.csv"]);
    }
}
