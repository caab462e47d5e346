//! Audience lists of Localytics, with a job's credentials.

use super::journal::State;
use super::secrets::JobSecrets;
use super::variables::Unset;
use super::{Env, Job};
use crate::calls::{JobSeed, MemoryJournal, Quota, Remote, Slot};
use crate::error::{Error, Result};
use crate::platform::localytics::AudienceLists;
use crate::settings::Settings;
use serde_json::Value;
use std::time::Duration;

/// A person waits for the answer, so few attempts and short waits.
const ATTEMPTS: u32 = 4;
/// Maximum wait; the limit is counted by the minute.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Job {
    /// Returns the lists of the job's app, in the form that Localytics uses.
    ///
    /// # Errors
    /// `Usage`: the job has another platform, or a secret is not set; otherwise as [`AudienceLists::list`].
    pub async fn lists(&self, env: &Env) -> Result<Vec<Value>> {
        let found = self.with_lists(env, async |lists, remote| lists.list(remote).await).await?;
        Ok(found.into_iter().map(|list| env.taint.value(list)).collect())
    }

    /// Renames a list.
    ///
    /// # Errors
    /// As [`Job::lists`] and [`AudienceLists::rename`].
    pub async fn rename_list(&self, env: &Env, id: &str, name: &str) -> Result<()> {
        self.with_lists(env, async |lists, remote| lists.rename(remote, id, name).await).await
    }

    /// Deletes a list.
    ///
    /// # Errors
    /// As [`Job::lists`] and [`AudienceLists::delete`].
    pub async fn delete_list(&self, env: &Env, id: &str) -> Result<()> {
        self.with_lists(env, async |lists, remote| lists.delete(remote, id).await).await
    }

    /// Works on the lists. The calls belong to no run, but count against the quota that runs share.
    async fn with_lists<T>(
        &self,
        env: &Env,
        work: impl AsyncFnOnce(&AudienceLists, &Remote<'_>) -> Result<T>,
    ) -> Result<T> {
        let (job, _) = self.in_environment(env, Unset::Refuse)?;
        let config = &job.config;
        if self.platform() != Some("localytics-audience") {
            return Err(Error::usage("lists are those of a localytics-audience job")
                .with_hint("destination.platform: localytics-audience"));
        }
        let secrets = JobSecrets::new(env.variables.clone(), &config.folder, &env.taint);
        let settings =
            Settings { map: &config.destination, at: "destination", secrets: &secrets, folder: &config.folder };
        let lists = AudienceLists::read(&settings)?;
        let client = config.client(env, &secrets)?;
        secrets.log_literal();
        let state = env.state_dir().and_then(|dir| State::open(&dir));
        if let Err(error) = &state {
            tracing::warn!("these calls are not counted against the 60 a minute: {error}");
        }
        let take = |quota: &Quota, now| match &state {
            Ok(state) => state.quota_take(quota, now),
            Err(_) => Ok(Slot::Granted),
        };
        let seed = JobSeed { run_id: "lists".to_owned(), random: String::new(), date: String::new() };
        let journal = MemoryJournal::default();
        let mut policy = self.policy();
        (policy.attempts, policy.give_up_after, policy.max_quota_wait) = (ATTEMPTS, LONGEST_WAIT, LONGEST_WAIT);
        let remote = Remote::new(&seed, &journal, &client, policy).with_quotas(&take).with_clock(&*env.world.clock);
        work(&lists, &remote).await
    }
}
