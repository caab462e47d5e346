//! The trait of addresses.

use super::validator::Validator;
use crate::calls::BoxFuture;
use crate::error::Result;
use crate::secret::Secret;
use crate::transport::Header;
use std::ops::Range;

/// The address of a file or an object, and its credentials.
pub(in crate::origin) trait Address: Send + Sync + 'static {
    /// Returns the name for messages, without secrets.
    fn name(&self) -> String;

    /// Returns URL and headers of a request. Called for each request, so that signatures are fresh.
    ///
    /// # Errors
    /// `Credentials`, `Transient`: there are no credentials.
    fn target<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Target>>;

    /// Returns hints for refusals.
    fn hints(&self) -> &Hints;

    /// Obtains new credentials because the old ones were refused. Returns true if there may be other ones.
    fn renew(&self) -> bool {
        false
    }
}

/// The content that a request asks for.
#[derive(Clone, Debug, Default)]
pub(in crate::origin) struct Wanted {
    /// The range; `None` for all of it.
    pub(in crate::origin) range: Option<Range<u64>>,
    /// The version; `None` for any.
    pub(in crate::origin) version: Option<Validator>,
}

impl Wanted {
    /// Returns the headers of the request.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let range = self.range.as_ref().map(|range| ("Range", format!("bytes={}-{}", range.start, range.end - 1)));
        let condition = self.version.as_ref().map(Validator::condition);
        range.into_iter().chain(condition.map(|(name, value)| (name, value.to_owned()))).collect()
    }
}

/// URL and headers of a request. The headers are for the server of the URL and no other.
pub(in crate::origin) struct Target {
    pub(in crate::origin) url: Secret,
    pub(in crate::origin) headers: Vec<Header>,
}

/// Hints for refusals.
pub(in crate::origin) struct Hints {
    /// 401 or 403 when it is opened.
    pub(in crate::origin) denied: &'static str,
    /// 401 or 403 later.
    pub(in crate::origin) expired: &'static str,
    /// 404 when it is opened.
    pub(in crate::origin) missing: &'static str,
    /// Any other refusal.
    pub(in crate::origin) other: &'static str,
}
