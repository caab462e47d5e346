//! Faults of a job file: each with its place, all of them at once, no secret in any. `tests/it/job_errors.yaml` has
//! the wrong job files; `›` precedes each place that must be reported. `job_errors.txt` is what the user reads; rewrite
//! it with `UPDATE_JOB_ERRORS=1` and read the difference.

use listferry::job::Job;
use std::fmt::Write;
use std::path::Path;

const CASES: &str = include_str!("job_errors.yaml");
const MARK: char = '›';
/// Occurs only as the value of secrets.
const SECRET: &str = "hunter2";

/// Returns the text without marks, and line and character of each mark, from 1.
fn unmarked(text: &str) -> (String, Vec<(u64, u64)>) {
    let mut places = Vec::new();
    let lines = text.lines().enumerate().map(|(i, line)| {
        let mut plain = String::new();
        for c in line.chars() {
            match c {
                MARK => places.push((i as u64 + 1, plain.chars().count() as u64 + 1)),
                c => plain.push(c),
            }
        }
        plain
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    (text, places)
}

/// Returns what `check` says, and the places it names.
fn errors(text: &str, folder: &Path) -> (String, Vec<(u64, u64)>) {
    let file = folder.join("job.yaml");
    std::fs::write(&file, text).expect("written");
    let error = match Job::open(&file) {
        Ok(job) => job.check(&crate::job_file::env_in(folder)).into_result().expect_err(text),
        Err(error) => error,
    };
    let (mut said, mut places) = (String::new(), Vec::new());
    for error in error.all() {
        let shown = error.to_string().replace(&format!("{}/", folder.display()), "");
        let _ = writeln!(said, "error: {shown}");
        for line in error.excerpt().unwrap_or_default().lines() {
            let _ = writeln!(said, "  {line}");
        }
        if let Some(hint) = error.hint() {
            let _ = writeln!(said, "  hint: {hint}");
        }
        places.extend(error.place().line.zip(error.place().character));
    }
    (said, places)
}

#[test]
fn wrong_job_files_are_explained_with_every_place() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("people.csv"), "customer_id,email,plan,plan\n1,a@example.com,vip,x\n")
        .expect("written");
    let (mut whole, mut wrong) = (String::new(), String::new());
    for case in CASES.split("---\n").skip(1) {
        let (text, want) = unmarked(case);
        let (said, places) = errors(&text, dir.path());
        if places != want {
            let _ = write!(wrong, "{text}\n{said}{places:?} instead of {want:?}\n\n");
        }
        assert!(!said.contains(SECRET), "{said}");
        let _ = writeln!(whole, "{said}---");
    }
    assert!(wrong.is_empty(), "{wrong}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/job_errors.txt");
    if std::env::var_os("UPDATE_JOB_ERRORS").is_some() {
        std::fs::write(&golden, &whole).expect("written");
    }
    let stored = std::fs::read_to_string(&golden).expect("job_errors.txt");
    for (said, stored) in whole.split("---\n").zip(stored.split("---\n")) {
        assert_eq!(said, stored);
    }
    assert_eq!(whole.len(), stored.len());
}
