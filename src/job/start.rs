//! Chooses the run that a command works on: a new one, an open one, or none.

use super::Job;
use super::context::Context;
use super::decide::{self, Change, Next, Stand};
use super::difference::{Difference, Resumable};
use super::draw::Draw;
use super::journal::{ClosedAs, JobLocks, NOT_KEPT, Run, RunRecord};
use super::measuring::Measuring;
use super::open_run::{Known, stand};
use super::settle::Settled;
use super::standing_words::{
    blocked, check_named, continued_anyway, in_doubt, overtaken, requested_at, resume_hint, words,
};
use super::text::{listed, plural};
use crate::body::Split;
use crate::calls::utc;
use crate::error::{Error, Kind, Result};
use crate::origin::REQUESTED;
use crate::warning::{Warning, WarningKind};
use serde_json::Value;

/// The decision on the run that a command works on.
pub(super) enum Start {
    /// Work on this run.
    Go(Box<Go>),
    /// No run: the report of an earlier run is the result.
    Stored(Box<RunRecord>),
    /// No run: this open run is in the way.
    Stop(Box<RunRecord>, Error),
}

/// The run that a command works on.
pub(super) struct Go {
    pub(super) run: Run,
    /// Results of its pass one in an earlier process.
    pub(super) known: Option<Known>,
    /// Pass one, if it was needed to decide.
    pub(super) measuring: Option<Measuring>,
    /// Warnings for the report of this run.
    pub(super) warnings: Vec<Warning>,
    /// The open run that is abandoned once pass one has succeeded (`--new`), and a warning about what it left.
    pub(super) abandons: Option<(RunRecord, Option<Warning>)>,
}

impl Job {
    /// Chooses the run of `run`.
    ///
    /// # Errors
    /// `Busy`, `Usage`, `Local`; errors of polling an earlier run's verdict.
    pub(super) async fn start(&self, ctx: &Context<'_>) -> Result<Start> {
        let plan = ctx.env.plan.as_ref();
        let draw = Draw::new(&ctx.env.world, &self.config.timezone)?.on(plan.map(|plan| plan.date()));
        let locks = ctx.lock(None)?;
        self.close_unstarted(ctx)?;
        if let Some(start) = self.start_once(ctx, &locks)? {
            return Ok(start);
        }
        let open = ctx.state.open_run_of(&ctx.intent, &draw.date)?;
        if let Some(id) = &ctx.env.new_run {
            check_named(open.as_ref(), id)?;
        }
        let Some(record) = open else { return self.start_unblocked(ctx, &draw, locks).await };
        let stand = stand(&ctx.state, &record, ctx.needs_source())?;
        let difference = self.difference(ctx, &draw, &record, stand).await?;
        let next = decide::next(stand, difference.change());
        if ctx.env.new_run.is_some() {
            return self.start_in_place_of(ctx, &draw, record, locks, (next, difference)).await;
        }
        match next {
            Next::Continue => self.take_up(ctx, &record, locks, stand, difference.measuring),
            Next::Doubt if ctx.intent.effect.looked_up => self.look_up(ctx, &draw, record, locks, difference).await,
            Next::Doubt => Ok(Start::Stop(Box::new(record.clone()), in_doubt(&record, &ctx.state.doubts(&record)?))),
            Next::Supersede => {
                let left = self.left_behind(ctx, &record, &locks)?;
                self.close_superseded(ctx, &record, true)?;
                let what = listed(&difference.what);
                ctx.announce(&format!(
                    "starting a new run: run {} is superseded, nothing of it was accepted ({what})",
                    record.id
                ));
                let text = format!("run {} is superseded: nothing of it was accepted, and {what}", record.id);
                let mut warnings = vec![Warning::new(WarningKind::Superseded, text)];
                warnings.extend(left);
                self.fresh(ctx, &draw, locks, difference.measuring, warnings).await
            }
            Next::StartBeside => {
                ctx.state.leave_listed(&record)?;
                let text = format!("run {} stays open: {}", record.id, words(stand));
                ctx.announce(&format!("starting a new run for another target; {text}"));
                let warning = Warning::new(WarningKind::Superseded, text).with_hint(resume_hint(&record, stand));
                self.fresh(ctx, &draw, locks, difference.measuring, vec![warning]).await
            }
            Next::Block => {
                let error = blocked(&record, stand, &difference.what, difference.resumable, None);
                self.drop_measuring(ctx, difference.measuring);
                Ok(Start::Stop(Box::new(record), error))
            }
            next @ (Next::AwaitVerdict | Next::AwaitParts | Next::AwaitTicket) => {
                let what = listed(&difference.what);
                ctx.announce(&format!("asking for the verdict of run {} first ({what})", record.id));
                self.settle_first(ctx, &draw, record, locks, (next, difference)).await
            }
        }
    }

    /// Continues a run in doubt whose platform can be asked if nothing has changed. Otherwise asks the platform first;
    /// the run ends with 21 only if the platform does not know either.
    async fn look_up(
        &self,
        ctx: &Context<'_>,
        draw: &Draw,
        record: RunRecord,
        locks: JobLocks,
        difference: Difference,
    ) -> Result<Start> {
        if difference.change() == Change::None {
            return self.take_up(ctx, &record, locks, Stand::InDoubt, difference.measuring);
        }
        ctx.announce(&format!("asking whether run {} was accepted first ({})", record.id, listed(&difference.what)));
        self.settle_first(ctx, draw, record, locks, (Next::AwaitVerdict, difference)).await
    }

    /// Polls the verdict of an open run, then starts a new run if the verdict is known or not needed.
    async fn settle_first(
        &self,
        ctx: &Context<'_>,
        draw: &Draw,
        record: RunRecord,
        locks: JobLocks,
        (next, difference): (Next, Difference),
    ) -> Result<Start> {
        let warning = match self.settle(ctx, &record, &locks, next == Next::AwaitParts).await? {
            Settled::Ended(warning) => warning,
            Settled::Not(error) => match self.unsettled(ctx, &record, next, error, &difference)? {
                Ok(warning) => Some(warning),
                Err(error) => {
                    self.drop_measuring(ctx, difference.measuring);
                    return Ok(Start::Stop(Box::new(record), error));
                }
            },
        };
        self.fresh(ctx, draw, locks, difference.measuring, warning.into_iter().collect()).await
    }

    /// Handles an open run whose verdict, or whose parts' verdict, is not known: returns a warning for the new run, or
    /// the error that ends the command.
    fn unsettled(
        &self,
        ctx: &Context<'_>,
        record: &RunRecord,
        next: Next,
        error: Error,
        difference: &Difference,
    ) -> Result<Result<Warning, Error>> {
        let id = &record.id;
        let pending = error.kind() == Kind::Pending;
        match next {
            Next::AwaitTicket if pending => {
                let until = ctx.asked_until(record)?;
                Ok(Err(blocked(record, Stand::Fetched, &difference.what, difference.resumable, until)))
            }
            Next::AwaitParts if pending => Ok(Err(Error::new(
                Kind::Transient,
                format!("the accepted parts of run {id} are not final yet: {}", error.message()),
            )
            .with_hint("nothing was sent; run the job again later, or raise `wait`"))),
            Next::AwaitVerdict if pending => {
                let before = record.effect.clone();
                let overtakes = before.is_none_or(|effect| effect.may_overtake(&ctx.intent.effect));
                if overtakes {
                    return Ok(Err(overtaken(id)));
                }
                self.close_superseded(ctx, record, false)?;
                ctx.announce(&format!("starting a new run: run {id} is superseded without its verdict"));
                let text = format!("run {id} is superseded: it was accepted, but has no verdict yet");
                let hint = format!("listferry resume {id} still asks for it");
                Ok(Ok(Warning::new(WarningKind::Superseded, text).with_hint(hint)))
            }
            _ => Ok(Err(error)),
        }
    }

    /// Starts a new run, because no open one is in the way, unless the last run ended without its report being stored.
    async fn start_unblocked(&self, ctx: &Context<'_>, draw: &Draw, locks: JobLocks) -> Result<Start> {
        let last = ctx.state.last_delivered_run_of(&ctx.intent)?;
        let Some(last) = last.filter(|last| !last.reported) else {
            return self.fresh(ctx, draw, locks, None, Vec::new()).await;
        };
        let difference = self.difference(ctx, draw, &last, Stand::Delivered).await?;
        let how = format!("run {} ended with {} (exit {})", last.id, last.status(), last.exit_code.unwrap_or(0));
        if difference.change() == Change::None {
            self.drop_measuring(ctx, difference.measuring);
            ctx.announce(&format!("{how}, and its report was not written: here it is, nothing is sent"));
            return Ok(Start::Stored(Box::new(last)));
        }
        ctx.state.reported(&last.id)?;
        ctx.announce(&format!("starting a new run; {how}, but its report could not be written"));
        self.fresh(ctx, draw, locks, difference.measuring, Vec::new()).await
    }

    /// Returns the run with the key of `--once` if all its parts were accepted.
    fn start_once(&self, ctx: &Context<'_>, locks: &JobLocks) -> Result<Option<Start>> {
        let Some(once) = &ctx.intent.once else { return Ok(None) };
        let Some(record) = ctx.state.run_of_once(&ctx.intent, once)? else { return Ok(None) };
        if record.ended_delivered() {
            ctx.announce(&format!(
                "run {} has sent this list under the same --once key: here is its report",
                record.id
            ));
            return Ok(Some(Start::Stored(Box::new(record))));
        }
        if !record.is_open() {
            return Ok(None);
        }
        let stand = stand(&ctx.state, &record, ctx.needs_source())?;
        match stand {
            Stand::Delivered | Stand::Fetched => self.take_up(ctx, &record, locks.clone(), stand, None).map(Some),
            _ => Ok(None),
        }
    }

    /// Continues an open run.
    pub(super) fn take_up(
        &self,
        ctx: &Context<'_>,
        record: &RunRecord,
        locks: JobLocks,
        stand: Stand,
        measuring: Option<Measuring>,
    ) -> Result<Start> {
        let known = Known::of(&ctx.state, record)?;
        let parts = known.as_ref().map_or(0, |known| known.manifest().parts.len());
        let accepted = ctx.state.standing_of(record)?.accepted;
        let requested = ctx.state.fact(record, REQUESTED)?.as_ref().and_then(requested_at);
        let how = match stand {
            Stand::Nothing if requested.is_some() => {
                format!("waiting for the export that was requested at {}", utc(requested.unwrap_or(record.started)))
            }
            Stand::Delivered | Stand::Fetched => "waiting for its verdict".to_owned(),
            _ => format!("{accepted} of {parts} part{} accepted before", plural(parts as u64)),
        };
        let moved = record.job_file.as_ref().filter(|file| ctx.intent.job_file.as_ref() != Some(file));
        let moved = moved.map(|file| format!(", recorded for {}", file.display())).unwrap_or_default();
        let own = ctx.intent.job_file.as_ref().filter(|_| !moved.is_empty());
        let own = own.map(|file| format!(" and now run from {}", file.display())).unwrap_or_default();
        ctx.announce(&format!("continuing run {}{moved}{own}: {how}", record.id));
        let run = self.take_over(ctx, record, locks, ctx.intent.once.as_deref())?;
        let measuring = match measuring {
            Some(measuring) => Some(self.hand_over(ctx, &run, measuring)?),
            None => None,
        };
        Ok(Start::Go(Box::new(Go { run, known, measuring, warnings: Vec::new(), abandons: None })))
    }

    /// Reopens a recorded run. `once`: the key for its list from now on.
    pub(super) fn take_over(
        &self,
        ctx: &Context<'_>,
        record: &RunRecord,
        locks: JobLocks,
        once: Option<&str>,
    ) -> Result<Run> {
        ctx.state.reopen(record, &ctx.intent, once)?;
        Ok(Run::new(&ctx.state, record, false, locks))
    }

    /// Reuses pass one of the discarded new run for the run that is continued.
    fn hand_over(&self, ctx: &Context<'_>, run: &Run, mut measuring: Measuring) -> Result<Measuring> {
        use crate::calls::Journal as _;
        measuring.rejects.belong_to(&ctx.env.state_dir()?, run.id(), &mut measuring.found)?;
        if let Some(spool) = &measuring.spool {
            let before = run.load("spool")?;
            self.keep_spool(ctx, run, spool)?;
            if let Some(before) = before.as_ref().and_then(Value::as_str) {
                let _ = std::fs::remove_file(before);
            }
        }
        Ok(measuring)
    }

    /// Starts a new run, possibly after its pass one. First polls the verdicts of ended runs of the job that its
    /// imports could disturb.
    pub(super) async fn fresh(
        &self,
        ctx: &Context<'_>,
        draw: &Draw,
        locks: JobLocks,
        measuring: Option<Measuring>,
        mut warnings: Vec<Warning>,
    ) -> Result<Start> {
        use crate::calls::Journal as _;
        if let Some((record, error)) = self.settle_earlier(ctx, &locks, &mut warnings).await? {
            self.drop_measuring(ctx, measuring);
            return Ok(Start::Stop(Box::new(record), error));
        }
        let record = ctx.state.insert(&ctx.intent, &draw.new_run())?;
        let run = Run::new(&ctx.state, &record, true, locks);
        if let Some(spool) = measuring.as_ref().and_then(|measuring| measuring.spool.as_ref()) {
            self.keep_spool(ctx, &run, spool)?;
        }
        if let Some(export) = ctx.origin.as_ref().and_then(|origin| origin.as_export())
            && let Some(requested) = ctx.state.inherit(&ctx.intent, REQUESTED, &record)?
        {
            let at = requested_at(&requested).unwrap_or(record.started);
            let age = ctx.clock_now().duration_since(at).unwrap_or_default();
            if age > export.wait().0 {
                run.store(REQUESTED, &Value::Null)?;
            } else {
                ctx.announce(&format!("starting a new run with the export that was requested at {}", utc(at)));
            }
        }
        Ok(Start::Go(Box::new(Go { run, known: None, measuring, warnings, abandons: None })))
    }

    /// Closes an open run because a new one replaces it. `forget`: it can no longer be polled.
    pub(super) fn close_superseded(&self, ctx: &Context<'_>, record: &RunRecord, forget: bool) -> Result<()> {
        let spool = ctx.state.fact(record, "spool")?;
        ctx.state.close(record, ClosedAs::Superseded, forget)?;
        if forget {
            self.config.forget_spool(ctx.env, &record.id, spool.as_ref().and_then(Value::as_str));
        }
        Ok(())
    }

    /// Closes runs of the job that were killed before a call that may have had an effect; deletes their copies of
    /// streams, which nothing needs.
    fn close_unstarted(&self, ctx: &Context<'_>) -> Result<()> {
        while let Some(record) = ctx.state.unstarted_run_of(&ctx.intent)? {
            let spool = ctx.state.fact(&record, "spool")?;
            ctx.state.close_unstarted(&record)?;
            self.config.forget_spool(ctx.env, &record.id, spool.as_ref().and_then(Value::as_str));
        }
        Ok(())
    }

    /// `--new RUN`: starts a new run, and abandons the open one before the first call.
    async fn start_in_place_of(
        &self,
        ctx: &Context<'_>,
        draw: &Draw,
        record: RunRecord,
        locks: JobLocks,
        (next, difference): (Next, Difference),
    ) -> Result<Start> {
        if next == Next::Continue {
            self.drop_measuring(ctx, difference.measuring);
            return Err(continued_anyway(&record));
        }
        let file = record.job_file.as_ref().map(|file| format!(" of {}", file.display())).unwrap_or_default();
        ctx.announce(&format!(
            "starting a new run: run {}{file} is abandoned as soon as the new list has been validated",
            record.id
        ));
        let left = self.left_behind(ctx, &record, &locks)?;
        let mut start = self.fresh(ctx, draw, locks, difference.measuring, Vec::new()).await?;
        if let Start::Go(go) = &mut start {
            go.abandons = Some((record, left));
        }
        Ok(start)
    }

    /// Abandons the run that this one replaces.
    pub(super) fn abandon(&self, ctx: &Context<'_>, record: &RunRecord) -> Result<()> {
        let spool = ctx.state.fact(record, "spool")?;
        ctx.state.close(record, ClosedAs::Abandoned, true)?;
        self.config.forget_spool(ctx.env, &record.id, spool.as_ref().and_then(Value::as_str));
        Ok(())
    }

    /// Returns a warning about objects that a run without an accepted part left with the platform.
    fn left_behind(&self, ctx: &Context<'_>, record: &RunRecord, locks: &JobLocks) -> Result<Option<Warning>> {
        if ctx.state.standing_of(record)?.accepted > 0 {
            return Ok(None);
        }
        let run = Run::new(&ctx.state, record, false, locks.clone());
        ctx.prepared.platform.left_behind(run.seed(), &run)
    }

    /// Deletes what pass one of a run left that does not start.
    fn drop_measuring(&self, ctx: &Context<'_>, measuring: Option<Measuring>) {
        let Some(measuring) = measuring else { return };
        measuring.rejects.discard();
        if let Some(spool) = &measuring.spool {
            self.config.forget_spool(ctx.env, "", Some(&spool.to_string_lossy()));
        }
    }

    /// Chooses the run of `resume`: the given one, or the error why it cannot be resumed.
    ///
    /// # Errors
    /// Those of [`Job::start`]; `Busy`: the run belongs to another job.
    pub(super) async fn start_resumed(&self, ctx: &Context<'_>, record: &RunRecord) -> Result<Start> {
        if record.closed && record.closed_as.is_none() {
            return Ok(ended(ctx, record.clone()));
        }
        if record.closed_as == Some(ClosedAs::Abandoned) {
            let error = Error::usage(format!("run {} was abandoned: it is not continued", record.id))
                .with_hint("`listferry runs` lists the runs that came after it");
            return Ok(Start::Stop(Box::new(record.clone()), error));
        }
        if !record.is_of(&ctx.intent) {
            return Err(Error::new(
                Kind::Busy,
                format!("run {} belongs to another job than the job file now describes", record.id),
            )
            .with_hint(
                "name (or path), platform, base_url, account and target must be those of the run; a secret that was given \
                 with --set is not kept and has to be given again",
            ));
        }
        let locks = ctx.lock(Some(record))?;
        // the process that held the lock may have completed the run
        let Some(record) = ctx.state.run_of_id(&record.id)? else {
            return Err(Error::new(Kind::Busy, format!("run {} is gone", record.id)));
        };
        if record.closed && record.closed_as.is_none() {
            return Ok(ended(ctx, record));
        }
        if record.closed && !ctx.state.is_unsettled(&record)? {
            // the verdict has come meanwhile
            if matches!(record.exit_code, Some(0 | 11)) && record.report.is_some() {
                return Ok(Start::Stored(Box::new(record)));
            }
            let error = Error::usage(format!("run {} is superseded: a later run took its place", record.id))
                .with_hint("`listferry runs` lists the runs that came after it");
            return Ok(Start::Stop(Box::new(record), error));
        }
        let stand = stand(&ctx.state, &record, ctx.needs_source())?;
        if record.closed && stand != Stand::Delivered {
            let error = Error::usage(format!("run {} is superseded: a later run took its place", record.id))
                .with_hint("`listferry runs` lists the runs that came after it");
            return Ok(Start::Stop(Box::new(record), error));
        }
        if stand == Stand::InDoubt && ctx.assume.is_none() && !ctx.intent.effect.looked_up {
            return Ok(Start::Stop(Box::new(record.clone()), in_doubt(&record, &ctx.state.doubts(&record)?)));
        }
        if !record.is_open() && ctx.reads_stream() && ctx.state.fact(&record, "spool")?.is_none() {
            let error = Error::usage(format!(
                "run {} was stopped before its list, which came through a pipe, was kept whole",
                record.id
            ))
            .with_hint("nothing was sent: pipe the list into `run` again");
            return Ok(Start::Stop(Box::new(record), error));
        }
        let mut what = record.differences(&ctx.intent);
        if ctx.state.fact(&record, NOT_KEPT)?.is_some() {
            what.push("listferry 0.1.0, which ran it, kept nothing to continue it with".to_owned());
        }
        if !what.is_empty() {
            let kept = ctx.state.fact(&record, NOT_KEPT)?.is_none();
            let resumable = if kept { Resumable::WithOldJob } else { Resumable::Never };
            let error = blocked(&record, stand, &what, resumable, ctx.asked_until(&record)?);
            return Ok(Start::Stop(Box::new(record), error));
        }
        self.take_up(ctx, &record, locks, stand, None)
    }
}

/// Returns the report of a run that has ended; a run that was killed before its first call has none.
fn ended(ctx: &Context<'_>, record: RunRecord) -> Start {
    if record.report.is_some() {
        let ignored = if ctx.assume.is_some() { "; --assume has no effect" } else { "" };
        ctx.announce(&format!("run {} has ended: this is its report, nothing is sent{ignored}", record.id));
        return Start::Stored(Box::new(record));
    }
    let error = Error::usage(format!("run {} was stopped before anything was sent: nothing of it is left", record.id))
        .with_hint("run the job");
    Start::Stop(Box::new(record), error)
}

/// Returns how to cut the parts of a run if parts with `sent` bytes were accepted before.
pub(super) fn split_after(split: Split, sent: Vec<u64>) -> Split {
    let mut split = split;
    split.sent_part_bytes = sent;
    split
}
