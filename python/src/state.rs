//! The runs of the state directory.

use crate::errors::raised;
use crate::job::{NativeJob, Options};
use listferry::job::journal::RunFilter;
use listferry::job::{RejectForm, state};
use listferry::{Error, Job};
use pyo3::prelude::*;
use std::fs::File;
use std::path::PathBuf;

/// Returns the reports of past runs, oldest first.
#[pyfunction]
pub(crate) fn runs(
    py: Python<'_>,
    options: Options,
    job: Option<String>,
    status: Option<String>,
    limit: Option<u64>,
) -> PyResult<Vec<String>> {
    let env = options.env();
    let mut filter = RunFilter::default();
    (filter.job, filter.status, filter.limit) = (job, status, limit);
    let mut found = Vec::new();
    let listed = py.detach(|| {
        state(&env)?.runs_matching(&filter, &mut |record| {
            found.push(record.to_report().to_string());
            Ok(())
        })
    });
    raised(py, listed)?;
    Ok(found)
}

/// Returns the job of a recorded run, read from its job file.
#[pyfunction]
pub(crate) fn job_of(py: Python<'_>, options: Options, run: &str) -> PyResult<NativeJob> {
    let env = options.env();
    let job = py.detach(|| {
        let record = state(&env)?.find(run)?;
        let file = record.job_file.as_ref().ok_or_else(|| {
            Error::usage(format!("run {} was not started from a job file", record.id))
                .with_hint("resume it with the job that started it: job.resume(run)")
        })?;
        Job::open_with(file, &record.overrides)
    });
    raised(py, job).map(NativeJob)
}

/// Writes the rejected rows of a run to a file, as CSV; nothing if there are none.
#[pyfunction]
pub(crate) fn copy_rejects(py: Python<'_>, options: Options, run: &str, path: PathBuf) -> PyResult<()> {
    let env = options.env();
    let copied = py.detach(|| {
        let failed = |error| Error::io(format!("{} cannot be written", path.display()), error);
        let mut out = File::create(&path).map_err(failed)?;
        state(&env)?.find(run)?.copy_rejects(RejectForm::Csv, &mut out).map(drop)
    });
    raised(py, copied)
}
