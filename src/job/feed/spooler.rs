//! The thread that compresses blocks of rows into a file.

use crate::error::{Error, Kind, Result};
use crate::origin::SpoolFile;
use crate::source::spool;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

/// Size of a block of rows. Each becomes a frame, so that several threads can decompress the file.
pub(super) const BLOCK_BYTES: usize = 1 << 20;
/// Number of blocks that wait for the thread.
const BLOCKS: usize = 3;
/// Level of the compression: the fastest.
const LEVEL: i32 = 1;

enum Message {
    Block(Vec<u8>),
    /// All blocks have been sent.
    Finish(oneshot::Sender<SpoolFile>),
}

/// Sends blocks to the thread.
pub(super) struct Spooler {
    sender: PollSender<Message>,
    /// The error that ended the thread.
    failed: Arc<Mutex<Option<Error>>>,
}

impl Spooler {
    /// Creates a 0600 file in `dir` and starts the thread. The file is removed unless the spooler is finished.
    pub(super) fn start(dir: &Path, max_bytes: u64) -> Result<Spooler> {
        let path = spool::name_in(dir);
        let file = spool::create(&path)?;
        let file = Spool { file, kept: SpoolFile(path), bytes: 0, max_bytes };
        let (sender, receiver) = mpsc::channel(BLOCKS);
        let failed = Arc::<Mutex<Option<Error>>>::default();
        let slot = Arc::clone(&failed);
        let work = move || {
            if let Err(error) = file.fill(receiver) {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        };
        std::thread::Builder::new()
            .name("feed".to_owned())
            .stack_size(1 << 20)
            .spawn(work)
            .map_err(|error| Error::io("a thread for the feed cannot be started", error))?;
        Ok(Spooler { sender: PollSender::new(sender), failed })
    }

    /// Waits until the thread can take a block.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let reserved = ready!(Pin::new(&mut self.sender).poll_reserve(cx));
        Poll::Ready(reserved.map_err(|_| self.failure()))
    }

    /// Sends a block, after [`Spooler::poll_ready`].
    pub(super) fn send(&mut self, block: Vec<u8>) -> Result<()> {
        self.sender.send_item(Message::Block(block)).map_err(|_| self.failure())
    }

    /// Ends the file and returns it, after [`Spooler::poll_ready`].
    pub(super) async fn finish(mut self) -> Result<SpoolFile> {
        let (done, file) = oneshot::channel();
        self.sender.send_item(Message::Finish(done)).map_err(|_| self.failure())?;
        file.await.map_err(|_| self.failure())
    }

    fn failure(&self) -> Error {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.unwrap_or_else(|| Error::new(Kind::Local, "the feed has failed before").with_hint("begin a new feed"))
    }
}

/// The file that is written.
struct Spool {
    file: File,
    kept: SpoolFile,
    bytes: u64,
    max_bytes: u64,
}

impl Spool {
    /// Writes blocks until the last one. If the sender is dropped before, the file is removed.
    fn fill(mut self, mut blocks: mpsc::Receiver<Message>) -> Result<()> {
        let lost = |error, path: &Path| {
            Error::io(format!("writing {}", path.display()), error).with_hint("set spool.dir to a disk with more room")
        };
        let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(|error| lost(error, &self.kept.0))?;
        while let Some(message) = blocks.blocking_recv() {
            let block = match message {
                Message::Block(block) => block,
                Message::Finish(done) => {
                    self.file.sync_all().map_err(|error| lost(error, &self.kept.0))?;
                    // a receiver that is gone wants no file
                    drop(done.send(self.kept));
                    return Ok(());
                }
            };
            let frame = compressor.compress(&block).map_err(|error| lost(error, &self.kept.0))?;
            self.bytes += frame.len() as u64;
            if self.bytes > self.max_bytes {
                let max = self.max_bytes;
                return Err(Error::data(format!("the feed is larger than spool.max ({max} bytes)"))
                    .with_hint("raise spool.max, or feed the records to several jobs"));
            }
            self.file.write_all(&frame).map_err(|error| lost(error, &self.kept.0))?;
        }
        Ok(())
    }
}
