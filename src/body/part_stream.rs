//! The output of one part, without its header line, cut out of a second pass.
//!
//! A pass starts at a checkpoint, which may be before the part, and its pieces cross the end of the part. `session.at`
//! is the output position of the next byte. The rest of a piece after the end of the part waits in `session.left` for
//! the next part, whose stream takes the session over through `idle`.

use super::session::{IdlePass, PassSpec, Piece, Session, changed};
use crate::error::{Error, Kind, Result};
use bytes::Bytes;
use std::ops::Range;
use std::sync::PoisonError;
use std::task::{Context, Poll, ready};

/// A piece of a part, with its CRC if it is known; a piece that was cut has none.
pub(super) type Trimmed = (Bytes, Option<u64>);

/// The output of one part.
pub(super) struct PartStream {
    spec: Option<PassSpec>,
    session: Option<Session>,
    idle: IdlePass,
    /// Output positions of the part, without header lines.
    part: Range<u64>,
    /// Length and CRC of all output.
    total: (u64, u64),
}

impl PartStream {
    pub(super) fn new(spec: PassSpec, idle: IdlePass, part: Range<u64>, total: (u64, u64)) -> PartStream {
        PartStream { spec: Some(spec), session: None, idle, part, total }
    }

    /// Returns the pass that is not yet started.
    pub(super) fn spec_mut(&mut self) -> Option<&mut PassSpec> {
        self.spec.as_mut()
    }

    /// Starts the pass, or takes over one that is at the start of this part if the part is wanted `from_start`. Returns
    /// how many bytes of the part are skipped.
    pub(super) fn begin(&mut self, from_start: bool) -> Result<u64> {
        let Some(spec) = self.spec.take() else { return Ok(0) };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let session = match idle {
            Some(session) if from_start && session.at == self.part.start => session,
            _ => Session::open(spec)?,
        };
        let skipped = session.at.saturating_sub(self.part.start);
        self.session = Some(session);
        Ok(skipped)
    }

    /// Returns the next piece; `None` at the end of the output.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Trimmed>>> {
        let Some(session) = &mut self.session else { return Poll::Ready(Ok(None)) };
        let (mut bytes, mut crc) = match session.left.take() {
            Some(left) => (left, None),
            None => match ready!(session.poll_piece(cx)) {
                Some(Ok(Piece::Data { bytes, crc })) => (bytes, Some(crc)),
                Some(Ok(Piece::End { bytes, crc })) => {
                    let same = (bytes, crc) == self.total;
                    self.session = None;
                    return Poll::Ready(if same { Ok(None) } else { Err(changed("its end gives different output")) });
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Err(Error::new(Kind::Local, "the converting thread has ended"))),
            },
        };
        // output before this part, since a session starts at a checkpoint
        if session.at < self.part.start {
            let skip = (self.part.start - session.at).min(bytes.len() as u64);
            bytes = bytes.slice(skip as usize..);
            session.at += skip;
            crc = None;
        }
        let end = self.part.end;
        let take = (end - session.at.min(end)).min(bytes.len() as u64);
        if take < bytes.len() as u64 {
            session.left = Some(bytes.slice(take as usize..));
            bytes = bytes.slice(..take as usize);
            crc = None;
        }
        session.at += take;
        Poll::Ready(Ok(Some((bytes, crc))))
    }

    /// Checks after the last part that the pass ends.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while self.session.is_some() {
            match ready!(self.poll_next(cx))? {
                None => break,
                Some((bytes, _)) if bytes.is_empty() && self.session.as_ref().is_none_or(|s| s.left.is_none()) => {}
                Some(_) => return Poll::Ready(Err(changed("the second pass gives more output"))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Leaves the session to the next part.
    pub(super) fn park(&mut self) {
        if let Some(session) = self.session.take() {
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        }
    }

    /// Stops the pass.
    pub(super) fn close(&mut self) {
        self.session = None;
    }
}
