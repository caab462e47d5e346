//! How a job and its source differ from those of an open run, and whether that run can be resumed all the same.

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

/// How the job differs from an open run.
pub(super) struct Difference {
    /// In words: what has changed. Empty: nothing.
    pub(super) what: Vec<String>,
    pub(super) target: bool,
    pub(super) resumable: Resumable,
    /// Pass one, if it was needed to compare.
    pub(super) measuring: Option<Measuring>,
}

/// Whether `resume` continues a run that `run` does not continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resumable {
    /// As things are.
    Now,
    /// If the job file says again what it said.
    WithOldJob,
    /// If the source is again what it was.
    WithOldSource,
    /// Never: too little was kept of it.
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
    /// How the job and its source differ from those of a recorded run.
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
            // 0.1.0 did not record it; account and target as written are those of the job
            None => other_day && intent.target_on(&draw.date) != intent.target_on(&record.date),
        };
        let mut what = record.differences(intent);
        if target {
            what.push("the name of the target, filled in, is another one".to_owned());
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
        let needs_it = self.config.source.apsis.is_none() && !self.needs_no_source(ctx, stand);
        if !what.is_empty() && needs_it && ctx.state.fact(record, "spool")?.is_none() {
            resumable = Resumable::WithOldSource;
        }
        Ok(Difference { what, target, resumable, measuring })
    }

    /// Adds to `what` if the source is another one; pass one, if only that could say.
    async fn source_difference(
        &self,
        ctx: &Context<'_>,
        draw: &Draw,
        record: &RunRecord,
        stand: Stand,
        what: &mut Vec<String>,
    ) -> Result<Option<Measuring>> {
        let config = &self.config;
        if config.source.apsis.is_some() {
            let requested = ctx.state.fact(record, super::apsis::REQUESTED)?;
            let requested = requested.as_ref().and_then(requested_at).unwrap_or(record.started);
            let age = ctx.clock_now().duration_since(requested).unwrap_or_default();
            if age > config.apsis_wait() && !self.needs_no_source(ctx, stand) {
                what.push(format!("the export was requested at {}, longer ago than source.apsis.wait", utc(requested)));
            }
            return Ok(None);
        }
        let Some(known) = Known::of(&ctx.state, record)? else { return Ok(None) };
        if !config.is_stream() {
            match config.stamp() {
                Ok(stamp) if stamp.is_some() && stamp == record.source => return Ok(None),
                Ok(_) => {}
                // A source that is gone counts as unchanged if the run needs it no more.
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

    /// Returns true if the platform has the body of every part, and only small calls are left.
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
