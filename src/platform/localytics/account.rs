//! The account: its address and key pair, and the headers of every request to Localytics.

use crate::calls::Quota;
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::transport::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The vendor's own address.
const OWN: &str = "https://api.localytics.com";

/// The address and the key pair.
#[derive(Clone, Debug)]
pub(super) struct Account {
    base: String,
    key: Secret,
    authorization: Secret,
}

impl Account {
    /// Reads `base_url`, `api_key` and `api_secret`.
    pub(super) fn read(settings: &Settings<'_>) -> Result<Account> {
        let key = settings.secret("api_key")?;
        let secret = settings.secret("api_secret")?;
        for (name, value) in [("api_key", &key), ("api_secret", &secret)] {
            if value.expose().chars().any(char::is_control) {
                return Err(Error::usage(format!("{}.{name} contains a control character", settings.at))
                    .with_hint("is there a line end in it?"));
            }
        }
        if key.expose().contains(':') {
            return Err(Error::usage(format!(
                "{}.api_key contains a colon, which is not allowed in an API key",
                settings.at
            ))
            .with_hint("api_key and api_secret are two keys of the job file"));
        }
        // in a header, not in the URL as in the vendor's examples: URLs reach logs and redirects
        let pair = STANDARD.encode(format!("{}:{}", key.expose(), secret.expose()));
        let authorization = Secret::new(format!("Basic {pair}"));
        Ok(Account { base: settings.base_url(OWN)?, key, authorization })
    }

    /// Returns the base URL of all paths.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Creates a request with credentials; `path` begins with a slash and is percent-encoded.
    pub(super) fn request(&self, method: &'static str, path: &str) -> Request {
        let url = Secret::new(format!("{}{path}", self.base));
        Request::new(method, url).header("Authorization", self.authorization.expose())
    }

    /// Creates a quota that Localytics counts by API key, shared by all runs with that key at that address.
    pub(super) fn quota(&self, what: &str, limit: u32, window: Duration) -> Quota {
        let mut hash = Sha256::new();
        hash.update(self.key.expose().as_bytes());
        hash.update([0]);
        hash.update(self.base.as_bytes());
        let hash: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Quota { key: format!("localytics-{what}/{hash}"), limit, window }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secrets;
    use serde_json::{Value, json};

    struct Literal;

    impl Secrets for Literal {
        fn resolve(&self, value: &Value, _: &str) -> Result<Secret> {
            Ok(Secret::new(value.as_str().unwrap_or_default()))
        }
    }

    fn read(value: Value) -> Result<Account> {
        let map = value.as_object().unwrap();
        Account::read(&Settings { map, at: "destination", secrets: &Literal, folder: std::path::Path::new("") })
    }

    #[test]
    fn the_key_pair_travels_in_a_header_only() {
        let account = read(json!({ "api_key": "k-1", "api_secret": "s:3" })).unwrap();
        let request = account.request("GET", "/v1/x");
        assert_eq!(request.url.expose(), "https://api.localytics.com/v1/x");
        assert_eq!(request.headers[0].value.expose(), "Basic ay0xOnM6Mw==");
        assert!(!format!("{account:?} {request:?}").contains("k-1"));
    }

    #[test]
    fn a_quota_is_of_the_key_at_the_address() {
        let hour = Duration::from_secs(3600);
        let key = |value| read(value).unwrap().quota("profiles", 10, hour).key;
        let one = key(json!({ "api_key": "hunter2", "api_secret": "a" }));
        assert_eq!(one, key(json!({ "api_key": "hunter2", "api_secret": "b" })));
        assert_ne!(one, key(json!({ "api_key": "hunter3", "api_secret": "a" })));
        assert_ne!(one, key(json!({ "api_key": "hunter2", "api_secret": "a", "base_url": "http://127.0.0.1:1" })));
        assert!(!one.contains("hunter2"));
    }

    #[test]
    fn a_key_that_cannot_be_sent_is_refused_without_being_shown() {
        for (key, secret) in [("hunter:2", "s"), ("hunter\n2", "s"), ("k", "hunter\r2")] {
            let error = read(json!({ "api_key": key, "api_secret": secret })).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Usage);
            assert!(!error.to_string().contains("hunter"));
        }
    }
}
