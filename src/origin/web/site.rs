//! Requests for one file, with redirects.

use super::address::{Address, Wanted};
use super::words::{self, When, unreadable};
use crate::calls::{Attempt, JobSeed, MemoryJournal, Remote, failed_attempt};
use crate::error::{Error, Kind};
use crate::origin::Network;
use crate::secret::Secret;
use crate::transport::{Request, StreamAnswer, origin, same_origin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Maximum number of redirects of one request.
const MAX_REDIRECTS: usize = 10;

/// A file of a server, and the means to request it.
pub(in crate::origin) struct Site {
    address: Arc<dyn Address>,
    pub(super) name: String,
    network: Network,
    seed: JobSeed,
    /// Reading is not journaled.
    journal: MemoryJournal,
    /// True from the moment that new credentials were obtained until a request succeeds.
    renewed: AtomicBool,
}

impl Site {
    pub(in crate::origin) fn new(address: Arc<dyn Address>, network: Network) -> Site {
        let name = address.name();
        let seed = JobSeed { run_id: String::new(), random: network.random.clone(), date: String::new() };
        Site { address, name, network, seed, journal: MemoryJournal::default(), renewed: AtomicBool::new(false) }
    }

    /// Returns the calls.
    pub(in crate::origin) fn remote(&self) -> Remote<'_> {
        let Network { client, policy, clock, .. } = &self.network;
        Remote::new(&self.seed, &self.journal, client, policy.clone()).with_clock(&**clock)
    }

    /// Makes one request, and follows redirects. The headers of the address are sent to its server and to no other.
    pub(super) async fn ask<T>(&self, remote: &Remote<'_>, wanted: &Wanted) -> Result<StreamAnswer, Attempt<T>> {
        let target = self.address.target(wanted).await.map_err(no_target)?;
        let first = target.url.expose();
        let (mut url, mut from) = (first.to_owned(), None::<String>);
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::new("GET", Secret::new(url.as_str())).header("Accept-Encoding", "identity");
            let own = same_origin(&url, first);
            if own {
                request.headers.extend(target.headers.iter().cloned());
            }
            for (name, value) in wanted.headers() {
                // a signature covers the address's own
                if !request.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
                    request = request.header(name, &value);
                }
            }
            if let Some(from) = &from {
                request = request.supplied_by(from);
            }
            let answer = remote.answer_once(&request).await.map_err(|failed| failed.map_error(words::of_source))?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let status = answer.status;
            let wrong = |what: &str| Attempt::Final(unreadable(&self.name, &format!("redirected ({status}) {what}")));
            let location = answer.header("location").ok_or_else(|| wrong("without an address"))?;
            let next = resolve(&url, location).ok_or_else(|| wrong("to an address that is not valid"))?;
            if url.starts_with("https:") && !next.starts_with("https:") {
                return Err(wrong("to an address without TLS"));
            }
            tracing::debug!(status, to = origin(&next).unwrap_or_default(), "redirected");
            // a redirect back to where it began is not an address that another server chose
            from = (!same_origin(&next, first)).then(|| from.unwrap_or_else(|| first.to_owned()));
            url = next;
        }
        Err(Attempt::Final(unreadable(&self.name, &format!("more than {MAX_REDIRECTS} redirects"))))
    }

    /// Reads a response that is not the file, and classifies it. If credentials are refused that can be obtained anew,
    /// the request is repeated once.
    pub(super) async fn refused<T>(&self, answer: StreamAnswer, when: When) -> Attempt<T> {
        let status = answer.status;
        match answer.into_answer().await {
            Err(failed) => failed_attempt(failed, false),
            Ok(answer) => match words::refusal(&self.name, self.address.hints(), &answer, when) {
                Attempt::Final(error)
                    if matches!(status, 401 | 403)
                        && !self.renewed.swap(true, Ordering::Relaxed)
                        && self.address.renew() =>
                {
                    Attempt::Passing(error)
                }
                attempt => attempt,
            },
        }
    }

    /// Notes that the credentials were accepted.
    pub(super) fn accepted(&self) {
        self.renewed.store(false, Ordering::Relaxed);
    }
}

/// Returns the attempt of a request that has no credentials.
fn no_target<T>(error: Error) -> Attempt<T> {
    match error.kind() {
        Kind::Transient => Attempt::Unreached(error),
        _ => Attempt::Final(error),
    }
}

/// Returns the absolute address of a redirect from `url`; `None` if it is not http or https.
fn resolve(url: &str, location: &str) -> Option<String> {
    let location = location.trim();
    if origin(location).is_ok() {
        // byte for byte, since a signature may cover it
        return Some(location.to_owned());
    }
    let next = url::Url::parse(url).ok()?.join(location).ok()?;
    matches!(next.scheme(), "http" | "https").then(|| next.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_absolute_or_relative_to_the_address() {
        let from = "https://u:p@h.example:8/a/b?x=1";
        for (location, want) in [
            ("https://S3.example/k%2F?X-Amz-Signature=%7e", Some("https://S3.example/k%2F?X-Amz-Signature=%7e")),
            ("//other.example/c", Some("https://other.example/c")),
            ("/c?d", Some("https://u:p@h.example:8/c?d")),
            ("c", Some("https://u:p@h.example:8/a/c")),
            ("ftp://h/x", None),
            ("file:///etc/passwd", None),
            ("http://", None),
        ] {
            assert_eq!(resolve(from, location).as_deref(), want, "{location}");
        }
    }
}
