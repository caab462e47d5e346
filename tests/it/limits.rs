//! Limits of a process and full or read-only disks cause a clear error with its exit code, never a signal or a panic.

use super::cli::{Bed, CLEVERTAP};
use std::process::{Command, Output};

/// Runs `listferry` in a shell that first sets a limit.
fn limited(bed: &Bed, limit: &str, arguments: &str) -> Output {
    let script = format!("{limit}; exec {} {arguments}", env!("CARGO_BIN_EXE_listferry"));
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(bed.path("")).env("LISTFERRY_STATE_DIR", bed.path("state"));
    command.env("CT_ACCOUNT", "a").env("CT_PASSCODE", "p").output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn bed(rows: usize) -> Bed {
    let rows: String = (0..rows).map(|n| format!("{n},{}\n", "x".repeat(20))).collect();
    Bed::new(
        &format!("{CLEVERTAP}  base_url: http://127.0.0.1:1\nupload: {{ attempts: 1 }}\n"),
        format!("id,n\n{rows}"),
    )
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_signal() {
    let bed = bed(5000);
    std::fs::write(bed.path("out.csv"), "old").unwrap();
    // blocks of 512 bytes or of 1,024
    let output = limited(&bed, "ulimit -f 8", "convert job.yaml -o out.csv");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("File too large"), "{}", said(&output));
    assert_eq!(std::fs::read(bed.path("out.csv")).unwrap(), b"old");
    // the state does not fit, so nothing is sent and nothing is in doubt
    for limit in ["ulimit -f 0", "ulimit -f 8"] {
        let output = limited(&bed, limit, "run job.yaml");
        assert_eq!(output.status.code(), Some(1), "{limit}: {}", said(&output));
        assert!(said(&output).contains("hint"), "{}", said(&output));
    }
    let output = limited(&bed, "ulimit -f 8", "run job.yaml --set source.path=- < list.csv");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    // without the limit the same run continues normally
    assert_eq!(limited(&bed, "true", "run job.yaml").status.code(), Some(20));
}

#[test]
fn a_limit_on_open_files_is_an_error_and_no_panic() {
    let bed = bed(10);
    let mut works = 0;
    for files in (4..40).step_by(3) {
        let output = limited(&bed, &format!("ulimit -n {files}"), "check job.yaml --threads 3");
        let code = output.status.code();
        works += u32::from(code == Some(0));
        assert!(code == Some(0) || (code == Some(1) && said(&output).contains("ulimit")), "{files}: {}", said(&output));
    }
    assert!(works > 3, "with 30 it works");
}

/// Runs a script with a copy of the binary as a user without root's privileges.
#[cfg(target_os = "linux")]
fn unprivileged(bed: &Bed, script: &str) -> Option<Output> {
    use std::os::unix::fs::PermissionsExt as _;
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout != b"0\n" || Command::new("setpriv").arg("--version").output().is_err() {
        return None;
    }
    std::fs::copy(env!("CARGO_BIN_EXE_listferry"), bed.path("binary")).unwrap();
    for path in [bed.path(""), bed.path("binary")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    // a user of its own, so that no other process counts
    let user = 61_000 + std::process::id() % 4000;
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups", "bash", "-c", script]);
    Some(command.current_dir(bed.path("")).output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_threads_is_an_error_or_fewer_of_them() {
    let bed = bed(10);
    let mut codes = Vec::new();
    for threads in 1..9 {
        let script = format!("ulimit -u {threads}; exec ./binary check job.yaml --threads 4 --state-dir /nowhere");
        let Some(output) = unprivileged(&bed, &script) else { return };
        let code = output.status.code();
        assert!(
            code == Some(0) || (code == Some(1) && said(&output).contains("ulimit")),
            "{threads}: {}",
            said(&output)
        );
        codes.push(code);
    }
    assert_eq!(codes.last(), Some(&Some(0)));
    assert!(codes.contains(&Some(1)), "the limit was not applied");
}

#[cfg(target_os = "linux")]
#[test]
fn runs_and_rejects_are_read_where_nothing_can_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = Bed::new(&format!("{CLEVERTAP}  base_url: http://127.0.0.1:1\n"), "id\n1\n\"\"\n");
    assert_eq!(limited(&bed, "true", "run job.yaml").status.code(), Some(10));
    let open = |path: std::path::PathBuf| {
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for entry in
        std::fs::read_dir(bed.path("state/rejects")).unwrap().chain(std::fs::read_dir(bed.path("state")).unwrap())
    {
        open(entry.unwrap().path());
    }
    open(bed.path("state"));
    for (command, want) in [("runs", "REJECTED"), ("runs last", "1 rejected"), ("rejects last", ",local,list.csv,2,3,")]
    {
        let Some(output) = unprivileged(&bed, &format!("exec ./binary {command} --state-dir state")) else { return };
        assert_eq!(output.status.code(), Some(0), "{command}: {}", said(&output));
        assert!(said(&output).contains(want), "{command}: {}", said(&output));
    }
}
