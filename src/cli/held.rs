//! The log while `run` and `resume` decide which run they work on: its lines wait, since the decision is the first line on
//! stderr.

use super::output;
use super::progress::Screen;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More is not held back.
const MAX_HELD_BYTES: usize = 64 << 10;

/// Lines that wait, if any have to.
#[derive(Clone)]
pub(crate) struct Held {
    lines: Arc<Mutex<Option<String>>>,
    screen: Screen,
}

impl Held {
    /// Returns a log whose lines come at once, above the bar of a screen.
    pub(crate) fn new(screen: &Screen) -> Held {
        Held { lines: Arc::default(), screen: screen.clone() }
    }

    /// Holds back what is logged from now on.
    pub(crate) fn hold(&self) {
        self.lines().get_or_insert_default();
    }

    /// Shows what was held back; later lines come at once.
    pub(crate) fn release(&self) {
        if let Some(lines) = self.lines().take().filter(|lines| !lines.is_empty()) {
            self.screen.above(|| output::terminal(&lines));
        }
    }

    /// Takes a line of the log.
    pub(crate) fn put(&self, line: &str) {
        let mut held = self.lines();
        if let Some(lines) = held.as_mut().filter(|lines| lines.len() + line.len() <= MAX_HELD_BYTES) {
            lines.push_str(line);
            return;
        }
        let before = held.take().unwrap_or_default();
        self.screen.above(|| {
            output::terminal(&before);
            output::terminal(line);
        });
    }

    fn lines(&self) -> MutexGuard<'_, Option<String>> {
        // a panic elsewhere leaves the text whole
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
