//! Finds the run that a command line refers to.

use super::journal::{RunRecord, State};
use crate::error::{Error, Result};
use std::path::Path;

impl State {
    /// Returns the run for RUN: `last`, a run's id, or a job file (its last run).
    ///
    /// # Errors
    /// `Usage`: there is no such run.
    pub fn find(&self, run: &str) -> Result<RunRecord> {
        if run == "last" {
            return self.last_run()?.ok_or_else(|| {
                Error::usage("there is no run yet")
                    .with_hint("`listferry run JOB` starts one; --state-dir selects another state directory")
            });
        }
        if let Some(record) = self.run_of_id(run)? {
            return Ok(record);
        }
        let path = Path::new(run);
        if path.exists() {
            return self.run_of_file(path)?.ok_or_else(|| {
                Error::usage(format!("{run} has not been run from this state directory"))
                    .with_hint("`listferry runs` lists the runs; --state-dir selects another state directory")
            });
        }
        Err(Error::usage(format!("{run} is neither a run nor a job file")).with_hint("`listferry runs` lists the runs"))
    }

    /// Returns the run of a job file: an open one, otherwise its last.
    fn run_of_file(&self, path: &Path) -> Result<Option<RunRecord>> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // 0.1.0 followed links
        let followed = path.canonicalize().unwrap_or_else(|_| absolute.clone());
        self.run_of_files(&[&absolute, &followed])
    }
}
