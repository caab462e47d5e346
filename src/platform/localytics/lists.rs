//! The audience lists of an app: list, rename, delete.

use super::account::Account;
use super::{AUDIENCE, tolerant};
use crate::error::{Error, Kind, Result};
use crate::platform::Settings;
use crate::transport::{Answer, Client, Request};
use serde_json::Value;

/// Audience lists, with the credentials of a `localytics-audience` job.
pub struct AudienceLists {
    account: Account,
    app_id: String,
}

impl AudienceLists {
    /// Reads the job's `destination`.
    ///
    /// # Errors
    /// `Usage`.
    pub fn read(settings: &Settings<'_>) -> Result<AudienceLists> {
        settings.check(AUDIENCE.keys)?;
        Ok(AudienceLists { account: Account::read(settings)?, app_id: settings.text("app_id")? })
    }

    /// All lists of the app, as Localytics answers: id, name, version, record_count, ….
    ///
    /// # Errors
    /// `Transient`, `Credentials`, `Refused`.
    pub async fn list(&self, client: &Client) -> Result<Vec<Value>> {
        let answer = self.ask(client, "GET", &format!("app/{}", part(&self.app_id))).await?;
        let lists = tolerant::read(&answer.body).and_then(|value| match value {
            Value::Array(lists) => Some(lists),
            _ => None,
        });
        lists.ok_or_else(|| Error::new(Kind::Transient, "the lists: the answer cannot be read"))
    }

    /// Gives a list another name. Repeatable.
    ///
    /// # Errors
    /// As [`AudienceLists::list`].
    pub async fn rename(&self, client: &Client, id: &str, name: &str) -> Result<()> {
        self.ask(client, "PUT", &format!("{}/name?name={}", part(id), part(name))).await.map(drop)
    }

    /// Deletes a list; one that is gone already is as good as deleted.
    ///
    /// # Errors
    /// As [`AudienceLists::list`].
    pub async fn delete(&self, client: &Client, id: &str) -> Result<()> {
        match self.try_once(client, "DELETE", &part(id)).await? {
            answer if answer.status == 404 => Ok(()),
            answer => judge("the deletion", answer).map(drop),
        }
    }

    async fn ask(&self, client: &Client, method: &'static str, path: &str) -> Result<Answer> {
        judge("the lists", self.try_once(client, method, path).await?)
    }

    async fn try_once(&self, client: &Client, method: &'static str, path: &str) -> Result<Answer> {
        let request: Request = self.account.request(method, &format!("/v1/imports/audiences/list/{path}"));
        client.call(&request).await.map_err(|failed| failed.error)
    }
}

fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, super::PATH_PART).to_string()
}

fn judge(what: &str, answer: Answer) -> Result<Answer> {
    use crate::platform::Judgement;
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    match Judgement::by_status(what, &answer) {
        Judgement::Retry(error) | Judgement::Unclear(error) | Judgement::Fail(error) => Err(error),
        Judgement::Done(_) => Ok(answer),
    }
}
