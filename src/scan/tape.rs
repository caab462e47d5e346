//! What the scan leaves behind: positions of cell ends, record ends, masks.

/// Structure of a stretch of text, by position from its start.
#[derive(Default)]
pub struct Tape {
    /// The position of each delimiter and record end outside quotes.
    pub cells: Vec<u32>,
    /// For each record, the index into `cells` behind its last cell.
    pub records: Vec<u32>,
    /// Which bytes need a second look, 64 a word. One word more than there are.
    pub words: Vec<Word>,
    /// Positions of bytes that follow a closing quote and are no delimiter, line end or quote.
    pub junk: Vec<u32>,
    /// Physical line ends seen, inside quotes too.
    pub lines: u64,
}

/// Which of 64 bytes need a second look, bit i for byte i.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Control character, DEL, `"`, `\`, the dialect's quote and marked byte.
    pub dirty: u64,
    /// Above 0x7F.
    pub high: u64,
}

/// What crosses from one stretch to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carry {
    /// All ones inside a quoted cell.
    pub(super) inside: u64,
    /// The highest bit: whether the next byte may open a quote. The others mean nothing.
    pub(super) may_open: u64,
    /// 1 where the byte before closed a quote.
    pub(super) closed: u64,
    /// 1 where the byte before was a CR that ended a record.
    pub(super) cr: u64,
    /// 1 where the byte before was any CR.
    pub(super) any_cr: u64,
}

impl Carry {
    /// At the start of a line: outside quotes, or inside a quoted cell.
    #[must_use]
    pub fn new(inside: bool) -> Carry {
        Carry { inside: if inside { !0 } else { 0 }, may_open: u64::from(!inside) << 63, closed: 0, cr: 0, any_cr: 0 }
    }

    /// Whether a quoted cell is open.
    #[must_use]
    pub fn inside(&self) -> bool {
        self.inside != 0
    }
}

impl Tape {
    /// Empties it for a text of `len` bytes.
    pub fn start(&mut self, len: usize) {
        self.cells.clear();
        self.records.clear();
        self.junk.clear();
        self.lines = 0;
        let words = len / 64 + 3;
        if self.words.len() < words {
            self.words.resize(words, Word::default());
        }
        // the word behind the last is read with it, its bits never count, but they must not be stale for `is_clean`
        self.words[len.div_ceil(64)] = Word::default();
    }

    /// Makes room for a stretch of `bytes` more.
    pub(super) fn reserve(&mut self, bytes: usize) {
        // the flattening writes up to 64 values past the last
        self.cells.reserve(bytes + 128);
        self.records.reserve(bytes + 64);
    }

    /// Drops the cells before `cell`, all records, all counted lines; what is left belongs to a record under way.
    pub fn keep_from(&mut self, cell: usize) {
        let left = self.cells.len() - cell;
        self.cells.copy_within(cell.., 0);
        self.cells.truncate(left);
        self.records.clear();
    }
}
