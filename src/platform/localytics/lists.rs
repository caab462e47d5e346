//! The audience lists of an app: list, rename, delete.

use super::account::Account;
use super::{AUDIENCE, tolerant};
use crate::calls::retry::back_off;
use crate::calls::{Reply, quoted};
use crate::error::{Error, Kind, Result};
use crate::secret::printable;
use crate::settings::Settings;
use crate::transport::{Answer, Client, Failed, Reach, Request};
use serde_json::Value;
use std::time::Duration;

/// Somebody sits in front of this: few attempts, short waits.
const ATTEMPTS: u32 = 4;
/// A limit is counted by the minute.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

const NO_SUCH_LIST: &str = "`listferry lists JOB list` shows the lists of the app with their ids";
const NO_SUCH_APP: &str = "check destination.app_id, and base_url where it is set";

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
        let what = format!("the lists of app {}", printable(&self.app_id));
        let answer = self.ask(client, "GET", &format!("app/{}", part(&self.app_id)), &what, NO_SUCH_APP).await?;
        let lists = tolerant::read(&answer.body).and_then(|value| match value {
            Value::Array(lists) => Some(lists),
            _ => None,
        });
        lists.ok_or_else(|| {
            Error::new(Kind::Transient, format!("{what}: the answer cannot be read: {}", quoted(&answer)))
                .with_hint("check base_url, and whether a proxy answered; else try again")
        })
    }

    /// Gives a list another name. Repeatable.
    ///
    /// # Errors
    /// As [`AudienceLists::list`].
    pub async fn rename(&self, client: &Client, id: &str, name: &str) -> Result<()> {
        let path = format!("{}/name?name={}", part(id), part(name));
        self.ask(client, "PUT", &path, &format!("list {}", printable(id)), NO_SUCH_LIST).await.map(drop)
    }

    /// Deletes a list. One that is gone after an attempt of ours whose answer was lost is deleted; one that was never
    /// there is refused.
    ///
    /// # Errors
    /// As [`AudienceLists::list`].
    pub async fn delete(&self, client: &Client, id: &str) -> Result<()> {
        self.ask(client, "DELETE", &part(id), &format!("list {}", printable(id)), NO_SUCH_LIST).await.map(drop)
    }

    /// Asks until there is an answer. All of these may be repeated: they read, or the final state is the same. `what` is
    /// asked about, and `missing` is to be done where there is no such thing.
    async fn ask(
        &self,
        client: &Client,
        method: &'static str,
        path: &str,
        what: &str,
        missing: &str,
    ) -> Result<Answer> {
        let request: Request = self.account.request(method, &format!("/v1/imports/audiences/list/{path}"));
        let hidden = |error: Error| error.map_text(|text| client.taint().text(text).into_owned());
        // an attempt may have been carried out whose answer never came
        let mut lost = false;
        let mut attempt = 1;
        loop {
            let error = match client.call(&request).await {
                Ok(answer) => match answer.status {
                    200..300 => return Ok(answer),
                    404 if lost && method == "DELETE" => return Ok(answer),
                    404 => {
                        let error = Error::new(Kind::Refused, format!("{what}: there is none (status 404)"));
                        return Err(error.with_hint(missing));
                    }
                    _ => match Reply::by_status(what, &answer) {
                        Reply::Unclear(error) => {
                            lost = true;
                            error
                        }
                        Reply::Retry(error) | Reply::Strange(error) => error,
                        Reply::Fail(error) => return Err(hidden(error)),
                        Reply::Done(_) => return Ok(answer),
                    },
                },
                Err(Failed { reach: Reach::Permanent | Reach::Body, error }) => return Err(error),
                Err(Failed { reach, error }) => {
                    lost |= reach != Reach::NotConnected;
                    error.into_kind(Kind::Transient)
                }
            };
            let asked = error.retry_after().unwrap_or_default();
            if attempt == ATTEMPTS || asked > LONGEST_WAIT {
                let plural = if attempt == 1 { "" } else { "s" };
                let hint = format!("given up after {attempt} attempt{plural}; try again later");
                return Err(hidden(error.with_hint(hint)));
            }
            tokio::time::sleep(asked.max(back_off(path, attempt))).await;
            attempt += 1;
        }
    }
}

fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, super::PATH_PART).to_string()
}
