//! Open files, as few as a source needs at a time: their number must not grow with that of its files.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Files that stay open. Readers of several files at once, which are at most as many as there are threads, keep theirs
/// open for as long as one read takes.
const MOST_OPEN: usize = 16;

/// The files of a source that are open, those that were used last at the end.
#[derive(Default)]
pub(super) struct Handles(Mutex<VecDeque<(usize, Arc<File>)>>);

impl Handles {
    /// The file with this number, opened by `open` unless it is open.
    pub(super) fn get(&self, number: usize, open: impl Fn() -> io::Result<File>) -> io::Result<Arc<File>> {
        {
            let mut handles = self.lock();
            if let Some(at) = handles.iter().rposition(|(other, _)| *other == number)
                && let Some(handle) = handles.remove(at)
            {
                let file = handle.1.clone();
                handles.push_back(handle);
                return Ok(file);
            }
        }
        // not under the lock: opening may take long on a network
        let file = match open() {
            Err(error) if is_too_many(&error) => {
                self.lock().clear();
                open()?
            }
            file => file?,
        };
        let file = Arc::new(file);
        let mut handles = self.lock();
        handles.push_back((number, file.clone()));
        if handles.len() > MOST_OPEN {
            handles.pop_front();
        }
        Ok(file)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(usize, Arc<File>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this process or the machine has no room for another open file.
pub(super) fn is_too_many(error: &io::Error) -> bool {
    // ENFILE and EMFILE, which have these numbers on every Unix
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_used_last_stay_open() {
        let handles = Handles::default();
        let opened = Mutex::new(Vec::new());
        let get = |number: usize| {
            let open = || {
                opened.lock().unwrap().push(number);
                tempfile::tempfile()
            };
            drop(handles.get(number, open).unwrap());
            std::mem::take(&mut *opened.lock().unwrap())
        };
        for number in 0..MOST_OPEN {
            assert_eq!(get(number), [number]);
        }
        assert!(get(0).is_empty());
        // one more: file 1 is the one that was not used for the longest time
        assert_eq!(get(99), [99]);
        assert_eq!((get(0), get(2)), (vec![], vec![]));
        assert_eq!(get(1), [1]);
        assert_eq!(handles.lock().len(), MOST_OPEN);
    }

    #[test]
    fn open_files_make_room_for_one_that_finds_none() {
        let handles = Handles::default();
        handles.get(1, tempfile::tempfile).unwrap();
        let tries = Mutex::new(0);
        let open = || {
            *tries.lock().unwrap() += 1;
            if *tries.lock().unwrap() == 1 { Err(io::Error::from_raw_os_error(24)) } else { tempfile::tempfile() }
        };
        if cfg!(unix) {
            handles.get(2, open).unwrap();
            assert_eq!(handles.lock().len(), 1);
        }
    }
}
