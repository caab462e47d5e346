//! The grammar of one line: validates every byte and records the positions of the wanted values.
//!
//! The scan has set a bit for each byte that may end a string or needs a second look (`dirty`: control characters, `"`,
//! `\`), so a string is skipped from its opening quote to the next such bit. All other text is examined byte by byte. A
//! line end is a control character, which in JSON can only be white space between lines, so it stops every loop. The
//! last line of an input may have no line end; then each position is first compared with the end ([`Line`]).
//!
//! Containers without wanted keys are followed without recursion: `stack` has one bit per open container, 1 for an
//! object, and as many bits as a line may be deep.

use super::keys::{Keys, ROOT};
use crate::buffer::Padded;
use crate::format::json::string::escape_len;
use crate::scan::bits_from;

/// Maximum depth; the outermost object has depth 1.
pub(super) const MAX_DEPTH: u32 = 128;

/// The kind of value that a line has for a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// The key does not occur.
    #[default]
    Missing,
    Null,
    /// Text between quotes, which are not part of the span.
    String,
    /// A number, `true` or `false`.
    Bare,
    Array,
    Object,
}

/// A value in the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) len: u32,
    pub(super) kind: Kind,
}

/// The error of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    NotAnObject,
    String,
    Escape,
    Control,
    Number,
    Literal,
    Value,
    Key,
    Colon,
    Comma,
    TooDeep,
    Trailing,
    /// A wanted key occurs twice.
    Duplicate,
}

/// A line of text. `ENDS`: there is a line end at `to`.
#[derive(Clone, Copy)]
pub(super) struct Line<'a, const ENDS: bool> {
    pub(super) input: Padded<'a>,
    pub(super) dirty: &'a [u8],
    pub(super) from: usize,
    /// Position of its line end, or the end of the input.
    pub(super) to: usize,
}

/// Follows lines and reuses its memory.
#[derive(Clone)]
pub(super) struct Walker {
    keys: Keys,
    /// The value of each column in the line.
    pub(super) spans: Vec<Span>,
    /// For each column, whether any line had it.
    pub(super) seen: Vec<bool>,
    line: u64,
    duplicate: bool,
}

type Walked = Result<usize, (Invalid, usize)>;

impl Walker {
    pub(super) fn new(keys: Keys, columns: usize) -> Walker {
        Walker { keys, spans: vec![Span::default(); columns], seen: vec![false; columns], line: 0, duplicate: false }
    }

    /// Validates a line that is not blank. An error comes with its position.
    #[inline(always)]
    pub(super) fn walk<const ENDS: bool>(&mut self, line: &Line<'_, ENDS>) -> Result<(), (Invalid, usize)> {
        self.spans.fill(Span::default());
        self.line += 1;
        self.duplicate = false;
        let at = line.past_blanks(line.from);
        if line.byte(at) != b'{' {
            return Err((Invalid::NotAnObject, at));
        }
        let at = self.members(line, at + 1, ROOT, 1)?;
        let at = line.past_blanks(at);
        if at < line.to {
            return Err((Invalid::Trailing, at));
        }
        if self.duplicate {
            return Err((Invalid::Duplicate, line.from));
        }
        Ok(())
    }

    /// Reads the members of the object that begins before `at`; returns the position after it.
    #[inline(always)]
    fn members<const ENDS: bool>(&mut self, line: &Line<'_, ENDS>, at: usize, node: usize, depth: u32) -> Walked {
        let mut at = line.past_blanks(at);
        if line.byte(at) == b'}' {
            return Ok(at + 1);
        }
        let mut nth = 0;
        loop {
            if line.byte(at) != b'"' {
                return Err((Invalid::Key, at));
            }
            let (close, escaped) = line.string(at)?;
            let key = (at + 1, close);
            at = line.value_start(close + 1)?;
            at = match self.keys.find(node, nth, line.input, key, escaped) {
                None => line.skip(at, depth)?,
                Some(child) => self.take(line, at, child, depth)?,
            };
            nth += 1;
            at = line.past_blanks(at);
            match line.byte(at) {
                b',' => at = line.past_blanks(at + 1),
                b'}' => return Ok(at + 1),
                _ => return Err((Invalid::Comma, at)),
            }
        }
    }

    /// [`Walker::members`] for an object inside the outermost one.
    #[inline(never)]
    fn inner_members<const ENDS: bool>(&mut self, line: &Line<'_, ENDS>, at: usize, node: usize, depth: u32) -> Walked {
        if depth > MAX_DEPTH {
            return Err((Invalid::TooDeep, at));
        }
        self.members(line, at, node, depth)
    }

    /// Records the value of a wanted key; returns the position after it.
    #[inline(always)]
    fn take<const ENDS: bool>(&mut self, line: &Line<'_, ENDS>, at: usize, node: usize, depth: u32) -> Walked {
        self.duplicate |= !self.keys.occurs_first(node, self.line);
        let (kind, from, to, after) = match line.byte(at) {
            b'"' => {
                let (close, _) = line.string(at)?;
                (Kind::String, at + 1, close, close + 1)
            }
            b'{' => {
                let after = if self.keys.has_children(node) {
                    self.inner_members(line, at + 1, node, depth + 1)?
                } else {
                    line.nested(at, depth)?
                };
                (Kind::Object, at, after, after)
            }
            b'[' => {
                let after = line.nested(at, depth)?;
                (Kind::Array, at, after, after)
            }
            b'n' => {
                let after = line.literal(at, b"null")?;
                (Kind::Null, at, at, after)
            }
            _ => {
                let after = line.bare(at)?;
                (Kind::Bare, at, after, after)
            }
        };
        if let Some(column) = self.keys.column(node) {
            self.spans[column] = Span { at: from as u32, len: (to - from) as u32, kind };
            self.seen[column] = true;
        }
        Ok(after)
    }
}

impl<const ENDS: bool> Line<'_, ENDS> {
    /// Returns the byte at a position, which may be at most one after the line; there, it is a line end.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        if ENDS || at < self.to { self.input.with_slack()[at] } else { b'\n' }
    }

    /// Returns the first position from `at` on that is not white space, or the end.
    #[inline(always)]
    fn past_blanks(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\t') {
            at += 1;
        }
        at
    }

    /// Returns true if the line contains only white space.
    #[inline(always)]
    pub(super) fn is_blank(&self) -> bool {
        self.past_blanks(self.from) >= self.to
    }

    /// Returns the position of the value after a key that ends before `at`.
    #[inline(always)]
    fn value_start(&self, at: usize) -> Walked {
        let at = self.past_blanks(at);
        if self.byte(at) != b':' {
            return Err((Invalid::Colon, at));
        }
        Ok(self.past_blanks(at + 1))
    }

    /// Returns the position of the next byte from `at` on that may end a string, at most the end of the line.
    #[inline(always)]
    fn next_dirty(&self, mut at: usize) -> usize {
        while ENDS || at < self.to {
            let bits = bits_from(self.dirty, at);
            if bits != 0 {
                let at = at + bits.trailing_zeros() as usize;
                return if ENDS { at } else { self.to.min(at) };
            }
            at += 57;
        }
        self.to
    }

    /// Returns the closing quote of the string that opens at `at`, and whether the string may contain escapes.
    #[inline(always)]
    fn string(&self, at: usize) -> Result<(usize, bool), (Invalid, usize)> {
        let end = self.next_dirty(at + 1);
        if self.byte(end) == b'"' {
            return Ok((end, false));
        }
        self.string_with_escapes(at, end).map(|close| (close, true))
    }

    /// [`Line::string`] from a byte on that needs a second look; returns only the closing quote.
    #[inline(never)]
    fn string_with_escapes(&self, open: usize, mut at: usize) -> Walked {
        while at < self.to {
            at += match self.input.bytes()[at] {
                b'"' => return Ok(at),
                b'\\' => escape_len(&self.input.bytes()[at..self.to]).ok_or((Invalid::Escape, at))?,
                0..0x20 => return Err((Invalid::Control, at)),
                _ => 1,
            };
            at = self.next_dirty(at);
        }
        Err((Invalid::String, open))
    }

    /// Returns the position after the value at `at`, which is not wanted.
    #[inline(always)]
    fn skip(&self, at: usize, depth: u32) -> Walked {
        match self.byte(at) {
            b'"' => self.string(at).map(|(close, _)| close + 1),
            b'{' | b'[' => self.nested(at, depth),
            b'n' => self.literal(at, b"null"),
            _ => self.bare(at),
        }
    }

    /// Returns the position after a number, `true` or `false`.
    #[inline(always)]
    fn bare(&self, at: usize) -> Walked {
        match self.byte(at) {
            b'-' | b'0'..=b'9' => self.number(at),
            b't' => self.literal(at, b"true"),
            b'f' => self.literal(at, b"false"),
            _ => Err((Invalid::Value, at)),
        }
    }

    #[inline(always)]
    fn literal(&self, at: usize, word: &[u8]) -> Walked {
        match self.input.bytes().get(at..self.to).is_some_and(|text| text.starts_with(word)) {
            true => Ok(at + word.len()),
            false => Err((Invalid::Literal, at)),
        }
    }

    #[inline(always)]
    fn digits(&self, mut at: usize) -> usize {
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    }

    #[inline(always)]
    fn number(&self, from: usize) -> Walked {
        let mut at = from + usize::from(self.byte(from) == b'-');
        at = match self.byte(at) {
            b'0' => at + 1,
            b'1'..=b'9' => self.digits(at + 1),
            _ => return Err((Invalid::Number, from)),
        };
        if self.byte(at) == b'.' {
            let fraction = self.digits(at + 1);
            if fraction == at + 1 {
                return Err((Invalid::Number, from));
            }
            at = fraction;
        }
        if self.byte(at) | 0x20 == b'e' {
            let sign = at + 1 + usize::from(matches!(self.byte(at + 1), b'+' | b'-'));
            let exponent = self.digits(sign);
            if exponent == sign {
                return Err((Invalid::Number, from));
            }
            at = exponent;
        }
        // the caller rejects 01 and 1x because of the byte after the number
        Ok(at)
    }

    /// Returns the position after the object or array at `at`, which is inside `depth` containers.
    #[inline(never)]
    fn nested(&self, mut at: usize, depth: u32) -> Walked {
        let (mut stack, mut open) = (0u128, 0u32);
        loop {
            // a value begins
            let byte = self.byte(at);
            if matches!(byte, b'{' | b'[') {
                open += 1;
                if depth + open > MAX_DEPTH {
                    return Err((Invalid::TooDeep, at));
                }
                let is_object = byte == b'{';
                stack = stack << 1 | u128::from(is_object);
                at = self.past_blanks(at + 1);
                let close = if is_object { b'}' } else { b']' };
                if self.byte(at) != close {
                    at = if is_object { self.key(at)? } else { at };
                    continue;
                }
                (at, stack, open) = (at + 1, stack >> 1, open - 1);
            } else {
                at = self.skip_scalar(at)?;
            }
            // a value has ended
            loop {
                if open == 0 {
                    return Ok(at);
                }
                at = self.past_blanks(at);
                let is_object = stack & 1 == 1;
                match (self.byte(at), is_object) {
                    (b',', true) => {
                        at = self.past_blanks(at + 1);
                        at = self.key(at)?;
                        break;
                    }
                    (b',', false) => {
                        at = self.past_blanks(at + 1);
                        break;
                    }
                    (b'}', true) | (b']', false) => (at, stack, open) = (at + 1, stack >> 1, open - 1),
                    _ => return Err((Invalid::Comma, at)),
                }
            }
        }
    }

    /// Returns the position of the value of the key at `at`.
    fn key(&self, at: usize) -> Walked {
        if self.byte(at) != b'"' {
            return Err((Invalid::Key, at));
        }
        let (close, _) = self.string(at)?;
        self.value_start(close + 1)
    }

    fn skip_scalar(&self, at: usize) -> Walked {
        match self.byte(at) {
            b'"' => self.string(at).map(|(close, _)| close + 1),
            b'n' => self.literal(at, b"null"),
            _ => self.bare(at),
        }
    }
}
