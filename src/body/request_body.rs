//! Pass two: a body that streams exactly what was measured, and fails before its last block if it cannot.
//!
//! Three layers, each of which can be tested alone: [`PartStream`] cuts a part out of a pass, [`Verified`] holds the
//! last piece back until the part is verified, and [`Body`] adds the frame and has the exact size.

use super::measured::{Measured, SecondPass};
use super::part_stream::PartStream;
use super::session::{PassSpec, changed};
use super::verified::Verified;
use super::{Part, Progress};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

/// Bytes around the content of each part (multipart framing); not counted in sizes and digest of the content.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Bytes before the content.
    pub head: Vec<u8>,
    /// Bytes after the content; held back with its last slab.
    pub tail: Vec<u8>,
}

/// An exact-length request body; see [`Measured::body`]. Not `Clone`: open a fresh one for a retry.
///
/// Its last block is held back until length and digest of the part agree with pass one and the source is unchanged, so
/// the receiver never has a complete body that differs.
pub struct Body {
    /// `None` if the source is not available.
    content: Option<Verified>,
    frame_head: Bytes,
    frame_tail: Bytes,
    step: Step,
    /// Number of bytes still to return.
    remaining: u64,
    /// The counters of a body that is a whole part.
    gauge: Option<Gauge>,
}

/// Counts what was returned of a part.
struct Gauge {
    progress: Arc<Progress>,
    part: usize,
    /// Bytes of content of the earlier parts and of this one so far.
    sent: u64,
}

impl Gauge {
    fn add(&mut self, bytes: u64) {
        self.sent += bytes;
        self.progress.sending(self.part, self.sent);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    FrameHead,
    Content,
    Done,
}

impl Measured {
    /// Returns a fresh body of a part, converted again while it is read. It fails before its last block if it differs from
    /// what was measured by one byte.
    #[must_use]
    pub fn body(&self, part: &Part) -> Body {
        self.framed_body(part, &Frame::default())
    }

    /// Returns a fresh body of a part with bytes around its content: frame head, content, frame tail.
    #[must_use]
    pub fn framed_body(&self, part: &Part, frame: &Frame) -> Body {
        self.open_body(part, frame, 0..part.bytes)
    }

    /// Returns a range of a part's content (no frame), for servers that answer range requests.
    #[must_use]
    pub fn range(&self, part: &Part, bytes: Range<u64>) -> Body {
        let end = bytes.end.min(part.bytes);
        self.open_body(part, &Frame::default(), bytes.start.min(end)..end)
    }

    fn open_body(&self, part: &Part, frame: &Frame, wanted: Range<u64>) -> Body {
        let remaining = wanted.end - wanted.start + (frame.head.len() + frame.tail.len()) as u64;
        let is_last = self.parts().last().is_some_and(|last| last.index == part.index);
        let total = self.manifest().content;
        let is_whole = wanted == (0..part.bytes);
        let gauge = self.second.as_ref().filter(|_| is_whole).map(|second| Gauge {
            progress: Arc::clone(&second.options.progress),
            part: part.index,
            sent: part.at + (second.plan.head().len() * part.index) as u64,
        });
        Body {
            content: self.second.as_ref().map(|second| second.content((part.clone(), is_last), total, wanted)),
            frame_head: frame.head.clone().into(),
            frame_tail: frame.tail.clone().into(),
            step: Step::FrameHead,
            remaining,
            gauge,
        }
    }
}

impl SecondPass {
    /// Returns the wanted content of a part, from the nearest checkpoint on.
    fn content(&self, (part, is_last): (Part, bool), total: (u64, u64), wanted: Range<u64>) -> Verified {
        let head = Bytes::copy_from_slice(self.plan.head());
        let whole = wanted == (0..part.bytes);
        let from_content = if whole { 0 } else { wanted.start.saturating_sub(head.len() as u64) };
        let nearest = part.at + from_content;
        let from = self.checkpoints.partition_point(|c| c.start.totals.out_bytes <= nearest).saturating_sub(1);
        let spec = PassSpec {
            table: self.table.clone(),
            plan: self.plan.clone(),
            options: self.options.clone(),
            checkpoints: self.checkpoints.clone(),
            from,
            guard: None,
        };
        let range = part.at..part.at + part.bytes - head.len() as u64;
        let stream = PartStream::new(spec, self.idle.clone(), range, total);
        Verified::new(stream, self.table.source().clone(), (part, is_last), head, wanted)
    }
}

impl Body {
    /// Returns the body as a blocking reader, for clients that want one.
    #[must_use]
    pub fn into_read(self) -> BodyReader {
        BodyReader { body: self, piece: Bytes::new() }
    }

    /// Converts with `threads` threads, and drops `guard` when they have ended. For several bodies that share one
    /// budget of memory.
    pub(crate) fn within(mut self, threads: usize, guard: impl Send + Sync + 'static) -> Body {
        if let Some(spec) = self.content.as_mut().and_then(|content| content.stream_mut().spec_mut()) {
            spec.options.threads = threads;
            spec.guard = Some(Box::new(guard));
        }
        self
    }

    /// Returns the number of bytes still to return.
    pub(super) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Returns the next piece; `None` at the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let Some(content) = &mut self.content else {
            return Poll::Ready(Err(changed("the source of the run is not available")));
        };
        if self.step == Step::FrameHead {
            content.begin()?;
            self.step = Step::Content;
            self.gauge.iter_mut().for_each(|gauge| gauge.add(0));
            if !self.frame_head.is_empty() {
                return Poll::Ready(Ok(Some(std::mem::take(&mut self.frame_head))));
            }
        }
        if self.step == Step::Content {
            if let Some(bytes) = ready!(content.poll_next(cx))? {
                self.gauge.iter_mut().for_each(|gauge| gauge.add(bytes.len() as u64));
                return Poll::Ready(Ok(Some(bytes)));
            }
            self.step = Step::Done;
            if !self.frame_tail.is_empty() {
                return Poll::Ready(Ok(Some(std::mem::take(&mut self.frame_tail))));
            }
        }
        Poll::Ready(Ok(None))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Error>>> {
        if self.step == Step::Done {
            return Poll::Ready(None);
        }
        let polled = ready!(self.poll_piece(cx));
        if let Ok(Some(bytes)) = &polled {
            self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
        }
        if polled.is_err() {
            self.step = Step::Done;
            if let Some(content) = &mut self.content {
                content.stream_mut().close();
            }
        }
        Poll::Ready(polled.transpose().map(|piece| piece.map(http_body::Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.step == Step::Done
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.remaining)
    }
}

/// A [`Body`] as a blocking reader; its errors carry an [`Error`].
pub struct BodyReader {
    body: Body,
    piece: Bytes,
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl io::Read for BodyReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
            match http_body::Body::poll_frame(Pin::new(&mut self.body), &mut Context::from_waker(&waker)) {
                Poll::Pending => std::thread::park(),
                Poll::Ready(None) => return Ok(0),
                Poll::Ready(Some(Err(error))) => return Err(io::Error::other(error)),
                Poll::Ready(Some(Ok(frame))) => self.piece = frame.into_data().unwrap_or_default(),
            }
        }
        let n = buf.len().min(self.piece.len());
        buf[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}
