//! Pass one of a run, on a thread that may block, and the source that it reads.

use super::Job;
use super::apsis;
use super::context::Context;
use super::env::Env;
use super::journal::Run;
use super::open::Passes;
use super::pass::{PassOne, make_private_dir};
use super::rejects::Rejects;
use super::report::Report;
use crate::body::{Measured, Split};
use crate::calls::Journal;
use crate::error::{Error, Kind, Result};
use crate::source::Source;
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
}

impl Job {
    /// Opens the source of the new run `run_id` and measures it.
    ///
    /// # Errors
    /// `Local`, `Data`, `Interrupted`: the source cannot be opened or copied.
    pub(super) async fn measure_anew(&self, ctx: &Context<'_>, run_id: &str, split: &Split) -> Result<Measuring> {
        let (config, env, id) = (self.config.clone(), ctx.env.clone(), run_id.to_owned());
        let source = aside(ctx.env, move || config.open(&env, Passes::OfRun(&id))).await??;
        self.measure(ctx, source, run_id, split).await
    }

    /// Measures an open source.
    ///
    /// # Errors
    /// `Local`: the thread cannot start or the reject file cannot be opened. Errors of pass one are in the result.
    pub(super) async fn measure(
        &self,
        ctx: &Context<'_>,
        source: Arc<Source>,
        run_id: &str,
        split: &Split,
    ) -> Result<Measuring> {
        let (job, env, prepared) = (self.clone(), ctx.env.clone(), Arc::clone(&ctx.prepared));
        let (last_read, split) = (ctx.last_read, split.clone());
        let mut rejects = Rejects::of_run(&self.config, &env, run_id)?;
        let stamp = source.stamp();
        let spool = source.spool_path().map(Path::to_owned);
        let mut found = Report::new("run");
        let work = move || {
            let policy = job.policy();
            let pass = PassOne { split: &split, last_read, policy: &policy, rejects: &mut rejects };
            let measured = job.config.pass_one(&env, &prepared, source, pass, &mut found);
            Measuring { measured, rejects, found, stamp, spool }
        };
        aside(ctx.env, work).await
    }

    /// Opens the source of a run: its files or a new copy of its stream. A run that is continued reads the copy that it
    /// made.
    ///
    /// # Errors
    /// `Local`, `Data`, `Usage`: as [`super::config::Config::open`].
    pub(super) async fn source(&self, ctx: &Context<'_>, run: &Run) -> Result<Arc<Source>> {
        let config = &self.config;
        if let Some(path) = run.load("spool")?.as_ref().and_then(Value::as_str) {
            let mut options = config.source.open.clone();
            if config.source.apsis.is_some() {
                options.compression = crate::source::Compression::None;
            }
            let path = config.kept_spool(ctx.env, path);
            return Ok(Arc::new(Source::open_spooled(&path, &config.source_name(), &options)?));
        }
        let source = if config.source.apsis.is_some() {
            let dir = config.spool_dir(ctx.env)?;
            make_private_dir(&dir)?;
            let remote = ctx.remote(run, self.policy());
            let spooled = apsis::spooled(config, &ctx.secrets, &dir, &remote);
            Arc::new(tokio::select! {
                biased;
                source = spooled => source?,
                () = cancelled(ctx) => return Err(Error::new(Kind::Interrupted, "stopped before the export was whole")),
            })
        } else {
            let (config, env, id) = (config.clone(), ctx.env.clone(), run.id().to_owned());
            aside(ctx.env, move || config.open(&env, Passes::OfRun(&id))).await??
        };
        if let Some(path) = source.spool_path() {
            run.store("spool", &Value::from(path.to_string_lossy()))?;
            if config.source.apsis.is_some() {
                run.store(apsis::REQUESTED, &Value::Null)?;
            }
        }
        Ok(source)
    }
}

/// Runs blocking work on a new thread. The runtime's `spawn_blocking` is not used: it panics or waits forever if no
/// thread can start.
pub(super) async fn aside<T: Send + 'static>(env: &Env, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if env.options.in_line {
        return Ok(work());
    }
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("pass".to_owned())
        .stack_size(1 << 20)
        // the receiver is gone if the run was stopped
        .spawn(move || drop(done.send(work())))
        .map_err(|error| {
            Error::io("a thread cannot be started", error).with_hint(
                "the limit on processes or memory is reached: raise it (ulimit -u, ulimit -v); then run again",
            )
        })?;
    result.await.map_err(|_| Error::new(Kind::Local, "a thread ended early: this is a bug"))
}

/// Waits until the run is cancelled.
pub(super) async fn cancelled(ctx: &Context<'_>) {
    while !ctx.env.progress().cancelled.load(Ordering::Relaxed) {
        ctx.env.world.clock.look_again().await;
    }
}
