//! A response with a part of the list, or all of it.
//!
//! A download reads from a converting session while it has one; if the session was taken away, it continues with
//! another one at the same position. Its output is copied in small pieces, so that a stalled client keeps no large
//! buffer. The last piece of the whole list is sent only if the digest of all pieces is that of the first pass.

use super::door::Guest;
use super::sessions::{Holder, Permit, Sessions, Ticket};
use crate::body::{Body, Measured, Part};
use crate::error::{Error, Kind};
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use std::future::Future as _;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

/// Size of a piece.
const PIECE_BYTES: usize = 32 << 10;

/// State that the downloads share with the server.
#[derive(Default)]
pub(super) struct Shared {
    /// Set if the list can no longer be served, because the source changed.
    fault: Mutex<Option<Error>>,
    /// Set when a client has been given the last byte.
    pulled: AtomicBool,
    news: Notify,
}

impl Shared {
    /// Takes the fault, if there is one.
    pub(super) fn take_fault(&self) -> Option<Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns when a client has been given the last byte.
    pub(super) async fn pulled(&self) {
        loop {
            let news = self.news.notified();
            if self.pulled.load(Ordering::Acquire) {
                return;
            }
            news.await;
        }
    }
}

/// The list, and the state that its downloads share.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) measured: Arc<Measured>,
    pub(super) part: Part,
    pub(super) sessions: Arc<Sessions>,
    pub(super) shared: Arc<Shared>,
}

/// The session of a download, if it has one.
#[derive(Default)]
struct Held {
    body: Option<Body>,
    /// The rest of the session's last piece.
    left: Bytes,
    /// When the session was opened.
    opened: Option<Instant>,
    /// Time until its first piece.
    start: Option<Duration>,
    /// When the client last took a piece; `None` while it waits for the conversion.
    taken: Option<Instant>,
    asked_back: bool,
}

struct Hold(Mutex<Held>);

impl Hold {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder for Hold {
    fn stalled_since(&self) -> Option<Instant> {
        let held = self.lock();
        held.body.as_ref().and(held.taken)
    }

    fn turn(&self) -> Option<(Instant, Duration)> {
        let held = self.lock();
        Some((held.opened?, held.start?))
    }

    fn take_away(&self) {
        // the lock is not held while the session ends
        let held = std::mem::take(&mut *self.lock());
        drop(held);
    }

    fn ask_back(&self) {
        self.lock().asked_back = true;
    }
}

/// A response body of the pull server.
pub(super) struct Download {
    served: Served,
    guest: Arc<Guest>,
    hold: Arc<Hold>,
    ticket: Option<Ticket>,
    again: Pin<Box<Sleep>>,
    /// The range that is still to be sent.
    wanted: Range<u64>,
    /// The digest of all content so far, if the whole list is wanted.
    digest: Option<Digest>,
    failed: bool,
}

impl Download {
    /// Creates a download of the bytes `wanted` of the list, for the client `guest`.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    pub(super) fn new(served: &Served, wanted: Range<u64>, guest: &Arc<Guest>) -> Download {
        let hold = Arc::new(Hold(Mutex::default()));
        let weak: Weak<dyn Holder> = Arc::downgrade(&(Arc::clone(&hold) as Arc<dyn Holder>));
        served.sessions.add(weak);
        let whole = wanted == (0..served.part.bytes);
        Download {
            served: served.clone(),
            guest: Arc::clone(guest),
            hold,
            ticket: None,
            again: Box::pin(tokio::time::sleep(Duration::ZERO)),
            wanted,
            digest: whole.then(|| Digest::new(CrcAlgorithm::Crc64Nvme)),
            failed: false,
        }
    }

    /// Waits for a permit and opens a session at the position of the download.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ticket = self.ticket.get_or_insert_with(|| self.served.sessions.queue());
        let permit = loop {
            if let Some(permit) = ticket.take(cx.waker()) {
                break permit;
            }
            // a client may stall without a notification
            ready!(self.again.as_mut().poll(cx));
            self.again.as_mut().reset(Instant::now() + Ticket::pause());
        };
        self.ticket = None;
        self.open(permit);
        Poll::Ready(())
    }

    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    fn open(&self, permit: Permit) {
        let Served { measured, part, .. } = &self.served;
        let threads = permit.threads();
        let body = measured.range(part, self.wanted.clone()).within(threads, permit);
        let opened = Some(Instant::now());
        *self.hold.lock() = Held { body: Some(body), opened, ..Held::default() };
    }

    /// Returns the next piece, at most [`PIECE_BYTES`]; `None` if there is no session or it was given back.
    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let hold = Arc::clone(&self.hold);
        let mut held = hold.lock();
        if held.asked_back {
            *held = Held::default();
        }
        while held.left.is_empty() {
            let Some(body) = &mut held.body else { return Poll::Ready(None) };
            let polled = http_body::Body::poll_frame(Pin::new(body), cx);
            if polled.is_pending() {
                held.taken = None;
            }
            match ready!(polled) {
                Some(Ok(frame)) => held.left = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let error = Error::new(Kind::SourceChanged, "the list ended before its length");
                    return Poll::Ready(Some(Err(error)));
                }
            }
            if held.start.is_none() {
                held.start = held.opened.map(|opened| opened.elapsed());
            }
        }
        let length = held.left.len().min(PIECE_BYTES);
        let piece = Bytes::copy_from_slice(&held.left.split_to(length));
        held.taken = Some(Instant::now());
        Poll::Ready(Some(Ok(piece)))
    }

    /// Checks and counts a piece that is about to be sent.
    fn leaving(&mut self, piece: &Bytes) -> Result<(), Error> {
        let served = &self.served;
        self.wanted.start += piece.len() as u64;
        let last = self.wanted.is_empty();
        if let Some(digest) = &mut self.digest {
            digest.update(piece);
            if last && digest.finalize() != served.part.crc {
                return Err(Error::new(
                    Kind::SourceChanged,
                    "the source changed between the two passes: the served list is a different one",
                )
                .with_hint("write the source under another name, rename it when it is complete, then run again"));
            }
        }
        if last {
            self.hold.take_away();
            if self.wanted.end == served.part.bytes {
                served.shared.pulled.store(true, Ordering::Release);
                served.shared.news.notify_waiters();
            }
        }
        Ok(())
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Error>>> {
        if self.failed || self.wanted.is_empty() {
            return Poll::Ready(None);
        }
        // a client that polls for more has taken the last piece; waiting for a session is not the client's fault
        self.guest.progressed();
        loop {
            let Some(piece) = ready!(self.poll_piece(cx)) else {
                ready!(self.poll_session(cx));
                continue;
            };
            return Poll::Ready(Some(match piece.and_then(|piece| self.leaving(&piece).map(|()| piece)) {
                Ok(piece) => Ok(http_body::Frame::data(piece)),
                Err(error) => {
                    self.failed = true;
                    self.hold.take_away();
                    *self.served.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Err(Error::new(Kind::Local, "the list can no longer be served"))
                }
            }));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.wanted.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.wanted.end - self.wanted.start)
    }
}
