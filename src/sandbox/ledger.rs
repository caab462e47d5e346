//! The requests received, for comparison by tests and users: `GET /_ledger`.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One received request.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Number of the request, from 0, in order of arrival.
    pub seq: usize,
    /// The simulated platform.
    pub platform: &'static str,
    /// The method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// The value of Content-Length.
    pub declared: Option<u64>,
    /// Number of body bytes received; `length` in the listing.
    #[serde(rename = "length")]
    pub received: u64,
    /// Digest of these bytes: `crc64nvme:` and 16 hex digits.
    pub digest: String,
    /// Whether the body arrived completely.
    pub complete: bool,
    /// The response status; 0 if the connection was cut without a response.
    pub status: u16,
    /// Further notes of the platform: records, digest of the file part, …
    pub notes: BTreeMap<String, serde_json::Value>,
}

/// Maximum number of requests kept.
const MOST: usize = 100_000;

#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<Entry>>);

impl Ledger {
    pub(super) fn all(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    pub(super) fn begin(&self, platform: &'static str, method: &str, path: &str, declared: Option<u64>) -> usize {
        let mut entries = self.lock();
        let seq = entries.len();
        if seq < MOST {
            let (method, path) = (method.to_owned(), path.to_owned());
            entries.push(Entry { seq, platform, method, path, declared, ..Entry::default() });
        }
        seq
    }

    pub(super) fn update(&self, seq: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.lock().get_mut(seq) {
            change(entry);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
