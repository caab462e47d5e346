//! A whole run: pass one, delivery, verdict.

use super::Job;
use super::env::{Env, Stage};
use super::pass::{Prepared, Rejects, make_private_dir};
use super::report::{Report, Status, peak_rss_bytes};
use super::secrets::JobSecrets;
use crate::body::{Measured, RejectFile};
use crate::error::{Error, Kind, Result};
use crate::platform::{Assume, Cx, FaultAt, JobSeed, Journal, MemoryJournal, Outcome, Policy, RowFault, Verdict};
use crate::transport::Client;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

impl Job {
    /// Measures, uploads, finalises, waits for the platform's verdict. Never fails itself: what went wrong is in the
    /// report. Cancelled by dropping, or cleanly (with a report) by `progress.cancelled`.
    ///
    /// Needs a tokio runtime with IO and time.
    pub async fn run(&self, env: &Env) -> Report {
        let mut report = Report::new("run");
        report.platform = self.platform().map(str::to_owned);
        if let Err(error) = self.steps(env, &mut report).await {
            report.fail(error);
        }
        env.stage(Stage::End);
        report.peak_rss_bytes = peak_rss_bytes();
        report
    }

    /// [`Job::run`] for callers without a runtime; makes a small one of its own.
    #[must_use]
    pub fn run_blocking(&self, env: &Env) -> Report {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(1 << 20)
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.run(env)),
            Err(error) => Report::failed("run", Error::io("the runtime cannot start", error)),
        }
    }

    async fn steps(&self, env: &Env, report: &mut Report) -> Result<()> {
        let config = &self.config;
        let mut secrets = JobSecrets::new(env.variables.clone(), &config.folder);
        if env.sandbox {
            secrets = secrets.for_sandbox("sandbox");
        }
        // Secrets first: nobody waits for a pass over 100 GB to hear that a variable is not set.
        let prepared = Arc::new(config.prepare(&secrets)?);
        let network = config.network(&secrets)?;
        let client = Client::with_env(&network, &config.upload.timers, &*env.variables)?;
        drop(secrets);
        make_private_dir(&env.state_dir()?)?;
        let seed = new_seed()?;
        report.run_id = Some(seed.run_id.clone());
        let journal = MemoryJournal::default();
        let ended = self.measure_and_deliver(env, prepared, &client, &seed, &journal, None, report).await;
        self.account(&journal, report)?;
        ended
    }

    /// Pass one, then delivery, in one go.
    #[allow(clippy::too_many_arguments)]
    pub(crate) async fn measure_and_deliver(
        &self,
        env: &Env,
        prepared: Arc<Prepared>,
        client: &Client,
        seed: &JobSeed,
        journal: &dyn Journal,
        assume: Option<Assume>,
        report: &mut Report,
    ) -> Result<()> {
        let policy = self.policy();
        let cx = Cx::new(seed, &self.config.map, journal, client, policy).assuming(assume);
        if !prepared.platform.needs_source() {
            let verdict = self.deliver(env, &prepared, None, cx, report).await?;
            return self.conclude(journal, verdict, None, report);
        }
        let (measured, mut rejects) = self.pass_one_aside(env, &prepared, &seed.run_id, report).await?;
        let parts = measured.parts().len();
        env.stage(Stage::Send { body_bytes: measured.body_bytes(), parts });
        let verdict = self.deliver(env, &prepared, Some(&measured), cx, report).await;
        // Rows that the platform named are looked up while the source is there, whatever the verdict.
        let looked_up = look_up(journal, &measured, &mut rejects.file, report);
        let spool = measured.table().source().spool_path().map(std::path::Path::to_owned);
        let done = verdict.and_then(|verdict| {
            looked_up?;
            self.conclude(journal, verdict, rejects.file.as_mut(), report)
        });
        if let Some(path) = spool.filter(|_| !resumable(&done)) {
            let _ = std::fs::remove_file(path);
        }
        done
    }

    /// Pass one on a thread where blocking is allowed.
    async fn pass_one_aside(
        &self,
        env: &Env,
        prepared: &Arc<Prepared>,
        run_id: &str,
        report: &mut Report,
    ) -> Result<(Measured, Rejects)> {
        let (job, env, prepared) = (self.clone(), env.clone(), Arc::clone(prepared));
        let mut rejects = Rejects::new(&self.config, &env, run_id).required();
        let mut scratch = Report::new("run");
        let work = move || {
            let source = job.config.open(&env, false);
            let measured = source.and_then(|source| {
                let spool = source.spool_path().map(std::path::Path::to_owned);
                let measured = job.config.pass_one(&env, &prepared, source, None, &mut rejects, &mut scratch);
                if let (Err(_), Some(path)) = (&measured, spool) {
                    let _ = std::fs::remove_file(path);
                }
                measured
            });
            (measured, rejects, scratch)
        };
        let (measured, rejects, scratch) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::new(Kind::Local, format!("pass one ended early: {error}")))?;
        report.records = scratch.records;
        report.reject_reasons = scratch.reject_reasons;
        report.bytes = scratch.bytes;
        report.digest = scratch.digest;
        report.parts = scratch.parts;
        report.rejects_file = scratch.rejects_file;
        report.first_rejects = scratch.first_rejects;
        report.seconds.measure = scratch.seconds.measure;
        Ok((measured?, rejects))
    }

    /// Sends and waits, or stops when the run is cancelled.
    async fn deliver(
        &self,
        env: &Env,
        prepared: &Prepared,
        measured: Option<&Measured>,
        mut cx: Cx<'_>,
        report: &mut Report,
    ) -> Result<Verdict> {
        let began = Instant::now();
        let whole_wait = self.config.wait;
        let verdict = {
            let delivery = async {
                match measured {
                    Some(measured) => prepared.platform.deliver(measured, &mut cx).await,
                    None => prepared.platform.import(&mut cx).await,
                }
            };
            tokio::select! {
                verdict = delivery => verdict,
                () = cancelled(env) => Err(Error::new(Kind::Interrupted, "stopped before the platform's verdict")
                    .with_hint("run the job again, or resume the run")),
            }
        };
        let waited = whole_wait.saturating_sub(cx.wait_left());
        report.seconds.wait = waited.as_secs_f64();
        report.seconds.upload = began.elapsed().saturating_sub(waited).as_secs_f64();
        verdict
    }

    /// Puts what the platform made of it into the report.
    fn conclude(
        &self,
        journal: &dyn Journal,
        verdict: Verdict,
        rejects: Option<&mut RejectFile>,
        report: &mut Report,
    ) -> Result<()> {
        report.platform_result = verdict.result;
        let faults = journal.fault_count()?;
        if let Some(path) = rejects.and_then(|file| file.path().map(std::path::Path::to_owned)) {
            report.rejects_file = Some(path);
        }
        let hint = "see rejects_file, or listferry rejects with the run's id";
        match verdict.outcome {
            Outcome::Failed => {
                report.fail(Error::new(Kind::ImportFailed, "the platform reports a failed import").with_hint(hint));
            }
            Outcome::Partial if faults == 0 || faults > self.config.rejects.max_remote => {
                let message = match faults {
                    0 => "the platform took only a part".to_owned(),
                    n => format!(
                        "the platform refused {n} rows, rejects.max_remote is {}",
                        self.config.rejects.max_remote
                    ),
                };
                report.fail(Error::new(Kind::ImportFailed, message).with_hint(hint));
                report.status = Some(Status::Partial);
            }
            _ => {}
        }
        Ok(())
    }

    /// Parts and warnings of the journal, however the run ended.
    fn account(&self, journal: &dyn Journal, report: &mut Report) -> Result<()> {
        for state in journal.parts()? {
            if let Some(part) = report.parts.iter_mut().find(|part| part.index == state.index) {
                part.attempts = state.attempts;
                part.remote_id = state.remote_id.map_or(Value::Null, Value::String);
            }
        }
        let accepted = journal.parts()?.iter().filter(|part| part.accepted).count();
        let failed = matches!(report.status, Some(Status::Failed)) && report.parts.len() > 1;
        if failed && accepted > 0 && accepted < report.parts.len() {
            report.status = Some(Status::Partial);
        }
        for note in journal.notes()? {
            tracing::warn!("{note}");
        }
        Ok(())
    }

    pub(crate) fn policy(&self) -> Policy {
        let upload = &self.config.upload;
        Policy {
            attempts: upload.attempts,
            give_up_after: upload.give_up_after,
            max_quota_wait: upload.max_quota_wait,
            wait: self.config.wait,
        }
    }
}

/// Whether a run that ended so can be taken up again, so that its spool is still of use.
fn resumable(done: &Result<()>) -> bool {
    done.as_ref().is_err_and(|error| {
        matches!(
            error.kind(),
            Kind::Local | Kind::Transient | Kind::InDoubt | Kind::Pending | Kind::Interrupted | Kind::Terminated
        )
    })
}

async fn cancelled(env: &Env) {
    while !env.progress().cancelled.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Draws what is drawn once a run.
///
/// # Errors
/// `Local`: the system has no random bytes.
pub(crate) fn new_seed() -> Result<JobSeed> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::Local, format!("no random bytes: {error}")))?;
    let random: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let now = crate::platform::utc(std::time::SystemTime::now());
    let compact: String = now.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    Ok(JobSeed { run_id: format!("{compact}-{}", &random[..6]), date: now[..10].to_owned(), random })
}

/// Rows that the platform named, as the user's own, into the reject file.
fn look_up(
    journal: &dyn Journal,
    measured: &Measured,
    file: &mut Option<RejectFile>,
    report: &mut Report,
) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    if journal.fault_count()? == 0 {
        return Ok(());
    }
    let mut batch: Vec<RowFault> = Vec::new();
    // Bounded: so many at a time, each batch one reading of the source.
    const BATCH: usize = 50_000;
    journal.faults(&mut |fault| {
        batch.push(fault.clone());
        if batch.len() == BATCH {
            find(measured, &mut batch, file)?;
        }
        Ok(true)
    })?;
    find(measured, &mut batch, file)?;
    file.flush()?;
    report.rejects_file = file.path().map(std::path::Path::to_owned);
    Ok(())
}

fn find(measured: &Measured, batch: &mut Vec<RowFault>, file: &mut RejectFile) -> Result<()> {
    let mut by_index = std::collections::BTreeMap::new();
    let mut by_key = std::collections::HashMap::new();
    for fault in batch.drain(..) {
        match fault.at {
            FaultAt::Index(index) => drop(by_index.insert(index, fault.message)),
            FaultAt::Key(key) => drop(by_key.insert(key, fault.message)),
        }
    }
    if by_index.is_empty() && by_key.is_empty() {
        return Ok(());
    }
    let from = if by_key.is_empty() { by_index.keys().next().copied().unwrap_or(0) } else { 0 };
    measured.replay(from, &mut |row| {
        if let Some(message) = by_index.remove(&row.index) {
            file.platform(row, &message)?;
        } else if !by_key.is_empty() {
            if let Some(message) = customer(row.output).and_then(|key| by_key.get(&key).cloned()) {
                file.platform(row, &message)?;
            }
        }
        Ok(!(by_index.is_empty() && by_key.is_empty()))
    })
}

/// The customer id of a JSON line: it stands first in it.
fn customer(output: &[u8]) -> Option<String> {
    let rest = output.strip_prefix(b"{\"customer_id\":")?;
    serde_json::Deserializer::from_slice(rest).into_iter::<String>().next()?.ok()
}
