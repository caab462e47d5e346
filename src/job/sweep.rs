//! Deletes files of the state directory whose time has passed: rejected rows, copies of streams, and what killed runs
//! left.
//!
//! A file of a recorded run is deleted when the time has passed that the run recorded (`state.keep_rejects`,
//! `state.keep_spool`), and never while its job runs. Any other file must have a name of ours and be old: nothing else
//! shows that it is unused. (A copy in progress is written all the time, and `check` and `convert`, which have no
//! record, do not read for a week.) `spool.dir` may be shared with other state directories, whose runs are unknown here,
//! so that only copies of recorded runs are deleted there.

use super::journal::{JobLocks, REJECTS_UNTIL, RunRecord, SPOOL_UNTIL, State};
use super::rejects::{file_of, files_of};
use serde_json::Value;
use std::collections::HashSet;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Minimum time since the last write to a copy that no run has recorded.
const LEFT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Minimum time since the last write to rejected rows that no ended run has recorded.
const REJECTS_LEFT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// Files that were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl Swept {
    /// Deletes a file, if it exists.
    pub(super) fn remove(&mut self, path: &Path) {
        let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
        if std::fs::remove_file(path).is_ok() {
            self.files += 1;
            self.bytes += bytes;
        }
    }
}

/// Sweeps the directory. `own`: name and `state.keep_rejects` of the job that is about to run. Files that cannot be
/// examined or removed stay.
pub(super) fn sweep(state: &State, now: SystemTime, own: Option<(&str, Duration)>) -> Swept {
    let mut swept = Swept::default();
    expired_rejects(state, now, &mut swept);
    expired_spools(state, now, &mut swept);
    left_rejects(state, now, own, &mut swept);
    left_spools(state, now, &mut swept);
    swept
}

/// Calls `each` with the runs whose time in a fact has passed and whose jobs do not run; they cannot start meanwhile.
fn due(state: &State, fact: &str, now: SystemTime, mut each: impl FnMut(&RunRecord)) {
    let mut after = 0;
    while let Ok(Some(record)) = state.next_due(fact, after, now) {
        after = record.seq();
        if let Ok(_locks) = JobLocks::take(state.dir(), &[record.job_key()]) {
            each(&record);
        }
    }
}

fn expired_rejects(state: &State, now: SystemTime, swept: &mut Swept) {
    due(state, REJECTS_UNTIL, now, |record| {
        // the user's own copy (rejects.file) stays
        files_of(state.dir(), &record.id).iter().for_each(|path| swept.remove(path));
        // if this is not recorded, the next sweep finds no files
        let _ = state.rejects_expired(record);
        tracing::debug!(run = record.id, "its rejected rows are deleted: state.keep_rejects has passed");
    });
}

fn expired_spools(state: &State, now: SystemTime, swept: &mut Swept) {
    due(state, SPOOL_UNTIL, now, |record| {
        let Ok(Some(Value::String(path))) = state.fact(record, "spool") else { return };
        // first the record: a run must not begin with a copy that is gone
        if state.spool_expired(record).is_ok() {
            swept.remove(Path::new(&path));
            tracing::warn!(
                run = record.id,
                "the copy of its list is deleted: state.keep_spool has passed, and the run is still open"
            );
        }
    });
}

fn left_rejects(state: &State, now: SystemTime, own: Option<(&str, Duration)>, swept: &mut Swept) {
    let files = |name: &str| ["check", "convert"].map(|command| file_of(state.dir(), &format!("{name}.{command}")));
    let own = own.map(|(name, keep)| (files(name), keep));
    for entry in entries(state, "rejects") {
        let path = entry.path();
        let ending = path.extension().and_then(std::ffi::OsStr::to_str);
        let keep = match &own {
            Some((own, keep)) if own.contains(&path) => *keep,
            _ => REJECTS_LEFT_FOR,
        };
        if matches!(ending, Some("csv" | "rows")) && is_older(&entry, now, keep) && !is_of_run(state, &path) {
            swept.remove(&path);
        }
    }
}

/// Returns true if rejected rows belong to a run that is running or has its own time.
fn is_of_run(state: &State, path: &Path) -> bool {
    let Some(id) = path.file_stem().and_then(std::ffi::OsStr::to_str) else { return true };
    match state.run_of_id(id) {
        Ok(None) => false,
        Ok(Some(record)) => record.running || !matches!(state.fact(&record, REJECTS_UNTIL), Ok(None)),
        Err(_) => true,
    }
}

fn left_spools(state: &State, now: SystemTime, swept: &mut Swept) {
    let Ok(kept) = state.facts("spool") else { return };
    let kept: HashSet<_> =
        kept.iter().filter_map(|path| Path::new(path.as_str()?).file_name().map(std::ffi::OsStr::to_owned)).collect();
    for entry in entries(state, "spool") {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let ours = text.starts_with("spool-") || (text.starts_with('.') && text.ends_with(".part"));
        if ours && is_older(&entry, now, LEFT_FOR) && !kept.contains(&name) {
            swept.remove(&entry.path());
            tracing::info!("removed {}, which was left by a killed run", entry.path().display());
        }
    }
}

fn entries(state: &State, folder: &str) -> impl Iterator<Item = DirEntry> {
    std::fs::read_dir(state.dir().join(folder)).into_iter().flatten().flatten()
}

fn is_older(entry: &DirEntry, now: SystemTime, than: Duration) -> bool {
    entry.metadata().is_ok_and(|meta| {
        let age = meta.modified().ok().and_then(|at| now.duration_since(at).ok());
        meta.is_file() && age.is_some_and(|age| age > than)
    })
}

/// The contents of a state directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateSize {
    /// Number of recorded runs.
    pub runs: u64,
    /// Bytes of the record itself.
    pub record_bytes: u64,
    /// Bytes of rejected rows.
    pub rejects_bytes: u64,
    /// Bytes of copies of streams, without those in a `spool.dir` elsewhere.
    pub spool_bytes: u64,
}

impl State {
    /// Returns what the state directory contains.
    ///
    /// # Errors
    /// `Busy`: it cannot be read.
    pub fn size(&self) -> crate::error::Result<StateSize> {
        let of_file = |path: PathBuf| std::fs::metadata(path).map_or(0, |meta| meta.len());
        let of = |folder: &str| entries(self, folder).map(|entry| of_file(entry.path())).sum::<u64>();
        Ok(StateSize {
            runs: self.count_runs()?,
            record_bytes: of_file(self.dir().join("state.db")) + of("refused"),
            rejects_bytes: of("rejects"),
            spool_bytes: of("spool"),
        })
    }
}
