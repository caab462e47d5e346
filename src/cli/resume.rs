//! `listferry resume`.

use super::session::Session;
use clap::{Args, ValueEnum};
use listferry::job::Assume;
use listferry::job::Job;
use listferry::{Error, Result};
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Resume {
    /// Run id, job file (its last run) or `last`
    run: String,
    /// Whether to assume that a call without a response was done by the platform, or that it was not
    #[arg(long, value_enum)]
    assume: Option<Assumed>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Assumed {
    Done,
    Repeat,
}

impl Resume {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let mut env = session.env_of_run();
        env.writes_report = true;
        let record = listferry::job::state(&env)?.find(&self.run)?;
        let file = record.job_file.clone().ok_or_else(|| {
            Error::usage(format!("run {} was not started from a job file", record.id))
                .with_hint("resume it from the program that started it")
        })?;
        let job = Job::open_with(&file, &session.sets(&record.overrides, &[]))?;
        let assume = self.assume.map(|assumed| match assumed {
            Assumed::Done => Assume::Done,
            Assumed::Repeat => Assume::Repeat,
        });
        let report = session.runtime.block_on(job.resume(&env, &record, assume));
        Ok(session.report_run(report))
    }
}
