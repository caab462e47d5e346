//! The audience lists of an app: list, rename, delete.

use super::account::Account;
use super::{AUDIENCE, tolerant};
use crate::error::{Error, Kind, Result};
use crate::platform::retry::back_off;
use crate::platform::{Judgement, Settings};
use crate::transport::{Answer, Client, Failed, Reach, Request};
use serde_json::Value;
use std::time::Duration;

/// Somebody sits in front of this: few attempts, short waits.
const ATTEMPTS: u32 = 4;
/// A limit is counted by the minute.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

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
        self.ask_judged(client, "DELETE", &part(id), |answer| match answer.status {
            404 => Judgement::Done(Value::Null),
            _ => judge("the deletion", answer),
        })
        .await
        .map(drop)
    }

    async fn ask(&self, client: &Client, method: &'static str, path: &str) -> Result<Answer> {
        self.ask_judged(client, method, path, |answer| judge("the lists", answer)).await
    }

    /// All of these may be repeated: they read, or the final state is the same.
    async fn ask_judged(
        &self,
        client: &Client,
        method: &'static str,
        path: &str,
        judge: impl Fn(&Answer) -> Judgement,
    ) -> Result<Answer> {
        let request: Request = self.account.request(method, &format!("/v1/imports/audiences/list/{path}"));
        let mut attempt = 1;
        loop {
            let error = match client.call(&request).await {
                Ok(answer) => match judge(&answer) {
                    Judgement::Done(_) => return Ok(answer),
                    Judgement::Fail(error) => return Err(error),
                    Judgement::Retry(error) | Judgement::Unclear(error) => error,
                },
                Err(Failed { reach: Reach::Permanent | Reach::Body, error }) => return Err(error),
                Err(failed) => failed.error.into_kind(Kind::Transient),
            };
            let asked = error.retry_after().unwrap_or_default();
            if attempt == ATTEMPTS || asked > LONGEST_WAIT {
                return Err(error);
            }
            tokio::time::sleep(asked.max(back_off(path, attempt))).await;
            attempt += 1;
        }
    }
}

fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, super::PATH_PART).to_string()
}

fn judge(what: &str, answer: &Answer) -> Judgement {
    match answer.status {
        200..300 => Judgement::Done(Value::Null),
        _ => Judgement::by_status(what, answer),
    }
}
