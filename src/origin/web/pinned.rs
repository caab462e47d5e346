//! A file of which one version is read by ranges.

use super::address::Wanted;
use super::content_range::ContentRange;
use super::site::Site;
use super::validator::Validator;
use super::words::{When, changed, strange};
use crate::calls::{Attempt, BoxFuture, Call, RetrySafety, failed_attempt};
use crate::error::Result;
use crate::origin::ranged::{Ranged, Window};
use crate::transport::StreamAnswer;
use bytes::Bytes;
use std::ops::Range;
use std::time::Duration;

/// Progress after which the time of `give_up_after` begins anew.
const MIN_PROGRESS: u64 = 64 << 10;
/// Number of bytes of a response that was cut, below which the next request waits.
const MIN_BYTES: u64 = 4 << 10;
/// How long it waits.
const PAUSE: Duration = Duration::from_millis(20);

/// One version of a file. Each request names the version, and each response is compared with it.
pub(in crate::origin) struct Pinned {
    pub(in crate::origin) site: Site,
    pub(in crate::origin) size: u64,
    pub(in crate::origin) validator: Validator,
}

/// The body of a response that contains a wanted range.
struct Part {
    answer: StreamAnswer,
    /// Number of bytes before the range.
    skip: u64,
    /// Position after the last byte that the response has of the range.
    end: u64,
}

impl Pinned {
    /// Requests a range.
    async fn request<T>(&self, range: &Range<u64>) -> Result<Part, Attempt<T>> {
        let wanted = Wanted { range: Some(range.clone()), version: Some(self.validator.clone()) };
        let answer = self.site.ask(&self.site.remote(), &wanted).await?;
        let name = self.site.name.as_str();
        let unclear = |what: &str| Err(Attempt::Unclear(strange(name, what)));
        let content_range = answer.header("content-range").and_then(ContentRange::parse);
        match answer.status {
            206 | 200 => match self.validator.is_of(&answer) {
                Some(true) => self.site.accepted(),
                Some(false) => return Err(Attempt::Final(changed(name, "was replaced"))),
                None => return unclear("a response does not name the version, as the first one did"),
            },
            416 if content_range.is_some_and(|range| range.size.is_some_and(|size| size != self.size)) => {
                return Err(Attempt::Final(changed(name, "was replaced by a file of another size")));
            }
            416 => return unclear("the server refuses a range that the file has (status 416)"),
            _ => return Err(self.site.refused(answer, When::Reading).await),
        }
        if answer.status == 200 {
            // a proxy that ignores ranges: the whole file, of the right version
            if answer.header("content-length").is_some_and(|length| length.trim() != self.size.to_string()) {
                return Err(Attempt::Final(changed(name, "was replaced by a file of another size")));
            }
            return Ok(Part { answer, skip: range.start, end: range.end });
        }
        let Some(ContentRange { bytes: Some((start, end)), size }) = content_range else {
            return unclear("a response contains a range, but does not say which");
        };
        if size.is_some_and(|size| size != self.size) {
            return Err(Attempt::Final(changed(name, "was replaced by a file of another size")));
        }
        if start != range.start {
            return unclear("a response contains another range than was requested");
        }
        Ok(Part { answer, skip: 0, end: end.min(range.end) })
    }

    /// Makes one attempt to read a range. Returns the position that was reached, if any byte was read.
    async fn attempt(&self, range: Range<u64>, to: &Window) -> Attempt<u64> {
        let mut part = match self.request(&range).await {
            Ok(part) => part,
            Err(failed) => return failed,
        };
        let mut at = range.start;
        while at < part.end {
            let broken = match part.answer.chunk().await {
                Ok(Some(bytes)) => {
                    let bytes = part.take(bytes, at);
                    at += bytes.len() as u64;
                    if !bytes.is_empty() {
                        to.push(bytes).await;
                    }
                    continue;
                }
                Ok(None) => Attempt::Unclear(strange(&self.site.name, "a response ended before the end of its range")),
                Err(failed) => failed_attempt(failed, false),
            };
            if at == range.start {
                return broken;
            }
            tracing::debug!(at, "a response was cut: resuming");
            break;
        }
        Attempt::Done(at)
    }

    async fn read_range(&self, range: Range<u64>, to: &Window) -> Result<()> {
        let (call, remote) = (Call::new("read", RetrySafety::Always), self.site.remote());
        let (mut at, mut noted) = (range.start, (range.start, remote.clock().elapsed()));
        while at < range.end {
            // each progress starts with all attempts again
            let reached = remote.attempts(&call, |_| self.attempt(at..range.end, to)).await?;
            if reached - at < MIN_BYTES && reached < range.end {
                remote.sleep(PAUSE).await;
            }
            at = reached;
            let now = remote.clock().elapsed();
            if at - noted.0 >= MIN_PROGRESS {
                noted = (at, now);
            } else if now.saturating_sub(noted.1) > remote.policy().give_up_after {
                let what = format!("only {} bytes came within upload.give_up_after", at - noted.0);
                return Err(strange(&self.site.name, &what));
            }
        }
        Ok(())
    }

    async fn check_once(&self) -> Result<()> {
        if self.size == 0 {
            return Ok(());
        }
        let (call, remote) = (Call::new("check", RetrySafety::Always), self.site.remote());
        remote
            .attempts(&call, |_| async {
                match self.request(&(0..1)).await {
                    Ok(_) => Attempt::Done(()),
                    Err(failed) => failed,
                }
            })
            .await
    }
}

impl Part {
    /// Returns the wanted bytes of a piece of the body; `at` is the position of the next wanted byte.
    fn take(&mut self, mut bytes: Bytes, at: u64) -> Bytes {
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        let mut bytes = bytes.split_off(skipped as usize);
        let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
        bytes.truncate(left);
        bytes
    }
}

impl Ranged for Pinned {
    fn size(&self) -> u64 {
        self.size
    }

    fn version(&self) -> &str {
        self.validator.text()
    }

    fn read<'a>(&'a self, range: Range<u64>, to: &'a Window) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.read_range(range, to))
    }

    fn check(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.check_once())
    }
}
