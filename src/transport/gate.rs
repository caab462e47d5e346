//! The body on its way to hyper: held until `100 Continue`, stopped by an early response, never longer or shorter than
//! announced, and paced.

use super::pace::Pace;
use crate::error::{Error, Kind};
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Passed to hyper when the body has failed; the reason is in [`Gate::failure`].
#[derive(Debug)]
pub(super) struct BodyFailed;

impl std::fmt::Display for BodyFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body failed")
    }
}

impl std::error::Error for BodyFailed {}

/// A body that can be given to one connection after another, as long as none of it has been sent or all of it is in
/// memory.
pub(super) struct Gate<B>(Arc<Mutex<State<B>>>);

impl<B> Clone for Gate<B> {
    fn clone(&self) -> Gate<B> {
        Gate(self.0.clone())
    }
}

struct State<B> {
    body: Pin<Box<B>>,
    length: u64,
    /// Number of bytes read from the body.
    drawn: u64,
    /// True once the body has ended after all its bytes.
    proven: bool,
    /// Read and not yet given to hyper.
    ready: VecDeque<Bytes>,
    /// A copy of a body that was read completely, for another connection.
    kept: Option<VecDeque<Bytes>>,
    /// Number of bytes given to hyper, and their CRC-64/NVME.
    given: u64,
    digest: Digest,
    door: Door,
    pace: Option<Pace>,
    failure: Option<Error>,
    first_given: Option<Instant>,
    last_given: Option<Instant>,
    waker: Option<Waker>,
}

enum Door {
    Open,
    /// Waits for 100 or the end of the timer.
    Waiting(Pin<Box<Sleep>>),
    Stopped,
}

impl<B: Body<Data = Bytes, Error = Error>> Gate<B> {
    pub(super) fn new(body: B, length: u64, max_rate: Option<u64>) -> Gate<B> {
        Gate(Arc::new(Mutex::new(State {
            body: Box::pin(body),
            length,
            drawn: 0,
            proven: false,
            ready: VecDeque::new(),
            kept: None,
            given: 0,
            digest: Digest::new(CrcAlgorithm::Crc64Nvme),
            door: Door::Open,
            pace: max_rate.map(Pace::new),
            failure: None,
            first_given: None,
            last_given: None,
            waker: None,
        })))
    }

    /// Reads a small body completely, so that its failure is known before anything is sent.
    pub(super) async fn draw_whole(&self) -> Result<(), Error> {
        std::future::poll_fn(|cx| {
            let mut state = self.state();
            loop {
                if state.proven {
                    state.kept = Some(state.ready.clone());
                    return Poll::Ready(Ok(()));
                }
                match ready!(state.poll_draw(cx)) {
                    Ok(()) => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        })
        .await
    }

    /// Prepares for the next connection: open, or waiting for 100 for at most `wait`.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) fn arm(&self, wait: Option<Duration>) {
        self.state().door = match wait {
            Some(wait) => Door::Waiting(Box::pin(sleep(wait))),
            None => Door::Open,
        };
    }
}

impl<B> Gate<B> {
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the gate, because 100 has come.
    pub(super) fn open(&self) {
        let mut state = self.state();
        if matches!(state.door, Door::Waiting(_)) {
            state.door = Door::Open;
        }
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Returns to the start of the body, for another connection. Returns false if part of a body that was not read
    /// completely has been sent.
    pub(super) fn rewind(&self) -> bool {
        let mut state = self.state();
        match state.kept.clone() {
            Some(kept) => {
                (state.ready, state.given) = (kept, 0);
                state.digest = Digest::new(CrcAlgorithm::Crc64Nvme);
                (state.first_given, state.last_given) = (None, None);
                true
            }
            None => state.given == 0,
        }
    }

    /// Stops sending, because a final response has come or never will.
    pub(super) fn stop(&self) {
        self.state().door = Door::Stopped;
    }

    pub(super) fn given(&self) -> u64 {
        self.state().given
    }

    /// Returns the CRC-64/NVME of the bytes given to hyper.
    pub(super) fn digest(&self) -> u64 {
        self.state().digest.finalize()
    }

    pub(super) fn given_whole(&self) -> bool {
        let state = self.state();
        state.given == state.length
    }

    /// Returns when the first and the last byte were given to hyper.
    pub(super) fn given_at(&self) -> Option<(Instant, Instant)> {
        let state = self.state();
        state.first_given.zip(state.last_given)
    }

    /// Returns why the body failed, once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.state().failure.take()
    }
}

impl<B: Body<Data = Bytes, Error = Error>> State<B> {
    /// Reads one frame into `ready`. After the frame that completes the length, asks for the end, so that a body that
    /// is too long or fails after its last byte never arrives completely.
    fn poll_draw(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.drawn == self.length && self.body.is_end_stream() {
            self.proven = true;
            return Poll::Ready(Ok(()));
        }
        match ready!(self.body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { return Poll::Ready(Ok(())) };
                self.drawn += data.len() as u64;
                if self.drawn > self.length {
                    return Poll::Ready(Err(wrong_length(self.length, "longer")));
                }
                if !data.is_empty() {
                    self.ready.push_back(data);
                }
                Poll::Ready(Ok(()))
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            None if self.drawn == self.length => {
                self.proven = true;
                Poll::Ready(Ok(()))
            }
            None => Poll::Ready(Err(wrong_length(self.length, "shorter"))),
        }
    }
}

fn wrong_length(length: u64, which: &str) -> Error {
    Error::new(
        Kind::Local,
        format!("the body is {which} than the {length} bytes announced; it was not sent completely"),
    )
}

impl<B: Body<Data = Bytes, Error = Error>> Body for Gate<B> {
    type Data = Bytes;
    type Error = BodyFailed;

    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let mut state = self.state();
        let state = &mut *state;
        match &mut state.door {
            Door::Open => {}
            Door::Stopped => return Poll::Pending,
            Door::Waiting(until) => {
                if until.as_mut().poll(cx).is_pending() {
                    state.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                state.door = Door::Open;
            }
        }
        if state.given == state.length {
            return Poll::Ready(None);
        }
        while state.ready.is_empty() || (state.drawn == state.length && !state.proven) {
            if let Err(error) = ready!(state.poll_draw(cx)) {
                state.failure = Some(error);
                return Poll::Ready(Some(Err(BodyFailed)));
            }
        }
        let Some(front) = state.ready.front_mut() else { return Poll::Ready(None) };
        let data = match &mut state.pace {
            Some(pace) => front.split_to(ready!(pace.poll_take(cx, front.len()))),
            None => std::mem::take(front),
        };
        if front.is_empty() {
            state.ready.pop_front();
        }
        let now = Instant::now();
        state.first_given.get_or_insert(now);
        state.last_given = Some(now);
        state.given += data.len() as u64;
        state.digest.update(&data);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.given_whole()
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.state();
        SizeHint::with_exact(state.length - state.given)
    }
}

/// Belongs to the callback for interim responses. hyper drops it when the final head has come, before it asks the body
/// for more, so an early response stops the body at once.
pub(super) struct StopOnDrop<B>(pub(super) Gate<B>);

impl<B> Drop for StopOnDrop<B> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A body in memory.
pub(super) struct InMemory(pub(super) Option<Bytes>);

impl Body for InMemory {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |data| data.len() as u64))
    }
}
