//! `{ command: [...] }`: a secret that is printed by a program.

use crate::calls::{Clock as _, SystemClock, pause};
use crate::error::{Error, Result};
use crate::secret::printable;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Maximum time that a command may take.
const MAX_TIME: Duration = Duration::from_secs(30);

/// Maximum size of a secret.
const MAX_BYTES: u64 = 64 << 10;

/// Interval between two checks whether the command has ended.
const PAUSE: Duration = Duration::from_millis(10);

const BY_HAND: &str = "run it by hand to see why: its output is not shown here, since it may contain the secret";

/// Runs a command without a shell and returns what it has written to its standard output. `at` is the path of the
/// secret's key; `folder` is the one that relative paths are relative to.
///
/// # Errors
/// `Usage`: the command cannot be started, fails, takes too long or prints too much or something that is not UTF-8. The
/// message contains nothing of its output.
pub(super) fn output_of(words: &[String], folder: &Path, at: &str) -> Result<String> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| Error::usage(format!("{at}.command must be a list of texts")))?;
    let shown = format!("{at}: the command {}", printable(program));
    let mut child = Command::new(located(program, folder))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            Error::usage(format!("{shown} cannot be started: {error}"))
                .with_source(error)
                .with_hint("no shell is used: the first text is the program, the others are its arguments")
        })?;
    let ended = wait(&mut child);
    if ended.is_err() {
        // a program that has ended cannot be killed, and need not be
        let _ = child.kill();
        let _ = child.wait();
    }
    let (bytes, status) = ended.map_err(|why| Error::usage(format!("{shown} {why}")).with_hint(BY_HAND))?;
    if !status.success() {
        return Err(Error::usage(format!("{shown} failed: {}", in_words(status))).with_hint(BY_HAND));
    }
    String::from_utf8(bytes).map_err(|_| Error::usage(format!("{shown} did not print UTF-8")).with_hint(BY_HAND))
}

/// Returns the output of a command and how it ended, or why it has to be stopped.
fn wait(child: &mut Child) -> std::result::Result<(Vec<u8>, ExitStatus), String> {
    let late = || format!("did not end within {} s", MAX_TIME.as_secs());
    let began = SystemClock.elapsed();
    let mut out = child.stdout.take().ok_or_else(|| "has no output".to_owned())?.take(MAX_BYTES + 1);
    // a process that outlives the command may keep the pipe open, so the reader is not joined
    let (tx, rx) = mpsc::channel();
    std::thread::Builder::new()
        .name("listferry-secret".to_owned())
        .spawn(move || {
            let mut bytes = Vec::new();
            let read = out.read_to_end(&mut bytes).map(|_| bytes);
            // the receiver is gone if the command took too long
            let _ = tx.send(read);
        })
        .map_err(|error| format!("cannot be read: {error}"))?;
    let bytes = rx.recv_timeout(MAX_TIME).map_err(|_| late())?.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("printed more than {MAX_BYTES} bytes"));
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok((bytes, status)),
            Ok(None) if SystemClock.elapsed().saturating_sub(began) < MAX_TIME => pause(PAUSE),
            Ok(None) => return Err(late()),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// Returns the program: a relative path is relative to the job file, and a bare name is searched in `PATH`.
fn located(program: &str, folder: &Path) -> PathBuf {
    let path = Path::new(program);
    match path.is_relative() && path.components().count() > 1 {
        true => folder.join(path),
        false => path.to_owned(),
    }
}

fn in_words(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("stopped by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => "it gave no exit code".to_owned(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        output_of(&words, Path::new(""), "destination.passcode")
    }

    #[test]
    fn the_output_is_the_secret_and_no_shell_reads_the_words() {
        assert_eq!(run(&["printf", "%s", "$HOME; a  b"]).unwrap(), "$HOME; a  b");
        assert_eq!(run(&["echo", "tok"]).unwrap(), "tok\n");
    }

    #[test]
    fn a_failure_names_the_exit_code_and_shows_no_output() {
        let error = run(&["sh", "-c", "echo hunter2; echo hunter2 >&2; exit 7"]).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Usage);
        assert_eq!(error.message(), "destination.passcode: the command sh failed: exit code 7");
        assert!(!format!("{error:?}").contains("hunter2"));
        let error = run(&["sh", "-c", "kill -9 $$"]).unwrap_err();
        assert!(error.message().ends_with("failed: stopped by signal 9"), "{error}");
        let error = run(&["/nothing/here"]).unwrap_err();
        assert!(
            error.message().starts_with("destination.passcode: the command /nothing/here cannot be started"),
            "{error}"
        );
    }

    #[test]
    fn output_that_is_too_long_or_not_text_is_refused() {
        for (words, said) in [
            (["sh", "-c", "head -c 65537 /dev/zero"], "printed more than 65536 bytes"),
            (["sh", "-c", "yes"], "printed more than 65536 bytes"),
            (["printf", "a\\377", ""], "did not print UTF-8"),
        ] {
            let error = run(&words).unwrap_err();
            assert!(error.message().ends_with(said), "{error}");
        }
    }

    #[test]
    fn a_program_beside_the_job_file_is_found() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        let script = dir.path().join("bin/secret");
        std::fs::write(&script, "#!/bin/sh\nprintf %s \"$1\"\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let words = ["bin/secret".to_owned(), "tok".to_owned()];
        assert_eq!(output_of(&words, dir.path(), "a").unwrap(), "tok");
    }
}
