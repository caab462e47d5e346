//! A web server for lists: ranges, conditions and validators as RFC 9110 has them. Shares no code with the client.

use crate::vendor::{Seen, answer};
use listferry::job::{Env, Job, Report};
use std::path::Path;
use std::sync::Arc;

/// One version of a file.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) bytes: Arc<Vec<u8>>,
    /// The entity tag, with quotes; none if empty.
    pub(crate) tag: String,
    /// The time of the last change; none if empty.
    pub(crate) modified: String,
}

/// The time at which the server believes to be.
const NOW: &str = "Sun, 06 Nov 2022 08:49:37 GMT";

impl File {
    pub(crate) fn tagged(bytes: impl Into<Vec<u8>>, tag: &str) -> File {
        File { bytes: Arc::new(bytes.into()), tag: tag.to_owned(), modified: String::new() }
    }

    /// Returns the range that a request asks for, first byte and the byte after the last.
    pub(crate) fn range(&self, seen: &Seen) -> Option<(usize, usize)> {
        let (first, last) = seen.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let last = last.parse().unwrap_or(usize::MAX).min(self.bytes.len().saturating_sub(1));
        Some((first.parse().ok()?, last + 1))
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = vec![("Date", NOW), ("Accept-Ranges", "bytes")];
        headers.extend((!self.tag.is_empty()).then_some(("ETag", self.tag.as_str())));
        headers.extend((!self.modified.is_empty()).then_some(("Last-Modified", self.modified.as_str())));
        headers
    }

    /// Answers as a server does that knows ranges and conditions.
    pub(crate) fn answer(&self, seen: &Seen) -> Vec<u8> {
        self.answer_cut(seen, usize::MAX)
    }

    /// Like [`File::answer`], but closes the connection after `most` bytes of the body.
    pub(crate) fn answer_cut(&self, seen: &Seen, most: usize) -> Vec<u8> {
        let fits = |header: &str, own: &str| seen.header(header).is_none_or(|wanted| wanted == own);
        if !fits("if-match", &self.tag) || !fits("if-unmodified-since", &self.modified) {
            return answer(412, &[], "");
        }
        let Some((first, end)) = self.range(seen) else { return self.whole(most) };
        if first >= self.bytes.len() {
            return answer(416, &[("Content-Range", &format!("bytes */{}", self.bytes.len()))], "");
        }
        let range = format!("bytes {first}-{}/{}", end - 1, self.bytes.len());
        let mut headers = self.headers();
        headers.push(("Content-Range", &range));
        cut(answer(206, &headers, &self.bytes[first..end]), end - first, most)
    }

    /// Answers with the whole file, whatever the request.
    pub(crate) fn whole(&self, most: usize) -> Vec<u8> {
        cut(answer(200, &self.headers(), &*self.bytes), self.bytes.len(), most)
    }
}

fn cut(mut response: Vec<u8>, body: usize, most: usize) -> Vec<u8> {
    response.truncate(response.len() - body.saturating_sub(most));
    response
}

/// A job for CleverTap whose source is `source`.
pub(crate) fn job(source: &str, dir: &Path, more: &[&str]) -> Job {
    read_job(source, dir, more).unwrap()
}

/// Like [`job`], for a job file that may be wrong.
pub(crate) fn read_job(source: &str, dir: &Path, more: &[&str]) -> listferry::Result<Job> {
    let text = format!(
        "name: web\nsource: {{ {source} }}\nmap: {{ identity: id }}\n\
         destination: {{ platform: clevertap, region: in1, account_id: {{ env: ID }}, passcode: {{ env: PASS }},\n\
         segment: VIP, creator: etl, email: admin@example.com }}\nupload: {{ attempts: 3 }}\n"
    );
    Job::read(&text, dir, &more.iter().map(|set| (*set).to_owned()).collect::<Vec<_>>())
}

pub(crate) fn env(dir: &Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = 2;
    env.variables = Arc::new(|name: &str| match name {
        "ID" => Some("account-1".to_owned()),
        "PASS" => Some("passcode-1".to_owned()),
        "URL_SECRET" => Some("canary-password".to_owned()),
        _ => None,
    });
    env
}

/// Runs `check` on a thread of its own.
pub(crate) async fn check(source: &str, more: &[&str]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let (job, env) = (job(source, dir.path(), more), env(dir.path()));
    tokio::task::spawn_blocking(move || job.check(&env)).await.unwrap()
}

/// Returns the error of a job file, or of `check`.
pub(crate) async fn error_of(source: &str) -> listferry::Error {
    let dir = tempfile::tempdir().unwrap();
    let job = match read_job(source, dir.path(), &[]) {
        Ok(job) => job,
        Err(error) => return error,
    };
    let env = env(dir.path());
    let report = tokio::task::spawn_blocking(move || job.check(&env)).await.unwrap();
    report.error.unwrap_or_else(|| panic!("{source}"))
}

/// Runs `check` on a file of this machine.
pub(crate) async fn check_file(bytes: &[u8]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list.csv");
    std::fs::write(&path, bytes).unwrap();
    check(&format!("path: \"{}\"", path.display()), &[]).await
}

/// Returns a list with a header and this many records.
pub(crate) fn list(records: usize) -> Vec<u8> {
    let rows = (0..records).map(|n| format!("customer-{n:07},{}\n", n * 7919 % 1_000_003));
    format!("id,n\n{}", rows.collect::<String>()).into_bytes()
}
