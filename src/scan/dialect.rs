//! The dialect that the scan looks for, and what a survey of a text finds.

/// The delimiter and the quote of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Separates cells; an ASCII byte other than CR, LF and the quote.
    pub delimiter: u8,
    /// Encloses cells; `None`: quotes are text.
    pub quote: Option<u8>,
    /// One more ASCII byte that makes a cell dirty: the separator of the output. `"` if there is none.
    pub marked: u8,
}

impl Dialect {
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn quote_or_nul(&self) -> u8 {
        self.quote.unwrap_or_default()
    }
}

/// The result of [`super::Scanner::survey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Whether a quoted cell is open at the end.
    pub inside: bool,
    /// The position of the last CR or LF outside quotes.
    pub last_end: Option<usize>,
}

/// Counts physical line ends (LF, CRLF, CR) in `bytes`, which does not start inside a CRLF.
#[must_use]
pub fn count_lines(bytes: &[u8]) -> u64 {
    let mut n = memchr::memchr_iter(b'\n', bytes).count() as u64;
    for at in memchr::memchr_iter(b'\r', bytes) {
        n += u64::from(bytes.get(at + 1) != Some(&b'\n'));
    }
    n
}
