//! `source.path`: files are opened in place, streams as they come or as a copy.

use crate::calls::{BoxFuture, aside};
use crate::error::{Error, Result};
use crate::origin::stoppable::Stoppable;
use crate::origin::{Copies, Entry, Opening, Origin, PATH};
use crate::secret::has_user_info;
use crate::settings::{Key, KeyKind};
use crate::source::{CopyTo, OpenSource, SourceOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const ENTRY: Entry = Entry {
    key: PATH,
    schemes: &[],
    keys: &[Key::new(
        PATH,
        KeyKind::PathOrUrl,
        false,
        None,
        "A file, a glob, \"-\" for stdin, or the address of an object; a path is relative to the job file.",
    )],
    is_export: false,
    build: |source, options| {
        let (path, folder) = (source.text(PATH)?, source.folder.to_owned());
        if is_address(&path) {
            // not shown: it may contain a password
            return Err(Error::usage("source.path is neither a path nor a valid address")
                .with_hint("write SCHEME://HOST/PATH; a user and a password belong into source.http"));
        }
        Ok(Arc::new(Files(Arc::new(Inner { path, folder, options: options.clone() }))))
    },
};

/// Whether a path was meant as an address with a password.
fn is_address(path: &str) -> bool {
    let scheme = path.split_once(":/").is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    (scheme || path.starts_with("//")) && has_user_info(path)
}

/// A path, a glob, or `-` for standard input.
struct Files(Arc<Inner>);

struct Inner {
    /// As written.
    path: String,
    /// The job file's folder.
    folder: PathBuf,
    options: SourceOptions,
}

impl Inner {
    fn name(&self) -> String {
        match self.path.as_str() {
            "-" => "-".to_owned(),
            path => self.folder.join(path).to_string_lossy().into_owned(),
        }
    }

    fn is_stream(&self) -> bool {
        self.path == "-" || OpenSource::is_stream(&self.folder.join(&self.path))
    }

    fn open_files(&self, copy_to: Option<CopyTo<'_>>) -> Result<OpenSource> {
        OpenSource::open_in(&self.folder, Path::new(&self.path), &self.options, copy_to)
    }

    fn open(&self, copies: &Copies, cancelled: Arc<dyn Fn() -> bool + Send + Sync>) -> Result<OpenSource> {
        if !self.is_stream() {
            return self.open_files(Some(copies.to()));
        }
        let path = (self.path != "-").then(|| self.folder.join(&self.path));
        let is_stdin = path.is_none();
        let source = copies.open_stream(&self.name(), stream(path, cancelled)?, &self.options)?;
        Ok(if is_stdin { source.of_stdin() } else { source })
    }
}

impl Origin for Files {
    fn name(&self) -> String {
        self.0.name()
    }

    fn options(&self) -> &SourceOptions {
        &self.0.options
    }

    fn is_stream(&self) -> bool {
        self.0.is_stream()
    }

    fn open<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<OpenSource>> {
        let (files, copies) = (Arc::clone(&self.0), opening.copies.clone());
        let cancelled = Arc::clone(&opening.cancelled);
        Box::pin(async move { aside(opening.in_line, move || files.open(&copies, cancelled)).await? })
    }

    fn open_copy(&self, path: &Path) -> Result<OpenSource> {
        let source = OpenSource::open_spooled(path, &self.name(), self.options())?;
        Ok(if self.0.path == "-" { source.of_stdin() } else { source })
    }

    fn stamp<'a>(&'a self, opening: &'a Opening<'_>) -> BoxFuture<'a, Result<Option<String>>> {
        let files = Arc::clone(&self.0);
        let stamp = move || match files.is_stream() {
            true => Ok(None),
            false => Ok(files.open_files(None)?.stamp()),
        };
        Box::pin(async move { aside(opening.in_line, stamp).await? })
    }
}

/// Opens standard input, or the FIFO or device at `path`. It can be cancelled while it is silent.
fn stream(path: Option<PathBuf>, cancelled: Arc<dyn Fn() -> bool + Send + Sync>) -> Result<Stoppable> {
    let open = move || -> Result<Box<dyn Read>> {
        let Some(path) = path else { return Ok(Box::new(std::io::stdin())) };
        let failed = |error| Error::io(format!("the source {}", path.display()), error);
        let file = std::fs::File::open(&path).map_err(failed)?;
        Ok(Box::new(file))
    };
    Stoppable::open(open, move || cancelled())
}
