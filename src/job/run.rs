//! A whole run: pass one, delivery, verdict, report.

use super::Job;
use super::config::Config;
use super::context::Context;
use super::course::{Course, watched};
use super::delivered;
use super::env::{Env, Stage};
use super::html::HtmlOptions;
use super::journal::{Keep, REJECTS_UNTIL, Run, RunRecord};
use super::measuring::Measuring;
use super::named::{look_up, named_elsewhere, without_source};
use super::open_run::Known;
use super::planned::Planned;
use super::rejects::{Rejects, file_of};
use super::report::{Report, Status};
use super::start::{Go, Start, split_after};
use super::text::{grouped, plural};
use super::variables::Unset;
use crate::body::{Measured, Part, Progress};
use crate::calls::{Assume, Journal, Remote, StepState};
use crate::error::{Ending, Error, Kind, Result};
use crate::platform::{Delivery, Verdict};
use crate::settings::size_in_words;
use crate::warning::{Warning, WarningKind};
use serde_json::Value;
use std::sync::atomic::Ordering;

impl Job {
    /// Measures, uploads, finalises, and waits for the platform's verdict; continues an open run of the same job if
    /// there is one. Errors are in the report: [`Report::into_result`] returns them. Setting `progress.cancelled` stops
    /// the run with a report; dropping the future stops it without one.
    ///
    /// Needs a tokio runtime with IO and time.
    pub async fn run(&self, env: &Env) -> Report {
        self.go("run", env, None, None).await
    }

    /// Continues a recorded run from where it stopped. If the run has ended, returns its stored report. `assume`: the
    /// user's answer about a call in doubt.
    pub async fn resume(&self, env: &Env, record: &RunRecord, assume: Option<Assume>) -> Report {
        self.go("resume", env, Some(record), assume).await
    }

    /// [`Job::run`] for callers without a runtime; creates a small one.
    ///
    /// ```no_run
    /// use listferry::job::{Env, Job};
    ///
    /// let job = Job::open("jobs/vip.yaml")?;
    /// let report = job.run_blocking(&Env::default()).into_result()?;
    /// println!("{} records: {}", report.records.written, report.platform_result);
    /// # Ok::<(), listferry::Error>(())
    /// ```
    pub fn run_blocking(&self, env: &Env) -> Report {
        blocking("run", self.run(env))
    }

    /// [`Job::resume`] for callers without a runtime.
    pub fn resume_blocking(&self, env: &Env, record: &RunRecord, assume: Option<Assume>) -> Report {
        blocking("resume", self.resume(env, record, assume))
    }

    async fn go(&self, command: &'static str, env: &Env, record: Option<&RunRecord>, assume: Option<Assume>) -> Report {
        let _watcher = env.watched();
        let mut report = Report::new(command);
        report.started_at = Some(env.world.clock.wall());
        report.peak_rss_bytes = (env.world.memory)();
        self.describe(env, &mut report);
        let unset = if env.sandbox { Unset::StandIn } else { Unset::Refuse };
        match self.in_environment(env, unset) {
            Err(error) => report.fail(error),
            Ok((job, _)) => job.go_on(env, record, assume, &mut report).await,
        }
        env.stage(Stage::End);
        report.hide(&env.taint);
        report.end(env.world.clock.wall());
        report.peak_rss_bytes = (env.world.memory)();
        report.hide(&env.taint);
        report
    }

    async fn go_on(&self, env: &Env, record: Option<&RunRecord>, assume: Option<Assume>, report: &mut Report) {
        match self.context(env, assume) {
            Err(error) => report.fail(error),
            Ok(ctx) => {
                let start = match record {
                    None => self.start(&ctx).await,
                    Some(record) => self.start_resumed(&ctx, record).await,
                };
                env.stage(Stage::Decided);
                for warning in ctx.secrets.literal() {
                    tracing::warn!("{}", warning.in_words());
                    report.warn(warning);
                }
                match start {
                    Err(error) => {
                        report.fail(stopped(env, error));
                        report.stopped_before();
                    }
                    Ok(Start::Stored(record)) => {
                        report.restore(&record);
                        report.continued = true;
                        self.written(&ctx, report);
                    }
                    Ok(Start::Stop(record, error)) => {
                        ctx.announce(&format!("{}; nothing is sent", error.message()));
                        report.restore(&record);
                        report.fail(stopped(env, error));
                        report.stopped_before();
                        report.open = record.is_open();
                    }
                    Ok(Start::Go(go)) => self.drive(&ctx, *go, report).await,
                }
            }
        }
    }

    /// Puts what is known about the job into the report.
    pub(super) fn describe(&self, env: &Env, report: &mut Report) {
        report.platform = self.platform().map(str::to_owned);
        report.job = Some(self.config.name.clone());
        report.job_file =
            self.file.as_deref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        report.sandbox = env.sandbox;
    }

    /// Runs a run until it ends, and records the end in the state.
    async fn drive(&self, ctx: &Context<'_>, mut go: Go, report: &mut Report) {
        let fresh = go.run.is_fresh();
        report.run_id = Some(go.run.id().to_owned());
        report.continued = !fresh;
        go.warnings.drain(..).for_each(|warning| report.warn(warning));
        if let Err(error) = self.work(ctx, &mut go, report).await {
            report.fail(stopped(ctx.env, error));
        }
        if let Some((record, _)) = &go.abandons {
            let text = format!("run {} was not abandoned: it is open as before", record.id);
            report.warn(Warning::new(WarningKind::Note, text));
        }
        if let Err(error) = self.account(&go.run, report) {
            report.fail(error);
        }
        // before the report is stored in the state
        report.hide(&ctx.env.taint);
        report.end(ctx.clock_now());
        report.peak_rss_bytes = (ctx.env.world.memory)();
        if let Err(error) = self.end(ctx, go.run, report) {
            report.fail(error);
        }
        if report.exit_code == Kind::Usage.exit_code() && fresh {
            report.run_id = None;
        }
    }

    /// Runs all steps: source, pass one, delivery, verdict.
    async fn work(&self, ctx: &Context<'_>, go: &mut Go, report: &mut Report) -> Result<()> {
        let (plan, before) = (&ctx.prepared.plan, go.measuring.take());
        let remote = ctx.remote(&go.run, self.policy()).assuming(ctx.assume);
        if let Some(text) = &plan.remark {
            remote.note(text)?;
        }
        if !plan.needs_source {
            self.check_plan(ctx, &go.run, &[], report)?;
            self.abandon_other(ctx, &mut go.abandons, report)?;
            ctx.env.stage(Stage::Send { body_bytes: 0, parts: 0 });
            let verdict = self.deliver(ctx, None, remote, (report, &go.run)).await?;
            if let Some(text) = named_elsewhere(&go.run)? {
                tracing::warn!("{text}");
                go.run.note(&Warning::new(WarningKind::RowsNotFound, text).to_note())?;
            }
            return self.conclude(&go.run, plan, verdict, 0, report);
        }
        let alone = self.verdict_alone(ctx, go, report).await?;
        if go.run.fault_count()? == 0
            && let Some(done) = alone
        {
            return self.conclude(&go.run, plan, done, 0, report);
        }
        let measuring = self.measured(ctx, &go.run, go.known.as_ref(), before, report).await;
        let measuring = measuring.and_then(|mut found| {
            go.run.course().join(std::mem::take(&mut found.course));
            Ok((found.measured?, found.rejects, found.stamp))
        });
        let (measured, mut rejects, stamp) = match (measuring, &alone) {
            (Ok(measuring), _) => measuring,
            // the rows cannot be looked up, but the verdict holds
            (Err(error), Some(done)) if is_of_source(error.kind()) => {
                tracing::warn!("the rows that the platform reported cannot be looked up: {error}");
                delivered::restore(&go.run, report)?;
                let rows = without_source(&self.config, ctx.env, &go.run, report)?;
                return self.conclude(&go.run, plan, done.clone(), rows, report);
            }
            (Err(error), _) => return Err(error),
        };
        self.check_plan(ctx, &go.run, measured.parts(), report)?;
        go.run.measured(&serde_json::to_value(measured.manifest()).unwrap_or_default())?;
        go.run.set_source(stamp.as_deref())?;
        delivered::store(&go.run, report)?;
        if self.is_unchanged(ctx, &go.run, report)? {
            return Ok(());
        }
        self.abandon_other(ctx, &mut go.abandons, report)?;
        log_measured(go.run.id(), report);
        ctx.env.stage(Stage::Send { body_bytes: measured.body_bytes(), parts: measured.parts().len() });
        let verdict = match alone {
            Some(verdict) => Ok(verdict),
            None => self.deliver(ctx, Some(&measured), remote, (report, &go.run)).await,
        };
        // the rows that the platform reported are looked up while the source is available, whatever the verdict
        let looked_up = look_up(&go.run, &measured, &mut rejects, report);
        let verdict = verdict?;
        report.platform_result = verdict.result.clone();
        self.conclude(&go.run, plan, verdict, looked_up?, report)
    }

    /// Returns true if the list is that of the last done run, still the newest at the platform, and the job does not send
    /// it again (`if_unchanged: skip`).
    fn is_unchanged(&self, ctx: &Context<'_>, run: &Run, report: &mut Report) -> Result<bool> {
        if !self.config.skips_unchanged || !run.is_fresh() {
            return Ok(false);
        }
        let Some(done) = ctx.state.newest_alike(&ctx.intent, &run.seed().date, run.id())? else { return Ok(false) };
        let before = |path: &str| done.report.as_ref().and_then(|report| report.pointer(path)).cloned();
        let same = before("/digest") == Some(Value::from(report.digest.as_deref()))
            && before("/bytes/body") == Some(Value::from(report.bytes.body));
        if same {
            report.unchanged = true;
            ctx.announce(&format!("the list is the one that run {} has sent: nothing is sent", done.id));
        }
        Ok(same)
    }

    /// Checks that this run is the one that was planned, if there is a plan.
    ///
    /// # Errors
    /// `Data`.
    fn check_plan(&self, ctx: &Context<'_>, run: &Run, parts: &[Part], report: &Report) -> Result<()> {
        let Some(plan) = &ctx.env.plan else { return Ok(()) };
        let platform = &*ctx.prepared.platform;
        let planned = Planned { config: &self.config, platform, parts, date: &run.seed().date };
        planned.check(plan, report)
    }

    /// Abandons the run that `--new` names: nothing of the new list has been sent yet, and the list is valid.
    fn abandon_other(
        &self,
        ctx: &Context<'_>,
        other: &mut Option<(RunRecord, Option<Warning>)>,
        report: &mut Report,
    ) -> Result<()> {
        match other.take() {
            Some((record, left)) => {
                left.into_iter().for_each(|left| report.warn(left));
                self.abandon(ctx, &record)
            }
            None => Ok(()),
        }
    }

    /// Runs pass one, with the accepted parts cut as before, and puts its results into the report. The source of a
    /// continued run must be unchanged.
    async fn measured(
        &self,
        ctx: &Context<'_>,
        run: &Run,
        known: Option<&Known>,
        before: Option<Measuring>,
        report: &mut Report,
    ) -> Result<Measuring> {
        let accepted = sent_parts(run, known, &ctx.prepared.plan)?;
        let fits = |measuring: &Measuring| match &measuring.measured {
            Ok(measured) => measured.manifest().begins_with(&accepted),
            Err(_) => true,
        };
        let mut measuring = match before.filter(fits) {
            Some(measuring) => measuring,
            None => {
                let source = self.source(ctx, run).await?;
                let split = Config::split(&ctx.prepared.plan.limits);
                let split = split_after(split, accepted.iter().map(|part| part.bytes).collect());
                let rejects = match known {
                    Some(_) => Rejects::aside(&self.config, ctx.env, run.id())?,
                    None => Rejects::of_run(&self.config, ctx.env, run.id())?,
                };
                self.measure_source(ctx, source, rejects, &split).await?
            }
        };
        report.adopt(&measuring.found);
        if let (Ok(measured), Some(known)) = (&measuring.measured, known) {
            if known.is(measured.manifest()) && measured.manifest().begins_with(&accepted) {
                measuring.rejects.belong_to(&ctx.env.state_dir()?, run.id(), report)?;
                return Ok(measuring);
            }
            measuring.rejects.discard();
            let own = file_of(&ctx.env.state_dir()?, run.id());
            report.rejects_file = own.exists().then_some(own);
            return Err(Error::new(Kind::SourceChanged, "the source is no longer what this run began to send").with_hint(
                "put the old source back and resume the run, or run the job: what becomes of the open run is decided then",
            ));
        }
        Ok(measuring)
    }

    /// Waits for the verdict of a continued run that has sent all its parts. Its source is read again only if the
    /// list still has to be served, or afterwards, to look up the rows that the platform reported.
    async fn verdict_alone(&self, ctx: &Context<'_>, go: &Go, report: &mut Report) -> Result<Option<Verdict>> {
        let plan = &ctx.prepared.plan;
        let Some(known) = go.known.as_ref().filter(|_| !go.run.is_fresh() && plan.needs_wait.is_none()) else {
            return Ok(None);
        };
        let sent = delivered::is_sent(&go.run, known.manifest(), plan, ctx.assume)?;
        if !sent {
            return Ok(None);
        }
        delivered::restore(&go.run, report)?;
        self.check_plan(ctx, &go.run, &known.manifest().parts, report)?;
        ctx.env.stage(Stage::Send { body_bytes: 0, parts: 0 });
        let measured = Measured::recorded(known.manifest().clone());
        let remote = ctx.remote(&go.run, self.policy()).assuming(ctx.assume);
        let verdict = self.deliver(ctx, Some(&measured), remote, (report, &go.run)).await?;
        // if reading the source fails for another reason than its end, the report still has the platform's answer
        report.platform_result = verdict.result.clone();
        Ok(Some(verdict))
    }

    /// Sends the parts and waits for the verdict, or stops when the run is cancelled.
    pub(super) async fn deliver(
        &self,
        ctx: &Context<'_>,
        measured: Option<&Measured>,
        remote: Remote<'_>,
        (report, run): (&mut Report, &Run),
    ) -> Result<Verdict> {
        let (clock, platform, map) = (&ctx.env.world.clock, &ctx.prepared.platform, &self.config.map);
        let mut remote = remote.of_parts(measured.map_or(0, |measured| measured.parts().len()));
        let (at, began, mut course) = (clock.wall(), clock.elapsed(), Course::default());
        let sent = |progress: &Progress| progress.sent_bytes.load(Ordering::Relaxed);
        let verdict = {
            let delivery = platform.deliver(measured, map, &mut remote);
            tokio::select! {
                biased;
                verdict = delivery => verdict,
                () = watched(ctx, &mut course.sent, sent) => Err(Error::new(Kind::Interrupted, "stopped before the platform's verdict")
                    .with_hint("run the job again, or resume the run")),
            }
        };
        let waited = self.config.wait.saturating_sub(remote.wait_left());
        report.seconds.wait = waited.as_secs_f64();
        let uploaded = clock.elapsed().saturating_sub(began + waited);
        report.seconds.upload = uploaded.as_secs_f64();
        course.sent.end(at + uploaded, sent(ctx.env.progress()));
        course.stage("send", at, uploaded);
        if !waited.is_zero() {
            course.stage("wait", at + uploaded, waited);
        }
        run.course().join(course);
        let (run, came) = (run.id(), if verdict.is_ok() { "the verdict has come" } else { "there is no verdict" });
        tracing::info!(
            run,
            stage = "send",
            "sent in {:.1} s; {came} after {:.1} s",
            uploaded.as_secs_f64(),
            waited.as_secs_f64()
        );
        verdict
    }

    /// Records the end of the run in the state, by the kind of its error and the state of its calls.
    fn end(&self, ctx: &Context<'_>, run: Run, report: &mut Report) -> Result<()> {
        let ending = report.error.as_ref().map(|error| error.kind().ending());
        let standing = run.standing()?;
        let kind = report.error.as_ref().map(Error::kind);
        let open = match (ending, kind) {
            (None, _) => false,
            // exit codes 2 and 3 leave an open run unchanged
            (Some(Ending::NotStarted), _) => {
                report.open = !run.is_fresh() && standing.is_open();
                let (fresh, id, spool) = (run.is_fresh(), run.id().to_owned(), run.load("spool")?);
                run.leave()?;
                if fresh {
                    self.config.forget_spool(ctx.env, &id, spool.as_ref().and_then(Value::as_str));
                }
                return Ok(());
            }
            (Some(Ending::Final), Some(Kind::ImportFailed)) => standing.accepted < report.parts.len(),
            (Some(Ending::Final), _) => standing.accepted > 0 || standing.in_doubt,
            (Some(Ending::Resumable), _) => standing.is_open(),
        };
        report.open = open;
        report.stopped_at(standing, open, ctx.prepared.plan.needs_wait.is_some());
        if open && ending == Some(Ending::Final) {
            if standing.accepted > 0 {
                report.status = Some(Status::Partial);
            }
            report.hint_to_continue();
        }
        if let Some(path) = &report.rejects_file {
            // the run's own reject file, which is kept; a run of an older version has none
            let own = ctx.env.state_dir().ok().map(|dir| file_of(&dir, run.id())).filter(|own| own.exists());
            let path = own.as_ref().unwrap_or(path);
            run.set_rejects_file(&std::path::absolute(path).unwrap_or_else(|_| path.clone()))?;
            run.keep_for(REJECTS_UNTIL, ctx.clock_now(), self.config.state.keep_rejects)?;
        }
        let spool = run.load("spool")?;
        let id = run.id().to_owned();
        let keep = match open {
            true => Keep::Open,
            // the next run asks for the status of the ticket before it replaces the file
            false if self.is_fetched_unasked(ctx, report) && standing.accepted > 0 => Keep::Verdict,
            false => Keep::Nothing,
        };
        run.finish(report.exit_code, keep, &report.to_json())?;
        if !open {
            self.config.forget_spool(ctx.env, &id, spool.as_ref().and_then(Value::as_str));
        }
        self.write_page(ctx, &id, report);
        self.written(ctx, report);
        Ok(())
    }

    /// Writes `report.html`. A failure is a warning: the run has ended.
    fn write_page(&self, ctx: &Context<'_>, id: &str, report: &mut Report) {
        let Some(path) = &self.config.html else { return };
        let options = HtmlOptions { show_values: ctx.env.show_values };
        let record = ctx.state.run_of_id(id);
        let written =
            record.and_then(|record| record.map_or(Ok(()), |record| ctx.state.write_html(&record, options, path)));
        if let Err(error) = written {
            let text = format!("report.html: {error}");
            tracing::warn!("{text}");
            report.warn(Warning::new(WarningKind::Note, text));
        }
    }

    /// Returns true if the run ends without having asked whether the platform has fetched the file (`wait: 0`).
    fn is_fetched_unasked(&self, ctx: &Context<'_>, report: &Report) -> bool {
        self.config.wait.is_zero() && report.error.is_none() && ctx.needs_source() && ctx.intent.effect.fetched
    }

    /// Ends the run here unless the caller still has to store its report.
    fn written(&self, ctx: &Context<'_>, report: &Report) {
        if let (Some(id), false) = (&report.run_id, ctx.env.writes_report) {
            // if this is not recorded, the report is shown once more
            let _ = ctx.state.reported(id);
        }
    }
}

/// Whether an error means that the source is not what it was, rather than that reading it should be tried again.
fn is_of_source(kind: Kind) -> bool {
    matches!(kind, Kind::Local | Kind::Usage | Kind::Data | Kind::SourceChanged | Kind::Refused)
}

/// Returns the parts that the platform has accepted or may have accepted, as they were measured. All parts up to the
/// last of these keep their bounds, so that assumptions and lookups refer to the records that were sent.
fn sent_parts(run: &Run, known: Option<&Known>, plan: &Delivery) -> Result<Vec<Part>> {
    let Some(known) = known else { return Ok(Vec::new()) };
    let (states, parts) = (run.parts()?, &known.manifest().parts);
    let mut sent = 0;
    for part in parts {
        let accepted = states.iter().any(|state| state.index == part.index && state.accepted);
        let journaled = match plan.body_call(part.index) {
            Some(call) => run.step(&call.name)? != StepState::New,
            None => false,
        };
        if accepted || journaled {
            sent = part.index + 1;
        }
    }
    Ok(parts[..sent].to_vec())
}

/// Logs the result of pass one.
fn log_measured(run: &str, report: &Report) {
    let (records, parts) = (report.records.written, report.parts.len());
    tracing::info!(
        run,
        stage = "check",
        "checked in {:.1} s: {} record{}, {} in {parts} part{}, {} rejected",
        report.seconds.measure,
        grouped(records),
        plural(records),
        size_in_words(report.bytes.body),
        plural(parts as u64),
        grouped(report.records.rejected)
    );
}

/// Runs a command in a small runtime of its own.
fn blocking(command: &'static str, future: impl Future<Output = Report>) -> Report {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_stack_size(1 << 20).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => Report::failed(command, Error::io("the runtime cannot start", error)),
    }
}

/// Sets the exit code of an interruption by the signal that caused it.
fn stopped(env: &Env, error: Error) -> Error {
    let terminated = env.stopped_by.load(Ordering::Relaxed) == Kind::Terminated.exit_code();
    match error.kind() {
        Kind::Interrupted if terminated => error.into_kind(Kind::Terminated),
        _ => error,
    }
}
