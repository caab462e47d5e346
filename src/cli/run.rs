//! `listferry run`.

use super::output::To;
use super::session::Session;
use clap::Args;
use listferry::job::RunPlan;
use listferry::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Args)]
pub(crate) struct Run {
    /// The job file
    job: PathBuf,
    /// Run the first pass only, like `check`
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Start a new run and abandon the open one with this id, which must be in the way, as soon as the new list has been
    /// validated
    #[arg(long, value_name = "RUN")]
    new: Option<String>,
    /// Send at most once under this key, typically the scheduler's run id: if every part of a run with the key has been
    /// accepted, print its report or wait for its verdict
    #[arg(long, value_name = "KEY")]
    once: Option<String>,
    /// Send exactly what the plan of `check --out` says, or nothing: ends with 10 if anything differs
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sandbox", "dry_run"])]
    plan: Option<PathBuf>,
    /// Run against the sandbox, in this process: no account, no network, no secrets, temporary state
    #[arg(long)]
    sandbox: bool,
    /// With --sandbox: inject a fault; `help` lists them
    #[arg(long, value_name = "NAME[=N]", value_delimiter = ',')]
    fault: Vec<String>,
}

impl Run {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        if super::sandbox::wants_list(&self.fault) {
            return super::sandbox::list();
        }
        if !self.fault.is_empty() && (self.dry_run || !self.sandbox) {
            return Err(Error::usage("--fault is for --sandbox alone")
                .with_hint("add --sandbox; nothing is injected into a run against the platform, nor into a check"));
        }
        if self.dry_run {
            let job = session.open(&self.job, &[])?;
            return Ok(session.report(job.check(&session.env()), To::Stdout));
        }
        if self.sandbox {
            return super::sandbox::run_job(session, &self.job, &self.fault);
        }
        let job = session.open(&self.job, &[])?;
        let mut env = session.env_of_run();
        env.new_run = self.new;
        env.once = self.once;
        env.plan = self.plan.as_deref().map(RunPlan::read).transpose()?.map(Arc::new);
        env.writes_report = true;
        let report = session.runtime.block_on(job.run(&env));
        Ok(session.report_run(report))
    }
}
