//! Pass two: the body that streams exactly what was measured, and fails before its last block if it cannot.

use super::grid::Mark;
use super::measure::{Checkpoint, SecondPass};
use super::pipeline::{self, Base, Consumer, Ended};
use super::queue::{Receiver, Sender, Weight, queue};
use super::slab::{QUEUED_SLABS, SLAB_BYTES, Slab};
use super::worker::{Rows, Want};
use super::{Frame, Measured, Options, Part, crc};
use crate::error::{Error, Kind, Result};
use crate::mapping::Plan;
use crate::reader::Table;
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

/// A session that has ended one part and stands at the start of the next, so that a compressed source is read once.
pub(crate) type Parked = Arc<Mutex<Option<Session>>>;

/// A piece of output, or the word that there is no more.
enum Piece {
    Data { bytes: Bytes, crc: u64 },
    End { bytes: u64, crc: u64 },
}

impl Weight for Result<Piece> {
    fn weight(&self) -> usize {
        match self {
            Ok(Piece::Data { bytes, .. }) => bytes.len(),
            Ok(Piece::End { .. }) | Err(_) => 0,
        }
    }
}

/// A second pass under way in a thread of its own.
pub(crate) struct Session {
    pieces: Receiver<Result<Piece>>,
    /// Output position (header lines not counted) of the next byte.
    at: u64,
    /// Of the piece that the part before ended in.
    left: Option<Bytes>,
}

/// A piece of a part, with its CRC where it is known: a piece that was cut has none.
type Trimmed = (Bytes, Option<u64>);

/// What a session needs; a body keeps it until it is first polled.
struct Opening {
    table: Arc<Table>,
    plan: Arc<Plan>,
    options: Options,
    checkpoints: Arc<[Checkpoint]>,
    from: usize,
    /// Dropped when the pass has ended.
    guard: Option<Box<dyn Send + Sync>>,
}

impl Session {
    fn open(opening: Opening) -> Result<Session> {
        let in_line = opening.options.in_line;
        let most = QUEUED_SLABS * opening.options.threads.max(1) * SLAB_BYTES;
        let (tx, pieces) = queue(if in_line { usize::MAX } else { most });
        let at = opening.checkpoints[opening.from].start.base.out_bytes;
        if in_line {
            opening.convert(tx);
        } else {
            std::thread::Builder::new()
                .name("listferry-send".to_owned())
                .spawn(move || opening.convert(tx))
                .map_err(|error| Error::io("starting a thread", error))?;
        }
        Ok(Session { pieces, at, left: None })
    }
}

impl Opening {
    /// The pass itself.
    fn convert(self, tx: Sender<Result<Piece>>) {
        let Opening { table, plan, options, checkpoints, from, guard: _guard } = self;
        let tx = Arc::new(tx);
        options.progress.begin_pass();
        let start = checkpoints[from].start.clone();
        let first = &checkpoints[from];
        let (bytes, crc) = (first.start.base.out_bytes, first.crc);
        let mut streamer =
            Streamer { tx: tx.clone(), checkpoints: checkpoints.clone(), next: from, bytes, crc, seam: (bytes, crc) };
        let want = Want { data: true, rejects: false, rows: false, sights: false };
        let last = match pipeline::run(&table, &plan, &options, want, &start, &mut streamer) {
            Ok((Ended::Whole, _)) => Ok(Piece::End { bytes: streamer.bytes, crc: streamer.crc }),
            Ok((Ended::Enough, _)) => return,
            Ok((Ended::Clash, _)) => Err(changed("the separator clashes, which it did not in pass one")),
            // what pass one read without a fault was changed since
            Err(error) if error.kind() == Kind::Data => {
                let place = error.place().clone();
                Err(changed(error.message()).with_place(place))
            }
            Err(error) => Err(error),
        };
        // nobody listens any more: the body was dropped
        let _ = tx.send(last);
    }
}

/// The consumer of pass two: compares with the checkpoints and passes on.
struct Streamer {
    tx: Arc<Sender<Result<Piece>>>,
    checkpoints: Arc<[Checkpoint]>,
    next: usize,
    bytes: u64,
    crc: u64,
    /// Before the chunk under way.
    seam: (u64, u64),
}

impl Consumer for Streamer {
    fn slab(&mut self, slab: Slab) -> Result<bool> {
        self.bytes += slab.bytes;
        self.crc = crc::combine(self.crc, slab.crc, slab.bytes);
        let Some(data) = slab.data else { return Ok(true) };
        if data.as_ref().len() > 2 * SLAB_BYTES {
            // One large record: copied piece by piece as they are taken, so that its memory is free for the next one.
            return Ok(data.as_ref().chunks(SLAB_BYTES).all(|piece| {
                let (bytes, crc) = (Bytes::copy_from_slice(piece), crc::of(piece));
                self.tx.send(Ok(Piece::Data { bytes, crc }))
            }));
        }
        let piece = Piece::Data { bytes: Bytes::from_owner(data), crc: slab.crc };
        Ok(self.tx.send(Ok(piece)))
    }

    fn rows(&mut self, _: &Rows, _: &Base, _: &Table) -> Result<bool> {
        Ok(true)
    }

    fn chunk_end(&mut self, mark: Mark, _: &Base, _: &Table) -> Result<bool> {
        let seam = std::mem::replace(&mut self.seam, (self.bytes, self.crc));
        if let Some(checkpoint) = self.checkpoints.get(self.next)
            && (checkpoint.start.mark.input, checkpoint.start.mark.chunk) == (mark.input, mark.chunk)
        {
            self.next += 1;
            if (checkpoint.start.base.out_bytes, checkpoint.crc, checkpoint.start.mark.inside)
                != (seam.0, seam.1, mark.inside)
            {
                return Err(changed("the second reading gives other output than the first"));
            }
        }
        Ok(true)
    }
}

fn changed(what: &str) -> Error {
    Error::new(Kind::SourceChanged, format!("the source changed between the two passes: {what}"))
        .with_hint("write the source under another name, rename it when it is complete, then run again")
}

/// An exact-length request body; see [`Measured::body`]. Not `Clone`: a retry opens a fresh one.
///
/// Its last block is held back until length and digest of the part agree with pass one and the source is unchanged, so the other
/// side never has a complete body that differs.
pub struct Body {
    opening: Option<Opening>,
    session: Option<Session>,
    parked: Parked,
    /// None: the source is not at hand.
    table: Option<Arc<Table>>,
    part: Part,
    is_last_part: bool,
    total: (u64, u64),
    /// Header line; part of the content.
    head: Bytes,
    frame_head: Bytes,
    frame_tail: Bytes,
    /// What of the content is wanted.
    wanted: Range<u64>,
    /// Content seen so far (header line included), and its CRC.
    seen: u64,
    crc: u64,
    /// The last non-empty piece of what is wanted.
    held: Option<Bytes>,
    step: Step,
    /// Bytes still to come out.
    remaining: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The source is not at hand.
    Absent,
    FrameHead,
    Head,
    Content,
    /// The part is complete; the session of the last one must end here too.
    Surplus,
    Verified,
    Tail,
    Done,
}

impl Measured {
    /// A fresh body of a part: frame head, content, frame tail, converted again while it is read. Fails before its
    /// last block if it differs from what was measured by one byte.
    #[must_use]
    pub fn body(&self, part: &Part, frame: &Frame) -> Body {
        self.open_body(part, frame, 0..part.bytes)
    }

    /// A range of a part's content (no frame), for servers that answer range requests.
    #[must_use]
    pub fn range(&self, part: &Part, bytes: Range<u64>) -> Body {
        let end = bytes.end.min(part.bytes);
        self.open_body(part, &Frame::default(), bytes.start.min(end)..end)
    }

    fn open_body(&self, part: &Part, frame: &Frame, wanted: Range<u64>) -> Body {
        let remaining = wanted.end - wanted.start + (frame.head.len() + frame.tail.len()) as u64;
        let mut body = Body {
            opening: None,
            session: None,
            parked: Parked::default(),
            table: None,
            is_last_part: self.parts().last().is_some_and(|last| last.index == part.index),
            part: part.clone(),
            total: self.manifest().content,
            head: Bytes::new(),
            frame_head: frame.head.clone().into(),
            frame_tail: frame.tail.clone().into(),
            wanted,
            seen: 0,
            crc: 0,
            held: None,
            step: Step::Absent,
            remaining,
        };
        if let Some(second) = &self.second {
            second.open(&mut body);
        }
        body
    }
}

impl SecondPass {
    /// Lets a body begin at the nearest checkpoint.
    fn open(&self, body: &mut Body) {
        let head = Bytes::copy_from_slice(self.plan.head());
        let from_content = body.wanted.start.saturating_sub(head.len() as u64);
        let nearest = if body.whole() { body.part.at } else { body.part.at + from_content };
        let from = self.checkpoints.partition_point(|c| c.start.base.out_bytes <= nearest).saturating_sub(1);
        body.opening = Some(Opening {
            table: self.table.clone(),
            plan: self.plan.clone(),
            options: self.options.clone(),
            checkpoints: self.checkpoints.clone(),
            from,
            guard: None,
        });
        body.parked = self.parked.clone();
        body.table = Some(self.table.clone());
        body.head = head;
        body.step = Step::FrameHead;
    }
}

impl Body {
    /// The body as a blocking reader, for clients that want one.
    #[must_use]
    pub fn into_read(self) -> BodyReader {
        BodyReader { body: self, piece: Bytes::new() }
    }

    /// Converts with `threads` threads, and drops `guard` when they have ended. For several bodies within one budget of
    /// memory.
    pub(crate) fn within(mut self, threads: usize, guard: impl Send + Sync + 'static) -> Body {
        if let Some(opening) = &mut self.opening {
            opening.options.threads = threads;
            opening.guard = Some(Box::new(guard));
        }
        self
    }

    fn whole(&self) -> bool {
        self.wanted == (0..self.part.bytes)
    }

    /// Opens or takes over the session that gives this part.
    fn begin(&mut self) -> Result<()> {
        let Some(opening) = self.opening.take() else { return Ok(()) };
        let parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.session = Some(match parked {
            Some(session) if self.whole() && session.at == self.part.at => session,
            _ => Session::open(opening)?,
        });
        Ok(())
    }

    /// A piece of content, at the position `seen`; what is wanted of it is held, what was held comes out.
    fn content(&mut self, bytes: Bytes, crc: Option<u64>) -> Option<Bytes> {
        let len = bytes.len() as u64;
        if self.whole() {
            let piece = crc.unwrap_or_else(|| crc::of(&bytes));
            self.crc = crc::combine(self.crc, piece, len);
        }
        let from = self.wanted.start.clamp(self.seen, self.seen + len) - self.seen;
        let to = self.wanted.end.clamp(self.seen, self.seen + len) - self.seen;
        self.seen += len;
        if from >= to {
            return None;
        }
        self.held.replace(bytes.slice(from as usize..to as usize))
    }

    fn out(&mut self, bytes: Bytes) -> Poll<Option<Result<http_body::Frame<Bytes>>>> {
        self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
        Poll::Ready(Some(Ok(http_body::Frame::data(bytes))))
    }

    /// The next piece of the session, trimmed to this part.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Trimmed>>> {
        let Some(session) = &mut self.session else { return Poll::Ready(Ok(None)) };
        let (mut bytes, mut crc) = match session.left.take() {
            Some(left) => (left, None),
            None => match ready!(session.pieces.poll_recv(cx)) {
                Some(Ok(Piece::Data { bytes, crc })) => (bytes, Some(crc)),
                Some(Ok(Piece::End { bytes, crc })) => {
                    let same = (bytes, crc) == self.total;
                    self.session = None;
                    return Poll::Ready(if same { Ok(None) } else { Err(changed("its end gives other output")) });
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Err(Error::new(Kind::Local, "the converting thread is gone"))),
            },
        };
        // output before this part, since a session starts at a checkpoint
        if session.at < self.part.at {
            let skip = (self.part.at - session.at).min(bytes.len() as u64);
            bytes = bytes.slice(skip as usize..);
            session.at += skip;
            crc = None;
        }
        let end = self.part.at + self.part.bytes - self.head.len() as u64;
        let take = (end - session.at.min(end)).min(bytes.len() as u64);
        if take < bytes.len() as u64 {
            session.left = Some(bytes.slice(take as usize..));
            bytes = bytes.slice(..take as usize);
            crc = None;
        }
        session.at += take;
        Poll::Ready(Ok(Some((bytes, crc))))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>>>> {
        loop {
            match self.step {
                Step::Absent => {
                    return Poll::Ready(Some(Err(changed("the source of the run is not at hand"))));
                }
                Step::FrameHead => {
                    if let Err(error) = self.begin() {
                        return Poll::Ready(Some(Err(error)));
                    }
                    self.step = Step::Head;
                    if !self.frame_head.is_empty() {
                        let bytes = std::mem::take(&mut self.frame_head);
                        return self.out(bytes);
                    }
                }
                Step::Head => {
                    let (head, part_at) = (self.head.clone(), self.part.at);
                    self.content(head, None);
                    self.step = Step::Content;
                    // a range in the middle starts at a checkpoint within the part
                    if let Some(session) = &self.session
                        && session.at > part_at
                    {
                        self.seen += session.at - part_at;
                    }
                }
                Step::Content => {
                    if self.seen >= self.part.bytes || (!self.whole() && self.seen >= self.wanted.end) {
                        self.step = if self.whole() { Step::Surplus } else { Step::Verified };
                        continue;
                    }
                    match ready!(self.poll_piece(cx)) {
                        Ok(Some((bytes, crc))) => {
                            if let Some(bytes) = self.content(bytes, crc) {
                                return self.out(bytes);
                            }
                        }
                        Ok(None) => return Poll::Ready(Some(Err(changed("the second reading gives less output")))),
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    }
                }
                Step::Surplus => {
                    if self.is_last_part && self.session.is_some() {
                        match ready!(self.poll_piece(cx)) {
                            Ok(None) => {}
                            Ok(Some((bytes, _)))
                                if bytes.is_empty() && self.session.as_ref().is_none_or(|s| s.left.is_none()) =>
                            {
                                continue;
                            }
                            Ok(Some(_)) => {
                                return Poll::Ready(Some(Err(changed("the second reading gives more output"))));
                            }
                            Err(error) => return Poll::Ready(Some(Err(error))),
                        }
                    }
                    if self.crc != self.part.crc {
                        return Poll::Ready(Some(Err(changed("the second reading gives other output"))));
                    }
                    self.step = Step::Verified;
                }
                Step::Verified => {
                    let table = self.table.as_ref();
                    if let Some(Err(error)) = table.map(|table| table.source().verify_unchanged()) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    if self.whole()
                        && let Some(session) = self.session.take()
                    {
                        *self.parked.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
                    }
                    self.step = Step::Tail;
                    if let Some(held) = self.held.take() {
                        return self.out(held);
                    }
                }
                Step::Tail => {
                    self.step = Step::Done;
                    if !self.frame_tail.is_empty() {
                        let bytes = std::mem::take(&mut self.frame_tail);
                        return self.out(bytes);
                    }
                }
                Step::Done => return Poll::Ready(None),
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Error>>> {
        let polled = self.poll_next(cx);
        if let Poll::Ready(Some(Err(_))) = &polled {
            self.step = Step::Done;
            self.session = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.step == Step::Done
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.remaining)
    }
}

/// A [`Body`] as a blocking reader; its errors carry an [`Error`] inside.
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
