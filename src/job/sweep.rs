//! What killed runs left half written in the state's spool directory.
//!
//! Removed is only what certainly nobody uses: a file of ours by its name, that no recorded run names as its spool, and
//! that nobody has written to for a week (one that is being filled is written to all the time; `check` and `convert`,
//! which keep no record, do not read for so long). `spool.dir` may be shared with other state directories, whose runs
//! are not known here: nothing is removed there.

use super::journal::State;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

/// Untouched for so long.
const LEFT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Sweeps; what cannot be looked at or removed stays.
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
        let ours = text.starts_with("spool-") || (text.starts_with(".apsis.") && text.ends_with(".part"));
        let left = entry.metadata().is_ok_and(|meta| {
            let age = meta.modified().ok().and_then(|at| now.duration_since(at).ok());
            meta.is_file() && age.is_some_and(|age| age > LEFT_FOR)
        });
        if ours && left && !kept.contains(&name) && std::fs::remove_file(entry.path()).is_ok() {
            tracing::info!("removed {}, which a killed run left behind", entry.path().display());
        }
    }
}
