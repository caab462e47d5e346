//! A stream that may stay silent for long, read so that its reader can be cancelled meanwhile.

use crate::error::{Error, Kind, Result};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Size of a read.
const BLOCK_BYTES: usize = 128 << 10;
/// Number of blocks that circulate between the two threads.
const BLOCKS: usize = 3;
/// Interval at which a waiting reader checks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// Reads a stream on a thread of its own. After a cancellation, reading fails with `Interrupted` (exit code 130). The
/// thread ends with its current system call, or with the process.
pub(crate) struct Stoppable {
    filled: Receiver<io::Result<Vec<u8>>>,
    empty: SyncSender<Vec<u8>>,
    stop: Box<dyn Fn() -> bool + Send>,
    block: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Stoppable {
    /// Opens a stream. `open` is called on the other thread too, because opening a FIFO blocks until a process writes
    /// to it.
    ///
    /// # Errors
    /// `Local`: no thread can be started. An error of `open` is returned by the first read.
    pub(crate) fn open<R: Read>(
        open: impl FnOnce() -> Result<R> + Send + 'static,
        stop: impl Fn() -> bool + Send + 'static,
    ) -> Result<Stoppable> {
        let (to_reader, filled) = sync_channel(BLOCKS + 1);
        let (empty, to_fill) = sync_channel(BLOCKS);
        for _ in 0..BLOCKS {
            // the channel has room for all of them
            let _ = empty.send(Vec::new());
        }
        let work = move || match open() {
            Ok(stream) => fill(stream, &to_fill, &to_reader),
            Err(error) => drop(to_reader.send(Err(io::Error::other(error)))),
        };
        std::thread::Builder::new()
            .name("source".to_owned())
            .stack_size(256 << 10)
            .spawn(work)
            .map_err(|error| Error::io("a thread for the source cannot be started", error))?;
        Ok(Stoppable { filled, empty, stop: Box::new(stop), block: Vec::new(), at: 0, ended: false })
    }
}

/// Reads until the end, an error, or until the reader is dropped. The end is an empty block.
fn fill(mut stream: impl Read, empty: &Receiver<Vec<u8>>, filled: &SyncSender<io::Result<Vec<u8>>>) {
    while let Ok(mut block) = empty.recv() {
        block.resize(BLOCK_BYTES, 0);
        let read = loop {
            match stream.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let last = !matches!(read, Ok(n) if n > 0);
        let sent = filled.send(read.map(|n| {
            block.truncate(n);
            block
        }));
        if last || sent.is_err() {
            return;
        }
    }
}

impl Read for Stoppable {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && !self.ended {
            if (self.stop)() {
                return Err(io::Error::other(Error::new(
                    Kind::Interrupted,
                    "stopped before the end of the source was read",
                )));
            }
            match self.filled.recv_timeout(LOOK) {
                Ok(block) => {
                    self.ended = !matches!(&block, Ok(block) if !block.is_empty());
                    // a thread that has ended needs no block
                    let _ = self.empty.try_send(std::mem::replace(&mut self.block, block?));
                    self.at = 0;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other(Error::new(
                        Kind::Local,
                        "the thread that reads the source ended early",
                    )));
                }
            }
        }
        let n = buf.len().min(self.block.len() - self.at);
        buf[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::into_error;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Returns a few bytes at a time, and fails at the given position.
    struct Drips(usize, Option<usize>);

    impl Read for Drips {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.1 == Some(self.0) {
                return Err(io::Error::other("torn"));
            }
            let n = buf.len().min(self.0).min(70_001);
            buf[..n].fill(b'x');
            self.0 -= n;
            Ok(n)
        }
    }

    #[test]
    fn all_bytes_come_and_errors_behind_them() {
        let mut text = Vec::new();
        Stoppable::open(|| Ok(Drips(1_000_003, None)), || false).unwrap().read_to_end(&mut text).unwrap();
        assert_eq!(text.len(), 1_000_003);
        let mut torn = Stoppable::open(|| Ok(Drips(140_005, Some(3))), || false).unwrap();
        text.clear();
        assert_eq!(torn.read_to_end(&mut text).unwrap_err().to_string(), "torn");
        assert_eq!(text.len(), 140_002);
        let mut none = Stoppable::open(|| Err::<Drips, _>(Error::usage("none")), || false).unwrap();
        let error = none.read(&mut [0; 9]).unwrap_err();
        assert_eq!(into_error(error, "reading").kind(), Kind::Usage);
    }

    #[test]
    fn a_reader_of_a_silent_stream_stops() {
        let (held, silent) = io::pipe().map(|(reader, writer)| (writer, reader)).unwrap();
        let flag = Arc::new(AtomicBool::new(false));
        let stop = flag.clone();
        let mut stream = Stoppable::open(|| Ok(silent), move || stop.load(Ordering::Relaxed)).unwrap();
        let waiting = std::thread::spawn(move || stream.read(&mut [0; 9]).unwrap_err());
        flag.store(true, Ordering::Relaxed);
        assert_eq!(into_error(waiting.join().unwrap(), "reading").kind(), Kind::Interrupted);
        drop(held);
    }
}
