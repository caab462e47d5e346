//! A bounded number of open files, independent of the number of files in a source.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of files that stay open. Several readers at once, at most one per thread, keep their own files open
/// for the duration of a read.
const MOST_OPEN: usize = 16;

/// The open files of a source, the most recently used at the end.
#[derive(Default)]
pub(super) struct Handles(Mutex<VecDeque<(usize, Arc<File>)>>);

impl Handles {
    /// Returns the file with this number, opened by `open` if necessary.
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
        // without the lock, since opening may take long on a network file system
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

/// Whether the process or the machine has no room for another open file.
pub(super) fn is_too_many(error: &io::Error) -> bool {
    // ENFILE and EMFILE have these numbers on every Unix
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
        // one more: file 1 was unused for the longest time
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
