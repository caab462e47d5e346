//! Runs of a job that have ended although their imports were not final: superseded without a verdict, or not waited for
//! (`wait: 0`) while the platform fetches their file. A new run that could disturb them asks for their verdicts first.

use super::Job;
use super::context::Context;
use super::journal::{JobLocks, RunRecord};
use super::settle::Settled;
use super::standing_words::{fetched_still, overtaken};
use crate::calls::VERDICT_LIFE;
use crate::error::{Error, Kind, Result};
use crate::warning::Warning;
use std::time::SystemTime;

impl Context<'_> {
    /// Returns until when the verdict on what a run has sent last is polled.
    pub(super) fn asked_until(&self, record: &RunRecord) -> Result<Option<SystemTime>> {
        let parts = self.state.parts(record)?;
        let last = parts.iter().filter_map(|part| part.accepted_at).max();
        Ok(last.and_then(|at| at.checked_add(VERDICT_LIFE)))
    }
}

impl Job {
    /// Asks for the verdicts that a new run has to wait for. Returns the run that is not final yet, with the error that
    /// ends the command.
    ///
    /// # Errors
    /// `Busy`, `Local`: an error of the state.
    pub(super) async fn settle_earlier(
        &self,
        ctx: &Context<'_>,
        locks: &JobLocks,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<(RunRecord, Error)>> {
        for record in ctx.state.unsettled_runs_of(&ctx.intent)? {
            if ctx.asked_until(&record)?.is_none_or(|until| until <= ctx.clock_now()) {
                // polling is over, and the result stays unknown
                ctx.state.forget(&record)?;
                continue;
            }
            let fetched = record.effect.as_ref().is_some_and(|effect| effect.fetched);
            let overtakes = record.effect.as_ref().is_none_or(|effect| effect.may_overtake(&ctx.intent.effect));
            if !fetched && !overtakes {
                continue;
            }
            let why = if fetched { "its file may still be fetched" } else { "it has no verdict yet" };
            ctx.announce(&format!("asking for the verdict of run {} first ({why})", record.id));
            match self.settle(ctx, &record, locks, false).await? {
                Settled::Ended(warning) => warnings.extend(warning),
                Settled::Not(error) => {
                    let error = match error.kind() {
                        Kind::Pending if fetched => fetched_still(&record.id, ctx.asked_until(&record)?),
                        Kind::Pending => overtaken(&record.id),
                        _ => error,
                    };
                    return Ok(Some((record, error)));
                }
            }
        }
        Ok(None)
    }
}
