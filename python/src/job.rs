//! A job.

use crate::command::{self, reported};
use crate::errors::raised;
use crate::source::{self, Raised};
use listferry::job::{Assume, PreviewRow, Report, state};
use listferry::{Env, Error, Job};
use pyo3::prelude::*;
use std::path::PathBuf;

/// The options of a command.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    state_dir: Option<PathBuf>,
    threads: Option<usize>,
    show_values: bool,
    once: Option<String>,
    new: Option<String>,
    sandbox: bool,
}

impl Options {
    pub(crate) fn env(self) -> Env {
        let mut env = Env::default();
        env.state_dir = self.state_dir;
        if let Some(threads) = self.threads {
            env.options.threads = threads.max(1);
        }
        (env.show_values, env.once, env.new_run, env.sandbox) = (self.show_values, self.once, self.new, self.sandbox);
        env
    }
}

/// A job, read and validated.
#[pyclass(module = "listferry._listferry", frozen)]
pub(crate) struct NativeJob(pub(crate) Job);

impl NativeJob {
    fn given(&self, source: Option<&Bound<'_, PyAny>>, raised_here: &Raised) -> PyResult<Job> {
        match source {
            None => Ok(self.0.clone()),
            Some(object) => {
                let source = source::of(object, raised_here)?;
                raised(object.py(), self.0.clone().with_source(source))
            }
        }
    }

    fn command(
        &self,
        source: Option<&Bound<'_, PyAny>>,
        options: Options,
        progress: Option<&Bound<'_, PyAny>>,
        py: Python<'_>,
        run: impl FnOnce(&Job, &Env) -> Report + Send + 'static,
    ) -> PyResult<String> {
        let raised = Raised::default();
        let (job, env) = (self.given(source, &raised)?, options.env());
        let report = command::run(py, &env, progress, &raised, move |env| run(&job, env))?;
        reported(py, report)
    }
}

#[pymethods]
impl NativeJob {
    /// Reads a job file.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf, overrides: Vec<String>) -> PyResult<NativeJob> {
        raised(py, Job::open_with(path, &overrides)).map(NativeJob)
    }

    /// Reads a job from JSON.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str, folder: PathBuf, overrides: Vec<String>) -> PyResult<NativeJob> {
        let tree = serde_json::from_str(text).map_err(|error| Error::usage(format!("the job is not JSON: {error}")));
        let job = tree.and_then(|tree| Job::from_value(&tree, &folder, &overrides));
        raised(py, job).map(NativeJob)
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn platform(&self) -> Option<&str> {
        self.0.platform()
    }

    fn check(
        &self,
        py: Python<'_>,
        source: Option<&Bound<'_, PyAny>>,
        options: Options,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        self.command(source, options, progress, py, |job, env| job.check(env))
    }

    fn run(
        &self,
        py: Python<'_>,
        source: Option<&Bound<'_, PyAny>>,
        options: Options,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        self.command(source, options, progress, py, |job, env| job.run_blocking(env))
    }

    fn convert(
        &self,
        py: Python<'_>,
        target: PathBuf,
        source: Option<&Bound<'_, PyAny>>,
        options: Options,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        self.command(source, options, progress, py, move |job, env| job.convert_to_file(env, &target))
    }

    fn resume(
        &self,
        py: Python<'_>,
        run: &str,
        assume: Option<&str>,
        options: Options,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let assume = match assume {
            None => None,
            Some("done") => Some(Assume::Done),
            Some("repeat") => Some(Assume::Repeat),
            Some(_) => return raised(py, Err(Error::usage("assume must be \"done\" or \"repeat\""))),
        };
        let (job, env, run) = (self.0.clone(), options.env(), run.to_owned());
        let resume = move |env: &Env| match state(env).and_then(|state| state.find(&run)) {
            Ok(record) => job.resume_blocking(env, &record, assume),
            Err(error) => Report::failed("resume", error),
        };
        let report = command::run(py, &env, progress, &Raised::default(), resume)?;
        reported(py, report)
    }

    fn preview(
        &self,
        py: Python<'_>,
        rows: usize,
        source: Option<&Bound<'_, PyAny>>,
        options: Options,
    ) -> PyResult<Vec<String>> {
        let raised_here = Raised::default();
        let (job, env) = (self.given(source, &raised_here)?, options.env());
        let rows = command::run(py, &env, None, &raised_here, move |env| job.preview(env, rows))?;
        Ok(raised(py, rows)?.iter().map(|row: &PreviewRow| row.to_json().to_string()).collect())
    }
}
