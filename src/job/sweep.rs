//! Removes files that killed runs left in the state's spool directory.
//!
//! Removes only files that are certainly unused: files with a name of ours that no recorded run uses as its spool, and
//! that were not written for a week. (A copy in progress is written all the time, and `check` and `convert`, which have
//! no record, do not read for so long.) `spool.dir` may be shared with other state directories, whose runs are unknown
//! here, so nothing is removed there.

use super::journal::State;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

/// Minimum time since the last write.
const LEFT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Sweeps the directory. Files that cannot be examined or removed stay.
pub(super) fn sweep(state: &State, now: SystemTime) {
    let Ok(entries) = std::fs::read_dir(state.dir().join("spool")) else { return };
    let Ok(kept) = state.facts("spool") else { return };
    let kept: HashSet<_> = kept
        .iter()
        .filter_map(|path| std::path::Path::new(path.as_str()?).file_name().map(std::ffi::OsStr::to_owned))
        .collect();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let ours = text.starts_with("spool-") || (text.starts_with('.') && text.ends_with(".part"));
        let left = entry.metadata().is_ok_and(|meta| {
            let age = meta.modified().ok().and_then(|at| now.duration_since(at).ok());
            meta.is_file() && age.is_some_and(|age| age > LEFT_FOR)
        });
        if ours && left && !kept.contains(&name) && std::fs::remove_file(entry.path()).is_ok() {
            tracing::info!("removed {}, which was left by a killed run", entry.path().display());
        }
    }
}
