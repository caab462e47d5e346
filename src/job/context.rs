//! The data that a run uses from the first check of the job file to the report.

use super::Job;
use super::env::Env;
use super::identity::Intent;
use super::journal::{JobLocks, Run, RunRecord, State};
use super::open::no_source;
use super::own::nowhere;
use super::pass::Prepared;
use super::secrets::JobSecrets;
use super::variables::Unset;
use crate::calls::{Assume, Policy, Remote};
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::transport::Client;
use serde_json::Value;
use std::sync::Arc;
use std::time::SystemTime;

/// The environment of one run.
pub(super) struct Context<'a> {
    pub(super) env: &'a Env,
    pub(super) prepared: Arc<Prepared>,
    /// The origin of the source; always there if the platform needs a source.
    pub(super) origin: Option<Arc<dyn Origin>>,
    pub(super) client: Client,
    pub(super) secrets: JobSecrets,
    pub(super) state: State,
    pub(super) intent: Intent,
    /// Records of the last done run.
    pub(super) last_read: Option<u64>,
    /// The user's answer (`--assume`) about calls in doubt.
    pub(super) assume: Option<Assume>,
}

impl Context<'_> {
    /// Takes the lock of the job, and the lock of version 0.1.0, which an older listferry may hold.
    ///
    /// # Errors
    /// `Busy`: another process holds one of them.
    pub(super) fn lock(&self, record: Option<&RunRecord>) -> Result<JobLocks> {
        let mut keys = vec![self.intent.key.as_str()];
        keys.extend(self.intent.old_key.as_ref().map(|key| key.as_str()));
        keys.extend(record.map(RunRecord::job_key));
        JobLocks::take(self.state.dir(), &keys)
    }

    /// Returns the time of day.
    pub(super) fn clock_now(&self) -> SystemTime {
        self.env.world.clock.wall()
    }

    /// Returns the client for the calls of a run.
    pub(super) fn remote<'r>(&'r self, run: &'r Run, policy: Policy) -> Remote<'r> {
        Remote::new(run.seed(), run, &self.client, policy).with_clock(&*self.env.world.clock)
    }

    /// Whether the platform has the file from elsewhere.
    pub(super) fn needs_source(&self) -> bool {
        self.prepared.plan.needs_source
    }

    /// Whether the source can be read only once.
    pub(super) fn reads_stream(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.is_stream())
    }

    /// Reports to the caller what happens to an open run, before any other message.
    pub(super) fn announce(&self, text: &str) {
        if let Some(announce) = &self.env.announce {
            announce(text);
        }
    }
}

impl Job {
    /// Validates the job file and the environment, and opens the state.
    pub(super) fn context<'a>(&self, env: &'a Env, assume: Option<Assume>) -> Result<Context<'a>> {
        self.check_named(env)?;
        let config = &self.config;
        let secrets = self.secrets(env);
        // Secrets first: a missing variable is reported before a pass over 100 GB.
        let prepared = Arc::new(config.prepare(&secrets)?);
        let origin = config.origin(&secrets)?;
        if prepared.plan.needs_source && origin.is_none() {
            return Err(no_source());
        }
        let client = config.client(env, &secrets)?;
        let effect = prepared.plan.effect.clone();
        let mut intent = config.intent(self.file.as_deref(), &self.overrides, env, effect, &secrets)?;
        intent.assume = assume;
        let dir = env.state_dir()?;
        let state = State::in_world(&dir, &env.world, config.state.require)?;
        super::sweep::sweep(&state, env.world.clock.wall(), Some((&config.name, config.state.keep_rejects)));
        let last_read = last_read(&state, &intent)?;
        Ok(Context { env, prepared, origin, client, secrets, state, intent, last_read, assume })
    }

    /// Checks what can be checked before there is a source: names, secrets, destination and map.
    ///
    /// # Errors
    /// `Usage`.
    pub(super) fn check_runnable(&self, env: &Env) -> Result<()> {
        let unset = if env.sandbox { Unset::StandIn } else { Unset::Refuse };
        let (job, _) = self.in_environment(env, unset)?;
        job.check_named(env)?;
        job.config.prepare(&job.secrets(env)).map(drop)
    }

    /// Returns the secrets of a run.
    fn secrets(&self, env: &Env) -> JobSecrets {
        let secrets = JobSecrets::new(Arc::clone(&env.variables), &self.config.folder, &env.taint);
        if env.sandbox { secrets.for_sandbox("made-up-for-the-sandbox") } else { secrets }
    }

    /// Checks that there is somewhere to send the list to, and a name by which the next run finds this one.
    fn check_named(&self, env: &Env) -> Result<()> {
        let config = &self.config;
        if config.own.as_ref().is_some_and(|own| !own.can_send) {
            return Err(nowhere());
        }
        if self.file.is_none() && config.given_name.is_none() {
            return Err(Error::usage("a job that is not read from a file needs a name to run")
                .with_hint("add `name: …` to it: runs of the same job are found by it"));
        }
        if env.once.as_deref().is_some_and(|key| key.trim().is_empty()) {
            return Err(Error::usage("--once needs a key").with_hint(
                "an empty key is mostly a variable that is not set; give the scheduler's run id, or leave --once out",
            ));
        }
        Ok(())
    }

    pub(crate) fn policy(&self) -> Policy {
        self.config.upload.policy(self.config.wait)
    }
}

/// Returns the number of records of the last done run, which `source.expect.max_change_percent` uses.
pub(super) fn last_read(state: &State, intent: &Intent) -> Result<Option<u64>> {
    let last = state.last_done_report(intent)?;
    Ok(last.and_then(|report| report.pointer("/records/read").and_then(Value::as_u64)))
}
