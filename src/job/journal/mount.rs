//! Detects state on a network file system, whose locks are unreliable, so that two hosts could run the same job.

use crate::error::{Error, Kind, Result};
use std::path::{Path, PathBuf};

/// Network file systems, by their Linux names.
const REFUSED: &[&str] =
    &["nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs"];

/// File systems that may be shared between hosts.
const WARNED: &[&str] = &["9p", "virtiofs", "fuse"];

/// Refuses a state directory on a network file system; warns if it may be one.
///
/// # Errors
/// `Busy` (3).
pub(super) fn check(dir: &Path) -> Result<()> {
    // only Linux has this file; on other systems nothing is known
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else { return Ok(()) };
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    check_mounts(&dir, &mounts)
}

fn check_mounts(dir: &Path, mounts: &str) -> Result<()> {
    let Some(kind) = file_system(dir, mounts) else { return Ok(()) };
    let name = kind.split('.').next().unwrap_or(&kind);
    if REFUSED.contains(&name) || REFUSED.iter().any(|refused| kind == format!("fuse.{refused}")) {
        return Err(Error::new(
            Kind::Busy,
            format!("the state directory {} is on a network file system ({kind})", dir.display()),
        )
        .with_hint(
            "two hosts could run the same job there, and a list could be sent twice: give a directory on a local disk with \
             --state-dir",
        ));
    }
    if WARNED.contains(&name) {
        tracing::warn!(
            "the state directory {} is on {kind}: it must not be shared between hosts, or a list could be sent twice",
            dir.display()
        );
    }
    Ok(())
}

/// Returns the type of the file system of a directory, as mountinfo names it.
fn file_system(dir: &Path, mounts: &str) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let (Some(point), Some(kind)) = (before.split(' ').nth(4), after.split(' ').next()) else { continue };
        let point = unescaped(point);
        // of several mounts on the same point the last counts
        if dir.starts_with(&point) && best.is_none_or(|(length, _)| point.as_os_str().len() >= length) {
            best = Some((point.as_os_str().len(), kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

/// Decodes a mount point, in which blanks, tabs, line ends and backslashes are octal numbers.
fn unescaped(point: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    PathBuf::from(escapes.iter().fold(point.to_owned(), |text, (code, plain)| text.replace(code, plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 28 0:21 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:22 / /srv rw shared:2 - nfs4 filer:/srv rw
24 23 0:23 / /srv/local rw shared:3 - xfs /dev/vdb rw
25 22 0:24 / /mnt/with\\040blank rw - cifs //host/share rw
26 22 0:25 / /mnt/ssh rw - fuse.sshfs me@host: rw
27 22 0:26 / /mnt/gluster rw - fuse.glusterfs host:/v rw
28 22 0:27 / /mnt/nine rw - 9p share rw";

    #[test]
    fn story_23_a_state_on_a_network_file_system_is_refused() {
        for dir in ["/srv", "/srv/etl/state", "/mnt/with blank/state", "/mnt/gluster/x"] {
            let error = check_mounts(Path::new(dir), MOUNTS).expect_err(dir);
            assert_eq!(error.kind(), Kind::Busy, "{dir}");
            assert!(error.hint().is_some_and(|hint| hint.contains("--state-dir")), "{dir}");
        }
        for dir in ["/", "/var/lib", "/srv/local/state", "/srvx", "/mnt/nine/state", "/mnt/ssh/state"] {
            assert!(check_mounts(Path::new(dir), MOUNTS).is_ok(), "{dir}");
        }
    }
}
