//! An export that was requested, and what is stored of it for a later process.

use crate::error::Result;
use crate::secret::Secret;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Lifetime of the URLs of an export.
const LIFE: Duration = Duration::from_secs(24 * 3600);

const SECOND: &str = "file_download_url_v2";
const FIRST: &str = "file_download_url";

/// A requested export: the URLs of its file, and the time of the request.
#[derive(Clone, Debug)]
pub(crate) struct Requested {
    pub(super) second: Option<Secret>,
    pub(super) first: Option<Secret>,
    pub(super) at: SystemTime,
}

impl Requested {
    /// Reads the response to the report request. `own` maps each URL to the one to poll. `None` if the response
    /// contains no URL.
    pub(super) fn read(
        answer: &Value,
        now: SystemTime,
        own: impl Fn(&str) -> Result<String>,
    ) -> Result<Option<Requested>> {
        let tree = answer.get("result").filter(|result| result.is_object()).unwrap_or(answer);
        let find = |key: &str| -> Result<Option<Secret>> {
            let member = tree.as_object().and_then(|tree| tree.iter().find(|(name, _)| name.trim() == key));
            let url = member.and_then(|(_, url)| url.as_str()).map(str::trim).filter(|url| !url.is_empty());
            Ok(url.map(&own).transpose()?.map(Secret::new))
        };
        let (second, first) = (find(SECOND)?, find(FIRST)?);
        let named = second.is_some() || first.is_some();
        Ok(named.then_some(Requested { second, first, at: now }))
    }

    /// Returns a JSON form to be stored where only the user can read it, because the URLs may be secrets.
    pub(crate) fn to_json(&self) -> Value {
        let at = self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let url = |url: &Option<Secret>| url.as_ref().map(Secret::expose).map_or(Value::Null, Value::from);
        json!({ SECOND: url(&self.second), FIRST: url(&self.first), "requested_s": at })
    }

    /// Reads the result of [`Requested::to_json`]; `None` if the value is something else.
    pub(crate) fn from_json(value: &Value) -> Option<Requested> {
        let url = |key: &str| value.get(key).and_then(Value::as_str).map(Secret::new);
        let at = UNIX_EPOCH.checked_add(Duration::from_secs(value.get("requested_s")?.as_u64()?))?;
        let (second, first) = (url(SECOND), url(FIRST));
        (second.is_some() || first.is_some()).then_some(Requested { second, first, at })
    }

    /// Whether the lifetime of its URLs is over.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        now.duration_since(self.at).is_ok_and(|age| age >= LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_lives_for_a_day() {
        let answer = json!({"result": {" file_download_url_v2 ": " /v2/7?sig=se-cret ", "file_download_url": ""}});
        let own = |url: &str| Ok(format!("https://h{url}"));
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let requested = Requested::read(&answer, now, own).unwrap().unwrap();
        assert!(!format!("{requested:?}").contains("se-cret"));
        let mut again = Requested::from_json(&requested.to_json()).unwrap();
        assert_eq!(again.second.as_ref().map(Secret::expose), Some("https://h/v2/7?sig=se-cret"));
        assert!(again.first.is_none() && !again.is_over(now));
        again.at -= LIFE;
        assert!(again.is_over(now));
        for other in [json!(null), json!({"requested_s": 1}), json!({"file_download_url": "u"})] {
            assert!(Requested::from_json(&other).is_none());
        }
        assert!(Requested::read(&json!({"file_download_url": 7}), now, own).unwrap().is_none());
    }
}
