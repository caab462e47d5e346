//! Asks for the verdict of an open run whose job or source has changed, and ends the run with it.

use super::Job;
use super::context::Context;
use super::journal::{JobLocks, RunRecord};
use super::named::without_source;
use super::open_run::Known;
use super::report::{Report, Status};
use crate::body::Measured;
use crate::calls::Policy;
use crate::error::{Error, Kind, Result};
use crate::warning::{Warning, WarningKind};
use serde_json::Value;
use std::time::Duration;

/// The result of waiting for the verdict.
pub(super) enum Settled {
    /// The run is closed, with a warning for the report of the new run if there is one.
    Ended(Option<Warning>),
    /// The run is unchanged.
    Not(Error),
}

impl Job {
    /// Waits at most `wait` for the verdict of what an open run has sent, and closes the run with it. `partly`: only
    /// its first parts were accepted, and the run is closed as superseded.
    ///
    /// # Errors
    /// `Busy`, `Local`: the state.
    pub(super) async fn settle(
        &self,
        ctx: &Context<'_>,
        record: &RunRecord,
        locks: &JobLocks,
        partly: bool,
    ) -> Result<Settled> {
        let known = Known::of(&ctx.state, record)?;
        let accepted = ctx.state.standing_of(record)?.accepted;
        let measured = match (&known, ctx.needs_source()) {
            (Some(known), _) => Some(Measured::recorded(known.manifest().first_parts(accepted.max(1)))),
            (None, false) => None,
            (None, true) => {
                let error = Error::new(Kind::Busy, format!("run {} has no record of what it sent", record.id));
                return Ok(Settled::Not(error.with_hint("close it with `listferry runs close`")));
            }
        };
        // if this command has a key, it is for the new list
        let run = self.take_over(ctx, record, locks.clone(), None)?;
        let mut report = Report::new("run");
        report.restore(record);
        self.describe(ctx.env, &mut report);
        report.run_id = Some(record.id.clone());
        report.started_at = Some(record.started);
        let policy = self.policy();
        // `wait: 0` asks once
        let policy = Policy { wait: policy.wait.max(Duration::from_millis(1)), ..policy };
        let remote = ctx.remote(&run, policy);
        let verdict = match self.deliver(ctx, measured.as_ref(), remote, (&mut report, &run)).await {
            Ok(verdict) => verdict,
            Err(error) => {
                run.leave()?;
                return Ok(Settled::Not(error));
            }
        };
        report.error = None;
        report.exit_code = 0;
        report.status = Some(Status::Done);
        let named = without_source(&self.config, ctx.env, &run, &mut report)?;
        self.conclude(&run, &ctx.prepared.plan, verdict, named, &mut report)?;
        self.account(&run, &mut report)?;
        if partly {
            // the run did not send all its parts, whatever the result of the first ones
            report.exit_code = record.exit_code.unwrap_or(Kind::Transient.exit_code());
            report.status = Some(Status::Partial);
        }
        report.hide(&ctx.env.taint);
        report.end(ctx.clock_now());
        report.peak_rss_bytes = (ctx.env.world.memory)();
        let warning = outcome(record, &report, partly, accepted);
        let spool = ctx.state.fact(record, "spool")?;
        run.settle(report.exit_code, partly, &report.to_json())?;
        self.config.forget_spool(ctx.env, &record.id, spool.as_ref().and_then(Value::as_str));
        Ok(Settled::Ended(warning))
    }
}

/// Returns the warning about the old run for the report of the new one.
fn outcome(record: &RunRecord, report: &Report, partly: bool, accepted: usize) -> Option<Warning> {
    let id = &record.id;
    if partly {
        let text =
            format!("run {id} is superseded: {accepted} of its parts had been accepted and stay with the platform");
        return Some(
            Warning::new(WarningKind::Superseded, text).with_hint(format!("`listferry runs {id}` shows them")),
        );
    }
    let error = report.error.as_ref()?;
    let text = format!("run {id} of this job ended with exit {}: {}", report.exit_code, error.message());
    Some(Warning::new(WarningKind::Superseded, text).with_hint(format!("`listferry runs {id}` has its report")))
}
