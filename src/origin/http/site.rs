//! Requests for one file, with redirects.

use super::options::HttpOptions;
use super::words::{self, When, unreadable};
use crate::calls::{Attempt, JobSeed, MemoryJournal, Remote, failed_attempt};
use crate::origin::Network;
use crate::secret::Secret;
use crate::transport::{Request, StreamAnswer, origin, same_origin};

/// Maximum number of redirects of one request.
const MAX_REDIRECTS: usize = 10;

/// A file of a server, and the means to request it.
pub(super) struct Site {
    pub(super) options: HttpOptions,
    pub(super) name: String,
    network: Network,
    seed: JobSeed,
    /// Reading is not journaled.
    journal: MemoryJournal,
}

impl Site {
    pub(super) fn new(options: HttpOptions, network: Network) -> Site {
        let name = options.name();
        let seed = JobSeed { run_id: String::new(), random: network.random.clone(), date: String::new() };
        Site { options, name, network, seed, journal: MemoryJournal::default() }
    }

    /// Returns the calls.
    pub(super) fn remote(&self) -> Remote<'_> {
        let Network { client, policy, clock, .. } = &self.network;
        Remote::new(&self.seed, &self.journal, client, policy.clone()).with_clock(&**clock)
    }

    /// Makes one request with these headers, and follows redirects. The user's headers are sent to the server of the
    /// address and to no other.
    pub(super) async fn ask<T>(
        &self,
        remote: &Remote<'_>,
        headers: &[(&str, &str)],
    ) -> Result<StreamAnswer, Attempt<T>> {
        let first = self.options.url.expose();
        let (mut url, mut from) = (first.to_owned(), None::<String>);
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::new("GET", Secret::new(url.as_str())).header("Accept-Encoding", "identity");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            if same_origin(&url, first) {
                request.headers.extend(self.options.headers.iter().cloned());
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

    /// Reads a response that is not the file, and classifies it.
    pub(super) async fn refused<T>(&self, answer: StreamAnswer, when: When) -> Attempt<T> {
        match answer.into_answer().await {
            Ok(answer) => words::refusal(&self.name, &answer, when),
            Err(failed) => failed_attempt(failed, false),
        }
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
