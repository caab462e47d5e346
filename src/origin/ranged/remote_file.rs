//! Content of another machine as a file that is read by position.

use super::contract::Ranged;
use super::driver::Driver;
use super::window::Window;
use crate::source::{Identity, ReadAt};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

/// Maximum number of places that are read at once; the one that was used least recently is given up for another.
const MAX_LANES: usize = 3;
/// Size of the first range that is requested anywhere but at the start: the place may be read only once.
const FIRST_RANGE: u64 = 1 << 20;
/// Bytes that are read ahead, and for each thread more.
const AHEAD: u64 = 1 << 20;
/// Bytes that are kept before the highest position read, and for each thread more: threads read neighbouring chunks.
const KEEP: u64 = 1 << 20;
const FOR_EACH_THREAD: u64 = 512 << 10;

/// The files of a source, which share memory for reading ahead.
#[derive(Clone)]
pub(in crate::origin) struct RemoteFiles(Arc<Shared>);

struct Shared {
    driver: Arc<Driver>,
    threads: u64,
    lanes: Mutex<Vec<Lane>>,
}

/// Content that is read ahead at the places where it is read.
pub(in crate::origin) struct RemoteFile {
    content: Arc<dyn Ranged>,
    files: RemoteFiles,
}

/// One place where the content is read; the most recently used is the last.
struct Lane {
    content: Arc<dyn Ranged>,
    window: Arc<Window>,
    task: AbortHandle,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RemoteFiles {
    /// Creates the shared memory; `threads` read the files.
    pub(in crate::origin) fn new(driver: Arc<Driver>, threads: usize) -> RemoteFiles {
        RemoteFiles(Arc::new(Shared { driver, threads: threads.max(1) as u64, lanes: Mutex::default() }))
    }

    /// Returns a file.
    pub(in crate::origin) fn file(&self, content: Arc<dyn Ranged>) -> RemoteFile {
        RemoteFile { content, files: self.clone() }
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the window that contains `at` or soon will, a new one if necessary.
    fn window(&self, content: &Arc<dyn Ranged>, at: u64) -> Arc<Window> {
        let mut lanes = self.lanes();
        let is_here = |lane: &Lane| Arc::ptr_eq(&lane.content, content) && lane.window.accepts(at);
        if let Some(found) = lanes.iter().rposition(is_here) {
            let lane = lanes.remove(found);
            let window = Arc::clone(&lane.window);
            lanes.push(lane);
            return window;
        }
        if lanes.len() >= MAX_LANES {
            lanes.remove(0);
        }
        let more = self.0.threads * FOR_EACH_THREAD;
        let window = Arc::new(Window::new(at, KEEP + more, AHEAD + more));
        let task = self.0.driver.spawn(fill(Arc::clone(content), at, Arc::clone(&window)));
        lanes.push(Lane { content: Arc::clone(content), window: Arc::clone(&window), task });
        window
    }

    /// Forgets a window whose task has failed, so that reading there is tried anew.
    fn forget(&self, window: &Arc<Window>) {
        self.lanes().retain(|lane| !Arc::ptr_eq(&lane.window, window));
    }
}

/// Reads from `at` to the end: at the start all at once, elsewhere in ranges that become larger.
async fn fill(content: Arc<dyn Ranged>, at: u64, window: Arc<Window>) {
    let size = content.size();
    let (mut at, mut len) = (at, if at == 0 { size } else { FIRST_RANGE });
    while at < size {
        let end = at.saturating_add(len).min(size);
        if let Err(error) = content.read(at..end, &window).await {
            return window.end(Err(error));
        }
        (at, len) = (end, len.saturating_mul(4));
    }
    window.end(Ok(()));
}

impl ReadAt for RemoteFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.content.size().saturating_sub(at)).unwrap_or(usize::MAX).min(buf.len());
        if left == 0 {
            return Ok(0);
        }
        loop {
            let window = self.files.window(&self.content, at);
            match window.read_at(&mut buf[..left], at, &self.files.0.driver) {
                Ok(Some(n)) => return Ok(n),
                Ok(None) => {}
                Err(error) => {
                    self.files.forget(&window);
                    return Err(io::Error::other(error));
                }
            }
        }
    }

    fn identity(&self) -> io::Result<Identity> {
        let version = Some(self.content.version().to_owned());
        Ok(Identity { version, ..Identity::of_size(self.content.size()) })
    }

    fn change(&self, _: &Identity) -> io::Result<Option<&'static str>> {
        let content = Arc::clone(&self.content);
        self.files.0.driver.wait(async move { content.check().await }).map_err(io::Error::other)?;
        Ok(None)
    }

    fn is_sequential(&self) -> bool {
        true
    }
}
