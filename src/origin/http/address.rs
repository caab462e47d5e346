//! The address of a file on a web server.

use crate::calls::BoxFuture;
use crate::error::Result;
use crate::origin::web::{Address, Hints, Target, Wanted};
use crate::secret::{Secret, redacted_url};
use crate::transport::Header;
use base64::Engine as _;

/// The address of a file, and the headers of a request for it.
#[derive(Clone, Debug)]
pub(super) struct HttpAddress {
    /// With query and user-info.
    pub(super) url: Secret,
    /// Headers for the server of this address and no other.
    pub(super) headers: Vec<Header>,
}

const HINTS: Hints = Hints {
    denied: "check source.http (user, password, headers), or whether the signature of the address has expired",
    expired: "the signature of the address, or a token in source.http, may have expired: renew it, then run again",
    missing: "check source.path",
    other: "check source.path and source.http",
};

impl Address for HttpAddress {
    fn name(&self) -> String {
        redacted_url(self.url.expose())
    }

    fn target<'a>(&'a self, _: &'a Wanted) -> BoxFuture<'a, Result<Target>> {
        Box::pin(std::future::ready(Ok(Target { url: self.url.clone(), headers: self.headers.clone() })))
    }

    fn hints(&self) -> &Hints {
        &HINTS
    }
}

/// Returns the header for a user and a password.
pub(super) fn basic(user: &str, password: &str) -> Header {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    Header { name: "Authorization".to_owned(), value: Secret::new(format!("Basic {pair}")) }
}
