//! Answers read as streams: error logs, results by row, exports.

use super::{Classify, Remote};
use crate::calls::attempt::{self, Attempt};
use crate::calls::call::Call;
use crate::error::{Error, Kind, Result};
use crate::transport::{Request, StreamAnswer, learn};
use serde_json::Value;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The events of reading an answer, in this order, anew for each attempt.
pub enum Event<'e> {
    /// A 2xx answer begins, with its head. Data of earlier attempts is void.
    Begin(&'e mut StreamAnswer),
    /// The next piece of the body.
    Piece(&'e [u8]),
    /// The verified end of the body.
    End,
}

/// Handles the events of an answer. An error of kind `Transient` means a damaged transfer, which is read again; any
/// other error ends the reading.
pub type Each<'e> = &'e mut (dyn FnMut(Event<'_>) -> Result<()> + Send);

/// How a reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Read {
    /// The body was read to its end.
    Whole,
    /// An answer other than 2xx that was classified as [`crate::calls::Reply::Done`]: the value.
    Answered(Value),
}

impl Remote<'_> {
    /// Reads an answer as a stream, and after any temporary fault again from its beginning; not journaled. `classify`
    /// gets only answers other than 2xx. `within` limits the time since the start of the first attempt, for results
    /// that are helpful but not the verdict.
    ///
    /// # Errors
    /// As classified; those of `each`; `Transient`.
    pub async fn read(
        &self,
        call: &Call,
        request: &Request,
        within: Option<Duration>,
        classify: Classify<'_>,
        each: Each<'_>,
    ) -> Result<Read> {
        let (began, each) = (self.clock.elapsed(), &Mutex::new(each));
        self.attempts(call, |_| async move {
            let mut timed = |event: Event<'_>| {
                if within.is_some_and(|within| self.clock.elapsed().saturating_sub(began) > within) {
                    return Err(Error::new(Kind::Refused, "reading it takes too long"));
                }
                // one attempt at a time
                each.lock().unwrap_or_else(PoisonError::into_inner)(event)
            };
            self.read_once(request, classify, &mut timed).await
        })
        .await
    }

    /// Makes one request and returns its answer, whatever the status, with the body still to be read as it is coded. For
    /// [`Remote::attempts`].
    ///
    /// # Errors
    /// The attempt that failed.
    #[cfg(feature = "jobs")]
    pub(crate) async fn answer_once<T>(&self, request: &Request) -> std::result::Result<StreamAnswer, Attempt<T>> {
        let supplied = request.supplied_by.is_some();
        let began = self.begin_call();
        let came = self.wire.stream(request, true).await;
        self.made(request.method, None, began, came.as_ref().ok().map(|answer| answer.status));
        came.map_err(|failed| attempt::failed(failed, supplied))
    }

    /// Makes one attempt of [`Remote::read`]; for [`Remote::until`].
    pub async fn read_once(&self, request: &Request, classify: Classify<'_>, each: Each<'_>) -> Attempt<Read> {
        self.read_as(request, false, classify, each).await
    }

    /// Like [`Remote::read_once`], in the content coding that the request asked for.
    pub(crate) async fn read_coded_once(
        &self,
        request: &Request,
        classify: Classify<'_>,
        each: Each<'_>,
    ) -> Attempt<Read> {
        self.read_as(request, true, classify, each).await
    }

    async fn read_as(&self, request: &Request, coded: bool, classify: Classify<'_>, each: Each<'_>) -> Attempt<Read> {
        learn(self.taint(), request);
        let came = self.read_shown(request, coded, classify, each).await;
        came.map_error(|error| self.hidden(error))
    }

    async fn read_shown(
        &self,
        request: &Request,
        coded: bool,
        classify: Classify<'_>,
        each: Each<'_>,
    ) -> Attempt<Read> {
        let supplied = request.supplied_by.is_some();
        let began = self.begin_call();
        let came = self.wire.stream(request, coded).await;
        self.made(request.method, None, began, came.as_ref().ok().map(|answer| answer.status));
        let mut answer = match came {
            Ok(answer) => answer,
            Err(failed) => return attempt::failed(failed, supplied),
        };
        if !(200..300).contains(&answer.status) {
            return match answer.into_answer().await {
                Ok(answer) => Attempt::from(classify(&answer)).map(Read::Answered),
                Err(failed) => attempt::failed(failed, supplied),
            };
        }
        let mut next = each(Event::Begin(&mut answer));
        loop {
            if let Err(error) = next {
                return match error.kind() {
                    Kind::Transient => Attempt::Unclear(error),
                    _ => Attempt::Final(error),
                };
            }
            next = match answer.chunk().await {
                Ok(Some(piece)) => each(Event::Piece(&piece)),
                Ok(None) => match each(Event::End) {
                    Ok(()) => return Attempt::Done(Read::Whole),
                    Err(error) => Err(error),
                },
                Err(failed) => return attempt::failed(failed, supplied),
            };
        }
    }
}
