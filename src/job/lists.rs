//! Audience lists of Localytics, with a job's credentials.

use super::secrets::JobSecrets;
use super::{Env, Job};
use crate::error::{Error, Result};
use crate::platform::localytics::AudienceLists;
use crate::settings::Settings;
use crate::transport::Client;
use serde_json::Value;

impl Job {
    /// The lists of the job's app, as Localytics tells of them.
    ///
    /// # Errors
    /// `Usage`: the job goes elsewhere, a secret is not set; else as [`AudienceLists::list`].
    pub async fn lists(&self, env: &Env) -> Result<Vec<Value>> {
        let (lists, client) = self.audience_lists(env)?;
        let found = lists.list(&client).await?;
        Ok(found.into_iter().map(|list| client.taint().value(list)).collect())
    }

    /// Gives a list another name.
    ///
    /// # Errors
    /// As [`Job::lists`] and [`AudienceLists::rename`].
    pub async fn rename_list(&self, env: &Env, id: &str, name: &str) -> Result<()> {
        let (lists, client) = self.audience_lists(env)?;
        lists.rename(&client, id, name).await
    }

    /// Deletes a list.
    ///
    /// # Errors
    /// As [`Job::lists`] and [`AudienceLists::delete`].
    pub async fn delete_list(&self, env: &Env, id: &str) -> Result<()> {
        let (lists, client) = self.audience_lists(env)?;
        lists.delete(&client, id).await
    }

    fn audience_lists(&self, env: &Env) -> Result<(AudienceLists, Client)> {
        let config = &self.config;
        if self.platform() != Some("localytics-audience") {
            return Err(Error::usage("lists are those of a localytics-audience job")
                .with_hint("destination.platform: localytics-audience"));
        }
        let secrets = JobSecrets::new(env.variables.clone(), &config.folder, &env.taint);
        let settings =
            Settings { map: &config.destination, at: "destination", secrets: &secrets, folder: &config.folder };
        let client = config.client(env, &secrets)?;
        Ok((AudienceLists::read(&settings)?, client))
    }
}
