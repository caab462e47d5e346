//! Calls before anything is sent or made reachable: whether the API is healthy, and whether the list has the attributes
//! of the map. They only read and are not journaled.

use super::attributes;
use super::options::Options;
use crate::calls::{Call, Remote, Reply, RetrySafety};
use crate::error::Result;
use crate::mapping::MapSpec;
use crate::transport::Answer;
use serde_json::{Value, json};

/// The path of the ping.
pub(super) const PING: &str = "/v2/company/ping";

/// The path of the attributes of target lists.
pub(super) const SCHEMA: &str = "/v2/target-lists?view=schema";

/// The step that requests the import.
pub(super) const IMPORT: &str = "file-import";

impl Options {
    /// Makes these calls, unless the import was already requested. `ping`: a file will be made reachable.
    ///
    /// # Errors
    /// `Refused`: the map has a key that target lists do not have. `Credentials`. `Transient`: the API is not healthy.
    pub(super) async fn ask_first(&self, map: &MapSpec, remote: &Remote<'_>, ping: bool) -> Result<()> {
        if remote.result_of(IMPORT)?.is_some() || remote.in_doubt(IMPORT)? {
            return Ok(());
        }
        if ping {
            self.ping(remote).await?;
        }
        self.compare_attributes(map, remote).await
    }

    /// `GET /v2/company/ping`: "can be used to determine if the API services are available and healthy".
    pub(super) async fn ping(&self, remote: &Remote<'_>) -> Result<()> {
        let request = self.request("GET", format!("{}{PING}", self.base));
        let classify = |answer: &Answer| match answer.status {
            200..=299 => Reply::Done(Value::Null),
            401 | 408 | 429 | 500 | 502.. => Reply::by_status("the ping of Yesmail's API", answer),
            // any other status says nothing about the API's health, so there is no reason to stop
            status => Reply::Done(json!(status)),
        };
        let came = remote.ask(&Call::new("ping", RetrySafety::Always), &request, &classify).await?;
        match came.as_u64() {
            None => Ok(()),
            Some(status) => remote.note(&format!("Yesmail answered its ping with status {status}; continuing")),
        }
    }

    /// Compares the keys of the map with the attributes of target lists.
    async fn compare_attributes(&self, map: &MapSpec, remote: &Remote<'_>) -> Result<()> {
        let request = self.request("GET", format!("{}{SCHEMA}", self.base));
        let classify = |answer: &Answer| match answer.status {
            200..=299 => Reply::Done(match attributes::names(&answer.body) {
                Some(names) => json!({ "names": names }),
                None => json!({ "empty": attributes::is_empty(&answer.body) }),
            }),
            401 | 429 | 503 => Reply::by_status("the attributes of Yesmail's target lists", answer),
            _ => Reply::Done(Value::Null),
        };
        let came = remote.ask(&Call::new("schema", RetrySafety::Always), &request, &classify).await?;
        let columns = self.columns(map)?;
        if let Some(names) = came["names"].as_array() {
            let names: Vec<String> = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            return attributes::compare(columns.of_list(), &names);
        }
        if came["empty"] == json!(true) {
            // the member's key needs no attributes
            return match columns.of_list().all(|column| column == "id") {
                true => Ok(()),
                false => remote.note(
                    "Yesmail says that no attributes of target lists have been set up: it may refuse every key of map \
                     but id",
                ),
            };
        }
        remote.note(
            "the attributes of Yesmail's target lists are unreadable: the keys of map were not compared with them",
        )
    }
}
