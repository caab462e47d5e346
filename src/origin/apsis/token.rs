//! The bearer token and its expiry.

use crate::secret::Secret;
use base64::Engine as _;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A token that expires within this time is not used any more.
const MARGIN: Duration = Duration::from_secs(60);

/// A token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) value: Secret,
    /// `None` if unknown.
    ends: Option<SystemTime>,
}

impl Token {
    /// Reads the response to the token request: `access_token`, whose expiry is its `exp` claim, otherwise
    /// `expires_in`.
    pub(super) fn read(body: &[u8], now: SystemTime) -> Option<Token> {
        let tree: Value = serde_json::from_slice(body).ok()?;
        let value = tree.get("access_token")?.as_str()?.trim().to_owned();
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
        let lives = tree.get("expires_in").and_then(number).and_then(|s| now.checked_add(Duration::from_secs(s)));
        let ends = expiry(&value).or(lives);
        // a token that has expired on arrival means that a clock is wrong
        let ends = ends.filter(|ends| *ends > now + MARGIN);
        Some(Token { value: Secret::new(value), ends })
    }

    /// Whether the token expires soon.
    pub(super) fn ends_soon(&self, now: SystemTime) -> bool {
        self.ends.is_some_and(|ends| now + MARGIN >= ends)
    }
}

/// Returns the `exp` claim of a JWT.
fn expiry(token: &str) -> Option<SystemTime> {
    let claims = token.split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let exp = claims.get("exp")?;
    let seconds = exp.as_u64().or_else(|| exp.as_f64().map(|exp| exp as u64))?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(exp: u64) -> String {
        let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.x", part("{\"alg\":\"none\"}"), part(&format!("{{\"exp\":{exp}}}")))
    }

    #[test]
    fn the_end_is_the_claim_and_then_the_deprecated_field() {
        assert_eq!(expiry(&jwt(2_000_000_000)), Some(UNIX_EPOCH + Duration::from_secs(2_000_000_000)));
        assert_eq!(expiry("opaque"), None);
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let read = |text: &str| Token::read(text.as_bytes(), now);
        let claimed = read(&format!("{{\"access_token\":\"{}\",\"expires_in\":1}}", jwt(4_000_000_000))).unwrap();
        assert_eq!(claimed.ends, Some(UNIX_EPOCH + Duration::from_secs(4_000_000_000)));
        assert!(read("{\"access_token\":\"t\",\"expires_in\":\"86400\"}").unwrap().ends.is_some());
        assert!(!read("{\"access_token\":\"t\"}").unwrap().ends_soon(now));
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_none() {
        for bad in ["{}", "no", "{\"access_token\":\"\"}", "{\"access_token\":\"a\\r\\nb\"}", "{\"access_token\":7}"] {
            assert!(Token::read(bad.as_bytes(), UNIX_EPOCH).is_none(), "{bad}");
        }
    }
}
