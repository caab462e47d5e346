//! A whole run: pass one, delivery, verdict.

use super::Job;
use super::apsis;
use super::delivered;
use super::env::{Env, Stage};
use super::journal::{Run, RunRecord, State};
use super::named::{look_up, named_elsewhere};
use super::open::Passes;
use super::pass::{Prepared, make_private_dir};
use super::rejects::{Rejects, file_of};
use super::report::{Report, Status, peak_rss_bytes};
use super::resume::{Begin, Intent, JobKey, absolute, fingerprint};
use super::secrets::JobSecrets;
use super::text::plural;
use crate::body::Measured;
use crate::calls::{Assume, Journal, Policy, Remote};
use crate::error::{Error, Kind, Result};
use crate::platform::{Outcome, Verdict};
use crate::settings::{KeyKind, Secrets};
use crate::source::Source;
use crate::transport::Client;
use crate::warning::{Warning, WarningKind};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

impl Job {
    /// Measures, uploads, finalises, waits for the platform's verdict; takes an unfinished run of the same job up. Never
    /// fails itself: what went wrong is in the report. Cancelled by dropping, or cleanly (with a report) by
    /// `progress.cancelled`.
    ///
    /// Needs a tokio runtime with IO and time.
    pub async fn run(&self, env: &Env) -> Report {
        self.go("run", env, None, None).await
    }

    /// Takes a recorded run up where it stopped; of a run that has ended it is the report. `assume`: what to think of a
    /// call in doubt.
    pub async fn resume(&self, env: &Env, record: &RunRecord, assume: Option<Assume>) -> Report {
        self.go("resume", env, Some(record), assume).await
    }

    /// [`Job::run`] for callers without a runtime; makes a small one of its own.
    ///
    /// ```no_run
    /// use listferry::job::{Env, Job, Status};
    ///
    /// let job = Job::open("jobs/vip.yaml".as_ref(), &["wait=10m".to_owned()])?;
    /// let report = job.run_blocking(&Env::default());
    /// match report.status {
    ///     Some(Status::Done) => println!("{}", report.platform_result),
    ///     _ => eprintln!("exit {}: {:?}", report.exit_code, report.error),
    /// }
    /// # Ok::<(), listferry::Error>(())
    /// ```
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

    async fn go(&self, command: &'static str, env: &Env, record: Option<&RunRecord>, assume: Option<Assume>) -> Report {
        let mut report = Report::new(command);
        report.platform = self.platform().map(str::to_owned);
        match self.begin(env, record, assume) {
            Err(error) => report.fail(error),
            Ok(Begun { begin: Begin::Ended(record), .. }) => {
                report.restore(&record);
                if record.was_abandoned() {
                    report.fail(
                        Error::usage(format!("run {} was abandoned with --new: it is not taken up again", record.id))
                            .with_hint("`listferry runs` lists the run that came after it"),
                    );
                }
            }
            Ok(Begun { begin: Begin::InDoubt(record), .. }) => {
                report.restore(&record);
                report.fail(in_doubt(&record));
            }
            Ok(Begun { begin: Begin::Fresh(run) | Begin::Continue(run), parts }) => {
                let fresh = run.is_fresh();
                report.run_id = Some(run.id().to_owned());
                parts.secrets.literal().into_iter().for_each(|warning| report.warn(warning));
                let mut end = End::AsItEnds;
                if let Err(error) = self.work(env, &run, &parts, assume, &mut report).await {
                    let error = stays(&run, error, &mut end);
                    let terminated = env.stopped_by.load(Ordering::Relaxed) == Kind::Terminated.exit_code();
                    report.fail(match error.kind() {
                        Kind::Interrupted if terminated => error.into_kind(Kind::Terminated),
                        _ => error,
                    });
                }
                if let Err(error) = self.account(&run, &mut report) {
                    report.fail(error);
                }
                report.peak_rss_bytes = peak_rss_bytes();
                report.hide(&env.taint);
                if let Some(error) = self.end(env, run, end, &report) {
                    report.fail(error);
                }
                if report.exit_code == Kind::Usage.exit_code() && fresh {
                    report.run_id = None;
                }
            }
        }
        env.stage(Stage::End);
        report.peak_rss_bytes = peak_rss_bytes();
        report.hide(&env.taint);
        report
    }

    /// Everything that can be wrong with job file and environment, then the run in the state directory.
    fn begin(&self, env: &Env, record: Option<&RunRecord>, assume: Option<Assume>) -> Result<Begun> {
        let config = &self.config;
        let mut secrets = JobSecrets::new(env.variables.clone(), &config.folder, &env.taint);
        if env.sandbox {
            secrets = secrets.for_sandbox("made-up-for-the-sandbox");
        }
        // Secrets first: nobody waits for a pass over 100 GB to hear that a variable is not set.
        let prepared = Arc::new(config.prepare(&secrets)?);
        if prepared.platform.needs_source() && config.source.path.is_none() && config.source.apsis.is_none() {
            return Err(no_source());
        }
        apsis::apsis(config, &secrets)?;
        let client = config.client(env, &secrets)?;
        let intent = self.intent(&secrets)?;
        let state = State::open(&env.state_dir()?)?;
        super::sweep::sweep(&state);
        let last_read = last_read(&state, &intent)?;
        let abandoned = match env.new {
            true => state.last_run_of_job(intent.key.as_str())?.filter(|last| !last.closed),
            false => None,
        };
        let spool = abandoned.as_ref().map(|last| state.fact(last, "spool")).transpose()?.flatten();
        let begin = match record {
            Some(record) => state.resume(record, &intent, assume)?,
            None => state.begin(&intent, env.new)?,
        };
        // Nobody takes the abandoned run up any more.
        if let Some(last) = abandoned {
            config.forget_spool(env, &last.id, spool.as_ref().and_then(Value::as_str));
        }
        Ok(Begun { begin, parts: Parts { prepared, client, secrets, last_read } })
    }

    pub(super) fn intent(&self, secrets: &dyn Secrets) -> Result<Intent> {
        let config = &self.config;
        let entry = config.platform()?;
        let mut identity = Vec::new();
        for name in entry.identity {
            let value = config.destination.get(*name).filter(|value| !value.is_null());
            let secret = entry.keys.iter().any(|key| key.name == *name && matches!(key.kind, KeyKind::Secret));
            identity.push(match value {
                None => String::new(),
                Some(value) if secret => secrets.resolve(value, &format!("destination.{name}"))?.expose().to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            });
        }
        let identity: Vec<&str> = identity.iter().map(String::as_str).collect();
        let base_url = config.destination.get("base_url").and_then(Value::as_str);
        let tree = |key: &str| config.tree.get(key).cloned().unwrap_or(Value::Null);
        Ok(Intent {
            key: JobKey::new(&config.name, entry.name, base_url, &identity),
            name: config.name.clone(),
            platform: entry.name.to_owned(),
            job_file: self.file.as_deref().map(absolute),
            overrides: self.overrides.clone(),
            fingerprint: fingerprint(&tree("source"), &tree("where"), &tree("map")),
            date: config.timezone.day(SystemTime::now()),
        })
    }

    /// Ends the run in the state, unless it is to be left as it is.
    fn end(&self, env: &Env, run: Run, end: End, report: &Report) -> Option<Error> {
        if end == End::AsItWas {
            return run.leave().err();
        }
        if let Some(path) = &report.rejects_file {
            // the run's own, which stays as it is; one of an older version has none
            let own = env.state_dir().ok().map(|dir| file_of(&dir, run.id())).filter(|own| own.exists());
            let path = own.as_ref().unwrap_or(path);
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            if let Err(error) = run.set_rejects_file(&path) {
                return Some(error);
            }
        }
        let spool = run.load("spool").ok().flatten();
        let open = end == End::Open;
        let (id, fresh) = (run.id().to_owned(), run.is_fresh());
        let ended = run.finish(report.exit_code, open, &report.to_json());
        // 2 and 3 leave a run that was taken up as it was
        let goes_on =
            matches!(report.exit_code, 1 | 20 | 21 | 22 | 130 | 143) || (!fresh && matches!(report.exit_code, 2 | 3));
        if !open && !goes_on {
            self.config.forget_spool(env, &id, spool.as_ref().and_then(Value::as_str));
        }
        ended.err()
    }

    /// Source, pass one, delivery, verdict.
    async fn work(
        &self,
        env: &Env,
        run: &Run,
        parts: &Parts,
        assume: Option<Assume>,
        report: &mut Report,
    ) -> Result<()> {
        let prepared = &parts.prepared;
        let cx = Remote::new(run.seed(), run, &parts.client, self.policy()).assuming(assume);
        if let Some(text) = prepared.platform.remark(&self.config.map) {
            cx.note(&text)?;
        }
        if !prepared.platform.needs_source() {
            env.stage(Stage::Send { body_bytes: 0, parts: 0 });
            let verdict = self.deliver(env, prepared, None, cx, report).await?;
            if let Some(text) = named_elsewhere(run)? {
                tracing::warn!("{text}");
                run.note(&Warning::new(WarningKind::RowsNotFound, text).to_note())?;
            }
            return self.conclude(run, verdict, 0, report);
        }
        if let Some(done) = self.verdict_alone(env, run, parts, assume, report).await? {
            return self.conclude(run, done, 0, report);
        }
        let source = self.source(env, run, parts).await?;
        let (measured, mut rejects) = self.pass_one_aside(env, parts, source, run.id(), report).await?;
        run.measured(&facts(&measured))?;
        delivered::store(run, &measured, report)?;
        env.stage(Stage::Send { body_bytes: measured.body_bytes(), parts: measured.parts().len() });
        let verdict = self.deliver(env, prepared, Some(&measured), cx, report).await;
        // Rows that the platform named are looked up while the source is there, whatever the verdict.
        let looked_up = look_up(run, &measured, &mut rejects, report);
        let verdict = verdict?;
        report.platform_result = verdict.result.clone();
        self.conclude(run, verdict, looked_up?, report)
    }

    /// The verdict of a run whose parts were all sent before it was taken up: the source is read again only where the
    /// platform names rows of it, or where the list is still to be served.
    async fn verdict_alone(
        &self,
        env: &Env,
        run: &Run,
        parts: &Parts,
        assume: Option<Assume>,
        report: &mut Report,
    ) -> Result<Option<Verdict>> {
        let platform = &parts.prepared.platform;
        if run.is_fresh() || platform.needs_wait().is_some() {
            return Ok(None);
        }
        let Some(measured) = delivered::load(run, &*parts.prepared.platform, &self.config.map, assume, report)? else {
            return Ok(None);
        };
        env.stage(Stage::Send { body_bytes: 0, parts: 0 });
        let cx = Remote::new(run.seed(), run, &parts.client, self.policy()).assuming(assume);
        let verdict = self.deliver(env, &parts.prepared, Some(&measured), cx, report).await?;
        if run.fault_count()? > 0 {
            // should the source be gone, the report still tells what the platform made of the list
            report.platform_result = verdict.result;
            return Ok(None);
        }
        Ok(Some(verdict))
    }

    /// The source: as it lies, or spooled; a run that is taken up reads the spool that it left.
    async fn source(&self, env: &Env, run: &Run, parts: &Parts) -> Result<Arc<Source>> {
        let config = &self.config;
        if let Some(path) = run.load("spool")?.as_ref().and_then(Value::as_str) {
            let mut options = config.source.open.clone();
            if config.source.apsis.is_some() {
                options.compression = crate::source::Compression::None;
            }
            let path = config.kept_spool(env, path);
            return Ok(Arc::new(Source::open_spooled(&path, &config.source_name(), &options)?));
        }
        let source = if config.source.apsis.is_some() {
            let dir = config.spool_dir(env)?;
            make_private_dir(&dir)?;
            let remote = Remote::new(run.seed(), run, &parts.client, self.policy());
            let spooled = apsis::spooled(config, &parts.secrets, &dir, &remote);
            Arc::new(tokio::select! {
                source = spooled => source?,
                () = cancelled(env) => return Err(Error::new(Kind::Interrupted, "stopped before the export was whole")),
            })
        } else {
            if !run.is_fresh() && config.source.path.as_deref() == Some("-") && std::io::stdin().is_terminal() {
                return Err(not_kept(run));
            }
            let (config, env, id) = (config.clone(), env.clone(), run.id().to_owned());
            aside(move || config.open(&env, Passes::OfRun(&id))).await??
        };
        if !run.is_fresh() && config.is_stream() && source.stored_bytes() == 0 {
            config.forget_spool(env, run.id(), None);
            return Err(not_kept(run));
        }
        if let Some(path) = source.spool_path() {
            run.store("spool", &Value::from(path.to_string_lossy()))?;
            if config.source.apsis.is_some() {
                run.store(apsis::REQUESTED, &Value::Null)?;
            }
        }
        Ok(source)
    }

    /// Pass one on a thread where blocking is allowed.
    async fn pass_one_aside(
        &self,
        env: &Env,
        parts: &Parts,
        source: Arc<Source>,
        run_id: &str,
        report: &mut Report,
    ) -> Result<(Measured, Rejects)> {
        let (job, env, prepared, last_read) = (self.clone(), env.clone(), Arc::clone(&parts.prepared), parts.last_read);
        let mut rejects = Rejects::of_run(&self.config, &env, run_id)?;
        let mut scratch = Report::new("run");
        let work = move || {
            let measured = job.config.pass_one(&env, &prepared, source, last_read, &mut rejects, &mut scratch);
            (measured, rejects, scratch)
        };
        let (measured, rejects, scratch) = aside(work).await?;
        report.records = scratch.records;
        report.reject_reasons = scratch.reject_reasons;
        report.bytes = scratch.bytes;
        report.digest = scratch.digest;
        report.parts = scratch.parts;
        report.rejects_file = scratch.rejects_file;
        report.first_rejects = scratch.first_rejects;
        report.seconds.measure = scratch.seconds.measure;
        scratch.warnings.into_iter().for_each(|warning| report.warn(warning));
        Ok((measured?, rejects))
    }

    /// Sends and waits, or stops when the run is cancelled.
    async fn deliver(
        &self,
        env: &Env,
        prepared: &Prepared,
        measured: Option<&Measured>,
        mut cx: Remote<'_>,
        report: &mut Report,
    ) -> Result<Verdict> {
        let began = Instant::now();
        let whole_wait = self.config.wait;
        let verdict = {
            let delivery = async {
                match measured {
                    Some(measured) => prepared.platform.deliver(measured, &self.config.map, &mut cx).await,
                    None => prepared.platform.import(&self.config.map, &mut cx).await,
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

    /// Puts what the platform made of it into the report. `shown`: rows that it named and that are in the reject file.
    fn conclude(&self, journal: &dyn Journal, verdict: Verdict, shown: u64, report: &mut Report) -> Result<()> {
        report.platform_result = verdict.result;
        let named = journal.fault_count()?;
        let most = self.config.rejects.max_remote;
        let hint = match (named, shown, report.run_id.as_deref()) {
            (0, ..) if verdict.reason.is_some() => {
                "the platform named no rows: mend what it says, then run the job again".to_owned()
            }
            (0, ..) => "the platform named no rows; platform_result in the report is what it answered".to_owned(),
            (_, 0, _) => {
                "the rows that the platform named cannot be shown, as the warnings say; platform_result in the \
                          report is what it answered"
                    .to_owned()
            }
            (_, _, Some(id)) => format!("listferry rejects {id} shows the rows; correct them and send them again"),
            (.., None) => "see rejects_file".to_owned(),
        };
        let why = verdict.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let failed = |message: String| Error::new(Kind::ImportFailed, message).with_hint(hint);
        // ignored rows may be named too, and have not failed
        let named = named.saturating_sub(verdict.counts.ignored.unwrap_or(0));
        match (verdict.outcome, verdict.failed_rows.map(|rows| rows.max(named))) {
            (Outcome::Failed, _) => report.fail(failed(format!("the platform reports a failed import{why}"))),
            (Outcome::Partial, Some(rows)) if rows <= most => {}
            (Outcome::Partial, rows) => {
                report.fail(failed(match rows {
                    Some(rows) => {
                        format!("the platform refused {rows} row{}, rejects.max_remote is {most}", plural(rows))
                    }
                    None => format!("the platform took only a part{why}"),
                }));
                report.status = Some(Status::Partial);
            }
            (Outcome::Expired, _) => {
                report.fail(failed("no verdict came within 24 hours after the platform accepted the list".to_owned()));
                report.status = Some(Status::Partial);
            }
            (Outcome::Done, _) => {}
        }
        Ok(())
    }

    /// Parts and warnings of the journal, however the run ended.
    fn account(&self, journal: &dyn Journal, report: &mut Report) -> Result<()> {
        let states = journal.parts()?;
        report.place(&states);
        let accepted = states.iter().filter(|part| part.accepted).count();
        let failed = matches!(report.status, Some(Status::Failed | Status::Rejected)) && report.parts.len() > 1;
        if failed && accepted > 0 && accepted < report.parts.len() {
            report.status = Some(Status::Partial);
        }
        for note in journal.notes()? {
            report.warn(Warning::from_note(&note));
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
            part_wait: upload.part_wait,
        }
    }
}

/// What becomes of a run in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// What its exit code says.
    AsItEnds,
    /// It can be taken up, whatever its exit code.
    Open,
    /// As if it had not been taken up.
    AsItWas,
}

/// A run of which the platform has taken something does not begin anew by itself where it can go on: the source put back,
/// the credentials set right.
fn stays(run: &Run, error: Error, end: &mut End) -> Error {
    if !matches!(error.kind(), Kind::SourceChanged | Kind::Credentials) || !run.has_effects().unwrap_or(true) {
        return error;
    }
    *end = End::Open;
    if error.kind() == Kind::Credentials {
        let hint = error.hint().unwrap_or("set them right").to_owned();
        return error
            .with_hint(format!("{hint}; then run the job again: it goes on, what was taken is not sent again"));
    }
    if !run.is_fresh() {
        *end = End::AsItWas;
    }
    error.with_hint(
        "the platform has taken a part of the old source, or may have; put that back and resume the run, or abandon it with \
         --new (what was taken stays there)",
    )
}

/// Records of the last done run of the job: what `source.expect.max_change_percent` compares with.
pub(super) fn last_read(state: &State, intent: &Intent) -> Result<Option<u64>> {
    let last = state.last_done_report(intent.key.as_str())?;
    Ok(last.and_then(|report| report.pointer("/records/read").and_then(Value::as_u64)))
}

/// A run in the state, and what it works with.
struct Begun {
    begin: Begin,
    parts: Parts,
}

struct Parts {
    prepared: Arc<Prepared>,
    client: Client,
    secrets: JobSecrets,
    /// Records of the last done run.
    last_read: Option<u64>,
}

/// The run has sent nothing, since the copy comes first; but an empty pipe is no reason to call the list empty.
fn not_kept(run: &Run) -> Error {
    let id = run.id();
    Error::usage(format!(
        "run {id} was stopped before its list, which came through a pipe, was kept whole; now none comes"
    ))
    .with_hint(format!("pipe the list again, into `run` or `resume {id}`; or abandon the run with --new"))
}

fn no_source() -> Error {
    Error::usage("source.path is required").with_hint("a file, a glob, or \"-\" for stdin")
}

fn in_doubt(record: &RunRecord) -> Error {
    let said = record.report.as_ref().and_then(|report| report.pointer("/error/message")).and_then(Value::as_str);
    Error::new(
        Kind::InDoubt,
        format!("run {} of this job is in doubt: {}", record.id, said.unwrap_or("a call got no answer")),
    )
    .with_hint(format!(
        "nothing was sent; look at the platform, then: listferry resume {} --assume done (it is there) or repeat (it is \
         not)",
        record.id
    ))
}

/// What a continued run must find again.
fn facts(measured: &Measured) -> Value {
    let parts: Vec<_> =
        measured.parts().iter().map(|part| json!([part.bytes, part.records, format!("{:016x}", part.crc)])).collect();
    json!({
        "digest": super::report::digest(measured.digest()), "bytes": measured.body_bytes(),
        "written": measured.counts().written, "parts": parts,
    })
}

/// Blocking work on a thread for it. Not one of the runtime's, which panics or waits for ever if it cannot start one.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("pass".to_owned())
        .stack_size(1 << 20)
        // nobody waits any more if the run was stopped
        .spawn(move || drop(done.send(work())))
        .map_err(|error| {
            Error::io("a thread cannot be started", error).with_hint(
                "the limit on processes or memory is reached: raise it (ulimit -u, ulimit -v); then run again",
            )
        })?;
    result.await.map_err(|_| Error::new(Kind::Local, "a thread ended early: this is a bug"))
}

async fn cancelled(env: &Env) {
    while !env.progress().cancelled.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
