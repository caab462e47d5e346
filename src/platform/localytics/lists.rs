//! The audience lists of an app: list, rename, delete.

use super::account::Account;
use super::{AUDIENCE, tolerant};
use crate::calls::{Attempt, BoxFuture, Call, Quota, Remote, Reply, RetrySafety, quoted};
use crate::error::{Error, Kind, Result};
use crate::secret::printable;
use crate::settings::Settings;
use crate::transport::Answer;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NO_SUCH_LIST: &str = "`listferry lists JOB list` shows the lists of the app with their ids";
const NO_SUCH_APP: &str = "check destination.app_id, and base_url if it is set";

/// Access to audience lists with the credentials of a `localytics-audience` job.
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

    /// Creates access to the lists of an app.
    pub(super) fn of(account: Account, app_id: String) -> AudienceLists {
        AudienceLists { account, app_id }
    }

    /// Returns all lists of the app in the form that Localytics uses: id, name, version, record_count, ….
    ///
    /// # Errors
    /// `Transient`, `Credentials`, `Refused`.
    pub async fn list(&self, remote: &Remote<'_>) -> Result<Vec<Value>> {
        let what = format!("the lists of app {}", printable(&self.app_id));
        let answer = self.ask(remote, "GET", &format!("app/{}", part(&self.app_id)), &what, NO_SUCH_APP).await?;
        Ok(answer.as_array().cloned().unwrap_or_default())
    }

    /// Describes how many lists the app has.
    pub(super) fn in_words<'a>(self, remote: &'a Remote<'_>) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let lists = self.list(remote).await?.len();
            let s = if lists == 1 { "" } else { "s" };
            Ok(format!("accepted: app {} has {lists} audience list{s}", printable(&self.app_id)))
        })
    }

    /// Renames a list. Repeatable.
    ///
    /// # Errors
    /// As [`AudienceLists::list`].
    pub async fn rename(&self, remote: &Remote<'_>, id: &str, name: &str) -> Result<()> {
        let path = format!("{}/name?name={}", part(id), part(name));
        self.ask(remote, "PUT", &path, &format!("list {}", printable(id)), NO_SUCH_LIST).await.map(drop)
    }

    /// Deletes a list. If the list is gone after an attempt whose answer was lost, it was deleted; if it never existed,
    /// the call is refused.
    ///
    /// # Errors
    /// As [`AudienceLists::list`].
    pub async fn delete(&self, remote: &Remote<'_>, id: &str) -> Result<()> {
        self.ask(remote, "DELETE", &part(id), &format!("list {}", printable(id)), NO_SUCH_LIST).await.map(drop)
    }

    /// Makes a call until there is an answer. All of these calls may be repeated, because they only read or the final
    /// state is the same. `what` is the subject of messages, and `missing` the hint if it does not exist.
    async fn ask(
        &self,
        remote: &Remote<'_>,
        method: &'static str,
        path: &str,
        what: &str,
        missing: &str,
    ) -> Result<Value> {
        let request = &self.account.request(method, &format!("/v1/imports/audiences/list/{path}"));
        // an attempt whose answer never came may have been carried out
        let lost = &AtomicBool::new(false);
        let classify = |answer: &Answer| match answer.status {
            200..300 => {
                let tree = tolerant::read(&answer.body).unwrap_or_default();
                match method {
                    "GET" if !tree.is_array() => {
                        let message = format!("{what}: the answer cannot be read: {}", quoted(answer));
                        Reply::Unclear(Error::new(Kind::Transient, message))
                    }
                    _ => Reply::Done(tree),
                }
            }
            404 if lost.load(Ordering::Relaxed) && method == "DELETE" => Reply::Done(Value::Null),
            404 => {
                let error = Error::new(Kind::Refused, format!("{what}: not found (status 404)"));
                Reply::Fail(error.with_hint(missing))
            }
            _ => Reply::by_status(what, answer),
        };
        let classify = &classify;
        let call = Call::new("lists", RetrySafety::Always).with_quota(self.quota());
        let came = remote
            .attempts(&call, |_| async move {
                let came = remote.once(request, classify).await;
                if matches!(came, Attempt::Unclear(_)) {
                    lost.store(true, Ordering::Relaxed);
                }
                came
            })
            .await;
        came.map_err(|error| match error.kind() {
            Kind::Transient => {
                let when = error.retry_after().map_or("later".to_owned(), |wait| format!("in {} s", wait.as_secs()));
                error.with_hint(format!("check base_url, and whether a proxy answered; else try again {when}"))
            }
            _ => error,
        })
    }

    /// The quota of 60 audience calls a minute, including uploads.
    fn quota(&self) -> Quota {
        self.account.quota("audiences", 60, Duration::from_secs(60))
    }
}

fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, super::PATH_PART).to_string()
}
