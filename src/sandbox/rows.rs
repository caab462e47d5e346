//! Splits bodies into lines as they arrive, with at most one line in memory.

/// Maximum length of a line.
const MOST: usize = 64 << 20;

/// Splits a stream into lines.
#[derive(Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
    /// Whether an LF inside quotes belongs to its line.
    quoted: bool,
    /// Whether the current position is inside quotes.
    open: bool,
}

impl Lines {
    /// Creates a splitter for delimited files, whose quoted cells may contain LF.
    pub(super) fn quoted() -> Lines {
        Lines { quoted: true, ..Lines::default() }
    }

    /// Calls `each` with every line that is complete after `data`, without its LF.
    pub(super) fn feed(&mut self, data: &[u8], mut each: impl FnMut(&[u8])) {
        let mut from = 0;
        let mut seen = 0;
        for at in memchr::memchr_iter(b'\n', data) {
            self.open ^= self.quoted && memchr::memchr_iter(b'"', &data[seen..at]).count() % 2 == 1;
            seen = at;
            if self.open {
                continue;
            }
            if self.rest.is_empty() {
                each(&data[from..at]);
            } else {
                self.rest.extend_from_slice(&data[from..at]);
                each(&self.rest);
                self.rest.clear();
            }
            from = at + 1;
        }
        self.open ^= self.quoted && memchr::memchr_iter(b'"', &data[seen..]).count() % 2 == 1;
        if self.rest.len() < MOST {
            self.rest.extend_from_slice(&data[from..]);
        }
    }

    /// Returns the bytes after the last LF: none, in a well-formed file.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest
    }
}

/// Counts of validated lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) bad: u64,
    /// Index and error of the first bad line.
    pub(super) first: Option<(u64, String)>,
}

impl Tally {
    pub(super) fn take(&mut self, result: Result<(), String>) {
        if let Err(what) = result {
            self.bad += 1;
            let at = self.lines;
            self.first.get_or_insert((at, what));
        }
        self.lines += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_wherever_the_pieces_end() {
        let text = b"a,b\n\"x\ny \"\"z\"\"\",2\n\nlast";
        let plain: &[&[u8]] = &[b"a,b", b"\"x", b"y \"\"z\"\"\",2", b""];
        let quoted: &[&[u8]] = &[b"a,b", b"\"x\ny \"\"z\"\"\",2", b""];
        for step in 1..text.len() {
            for (mut lines, expected) in [(Lines::default(), plain), (Lines::quoted(), quoted)] {
                let mut got = Vec::new();
                for piece in text.chunks(step) {
                    lines.feed(piece, |line| got.push(line.to_vec()));
                }
                assert_eq!(got, expected, "in steps of {step}");
                assert_eq!(lines.rest(), b"last");
            }
        }
    }
}
