//! Pass one of a run, on a thread that may block, and the source that it reads.

use super::Job;
use super::context::Context;
use super::course::{Course, watched_on};
use super::journal::{Run, SPOOL_EXPIRED, SPOOL_UNTIL};
use super::open::{no_source, with_scratch};
use super::pass::PassOne;
use super::rejects::Rejects;
use super::report::Report;
use crate::body::{Measured, Progress, Split};
use crate::calls::{Journal, aside};
use crate::error::{Error, Kind, Result};
use crate::origin::REQUESTED;
use crate::source::OpenSource;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The result of pass one.
pub(super) struct Measuring {
    /// The measurements, or the error that stopped pass one.
    pub(super) measured: Result<Measured>,
    /// The rejected rows and the file that contains them.
    pub(super) rejects: Rejects,
    /// The fields that pass one adds to the report, also after an error.
    pub(super) found: Report,
    /// Path, size and times of the source's files as a hash; none for a stream.
    pub(super) stamp: Option<String>,
    /// Path of the copy of a stream.
    pub(super) spool: Option<std::path::PathBuf>,
    /// When it was measured, and how fast.
    pub(super) course: Course,
}

impl Job {
    /// Opens the source of the new run `run_id` and measures it.
    ///
    /// # Errors
    /// `Local`, `Data`, `Interrupted`: the source cannot be opened or copied.
    pub(super) async fn measure_anew(&self, ctx: &Context<'_>, run_id: &str, split: &Split) -> Result<Measuring> {
        let origin = ctx.origin.as_ref().ok_or_else(no_source)?;
        let opening =
            self.config.opening(ctx.env, self.config.passes_of_run(ctx.env, run_id)?, None, || Ok(ctx.client.clone()));
        let source = Arc::new(with_scratch(origin.open(&opening).await?, &opening));
        self.measure_source(ctx, source, Rejects::of_run(&self.config, ctx.env, run_id)?, split).await
    }

    /// Measures an open source.
    ///
    /// # Errors
    /// `Local`: the thread cannot start or the reject file cannot be opened. Errors of pass one are in the result.
    pub(super) async fn measure_source(
        &self,
        ctx: &Context<'_>,
        source: Arc<OpenSource>,
        mut rejects: Rejects,
        split: &Split,
    ) -> Result<Measuring> {
        let (job, env, prepared) = (self.clone(), ctx.env.clone(), Arc::clone(&ctx.prepared));
        let (last_read, split) = (ctx.last_read, split.clone());
        let stamp = source.stamp();
        let spool = source.spool_path().map(Path::to_owned);
        let mut found = Report::new("run");
        let work = move || {
            let policy = job.policy();
            let pass = PassOne { split: &split, last_read, policy: &policy, rejects: &mut rejects };
            let measured = job.config.pass_one(&env, &prepared, source, pass, &mut found);
            Measuring { measured, rejects, found, stamp, spool, course: Course::default() }
        };
        let (clock, mut course) = (&ctx.env.world.clock, Course::default());
        let (at, began) = (clock.wall(), clock.elapsed());
        let read = |progress: &Progress| progress.source_bytes.load(Ordering::Relaxed);
        let measuring = tokio::select! {
            biased;
            measuring = aside(ctx.env.options.in_line, work) => measuring?,
            never = watched_on(ctx, &mut course.read, read) => match never {},
        };
        course.read.end(clock.wall(), read(ctx.env.progress()));
        course.stage("check", at, clock.elapsed().saturating_sub(began));
        Ok(Measuring { course, ..measuring })
    }

    /// Records the copy of a run's source, and until when it is kept.
    ///
    /// # Errors
    /// `Local`.
    pub(super) fn keep_spool(&self, ctx: &Context<'_>, run: &Run, path: &Path) -> Result<()> {
        run.store("spool", &Value::from(path.to_string_lossy()))?;
        if run.load(SPOOL_EXPIRED)?.is_some() {
            run.store(SPOOL_EXPIRED, &Value::Null)?;
        }
        run.keep_for(SPOOL_UNTIL, ctx.clock_now(), self.config.state.keep_spool)
    }

    /// Opens the source of a run. A run that is continued reads the copy that it made.
    ///
    /// # Errors
    /// As [`crate::origin::Origin::open`]; `Blocked`: the copy was deleted.
    pub(super) async fn source(&self, ctx: &Context<'_>, run: &Run) -> Result<Arc<OpenSource>> {
        let (config, origin) = (&self.config, ctx.origin.as_ref().ok_or_else(no_source)?);
        if run.load(SPOOL_EXPIRED)?.is_some_and(|fact| !fact.is_null()) {
            return Err(spool_expired(run.id()));
        }
        let remote = ctx.remote(run, self.policy());
        let opening =
            config.opening(ctx.env, config.passes_of_run(ctx.env, run.id())?, Some(&remote), || Ok(ctx.client.clone()));
        if let Some(path) = run.load("spool")?.as_ref().and_then(Value::as_str) {
            run.keep_for(SPOOL_UNTIL, ctx.clock_now(), config.state.keep_spool)?;
            let copy = origin.open_copy(&config.kept_spool(ctx.env, path))?;
            return Ok(Arc::new(with_scratch(copy, &opening)));
        }
        let source = match origin.as_export() {
            None => origin.open(&opening).await?,
            Some(_) => tokio::select! {
                biased;
                source = origin.open(&opening) => source?,
                () = cancelled(ctx) => return Err(Error::new(Kind::Interrupted, "stopped before the export was whole")),
            },
        };
        let source = Arc::new(with_scratch(source, &opening));
        if let Some(path) = source.spool_path() {
            self.keep_spool(ctx, run, path)?;
            if origin.as_export().is_some() {
                run.store(REQUESTED, &Value::Null)?;
            }
        }
        Ok(source)
    }
}

/// Returns the error for a run whose copy of the source was deleted.
fn spool_expired(id: &str) -> Error {
    let text = format!("the copy of the list that run {id} began to send was deleted after state.keep_spool");
    Error::new(Kind::Blocked, text).with_hint(format!(
        "nothing was sent; run the job with the list: it continues if the list is the same to the byte; or `listferry runs \
         close {id}` abandons the run"
    ))
}

/// Waits until the run is cancelled.
pub(super) async fn cancelled(ctx: &Context<'_>) {
    while !ctx.env.progress().cancelled.load(Ordering::Relaxed) {
        ctx.env.world.clock.look_again().await;
    }
}
