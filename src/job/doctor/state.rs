//! The state directory and its disk, looked at without creating anything.

use super::finding::Finding;
use super::local::Local;
use crate::error::{Error, Kind, Result};
use crate::job::journal::{self, State};
use crate::job::text::grouped;
use std::path::Path;

/// Checks the state directory, the space for copies, and whether the job is known from another file.
pub(super) fn check(local: &mut Local<'_>) {
    let dir = match local.env.state_dir() {
        Ok(dir) => dir,
        Err(error) => {
            local.found.push(Finding::fail("state directory", &error));
            local.found.push(Finding::skipped("free space", "no state directory is known"));
            return;
        }
    };
    let finding = match examine(local, &dir) {
        Ok(message) => Finding::ok("state directory", message),
        Err(error) => Finding::fail("state directory", &error),
    };
    local.found.push(finding);
    let elsewhere = other_file(local, &dir);
    local.found.extend(elsewhere);
    let room = room(local);
    local.found.push(room);
}

fn examine(local: &Local<'_>, dir: &Path) -> Result<String> {
    let shown = dir.display();
    let not_writable = |path: &Path| {
        Error::new(
            Kind::Busy,
            format!("the state directory {shown} cannot be written: this user may not write to {}", path.display()),
        )
        .with_hint("give it to this user, or choose another with --state-dir")
    };
    if !dir.exists() {
        if local.job.config.state.require {
            let message = format!("the state directory {shown} has no state yet, and state.require is true");
            return Err(Error::new(Kind::Busy, message).with_hint(
                "mount the directory of the earlier runs, or create a new state with `listferry runs init`",
            ));
        }
        let parent = dir.ancestors().skip(1).find(|path| path.exists()).unwrap_or(Path::new("/"));
        if !parent.is_dir() || !may_write(parent) {
            return Err(not_writable(parent));
        }
        return Ok(format!("{shown} will be created by the first run"));
    }
    if !dir.is_dir() {
        let message = format!("the state directory {shown} is not a directory");
        return Err(Error::new(Kind::Busy, message).with_hint("choose another with --state-dir"));
    }
    if !may_write(dir) {
        return Err(not_writable(dir));
    }
    let has_state = journal::examine(dir, local.intent.as_ref().map(|intent| intent.key.as_str()))?;
    if !has_state && local.job.config.state.require {
        let message = format!("the state directory {shown} has no state yet, and state.require is true");
        return Err(Error::new(Kind::Busy, message).with_hint("create it with `listferry runs init`"));
    }
    Ok(match has_state {
        true => format!("{shown} is writable, and this job is not running"),
        false => format!("{shown} is writable, and has no runs yet"),
    })
}

/// Warns if the last run of the job was recorded for another job file that still exists and differs.
fn other_file(local: &Local<'_>, dir: &Path) -> Option<Finding> {
    let intent = local.intent.as_ref()?;
    let state = State::open_to_read(dir).ok()??;
    let (here, there) = (intent.job_file.as_ref()?, state.last_delivered_run_of(intent).ok()??.job_file?);
    let differ = here != &there && std::fs::read(here).ok()? != std::fs::read(&there).ok()?;
    differ.then(|| {
        let message = format!("the last run of this job was recorded for {}, which differs", there.display());
        Finding::warn(
            "state directory",
            message,
            "two job files have the same name, account and target: rename or delete one",
        )
    })
}

/// Checks that there is room for a copy of the source, if a run makes one.
fn room(local: &Local<'_>) -> Finding {
    const CHECK: &str = "free space";
    let config = &local.job.config;
    let by_origin = local.origin.as_ref().is_some_and(|origin| origin.is_stream() || origin.as_export().is_some());
    let once = local.source.as_ref().is_some_and(|source| source.inputs().iter().any(crate::source::Input::is_once));
    if !by_origin && !once {
        return Finding::ok(CHECK, "no copy of the source is needed");
    }
    let Ok(dir) = config.spool_dir(local.env) else { return Finding::skipped(CHECK, "no state directory is known") };
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let Some(free) = free_bytes(there) else {
        return Finding::warn(
            CHECK,
            "the free space is not known on this system",
            "a copy of the source needs as much as the source",
        );
    };
    let known = local.source.as_ref().map(|source| source.stored_bytes()).filter(|bytes| *bytes > 0);
    let needed = known.unwrap_or(config.spool.max_bytes);
    let (free_shown, needed_shown) = (grouped(free), grouped(needed));
    let at = dir.display();
    match (free >= needed, known) {
        (true, _) => {
            Finding::ok(CHECK, format!("{free_shown} bytes for a copy of the source of at most {needed_shown} in {at}"))
        }
        (false, Some(_)) => {
            let message = format!("a copy of the source needs {needed_shown} bytes, and {at} has {free_shown}");
            let error = Error::new(Kind::Local, message).with_hint("make room, or set spool.dir");
            Finding::fail(CHECK, &error)
        }
        (false, None) => {
            let message = format!("{at} has {free_shown} bytes, and a copy may need up to spool.max, {needed_shown}");
            Finding::warn(CHECK, message, "make room, set spool.dir, or lower spool.max")
        }
    }
}

#[cfg(unix)]
fn may_write(dir: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn may_write(dir: &Path) -> bool {
    std::fs::metadata(dir).is_ok_and(|meta| !meta.permissions().readonly())
}

#[cfg(unix)]
fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}
