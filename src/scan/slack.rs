//! Copies that may touch up to [`SLACK`] bytes past their end, behind a checked door.
//!
//! A field is short, and a copy of its exact length is a call; a copy of 32 bytes is two instructions. So
//! inputs carry readable bytes behind their end ([`Padded`]) and outputs spare capacity ([`Out`]), both checked
//! here, and nobody else needs `unsafe` for it.

#![allow(unsafe_code)]

/// How many bytes behind the end of a [`Padded`] are readable, and behind that of an [`Out`] writable.
pub const SLACK: usize = 64;

/// Borrowed bytes with at least [`SLACK`] readable (initialised) bytes behind them.
#[derive(Clone, Copy)]
pub struct Padded<'a> {
    bytes: &'a [u8],
}

impl<'a> Padded<'a> {
    /// The part `from..to` of `buffer`, which must go on for [`SLACK`] bytes after `to`.
    ///
    /// # Panics
    /// If `from > to` or fewer than `SLACK` bytes follow `to`.
    #[must_use]
    pub fn new(buffer: &'a [u8], from: usize, to: usize) -> Padded<'a> {
        assert!(from <= to && to + SLACK <= buffer.len(), "a padded view needs slack behind it");
        Padded { bytes: &buffer[from..to] }
    }

    /// The bytes, without the slack.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Their number, without the slack.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Which of the 16 bytes from `at` on are `byte`, bit i for byte i; those past the end count too.
    ///
    /// # Panics
    /// If `at` is past the end.
    #[inline(always)]
    #[must_use]
    pub fn matches_16(&self, at: usize, byte: u8) -> u32 {
        assert!(at <= self.len(), "a look outside the input");
        // SAFETY: `at` is at most the end, and SLACK bytes behind that are readable.
        let block = unsafe { self.bytes.as_ptr().add(at).cast::<[u8; 16]>().read_unaligned() };
        equal_16(block, byte)
    }

    /// Everything from `from` on, slack kept.
    ///
    /// # Panics
    /// If `from` is past the end.
    #[must_use]
    pub fn from(&self, from: usize) -> Padded<'a> {
        Padded { bytes: &self.bytes[from..] }
    }
}

/// A growing output with room for [`SLACK`] bytes more than it says.
#[derive(Default)]
pub struct Out {
    buffer: Vec<u8>,
}

impl Out {
    /// An empty output that holds `capacity` bytes before it grows.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Out {
        Out { buffer: Vec::with_capacity(capacity + SLACK) }
    }

    /// What was written.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// How much was written.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// True where nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// How much fits before it grows.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity().saturating_sub(SLACK)
    }

    /// Takes back everything after the first `len` bytes; no effect where there are fewer.
    #[inline(always)]
    pub fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// Appends `len` bytes of `from` that start at `at`.
    ///
    /// # Panics
    /// If they do not lie within `from`.
    #[inline(always)]
    pub fn copy(&mut self, from: Padded<'_>, at: usize, len: usize) {
        assert!(at <= from.len() && len <= from.len() - at, "a copy from outside the input");
        let used = self.buffer.len();
        if self.buffer.capacity() - used < len + SLACK {
            self.grow(len);
        }
        // SAFETY: `from` has `at + len` bytes and SLACK readable ones behind them; the buffer has `len + SLACK`
        // spare bytes; both are written in steps of 32 that end at most 31 bytes past `len`.
        unsafe {
            copy_32(self.buffer.as_mut_ptr().add(used), from.bytes.as_ptr().add(at), len);
            self.buffer.set_len(used + len);
        }
    }

    /// Like [`Out::copy`], with A-Z as a-z.
    ///
    /// # Panics
    /// If the bytes do not lie within `from`.
    #[inline(always)]
    pub fn copy_ascii_lower(&mut self, from: Padded<'_>, at: usize, len: usize) {
        let used = self.buffer.len();
        self.copy(from, at, len);
        // SAFETY: `copy` left `len` bytes at `used` and at least SLACK spare ones behind.
        unsafe { lower_16(self.buffer.as_mut_ptr().add(used), len) }
    }

    /// Appends a slice that has no slack.
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

    /// The last byte written.
    #[inline(always)]
    #[must_use]
    pub fn last(&self) -> Option<u8> {
        self.buffer.last().copied()
    }

    /// The buffer itself, its spare capacity kept.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.buffer
    }

    /// An output that reuses the memory of `buffer`; its content is dropped.
    #[must_use]
    pub fn reuse(mut buffer: Vec<u8>) -> Out {
        buffer.clear();
        Out { buffer }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        let want = (more + SLACK).max(self.buffer.capacity() / 2).max(4096);
        self.buffer.reserve(want);
    }
}

/// Bit i where byte i of the block is `byte`.
#[inline(always)]
fn equal_16(block: [u8; 16], byte: u8) -> u32 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: SSE2 is always there on x86-64; the block is 16 bytes.
    unsafe {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
        let block = _mm_loadu_si128(block.as_ptr().cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(byte as i8))) as u32
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    {
        (0..16).fold(0, |bits, i| bits | (u32::from(block[i] == byte) << i))
    }
}

/// Copies `len` bytes in steps of 32.
///
/// # Safety
/// `from` readable and `to` writable for `len` rounded up to 32 bytes, not overlapping.
#[inline(always)]
unsafe fn copy_32(to: *mut u8, from: *const u8, len: usize) {
    let mut done = 0;
    loop {
        // SAFETY: `done < len` or `done == 0`, so this stays within the rounded-up length.
        unsafe {
            let block = from.add(done).cast::<[u8; 32]>().read_unaligned();
            to.add(done).cast::<[u8; 32]>().write_unaligned(block);
        }
        done += 32;
        if done >= len {
            return;
        }
    }
}

/// A-Z to a-z in steps of 16.
///
/// # Safety
/// `at` readable and writable for `len` rounded up to 16 bytes; the bytes need not be initialised past `len`
/// other than by the copy that went before.
#[inline(always)]
unsafe fn lower_16(at: *mut u8, len: usize) {
    let mut done = 0;
    while done < len {
        // SAFETY: within the rounded-up length by the loop's bound.
        unsafe {
            let mut block = at.add(done).cast::<[u8; 16]>().read_unaligned();
            for byte in &mut block {
                let upper = byte.wrapping_sub(b'A') < 26;
                *byte |= u8::from(upper) << 5;
            }
            at.add(done).cast::<[u8; 16]>().write_unaligned(block);
        }
        done += 16;
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
            let mut out = Out::with_capacity(1);
            out.extend(b"x");
            out.copy(view, from, to - from);
            out.copy_ascii_lower(view, from, to - from);
            let mut want = b"x".to_vec();
            want.extend(&data[from..to]);
            want.extend(data[from..to].to_ascii_lowercase());
            prop_assert_eq!(out.bytes(), &want[..]);
            let naive = (0..16).fold(0u32, |bits, i| bits | (u32::from(padded[from + i] == 7) << i));
            prop_assert_eq!(view.matches_16(from, 7), naive);
        }
    }
}
