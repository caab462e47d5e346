//! Destination of a pass's rejects: the reject file, and the first few for display.

use super::config::Config;
use super::env::Env;
use super::pass::make_private_dir;
use super::report::Report;
use crate::body::{self, Counts, Existing, Reject, RejectFile, RejectSink, Written};
use crate::error::{Error, Kind, Place, Result};
use crate::format::Table;
use crate::format::cells::Cell;
use crate::source::OpenSource;
use crate::source::temporary::Temporary;
use crate::warning::{Warning, WarningKind};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rejected rows that are being written to a file.
pub(crate) struct Rejects {
    /// Path that they are written to.
    path: Option<PathBuf>,
    /// The path in `rejects.file` if it is another one: it gets a copy.
    copy: Option<PathBuf>,
    /// True if the rows may only be counted if there is no file (commands that need no writable state).
    may_miss: bool,
    /// True if they belong to a run, for which they are kept as they are in the source, too.
    of_run: bool,
    show_values: bool,
    file: Option<RejectFile>,
    first: Vec<String>,
    /// True until it is known that the rows belong to the run: its own file, and the copy, stay as they are.
    aside: bool,
    /// Why there is no file although rows were rejected.
    missed: Option<String>,
    /// Counts of a pass that did not finish.
    so_far: Option<Counts>,
}

impl Rejects {
    /// Creates the rejects of a command that keeps nothing: in `rejects.file`, otherwise in the state directory.
    pub(crate) fn new(config: &Config, env: &Env, name: &str) -> Rejects {
        let (path, may_miss) = match &config.rejects.file {
            Some(path) => (Some(path.clone()), false),
            None => (env.state_dir().ok().map(|dir| file_of(&dir, name)), true),
        };
        Rejects {
            path,
            copy: None,
            may_miss,
            of_run: false,
            aside: false,
            show_values: env.show_values,
            file: None,
            first: Vec::new(),
            missed: None,
            so_far: None,
        }
    }

    /// Creates the rejects of a run: in a separate file in the state directory, which no other run or command uses;
    /// `rejects.file` gets a copy. They must not be lost.
    ///
    /// # Errors
    /// `Usage`: no state directory is known.
    pub(crate) fn of_run(config: &Config, env: &Env, run_id: &str) -> Result<Rejects> {
        let path = Some(file_of(&env.state_dir()?, run_id));
        let copy = config.rejects.file.clone();
        Ok(Rejects { path, copy, may_miss: false, of_run: true, ..Rejects::new(config, env, run_id) })
    }

    /// Creates the rejects of a run that is continued, which may turn out to be those of another source: in a file beside
    /// the run's own, until [`Rejects::belong_to`] is called.
    ///
    /// # Errors
    /// As [`Rejects::of_run`].
    pub(crate) fn aside(config: &Config, env: &Env, run_id: &str) -> Result<Rejects> {
        Ok(Rejects { aside: true, ..Rejects::of_run(config, env, &aside_name(run_id))? })
    }

    /// Refuses to overwrite the source: the corrected reject file of an earlier run may be the source.
    ///
    /// # Errors
    /// `Usage`.
    pub(crate) fn spare(&self, config: &Config, source: &OpenSource) -> Result<()> {
        let over = [&self.path, &self.copy].into_iter().flatten().find(|path| source.is_at(path));
        let Some(path) = over else { return Ok(()) };
        let shown = path.display();
        let said = if config.rejects.file.is_some() { "rejects.file: " } else { "the path of the reject file: " };
        Err(match source.inputs() {
            [_] => Error::usage(format!("{said}{shown} is the source itself, and would be replaced"))
                .with_hint("copy the corrected rows to another file and use that as source.path"),
            _ => Error::usage(format!("{said}{shown} is among the files of source.path"))
                .with_hint("move it out of source.path, or choose another rejects.file"),
        })
    }

    /// Whether the rejected rows are written to `path`.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.path.as_deref().is_some_and(|own| same_place(own, path))
    }

    /// Prepares for the first row. Removes the file of an earlier run or command; the copy stays until there is a new
    /// one.
    ///
    /// # Errors
    /// `Usage`: another file exists there. `Local`: it cannot be removed.
    pub(crate) fn open(&mut self, table: &Table) -> Result<()> {
        self.open_for(table.tabular().shared_columns().clone())?;
        let of_run = self.of_run;
        if let Some(file) = self.file.take_if(|_| of_run) {
            match file.with_source_rows(table.tabular()) {
                Ok(file) => self.file = Some(file),
                Err(error) => self.miss(error)?,
            }
        }
        Ok(())
    }

    fn open_for(&mut self, columns: Arc<[String]>) -> Result<()> {
        if let Some(copy) = &self.copy {
            body::inspect_target(copy)?;
        }
        let Some(path) = &self.path else { return Ok(()) };
        match RejectFile::new(path, columns) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.miss(error)?,
        }
        Ok(())
    }

    /// Opens the run's file for [`Rejects::unplaced`]. `kept_bytes`: length of the rows that are in it already.
    ///
    /// # Errors
    /// As [`Rejects::open`].
    pub(crate) fn open_unplaced(&mut self, kept_bytes: u64) -> Result<()> {
        match &self.path {
            // they may have been deleted since (state.keep_rejects)
            Some(path) if kept_bytes > 0 && path.exists() => self.file = Some(RejectFile::reopen(path, kept_bytes)?),
            _ => self.open_for(Arc::default())?,
        }
        Ok(())
    }

    /// Ends the pass, however it ended.
    ///
    /// # Errors
    /// `Local`: the rows cannot be written.
    pub(crate) fn close(&mut self, report: &mut Report) -> Result<()> {
        report.first_rejects = std::mem::take(&mut self.first);
        if let Some(counts) = self.so_far.take() {
            report.count(&counts);
        }
        self.keep(report)
    }

    /// Assigns the rows to another run than the one that was drawn.
    ///
    /// # Errors
    /// `Local`: the file cannot be renamed.
    pub(crate) fn belong_to(&mut self, state_dir: &Path, run_id: &str, report: &mut Report) -> Result<()> {
        let path = file_of(state_dir, run_id);
        if let Some(file) = &mut self.file {
            file.rename(&path)?;
        }
        self.path = Some(path);
        if std::mem::take(&mut self.aside) {
            return self.publish(report);
        }
        let own = self.file.as_ref().and_then(RejectFile::path);
        report.rejects_file = own.map(|own| self.copy.as_deref().unwrap_or(own).to_owned());
        Ok(())
    }

    /// Removes the file, because its run does not start. The user's copy stays.
    pub(crate) fn discard(self) {
        if let Some(file) = self.file {
            file.discard();
        }
    }

    /// Adds a row that the platform refused and that is no longer in the source.
    ///
    /// # Errors
    /// `Local`.
    pub(crate) fn unplaced(&mut self, reason: &str) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.unplaced(reason))
    }

    /// Adds a row that the platform refused; call [`Rejects::keep`] after the last.
    ///
    /// # Errors
    /// `Local`.
    pub(crate) fn platform(&mut self, row: &Written<'_>, message: &str) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.platform(row, message))
    }

    /// Syncs the file and copies it to where the user wants it.
    ///
    /// # Errors
    /// `Local`.
    pub(crate) fn keep(&mut self, report: &mut Report) -> Result<()> {
        if let Some(Err(error)) = self.file.as_mut().map(RejectFile::flush) {
            self.miss(error)?;
        }
        if let Some(text) = self.missed.take() {
            report.warn(Warning::new(WarningKind::Note, text));
        }
        self.publish(report)
    }

    /// Copies the file to where the user wants it, and puts its path into the report.
    fn publish(&self, report: &mut Report) -> Result<()> {
        let own = self.file.as_ref().and_then(RejectFile::path);
        let copy = self.copy.as_deref().filter(|_| !self.aside);
        if let Some(copy) = copy {
            publish(own, copy)?;
        }
        report.rejects_file = own.map(|own| copy.unwrap_or(own).to_owned());
        Ok(())
    }

    /// Counts rows without writing them from now on, if that is allowed.
    fn miss(&mut self, error: Error) -> Result<()> {
        if !self.may_miss || error.kind() != Kind::Local {
            return Err(error);
        }
        let text = format!("the rejected rows are only counted: {error}");
        tracing::warn!("{text}");
        self.missed = Some(text);
        self.file = None;
        Ok(())
    }
}

/// Returns the cell at fault, or the whole record if there is none.
fn value(reject: &Reject<'_>) -> String {
    let cells = reject.error.column.and_then(|column| Some((reject.source.cells()?, column)));
    let cell = cells.and_then(|(mut cells, column)| cells.nth(column));
    let bytes = cell.map_or_else(|| reject.source.text(), Cell::into_value);
    String::from_utf8_lossy(&bytes).into_owned()
}

impl RejectSink for Rejects {
    fn reject(&mut self, reject: &Reject<'_>) -> Result<()> {
        if self.first.len() < 3 {
            let source = &reject.source;
            let place = Place {
                file: Some(source.file.to_owned()),
                record: Some(source.record),
                line: source.line,
                byte: source.byte,
                row: source.place(),
                column: reject.column.map(str::to_owned),
                ..Place::default()
            };
            let value = match self.show_values {
                true => format!(" (value: {})", shown(&value(reject))),
                false => String::new(),
            };
            self.first.push(format!("{place}: {} ({}){value}", reject.error.reason, reject.error.code));
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        match file.reject(reject) {
            Err(error) => self.miss(error),
            done => done,
        }
    }

    fn stopped(&mut self, so_far: &Counts) {
        self.so_far = Some(so_far.clone());
    }

    fn restart(&mut self) -> Result<()> {
        self.first.clear();
        self.file.as_mut().map_or(Ok(()), RejectFile::restart)
    }
}

/// Returns the paths of all files with rejected rows that a run may have in a state directory.
pub(crate) fn files_of(state_dir: &Path, run_id: &str) -> [PathBuf; 4] {
    let (own, aside) = (file_of(state_dir, run_id), file_of(state_dir, &aside_name(run_id)));
    let as_source = [body::as_source_path(&own), body::as_source_path(&aside)];
    let [own_rows, aside_rows] = as_source;
    [own, own_rows, aside, aside_rows]
}

/// Returns the name for rejected rows that may turn out not to be those of the run.
fn aside_name(run_id: &str) -> String {
    format!("{run_id}.again")
}

/// Returns the path for the rejected rows of a run or command in a state directory.
pub(crate) fn file_of(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join("rejects").join(format!("{}.csv", safe(name)))
}

/// Copies the file to where the user wants it; if there are no rows, removes that of an earlier run.
fn publish(own: Option<&Path>, to: &Path) -> Result<()> {
    let failed = |error| body::reject_file_failed(to, error);
    let existing = body::inspect_target(to)?;
    let Some(own) = own else {
        return if existing == Existing::RejectFile { std::fs::remove_file(to).map_err(failed) } else { Ok(()) };
    };
    let mut from = File::open(own).map_err(failed)?;
    if existing == Existing::Device {
        let copied = File::options().write(true).open(to).and_then(|mut to| std::io::copy(&mut from, &mut to));
        return copied.map(drop).map_err(failed);
    }
    if let Some(dir) = to.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        make_private_dir(dir)?;
    }
    let temporary = Temporary::private(to)?;
    std::io::copy(&mut from, &mut &temporary.file).map_err(failed)?;
    temporary.replace()
}

/// Whether two paths mean the same file, whether it exists or not.
pub(crate) fn same_place(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let path = std::path::absolute(path).ok()?;
            Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?))
        })
    };
    place(a).is_some_and(|a| place(b) == Some(a))
}

/// Formats a row value that is shown on request.
fn shown(value: &str) -> String {
    value.chars().take(32).collect::<String>().escape_debug().to_string()
}

/// Formats a name as part of a file name.
fn safe(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }).take(80).collect()
}
