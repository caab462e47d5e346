//! A second pass in its own thread: converts again, compares with the checkpoints, and passes the output on.

use super::batch::{Collect, RowLog};
use super::checkpoint::Checkpoint;
use super::order::{Consumer, Ended};
use super::queue::{Receiver, Sender, Weight, queue};
use super::run::run_pass;
use super::slab::{QUEUED_SLABS, SLAB_BYTES, Slab};
use super::totals::Totals;
use super::{Options, crc};
use crate::error::{Error, Kind, Result};
use crate::format::{ChunkId, Table, Tabular};
use crate::mapping::Plan;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// A session that has ended one part and can continue with the next, so that a compressed source is read once.
pub(crate) type IdlePass = Arc<Mutex<Option<Session>>>;

/// A piece of output, or the message that there is no more.
pub(super) enum Piece {
    Data {
        bytes: Bytes,
        crc: u64,
    },
    /// Length and CRC of all output, header lines not counted.
    End {
        bytes: u64,
        crc: u64,
    },
}

impl Weight for Result<Piece> {
    fn weight(&self) -> usize {
        match self {
            Ok(Piece::Data { bytes, .. }) => bytes.len(),
            Ok(Piece::End { .. }) | Err(_) => 0,
        }
    }
}

/// The inputs of a session; a body keeps them until it is first polled.
pub(super) struct PassSpec {
    pub(super) table: Table,
    pub(super) plan: Arc<Plan>,
    pub(super) options: Options,
    pub(super) checkpoints: Arc<[Checkpoint]>,
    /// The checkpoint to start at.
    pub(super) from: usize,
    /// Dropped when the pass has ended.
    pub(super) guard: Option<Box<dyn Send + Sync>>,
}

impl PassSpec {
    /// Returns the position of the first output (header lines not counted).
    fn at(&self) -> u64 {
        self.checkpoints[self.from].start.totals.out_bytes
    }

    /// Runs the pass and sends its pieces.
    fn run(self, tx: Sender<Result<Piece>>) {
        let tx = Arc::new(tx);
        if let Some(last) = self.run_to_end(&tx) {
            // false means that the body was dropped
            tx.send(last);
        }
    }

    /// Runs the pass; returns the last piece, or `None` if the body was dropped.
    fn run_to_end(self, tx: &Arc<Sender<Result<Piece>>>) -> Option<Result<Piece>> {
        let PassSpec { table, plan, options, checkpoints, from, guard: _guard } = self;
        options.progress.begin_pass();
        let first = &checkpoints[from];
        let (bytes, crc) = (first.start.totals.out_bytes, first.crc);
        let start = first.start.clone();
        let (tx, seam) = (tx.clone(), (bytes, crc));
        let mut sender = VerifyingSender { tx, checkpoints: checkpoints.clone(), next: from, bytes, crc, seam };
        let collect = Collect { data: true, rejects: false, rows: false, sights: false };
        Some(match run_pass(&table, &plan, &options, collect, &start, &mut sender) {
            Ok((Ended::Whole, _)) => Ok(Piece::End { bytes: sender.bytes, crc: sender.crc }),
            Ok((Ended::Enough, _)) => return None,
            Ok((Ended::Clash, _)) => Err(changed("the separator occurs in a value, which it did not in pass one")),
            // pass one read it without an error, so it has changed since
            Err(error) if error.kind() == Kind::Data => {
                let place = error.place().clone();
                Err(changed(error.message()).with_place(place))
            }
            Err(error) => Err(error),
        })
    }
}

/// A second pass in progress.
pub(crate) struct Session {
    pieces: Receiver<Result<Piece>>,
    /// Output position (header lines not counted) of the next byte.
    pub(super) at: u64,
    /// The rest of the piece in which the previous part ended.
    pub(super) left: Option<Bytes>,
}

impl Session {
    /// Starts the pass.
    pub(super) fn open(spec: PassSpec) -> Result<Session> {
        let in_line = spec.options.in_line;
        let max_bytes = QUEUED_SLABS * spec.options.threads.max(1) * SLAB_BYTES;
        let (tx, pieces) = queue(if in_line { usize::MAX } else { max_bytes });
        let at = spec.at();
        if in_line {
            spec.run(tx);
        } else {
            std::thread::Builder::new()
                .name("listferry-send".to_owned())
                .spawn(move || spec.run(tx))
                .map_err(|error| Error::io("starting a thread", error))?;
        }
        Ok(Session { pieces, at, left: None })
    }

    /// Returns the next piece; `None` if the thread has ended.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece>>> {
        self.pieces.poll_recv(cx)
    }
}

/// The consumer of pass two: compares the output with the checkpoints and passes it on.
struct VerifyingSender {
    tx: Arc<Sender<Result<Piece>>>,
    checkpoints: Arc<[Checkpoint]>,
    /// The next checkpoint to compare with.
    next: usize,
    /// Length of the output so far, and its CRC.
    bytes: u64,
    crc: u64,
    /// Length and CRC before the current chunk.
    seam: (u64, u64),
}

impl Consumer for VerifyingSender {
    fn slab(&mut self, slab: Slab) -> Result<bool> {
        self.bytes += slab.bytes;
        self.crc = crc::combine(self.crc, slab.crc, slab.bytes);
        let Some(data) = slab.data else { return Ok(true) };
        if data.as_ref().len() > 2 * SLAB_BYTES {
            // a large record: pieces are copied as the receiver takes them, so that its memory is free for the next one
            return Ok(data.as_ref().chunks(SLAB_BYTES).all(|piece| {
                let (bytes, crc) = (Bytes::copy_from_slice(piece), crc::of(piece));
                self.tx.send(Ok(Piece::Data { bytes, crc }))
            }));
        }
        let piece = Piece::Data { bytes: Bytes::from_owner(data), crc: slab.crc };
        Ok(self.tx.send(Ok(piece)))
    }

    fn rows(&mut self, _: &RowLog, _: &Totals, _: &dyn Tabular) -> Result<bool> {
        Ok(true)
    }

    fn chunk_end(&mut self, chunk: ChunkId, _: &Totals, _: &dyn Tabular) -> Result<bool> {
        let seam = std::mem::replace(&mut self.seam, (self.bytes, self.crc));
        if let Some(checkpoint) = self.checkpoints.get(self.next)
            && (checkpoint.start.chunk.input, checkpoint.start.chunk.index) == (chunk.input, chunk.index)
        {
            self.next += 1;
            if (checkpoint.start.totals.out_bytes, checkpoint.crc) != seam || checkpoint.start.chunk != chunk {
                return Err(changed("the output of the second pass differs from that of the first"));
            }
        }
        Ok(true)
    }
}

/// Returns the error for output that differs from that of pass one.
pub(super) fn changed(what: &str) -> Error {
    Error::new(Kind::SourceChanged, format!("the source changed between the two passes: {what}"))
        .with_hint("write the source under another name, rename it when it is complete, then run again")
}
