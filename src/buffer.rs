//! Buffers that may be accessed up to [`SLACK`] bytes past their end, with a safe interface.
//!
//! Fields are short, and a copy of the exact length is a function call, while a copy of 32 bytes is two instructions.
//! Inputs therefore have readable bytes after their end ([`Padded`]) and outputs spare capacity ([`OutBuf`]). Both are
//! checked here, so no other code needs `unsafe` for this.

#![allow(unsafe_code)]

/// Number of bytes after the end that are readable in a [`Padded`] and writable in an [`OutBuf`].
pub const SLACK: usize = 64;

/// Borrowed bytes with at least [`SLACK`] readable (initialised) bytes after them.
#[derive(Clone, Copy)]
pub struct Padded<'a> {
    /// The bytes and SLACK more: a pointer may only read within the slice that it came from.
    whole: &'a [u8],
}

impl<'a> Padded<'a> {
    /// Borrows the part `from..to` of `buffer`, which must continue for [`SLACK`] bytes after `to`.
    ///
    /// # Panics
    /// If `from > to` or fewer than `SLACK` bytes follow `to`.
    #[must_use]
    pub fn new(buffer: &'a [u8], from: usize, to: usize) -> Padded<'a> {
        assert!(from <= to && to + SLACK <= buffer.len(), "a padded view needs slack after it");
        Padded { whole: &buffer[from..to + SLACK] }
    }

    /// Returns the bytes without the slack.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        // SAFETY: the constructors leave SLACK bytes after the end.
        unsafe { self.whole.get_unchecked(..self.len()) }
    }

    /// Returns the bytes with the slack.
    #[inline(always)]
    pub(crate) fn with_slack(&self) -> &'a [u8] {
        self.whole
    }

    /// Returns the number of bytes, without the slack.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.whole.len() - SLACK
    }

    /// Returns true if there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns which of the 16 bytes from `at` on equal `byte`, bit i for byte i, including bytes past the end.
    ///
    /// # Panics
    /// If `at` is past the end.
    #[inline(always)]
    #[must_use]
    pub fn matches_16(&self, at: usize, byte: u8) -> u32 {
        assert!(at <= self.len(), "a look outside the input");
        // SAFETY: `at` is at most the end, and SLACK bytes after the end are readable.
        let block = unsafe { self.whole.as_ptr().add(at).cast::<[u8; 16]>().read_unaligned() };
        equal_16(block, byte)
    }

    /// Returns the eight bytes from `at` on, the first one lowest, including bytes past the end.
    ///
    /// # Panics
    /// If `at` is past the end.
    #[inline(always)]
    #[must_use]
    pub fn word(&self, at: usize) -> u64 {
        assert!(at <= self.len(), "a look outside the input");
        // SAFETY: `at` is at most the end, and SLACK bytes after the end are readable.
        u64::from_le_bytes(unsafe { self.whole.as_ptr().add(at).cast::<[u8; 8]>().read_unaligned() })
    }

    /// Returns everything from `from` on, with the slack.
    ///
    /// # Panics
    /// If `from` is past the end.
    #[must_use]
    pub fn from(&self, from: usize) -> Padded<'a> {
        assert!(from <= self.len(), "a view from outside the input");
        Padded { whole: &self.whole[from..] }
    }

    /// Returns the first `len` bytes; what follows them is their slack.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn first(&self, len: usize) -> Padded<'a> {
        assert!(len <= self.len(), "a view from outside the input");
        Padded { whole: &self.whole[..len + SLACK] }
    }
}

/// A growing output with room for [`SLACK`] more bytes than it reports.
#[derive(Default)]
pub struct OutBuf {
    buffer: Vec<u8>,
}

impl OutBuf {
    /// Creates an empty output that holds `capacity` bytes before it grows.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> OutBuf {
        OutBuf { buffer: Vec::with_capacity(capacity + SLACK) }
    }

    /// Returns what was written.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Returns the number of bytes written.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Returns true if nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Returns the number of bytes that fit before it grows.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity().saturating_sub(SLACK)
    }

    /// Removes everything after the first `len` bytes; no effect if there are fewer.
    #[inline(always)]
    pub fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// Returns a cursor at the end. What it writes counts once it is [finished](Cursor::finish).
    #[inline(always)]
    #[must_use]
    pub fn cursor(&mut self) -> Cursor<'_> {
        let (at, limit) = self.bounds();
        Cursor { out: self, at, limit }
    }

    /// Returns the end of what is written, and the position SLACK before the end of the capacity, which is not before
    /// it.
    #[inline(always)]
    fn bounds(&mut self) -> (*mut u8, *mut u8) {
        if self.buffer.capacity() - self.buffer.len() < SLACK {
            self.grow(0);
        }
        let start = self.buffer.as_mut_ptr();
        // SAFETY: both lie within the allocation.
        unsafe { (start.add(self.buffer.len()), start.add(self.buffer.capacity() - SLACK)) }
    }

    /// Appends a slice without slack.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.buffer.capacity() - self.buffer.len() < bytes.len() + SLACK {
            self.grow(bytes.len());
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends one byte.
    #[inline(always)]
    pub fn push(&mut self, byte: u8) {
        if self.buffer.capacity() - self.buffer.len() < 1 + SLACK {
            self.grow(1);
        }
        self.buffer.push(byte);
    }

    /// Returns the last byte written.
    #[inline(always)]
    #[must_use]
    pub fn last(&self) -> Option<u8> {
        self.buffer.last().copied()
    }

    /// Returns the buffer itself, with its spare capacity.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.buffer
    }

    /// Creates an output that reuses the memory of `buffer`; its content is dropped.
    #[must_use]
    pub fn reuse(mut buffer: Vec<u8>) -> OutBuf {
        buffer.clear();
        OutBuf { buffer }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        let want = (more + SLACK).max(self.buffer.capacity() / 2).max(4096);
        self.buffer.reserve(want);
    }
}

/// Writes to an [`OutBuf`] with the position in registers.
pub struct Cursor<'a> {
    out: &'a mut OutBuf,
    /// The position of the next byte: within the buffer's capacity, with everything before it initialised.
    at: *mut u8,
    /// SLACK before the end of the capacity; `at` is never after it.
    limit: *mut u8,
}

impl Cursor<'_> {
    /// Appends `len` bytes of `from` that start at `at`; if `lower`, converts A-Z to a-z.
    ///
    /// # Panics
    /// If they are not within `from`.
    #[inline(always)]
    pub fn copy(&mut self, from: Padded<'_>, at: usize, len: usize, lower: bool) {
        assert!(at <= from.len() && len <= from.len() - at, "a copy from outside the input");
        self.reserve(len);
        // SAFETY: `from` has `at + len` bytes and SLACK readable ones after them; `reserve` left `len + SLACK` writable
        // ones; both are accessed in steps of 64 that end at most 64 bytes past `len`.
        unsafe {
            let from = from.whole.as_ptr().add(at);
            if lower {
                copy_lower(self.at, from, len)
            } else {
                copy::<16>(self.at, from, len)
            }
            self.at = self.at.add(len);
        }
    }

    /// Appends a literal and returns its tag. `short`: the literal is probably short.
    ///
    /// # Panics
    /// If there is no literal with this index.
    #[inline(always)]
    pub fn piece(&mut self, pieces: &Literals, index: usize, short: bool) -> u32 {
        let piece = pieces.pieces[index];
        self.reserve(piece.len as usize);
        // SAFETY: `reserve` left enough room.
        unsafe { self.put(pieces, piece, short) };
        piece.tag
    }

    /// Appends a literal, then what [`Cursor::copy`] appends; returns the literal's tag.
    ///
    /// # Panics
    /// If there is no literal with this index, or the bytes are not within `from`.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "a literal, a cell, and how to copy each")]
    pub fn piece_and_copy(
        &mut self,
        pieces: &Literals,
        index: usize,
        short: bool,
        from: Padded<'_>,
        at: usize,
        len: usize,
        lower: bool,
    ) -> u32 {
        assert!(at <= from.len() && len <= from.len() - at, "a copy from outside the input");
        let piece = pieces.pieces[index];
        self.reserve(piece.len as usize + len);
        // SAFETY: `reserve` left room for both; otherwise as in `copy`.
        unsafe {
            self.put(pieces, piece, short);
            let from = from.whole.as_ptr().add(at);
            if lower {
                copy_lower(self.at, from, len)
            } else {
                copy::<16>(self.at, from, len)
            }
            self.at = self.at.add(len);
        }
        piece.tag
    }

    /// # Safety
    /// There is room for the literal and SLACK bytes.
    #[inline(always)]
    unsafe fn put(&mut self, pieces: &Literals, piece: Piece, short: bool) {
        // SAFETY: literals are within their arena, which has SLACK bytes after the last one; the caller guarantees the
        // room.
        unsafe {
            let (from, len) = (pieces.arena.as_ptr().add(piece.at as usize), piece.len as usize);
            // a store within one cache line costs half of one that crosses two
            if short {
                copy::<16>(self.at, from, len)
            } else {
                copy::<64>(self.at, from, len)
            }
            self.at = self.at.add(len);
        }
    }

    /// Appends up to eight bytes.
    #[inline(always)]
    pub fn short<const N: usize>(&mut self, bytes: [u8; N], len: usize) {
        const { assert!(N <= 8) };
        assert!(len <= N);
        self.reserve(len);
        // SAFETY: `reserve` left SLACK writable bytes, of which N are written.
        unsafe {
            self.at.cast::<[u8; N]>().write_unaligned(bytes);
            self.at = self.at.add(len);
        }
    }

    /// Returns the length of the output, including what this cursor has written.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.at.addr() - self.out.buffer.as_ptr().addr()
    }

    /// Returns true if the output is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lends the output itself.
    #[inline(always)]
    pub fn lend<R>(&mut self, to: impl FnOnce(&mut OutBuf) -> R) -> R {
        self.put_down();
        let result = to(self.out);
        (self.at, self.limit) = self.out.bounds();
        result
    }

    /// Makes what was written part of the output.
    #[inline(always)]
    pub fn finish(mut self) {
        self.put_down();
    }

    #[inline(always)]
    fn put_down(&mut self) {
        let len = self.len();
        // SAFETY: everything before `at` was written, within the capacity.
        unsafe { self.out.buffer.set_len(len) }
    }

    /// Makes room for `len` bytes and SLACK.
    #[inline(always)]
    fn reserve(&mut self, len: usize) {
        if len > self.limit.addr() - self.at.addr() {
            (self.at, self.limit) = Cursor::grow(self.out, self.at, len);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(out: &mut OutBuf, at: *mut u8, len: usize) -> (*mut u8, *mut u8) {
        let used = at.addr() - out.buffer.as_ptr().addr();
        // SAFETY: everything before `at` was written, within the capacity.
        unsafe { out.buffer.set_len(used) };
        out.grow(len);
        out.bounds()
    }
}

/// Short texts that are copied often, in one arena with slack at the end. The owner gives each a number (tag).
pub struct Literals {
    pieces: Vec<Piece>,
    arena: Vec<u8>,
}

/// A range of the arena, SLACK before its end.
#[derive(Clone, Copy)]
struct Piece {
    at: u32,
    len: u32,
    tag: u32,
}

impl Literals {
    /// Stores the given texts with their tags, in order.
    ///
    /// # Panics
    /// If they have more than 4 GiB together.
    #[must_use]
    pub fn new(texts: &[(Vec<u8>, u32)]) -> Literals {
        let mut arena: Vec<u8> = Vec::new();
        let pieces = texts.iter().map(|(text, tag)| {
            let at = arena.len() as u32;
            arena.extend_from_slice(text);
            Piece { at, len: text.len() as u32, tag: *tag }
        });
        let pieces = pieces.collect();
        assert!(u32::try_from(arena.len()).is_ok(), "positions are 32 bits wide");
        arena.resize(arena.len() + SLACK, 0);
        Literals { pieces, arena }
    }

    /// Returns the length of a text.
    ///
    /// # Panics
    /// If there is no text with this index.
    #[must_use]
    pub fn length(&self, index: usize) -> usize {
        self.pieces[index].len as usize
    }

    /// Returns the tag of a text.
    ///
    /// # Panics
    /// If there is no text with this index.
    #[inline(always)]
    #[must_use]
    pub fn tag(&self, index: usize) -> u32 {
        self.pieces[index].tag
    }
}

/// Returns a mask with bit i set if byte i of the block equals `byte`.
#[inline(always)]
fn equal_16(block: [u8; 16], byte: u8) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is always available on x86-64; the block has 16 bytes.
    unsafe {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
        let block = _mm_loadu_si128(block.as_ptr().cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(byte as i8))) as u32
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        (0..16).fold(0, |bits, i| bits | (u32::from(block[i] == byte) << i))
    }
}

/// Copies `len` bytes in steps of `N`, up to 64.
///
/// # Safety
/// `from` readable and `to` writable for `len` rounded up to `N` bytes, and at least `N`; not overlapping.
#[inline(always)]
unsafe fn copy<const N: usize>(to: *mut u8, from: *const u8, len: usize) {
    const { assert!(N <= SLACK) };
    let mut done = 0;
    loop {
        // SAFETY: `done < len` or `done == 0`, so this stays within the rounded-up length.
        unsafe {
            let block = from.add(done).cast::<[u8; N]>().read_unaligned();
            to.add(done).cast::<[u8; N]>().write_unaligned(block);
        }
        done += N;
        if done >= len {
            return;
        }
    }
}

/// Like [`copy`], in steps of 64, converting A-Z to a-z.
///
/// # Safety
/// As [`copy`].
#[inline(always)]
unsafe fn copy_lower(to: *mut u8, from: *const u8, len: usize) {
    let mut done = 0;
    loop {
        // SAFETY: as in `copy`.
        unsafe {
            let mut block = from.add(done).cast::<[u8; 64]>().read_unaligned();
            for byte in &mut block {
                let upper = byte.wrapping_sub(b'A') < 26;
                *byte |= u8::from(upper) << 5;
            }
            to.add(done).cast::<[u8; 64]>().write_unaligned(block);
        }
        done += 64;
        if done >= len {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_copy_is_what_a_slice_copy_is(data in proptest::collection::vec(any::<u8>(), 0..300), a in 0usize..300, b in 0usize..300) {
            let (a, b) = (a.min(data.len()), b.min(data.len()));
            let (from, to) = (a.min(b), a.max(b));
            let mut padded = data.clone();
            padded.resize(data.len() + SLACK, 0xEE);
            let view = Padded::new(&padded, 0, data.len());
            let pieces = Literals::new(&[(b"p".to_vec(), 7), (data[from..to].to_vec(), 8)]);
            let mut out = OutBuf::with_capacity(1);
            out.extend(b"x");
            let mut cursor = out.cursor();
            cursor.copy(view, from, to - from, false);
            cursor.copy(view, from, to - from, true);
            cursor.lend(|out| out.extend(b"y"));
            prop_assert_eq!(cursor.piece(&pieces, 1, true), 8);
            prop_assert_eq!(cursor.piece(&pieces, 1, false), 8);
            prop_assert_eq!(cursor.piece_and_copy(&pieces, 1, false, view, from, to - from, true), 8);
            prop_assert_eq!(cursor.piece_and_copy(&pieces, 0, true, view, from, to - from, false), 7);
            cursor.short(*b"123", 2);
            cursor.piece(&pieces, 0, true);
            prop_assert_eq!(cursor.len(), 7 * (to - from) + 6);
            cursor.finish();
            let part = &data[from..to];
            let want = [b"x", part, &part.to_ascii_lowercase(), b"y", part, part, part, &part.to_ascii_lowercase(), b"p", part, b"12p"].concat();
            prop_assert_eq!(out.bytes(), &want[..]);
            let naive = (0..16).fold(0u32, |bits, i| bits | (u32::from(padded[from + i] == 7) << i));
            prop_assert_eq!(view.matches_16(from, 7), naive);
        }
    }
}
