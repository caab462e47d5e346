//! Runs one simulation: the invocations of its plan, and then a user who settles what is left open.

use crate::bed::{Bed, Ended, Room};
use crate::oracle::{Happened, Oracle};
use crate::plan::{Act, Content, Plan, Step};
use crate::sabotage::Sabotage;
use listferry::calls::Assume;
use listferry::job::journal::{RunRecord, State};
use listferry::job::{self, Env};
use std::sync::atomic::{AtomicU64, Ordering};

/// Number of invocations with a healthy vendor after which everything must be settled.
const SETTLES_WITHIN: usize = 12;

/// Counts over all simulations, which show that the simulations cover what they should.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) invocations: AtomicU64,
    pub(crate) exchanges: AtomicU64,
    pub(crate) kills: AtomicU64,
    pub(crate) codes: [AtomicU64; 32],
}

/// The result of a simulation.
pub(crate) struct Outcome {
    /// The digest after each input.
    pub(crate) trail: Vec<(&'static str, u64)>,
    pub(crate) failure: Option<String>,
    pub(crate) trace: Vec<String>,
}

/// Runs a plan.
pub(crate) fn play(
    room: &Room,
    plan: &Plan,
    trace: bool,
    tally: Option<&Tally>,
    sabotage: Option<Sabotage>,
) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let bed = Bed::new(room, plan, trace);
        let mut sim =
            Sim { bed, oracle: Oracle::new(plan), plan, last: None, newest: None, state: None, tally, sabotage };
        let mut failure = sim.all().await.err();
        if failure.is_none() {
            failure = sim.oracle.at_the_end(&sim.bed).err();
        }
        let mut net = sim.bed.connector.net();
        Outcome { trail: std::mem::take(&mut net.trail), failure, trace: net.trace.take().unwrap_or_default() }
    })
}

struct Sim<'p> {
    bed: Bed,
    oracle: Oracle,
    plan: &'p Plan,
    /// Exit code of the last invocation; `None` if it was killed.
    last: Option<u8>,
    /// The run that the last invocation worked on or named, otherwise the newest.
    newest: Option<RunRecord>,
    state: Option<State>,
    tally: Option<&'p Tally>,
    sabotage: Option<Sabotage>,
}

impl Sim<'_> {
    async fn all(&mut self) -> Result<(), String> {
        for step in &self.plan.steps {
            self.step(step).await?;
        }
        self.settle().await
    }

    /// Runs the job without faults until it has ended, and answers questions about calls in doubt truthfully.
    async fn settle(&mut self) -> Result<(), String> {
        let (mut restored, mut put_back) = (false, false);
        self.bed.connector.net().vendor.book.moody = false;
        for _ in 0..SETTLES_WITHIN {
            let mut source = None;
            let act = match self.last {
                Some(21) => Act::Assume,
                Some(10) if !self.bed.content.bad && !put_back => {
                    put_back = true;
                    source = self.oracle.content_of_last();
                    Act::Assume
                }
                Some(23) if restored => Act::New,
                Some(23) => {
                    restored = true;
                    source = self.oracle.content_of_last();
                    Act::Run
                }
                _ => Act::Run,
            };
            if source.is_none() && self.bed.content.bad {
                source = Some(Content { bad: false, ..self.bed.content });
            }
            let step = Step { after: 14_400, source, act, faults: Vec::new(), stop: None, writes_report: true };
            let refused = self.bed.connector.net().vendor.book.refusals;
            self.step(&step).await?;
            let refused = self.bed.connector.net().vendor.book.refusals > refused;
            match self.last {
                Some(0 | 11) if act != Act::Assume => return Ok(()),
                Some(12) if refused => return Ok(()),
                _ => {}
            }
        }
        Err(format!("stuck: no end after {SETTLES_WITHIN} invocations with a healthy vendor, the last {:?}", self.last))
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        self.bed.skip(step.after);
        if let Some(content) = step.source {
            self.bed.write_source(content);
        }
        self.bed.announced.lock().expect("a list").clear();
        let record = match step.act {
            Act::Older(back) => self.before_last(back)?,
            _ => self.newest.clone(),
        };
        {
            let mut net = self.bed.connector.net();
            net.faults.clone_from(&step.faults);
            net.said.clear();
        }
        self.oracle.begins(&self.bed, step.act);
        let ended = match (step.act, record) {
            (Act::Close, Some(record)) if record.is_open() => {
                job::close(&self.bed.env(), &record.id).map_err(|error| format!("close: {error}"))?;
                self.oracle.abandoned(&record.id, &self.bed);
                self.bed.connector.net().note(|| format!("runs close {}", record.id));
                return self.known(Happened::default()).map(drop);
            }
            (act, record) => self.invoke(step, act, record).await,
        };
        self.check(step, ended)
    }

    /// Returns a run that started before the last one, if there are enough.
    fn before_last(&self, back: u8) -> Result<Option<RunRecord>, String> {
        let (mut all, Some(state)) = (Vec::new(), &self.state) else { return Ok(None) };
        let collect = &mut |record| {
            all.push(record);
            Ok(())
        };
        state.runs(collect).map_err(|error| format!("state: {error}"))?;
        Ok(all.len().checked_sub(1 + usize::from(back)).map(|at| all.swap_remove(at)))
    }

    async fn invoke(&mut self, step: &Step, act: Act, record: Option<RunRecord>) -> Ended {
        let mut env = self.bed.env();
        let mut words = "run".to_owned();
        let mut resumed = None;
        let mut assume = None;
        match (act, record) {
            (Act::Once(key), _) => {
                env.once = Some(format!("key-{key}"));
                words = format!("run --once key-{key}");
            }
            (Act::New, Some(record)) if record.is_open() => {
                words = format!("run --new {}", record.id);
                self.oracle.abandoned(&record.id, &self.bed);
                env.new_run = Some(record.id);
            }
            (Act::Resume | Act::Older(_), Some(record)) => {
                words = format!("resume {}", record.id);
                resumed = Some(record);
            }
            (Act::Assume, Some(record)) => {
                assume = self.oracle.truth(&record, &self.bed);
                words = format!("resume {} assuming {assume:?}", record.id);
                if assume == Some(Assume::Done) {
                    self.oracle.assumed(&record.id, &self.bed);
                }
                resumed = Some(record);
            }
            _ => {}
        }
        let content = self.bed.content;
        self.bed.connector.net().note(|| format!("{words}   (source v{}, {} rows)", content.version, content.rows));
        self.oracle.resumes = resumed.is_some();
        match resumed {
            None => self.bed.invoke(&mut env, step.stop, |job, env| job.run(env)).await,
            Some(record) => {
                let record = &record;
                let begin = |job: &'_ listferry::job::Job, env: &'_ Env| -> _ {
                    let (job, env) = (job.clone(), env.clone());
                    let record = record.clone();
                    async move { job.resume(&env, &record, assume).await }
                };
                self.bed.invoke(&mut env, step.stop, begin).await
            }
        }
    }

    /// Lets the oracle check the end of an invocation.
    fn check(&mut self, step: &Step, ended: Ended) -> Result<(), String> {
        let mut happened = Happened::default();
        match ended {
            Ended::Panicked(text) => return Err(format!("panic: {text}")),
            Ended::Killed => {
                self.bed.connector.net().note(|| format!("killed ({:?})", step.stop));
                self.last = None;
            }
            Ended::Report(report) => {
                self.last = Some(report.exit_code);
                let json = report.to_json();
                let text = json.to_string();
                {
                    let mut net = self.bed.connector.net();
                    net.add("a report", text.as_bytes());
                    let message = json["error"]["message"].as_str().unwrap_or("").to_owned();
                    net.note(|| format!("exit {}, run {}, {message}", json["exit_code"], json["run_id"]));
                }
                happened.code = Some(report.exit_code);
                happened.run = report.run_id.clone();
                happened.continued = report.continued;
                happened.text = text;
            }
        }
        happened.written = step.writes_report && happened.code.is_some();
        self.count(&happened);
        let happened = self.known(happened)?;
        self.digest();
        self.oracle.ended(&self.bed, happened)?;
        if let Some(sabotage) = self.sabotage {
            sabotage.strike(&self.bed.connection);
        }
        Ok(())
    }

    fn digest(&self) {
        let announced = self.bed.announced.lock().expect("a list").join("\n");
        let state = match self.last {
            Some(_) => std::fs::read(self.bed.state_dir().join("state.db")).unwrap_or_default(),
            None => Vec::new(),
        };
        let mut net = self.bed.connector.net();
        net.add("a line on stderr", announced.as_bytes());
        net.add("the state", &state);
        for line in announced.lines() {
            net.note(|| format!("said: {line}"));
        }
    }

    fn count(&self, happened: &Happened) {
        let Some(tally) = self.tally else { return };
        tally.invocations.fetch_add(1, Ordering::Relaxed);
        let net = self.bed.connector.net();
        tally.exchanges.fetch_add(net.said.len() as u64, Ordering::Relaxed);
        let counter = match happened.code {
            None => &tally.kills,
            Some(code) => &tally.codes[usize::from(if code > 99 { 31 } else { code })],
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads from the state what is known about the run, and stores the newest run for the next invocation.
    fn known(&mut self, mut happened: Happened) -> Result<Happened, String> {
        let failed = |error| format!("state: {error}");
        if happened.code.is_none() {
            // the files have been restored
            self.state = None;
        }
        if self.state.is_none() {
            self.state = Some(job::state(&self.bed.env()).map_err(failed)?);
        }
        let Some(state) = &self.state else { return Ok(happened) };
        if let Some(id) = happened.run.as_ref().filter(|_| happened.written) {
            state.reported(id).map_err(failed)?;
        }
        self.newest = state.last_run().map_err(failed)?;
        if happened.run.is_none() && happened.code.is_none() {
            // for a killed process, the run that it announced to continue, otherwise the newest
            let announced = self.bed.announced.lock().expect("a list").join("\n");
            let continued = announced.split("continuing run ").nth(1);
            let id = continued.and_then(|rest| rest.split([':', ',']).next()).map(str::to_owned);
            happened.continued = id.is_some();
            happened.run = id.or_else(|| self.newest.as_ref().map(|record| record.id.clone()));
        }
        let Some(id) = &happened.run else { return Ok(happened) };
        // resume continues the run that the command reported
        if self.newest.as_ref().is_some_and(|newest| newest.id != *id)
            && let Some(record) = state.run_of_id(id).map_err(failed)?
        {
            self.newest = Some(record);
        }
        for other in self.oracle.others(id) {
            if let Some(record) = state.run_of_id(&other).map_err(failed)? {
                let parts = state.parts(&record).map_err(failed)?;
                happened.others.push((other, parts.iter().filter(|part| part.accepted).count()));
            }
        }
        let record = match self.newest.clone().filter(|record| record.id == *id) {
            Some(record) => Some(record),
            None => state.run_of_id(id).map_err(failed)?,
        };
        if let Some(record) = record {
            let parts = state.parts(&record).map_err(failed)?;
            happened.accepted = parts.iter().filter(|part| part.accepted).count();
            happened.closed = record.closed;
        }
        Ok(happened)
    }
}
