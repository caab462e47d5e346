//! `listferry test`.

use super::output;
use super::session::Session;
use clap::Args;
use listferry::job::{ExampleResult, Job};
use listferry::{Error, Kind, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Test {
    /// Job files [default: those in this directory that have tests]
    jobs: Vec<PathBuf>,
}

impl Test {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let files = if self.jobs.is_empty() { here()? } else { self.jobs };
        let mut jobs = Vec::new();
        for file in files {
            let job = session.open(&file, &[])?;
            let results = job.test(&session.env())?;
            jobs.push((file, results));
        }
        let failed = jobs.iter().flat_map(|(_, results)| results).filter(|result| !result.passed()).count();
        let all: usize = jobs.iter().map(|(_, results)| results.len()).sum();
        let error = (failed > 0).then(|| {
            Error::data(format!("{failed} of {all} test{} failed", if all == 1 { "" } else { "s" }))
                .with_hint("correct the map, or what its tests expect")
        });
        if session.json() {
            output::stdout(&format!("{}\n", output::json(&object(&jobs, error.as_ref()))))?;
        } else {
            for (file, results) in &jobs {
                output::stdout(&text(file, results))?;
            }
            if let Some(error) = error {
                return Err(error);
            }
        }
        Ok(ExitCode::from(if failed > 0 { Kind::Data.exit_code() } else { 0 }))
    }
}

/// Returns the job files in this directory that have tests.
fn here() -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io("the current directory cannot be read", error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(".").map_err(failed)? {
        let name = PathBuf::from(entry.map_err(failed)?.file_name());
        let is_yaml = name.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && Job::has_tests(&name) {
            found.push(name);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(Error::usage("no job file in this directory has tests")
            .with_hint("name the job file; its tests are listed under the key tests"));
    }
    Ok(found)
}

fn object(jobs: &[(PathBuf, Vec<ExampleResult>)], error: Option<&Error>) -> Value {
    let jobs: Vec<Value> = jobs
        .iter()
        .map(|(file, results)| {
            let tests: Vec<Value> = results.iter().map(ExampleResult::to_json).collect();
            json!({ "job_file": file.to_string_lossy(), "tests": tests })
        })
        .collect();
    let shown =
        error.map(|error| json!({ "kind": error.kind().name(), "message": error.message(), "hint": error.hint() }));
    json!({
        "command": "test",
        "status": if error.is_some() { "rejected" } else { "done" },
        "exit_code": error.map_or(0, |error| error.kind().exit_code()),
        "jobs": jobs, "error": shown, "errors": [],
    })
}

fn text(file: &Path, results: &[ExampleResult]) -> String {
    let shown = file.display();
    let mut out = String::new();
    for result in results.iter().filter(|result| !result.passed()) {
        let line = result.line.map(|line| format!(":{line}")).unwrap_or_default();
        out.push_str(&format!("{shown}{line}: tests[{}] failed\n{}", result.index, result.diff()));
    }
    let failed = results.iter().filter(|result| !result.passed()).count();
    let all = results.len();
    let s = if all == 1 { "" } else { "s" };
    out.push_str(&match (all, failed) {
        (0, _) => format!("{shown}: no tests\n"),
        (_, 0) => format!("{shown}: {all} test{s} passed\n"),
        _ => format!("{shown}: {failed} of {all} test{s} failed\n"),
    });
    out
}
