//! A file that is read once, from its start to its end.

use super::address::Wanted;
use super::site::Site;
use super::words::{When, changed, unreadable};
use crate::calls::{Attempt, Call, RetrySafety, failed_attempt};
use crate::error::Result;
use crate::origin::ranged::Window;
use crate::transport::StreamAnswer;
use std::sync::{Mutex, PoisonError};

/// A file without ranges or validator.
pub(super) struct Whole {
    pub(super) site: Site,
    /// The response that has come already.
    pub(super) first: Mutex<Option<Box<StreamAnswer>>>,
}

impl Whole {
    /// Returns the response that has come already, or requests the file.
    async fn answer<T>(&self) -> Result<StreamAnswer, Attempt<T>> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let answer = match first {
            Some(answer) => *answer,
            None => self.site.ask(&self.site.remote(), &Wanted::default()).await?,
        };
        if answer.status != 200 {
            return Err(match answer.status {
                200..300 => Attempt::Final(unreadable(
                    &self.site.name,
                    &format!("answered with status {} instead of the file", answer.status),
                )),
                _ => self.site.refused(answer, When::Opening).await,
            });
        }
        let coding = answer.header("content-encoding").unwrap_or_default().trim().to_ascii_lowercase();
        if !matches!(coding.as_str(), "" | "identity" | "gzip" | "x-gzip") {
            let what = format!("the content coding {} was not asked for", crate::secret::printable(&coding));
            return Err(Attempt::Final(unreadable(&self.site.name, &what)));
        }
        answer.decoded().map_err(|failed| failed_attempt(failed, false))
    }

    /// Sends the file to `to`. If a response is cut, what has been sent is compared by its digest with the next
    /// response.
    ///
    /// # Errors
    /// `SourceChanged`: the next response is another one. Those of the server.
    pub(super) async fn stream(&self, to: &Window) -> Result<()> {
        let (call, remote) = (Call::new("read", RetrySafety::Always), self.site.remote());
        let sent = &Mutex::new((0, digest()));
        remote.attempts(&call, |_| self.stream_once(to, sent)).await
    }

    async fn stream_once(&self, to: &Window, sent: &Mutex<(u64, crc_fast::Digest)>) -> Attempt<()> {
        let mut answer = match self.answer().await {
            Ok(answer) => answer,
            Err(failed) => return failed,
        };
        let (before, known) = {
            let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
            (sent.0, sent.1.finalize())
        };
        let (mut at, mut again) = (0, digest());
        loop {
            let mut bytes = match answer.chunk().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) if at < before => {
                    return Attempt::Final(changed(&self.site.name, "became shorter"));
                }
                Ok(None) => return Attempt::Done(()),
                Err(failed) => return failed_attempt(failed, false),
            };
            if at < before {
                let repeated = bytes.split_to(usize::try_from(before - at).unwrap_or(usize::MAX).min(bytes.len()));
                again.update(&repeated);
                at += repeated.len() as u64;
                if at == before && again.finalize() != known {
                    return Attempt::Final(changed(&self.site.name, "was replaced"));
                }
            }
            if !bytes.is_empty() {
                at += bytes.len() as u64;
                {
                    let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                    sent.1.update(&bytes);
                    sent.0 += bytes.len() as u64;
                }
                to.push(bytes).await;
            }
        }
    }
}

fn digest() -> crc_fast::Digest {
    crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme)
}
