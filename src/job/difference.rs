//! Compares a job and its source with those of an open run, and determines whether that run can be resumed.

use super::Job;
use super::config::Config;
use super::context::Context;
use super::decide::{Change, Stand};
use super::draw::Draw;
use super::journal::{NOT_KEPT, RunRecord};
use super::measuring::Measuring;
use super::open_run::Known;
use super::standing_words::requested_at;
use crate::calls::utc;
use crate::error::Result;
use crate::origin::{Passes, REQUESTED};

/// Differences between the job and an open run.
pub(super) struct Difference {
    /// The changes in words; empty if there are none.
    pub(super) what: Vec<String>,
    pub(super) target: bool,
    pub(super) resumable: Resumable,
    /// Pass one, if the comparison needed it.
    pub(super) measuring: Option<Measuring>,
}

/// Whether `resume` can continue a run that `run` does not continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resumable {
    /// Possible now.
    Now,
    /// Possible once the job file is as it was.
    WithOldJob,
    /// Possible once the source is as it was.
    WithOldSource,
    /// Impossible: not enough of the run was kept.
    Never,
}

impl Difference {
    pub(super) fn change(&self) -> Change {
        match (self.target, self.what.is_empty()) {
            (true, _) => Change::Target,
            (false, true) => Change::None,
            (false, false) => Change::Some,
        }
    }
}

impl Job {
    /// Compares the job and its source with those of a recorded run.
    pub(super) async fn difference(
        &self,
        ctx: &Context<'_>,
        draw: &Draw,
        record: &RunRecord,
        stand: Stand,
    ) -> Result<Difference> {
        let intent = &ctx.intent;
        let other_day = intent.dated && record.date != draw.date;
        let target = match &record.target {
            Some(target) => *target != intent.target_on(&draw.date),
            // 0.1.0 did not record the target; account and target are those of the job as written
            None => other_day && intent.target_on(&draw.date) != intent.target_on(&record.date),
        };
        let mut what = record.differences(intent);
        if target {
            what.push("the name of the target has changed".to_owned());
        } else if other_day {
            what.push("{date} means another day".to_owned());
        }
        let mut resumable = if record.fits(intent) { Resumable::Now } else { Resumable::WithOldJob };
        if ctx.state.fact(record, NOT_KEPT)?.is_some() {
            what.push("listferry 0.1.0, which ran it, kept nothing to continue it with".to_owned());
            resumable = Resumable::Never;
        }
        let doubt = stand == Stand::InDoubt && !intent.effect.looked_up;
        if !what.is_empty() || doubt || !ctx.needs_source() {
            return Ok(Difference { what, target, resumable, measuring: None });
        }
        let measuring = self.source_difference(ctx, draw, record, stand, &mut what).await?;
        let is_export = ctx.origin.as_ref().is_some_and(|origin| origin.as_export().is_some());
        let needs_it = !is_export && !self.needs_no_source(ctx, stand);
        if !what.is_empty() && needs_it && ctx.state.fact(record, "spool")?.is_none() {
            resumable = Resumable::WithOldSource;
        }
        Ok(Difference { what, target, resumable, measuring })
    }

    /// Adds to `what` if the source has changed. Returns pass one if the comparison needed it.
    async fn source_difference(
        &self,
        ctx: &Context<'_>,
        draw: &Draw,
        record: &RunRecord,
        stand: Stand,
        what: &mut Vec<String>,
    ) -> Result<Option<Measuring>> {
        let Some(origin) = &ctx.origin else { return Ok(None) };
        if let Some(export) = origin.as_export() {
            let requested = ctx.state.fact(record, REQUESTED)?;
            let (wait, setting) = export.wait();
            let requested = requested.as_ref().and_then(requested_at).unwrap_or(record.started);
            let age = ctx.clock_now().duration_since(requested).unwrap_or_default();
            if age > wait && !self.needs_no_source(ctx, stand) {
                what.push(format!("the export was requested at {}, longer ago than {setting}", utc(requested)));
            }
            return Ok(None);
        }
        let Some(known) = Known::of(&ctx.state, record)? else { return Ok(None) };
        if !origin.is_stream() {
            let opening = self.config.opening(ctx.env, Passes::Several, None, || Ok(ctx.client.clone()));
            match origin.stamp(&opening).await {
                Ok(stamp) if stamp.is_some() && stamp == record.source => return Ok(None),
                Ok(_) => {}
                // a source that no longer exists counts as unchanged if the run does not need it
                Err(_) if self.needs_no_source(ctx, stand) || self.all_bodies_sent(ctx, record, &known)? => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        let split = Config::split(&ctx.prepared.plan.limits);
        let measuring = self.measure_anew(ctx, &draw.id, &split).await?;
        let same = measuring.measured.as_ref().is_ok_and(|measured| known.is(measured.manifest()));
        if !same {
            what.push("the source has changed".to_owned());
        }
        Ok(Some(measuring))
    }

    /// Returns true if the platform has the bodies of all parts, and only small calls remain.
    fn all_bodies_sent(&self, ctx: &Context<'_>, record: &RunRecord, known: &Known) -> Result<bool> {
        for part in &known.manifest().parts {
            let Some(call) = ctx.prepared.plan.body_call(part.index) else { return Ok(false) };
            if ctx.state.step_result(record, &call.name)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn needs_no_source(&self, ctx: &Context<'_>, stand: Stand) -> bool {
        match stand {
            Stand::Delivered => true,
            Stand::Fetched => ctx.prepared.plan.needs_wait.is_none(),
            _ => false,
        }
    }
}
