//! The content of a part, or a range of it, held back until it has been verified.
//!
//! The last piece that is wanted stays in `held` until all of the part has been `seen`, its CRC is the measured one (if
//! the whole part is wanted), and the source is unchanged, so the receiver never has a complete body that differs.
//! `seen` counts the content so far, header line included, and `crc` is its CRC; both change with each piece, whether
//! it is wanted or not.
//!
//! Checking whether the source is unchanged may take long (on a slow network mount), so a separate thread does it.

use super::part_stream::PartStream;
use super::queue::{Receiver, Weight, queue};
use super::session::changed;
use super::{Part, crc};
use crate::error::{Error, Kind, Result};
use crate::source::OpenSource;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

impl Weight for Result<()> {
    fn weight(&self) -> usize {
        0
    }
}

/// The content of a part.
pub(super) struct Verified {
    stream: PartStream,
    source: Arc<OpenSource>,
    /// See [`super::Options::in_line`].
    in_line: bool,
    part: Part,
    is_last_part: bool,
    /// Header line, which is part of the content.
    head: Bytes,
    /// The range of the content that is wanted.
    wanted: Range<u64>,
    seen: u64,
    crc: u64,
    /// The last non-empty piece that is wanted.
    held: Option<Bytes>,
    step: Step,
}

enum Step {
    Start,
    Head,
    Content,
    /// The part is complete: its digest must be right, and the session of the last part must end here.
    Complete,
    /// The source is being checked.
    Checking(Receiver<Result<()>>),
    Done,
}

impl Verified {
    pub(super) fn new(
        mut stream: PartStream,
        source: Arc<OpenSource>,
        (part, is_last_part): (Part, bool),
        head: Bytes,
        wanted: Range<u64>,
    ) -> Verified {
        let in_line = stream.spec_mut().is_some_and(|spec| spec.options.in_line);
        let (seen, crc, held, step) = (0, 0, None, Step::Start);
        Verified { stream, source, in_line, part, is_last_part, head, wanted, seen, crc, held, step }
    }

    pub(super) fn stream_mut(&mut self) -> &mut PartStream {
        &mut self.stream
    }

    fn is_whole(&self) -> bool {
        self.wanted == (0..self.part.bytes)
    }

    /// Starts the pass.
    pub(super) fn begin(&mut self) -> Result<()> {
        if let Step::Start = self.step {
            let skipped = self.stream.begin(self.is_whole())?;
            self.take(self.head.clone(), None);
            // a range in the middle starts at a checkpoint within the part
            self.seen += skipped;
            self.step = Step::Head;
        }
        Ok(())
    }

    /// Takes the piece of content at position `seen`: holds the wanted part of it, and returns the piece held before.
    fn take(&mut self, bytes: Bytes, crc: Option<u64>) -> Option<Bytes> {
        let len = bytes.len() as u64;
        if self.is_whole() {
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

    /// Starts to check whether the source is unchanged.
    fn check(&self) -> Result<Receiver<Result<()>>> {
        let (sender, checked) = queue(1);
        let source = self.source.clone();
        let look = move || sender.send(source.verify_unchanged());
        if self.in_line {
            look();
        } else {
            std::thread::Builder::new()
                .name("listferry-check".to_owned())
                .spawn(look)
                .map_err(|error| Error::io("starting a thread", error))?;
        }
        Ok(checked)
    }

    /// Returns the next piece that is wanted; `None` when all of it was returned and verified.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            match &mut self.step {
                Step::Start => self.begin()?,
                Step::Head => self.step = Step::Content,
                Step::Content if self.seen >= self.part.bytes || self.seen >= self.wanted.end => {
                    self.step = Step::Complete;
                }
                Step::Content => {
                    let Some((bytes, crc)) = ready!(self.stream.poll_next(cx))? else {
                        return Poll::Ready(Err(changed("the second pass gives less output")));
                    };
                    if let Some(bytes) = self.take(bytes, crc) {
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                }
                Step::Complete => {
                    if self.is_whole() {
                        if self.is_last_part {
                            ready!(self.stream.poll_end(cx))?;
                        }
                        if self.crc != self.part.crc {
                            return Poll::Ready(Err(changed("the second pass gives different output")));
                        }
                    }
                    self.step = Step::Checking(self.check()?);
                }
                Step::Checking(checked) => {
                    let gone = || Err(Error::new(Kind::Local, "the checking thread has ended"));
                    ready!(checked.poll_recv(cx)).unwrap_or_else(gone)?;
                    if self.is_whole() {
                        self.stream.park();
                    }
                    self.step = Step::Done;
                    if let Some(held) = self.held.take() {
                        return Poll::Ready(Ok(Some(held)));
                    }
                }
                Step::Done => return Poll::Ready(Ok(None)),
            }
        }
    }
}
