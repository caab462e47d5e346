//! The address of a file, and what is sent with a request for it.

use crate::secret::{Secret, redacted_url};
use crate::transport::Header;
use base64::Engine as _;

/// The address of a file, and the headers of a request for it.
#[derive(Clone, Debug)]
pub(super) struct HttpOptions {
    /// The address, with query and user-info.
    pub(super) url: Secret,
    /// Headers for the server of this address and no other.
    pub(super) headers: Vec<Header>,
}

impl HttpOptions {
    /// Returns the address without its secrets, for messages.
    pub(super) fn name(&self) -> String {
        redacted_url(self.url.expose())
    }
}

/// Returns the header for a user and a password.
pub(super) fn basic(user: &str, password: &str) -> Header {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    Header { name: "Authorization".to_owned(), value: Secret::new(format!("Basic {pair}")) }
}
