//! The import request, byte for byte.

use super::columns::Columns;
use super::options::Options;
use crate::secret::Secret;
use crate::transport::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// Characters that are not escaped in a segment of a path, a value of a query, a user or a password.
pub(super) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Options {
    /// Creates a request to the platform itself, with its credentials.
    pub(super) fn request(&self, method: &'static str, url: String) -> Request {
        Request::new(method, Secret::new(url))
            .header("Api-User", self.api_user.expose())
            .header("Api-Key", self.api_key.expose())
            .header("Accept", "application/json")
    }

    /// Requests the import of the file at `uri`.
    pub(super) fn import_request(&self, columns: &Columns, separator: u8, uri: &Secret) -> Request {
        let mut url = format!("{}{}", self.base, self.import_path());
        let mut mark = '?';
        for (name, value) in [("responseUri", &self.response_uri), ("responseRef", &self.response_ref)] {
            if let Some(value) = value {
                url.push_str(&format!("{mark}{name}={}", utf8_percent_encode(value, SEGMENT)));
                mark = '&';
            }
        }
        let body = self.import_payload(columns, separator, uri).to_string();
        self.request("POST", url).header("Content-Type", "application/json").body(body)
    }

    /// Returns the path of the import.
    pub(super) fn import_path(&self) -> String {
        format!("/v2/target-lists/{}/members/file-import", utf8_percent_encode(&self.list, SEGMENT))
    }

    fn import_payload(&self, columns: &Columns, separator: u8, uri: &Secret) -> Value {
        json!({
            "errorThreshold": self.error_threshold,
            "importType": self.import_type,
            "source": {
                "headers": self.headers,
                "mappings": columns.mappings(),
                "separator": char::from(separator).to_string(),
                "uri": uri.expose(),
            },
        })
    }
}
