//! From masks to structure: which quotes open and close, which bytes are inside them, and where cells and records end.
//!
//! One state machine serves all instruction sets, 64 bytes at a time. The inside of quotes is found by prefix XOR over
//! the quotes, as if each of them opened or closed. A quote may open only at the start of a cell or right after a
//! closing one (a doubled quote). A bit that breaks this rule is cleared and the word is processed again, so stray
//! quotes cost a little and need no second parser.

#![allow(unsafe_code)]

use super::Survey;
use super::class::Classes;
use super::tape::{Carry, Tape};
use crate::buffer::SLACK;

/// Masks of 64 bytes, bit i for byte i.
#[derive(Clone, Copy)]
pub(super) struct Masks {
    pub(super) quote: u64,
    /// Delimiter, LF and CR.
    pub(super) ends: u64,
    pub(super) lf: u64,
    pub(super) cr: u64,
    /// Control characters, DEL, `"`, `\`, the dialect's quote and marked byte.
    pub(super) dirty: u64,
    /// Bytes above 0x7F.
    pub(super) high: u64,
}

impl Masks {
    /// Keeps only the first `n` bytes (1 to 63).
    #[inline(always)]
    fn keep(&mut self, n: usize) {
        let keep = (1u64 << n) - 1;
        self.quote &= keep;
        self.ends &= keep;
        self.lf &= keep;
        self.cr &= keep;
        self.dirty &= keep;
        self.high &= keep;
    }
}

/// The operations of an instruction set.
pub(super) trait Isa {
    /// A dialect, prepared for making masks and kept in registers.
    type Prepared: Copy;

    /// Prepares a dialect, once per stretch.
    ///
    /// # Safety
    /// The CPU supports the instruction set.
    unsafe fn prepare(classes: &Classes) -> Self::Prepared;

    /// Returns the masks of the 64 bytes at `at`.
    ///
    /// # Safety
    /// The CPU supports the instruction set, and 64 bytes are readable.
    unsafe fn masks(at: *const u8, prepared: Self::Prepared) -> Masks;

    /// Returns only the quotes of the 64 bytes at `at`.
    ///
    /// # Safety
    /// As `masks`.
    #[inline(always)]
    unsafe fn quotes(at: *const u8, prepared: Self::Prepared) -> u64 {
        // SAFETY: the caller guarantees the same.
        unsafe { Self::masks(at, prepared).quote }
    }

    /// Computes the prefix XOR: bit i of the result is the parity of bits 0..=i.
    ///
    /// # Safety
    /// The CPU supports the instruction set.
    unsafe fn prefix_xor(bits: u64) -> u64;

    /// Writes `base + i` to `to` for each set bit i. May write up to 64 values, whatever the number of bits.
    ///
    /// # Safety
    /// The CPU supports the instruction set, and 64 values are writable.
    unsafe fn flatten(bits: u64, base: u32, to: *mut u32);
}

/// Returns the inside of this word, which is the bytes from an opening quote (included) to its closing one (excluded),
/// and its junk.
#[inline(always)]
fn resolve<I: Isa>(masks: &Masks, carry: &mut Carry) -> (u64, u64) {
    let ends = masks.ends;
    if masks.quote | carry.inside | carry.closed == 0 {
        carry.may_open = ends;
        return (0, 0);
    }
    let may_open = carry.may_open >> 63;
    let mut quote = masks.quote;
    loop {
        // SAFETY: the caller runs on `I`.
        let inside = unsafe { I::prefix_xor(quote) } ^ carry.inside;
        let opening = quote & inside;
        let closing = quote & !inside;
        let outside_ends = ends & !inside;
        let stray = opening & !(((outside_ends | closing) << 1) | may_open);
        if stray != 0 {
            quote &= !(stray & stray.wrapping_neg());
            continue;
        }
        let junk = ((closing << 1) | carry.closed) & !(outside_ends | quote);
        carry.may_open = outside_ends | closing;
        carry.closed = closing >> 63;
        carry.inside = ((inside as i64) >> 63) as u64;
        return (inside, junk);
    }
}

/// Returns cell ends, record ends and the number of physical line ends if there are CRs: the LF of a CRLF ends nothing,
/// since its CR does.
#[inline(always)]
fn with_cr(masks: &Masks, inside: u64, carry: &mut Carry) -> (u64, u64, u32) {
    let lf = masks.lf & !((masks.cr << 1) | carry.any_cr);
    let lines = (masks.cr | lf).count_ones();
    carry.any_cr = masks.cr >> 63;
    let cr = masks.cr & !inside;
    let second = masks.lf & ((cr << 1) | carry.cr);
    carry.cr = cr >> 63;
    let outside = !inside & !second;
    (masks.ends & outside, (masks.cr | masks.lf) & outside, lines)
}

/// The positions of the next values of a tape.
struct Sink {
    cells_at: *mut u32,
    cells: usize,
    records_at: *mut u32,
    records: usize,
    dirty_at: *mut u8,
    odd_at: *mut u8,
    lines: u32,
}

/// Writes one word, the 64 bytes of the input from `at` on, to the tape; `n` of them are input.
///
/// # Safety
/// The CPU supports the instruction set `I`; the sink has room for 64 cells, 64 records, and the word.
#[inline(always)]
unsafe fn word<I: Isa>(masks: &Masks, at: usize, n: usize, state: &mut Carry, sink: &mut Sink, noted: &mut Vec<u32>) {
    let (inside, mut junk) = resolve::<I>(masks, state);
    if n < 64 {
        // the byte after the last one does not belong to the input
        junk &= (1u64 << n) - 1;
    }
    if junk != 0 {
        note_junk(noted, junk, at);
    }
    let (structural, ends, lines) = if masks.cr | state.any_cr == 0 {
        (masks.ends & !inside, masks.lf & !inside, masks.lf.count_ones())
    } else {
        with_cr(masks, inside, state)
    };
    sink.lines += lines;
    // SAFETY: the caller guarantees the room.
    unsafe {
        sink.dirty_at.add(at >> 3).cast::<u64>().write_unaligned(masks.dirty.to_le());
        sink.odd_at.add(at >> 3).cast::<u64>().write_unaligned((masks.dirty | masks.high).to_le());
        I::flatten(structural, at as u32, sink.cells_at.add(sink.cells));
        // most words have at most one end: the first is always written, even if there is none, to avoid a branch
        let ordinal = |ends: u64| sink.cells as u32 + (structural & (ends ^ ends.wrapping_sub(1))).count_ones();
        *sink.records_at.add(sink.records) = ordinal(ends);
        let mut rest = ends & ends.wrapping_sub(1);
        sink.records += usize::from(ends != 0);
        while rest != 0 {
            *sink.records_at.add(sink.records) = ordinal(rest);
            sink.records += 1;
            rest &= rest - 1;
        }
    }
    sink.cells += structural.count_ones() as usize;
}

/// Scans `input[from..to]` (`from` a multiple of 64) onto the tape.
///
/// # Safety
/// The CPU supports the instruction set `I`; SLACK bytes after `to` are readable; the tape was prepared for `to - from`
/// bytes and words up to `to / 64`.
#[inline(always)]
pub(super) unsafe fn window<I: Isa>(
    input: &[u8],
    from: usize,
    to: usize,
    classes: &Classes,
    carry: &mut Carry,
    tape: &mut Tape,
) {
    const { assert!(SLACK >= 64) };
    let base = input.as_ptr();
    let mut sink = Sink {
        cells_at: tape.cells.as_mut_ptr(),
        cells: tape.cells.len(),
        records_at: tape.records.as_mut_ptr(),
        records: tape.records.len(),
        dirty_at: tape.dirty.as_mut_ptr(),
        odd_at: tape.odd.as_mut_ptr(),
        lines: 0,
    };
    let mut state = *carry;
    let mut at = from;
    // SAFETY: the caller runs on `I`.
    let prepared = unsafe { I::prepare(classes) };
    while at + 64 <= to {
        // SAFETY: the 64 bytes from `at` are before `to`; the caller guarantees the room.
        unsafe {
            let masks = I::masks(base.add(at), prepared);
            word::<I>(&masks, at, 64, &mut state, &mut sink, &mut tape.junk);
        }
        at += 64;
    }
    if at < to {
        // SAFETY: `at < to`, so 64 bytes from `at` end within the slack; the caller guarantees the room.
        unsafe {
            let mut masks = I::masks(base.add(at), prepared);
            masks.keep(to - at);
            word::<I>(&masks, at, to - at, &mut state, &mut sink, &mut tape.junk);
        }
    }
    // SAFETY: that many were written, within the capacity.
    unsafe {
        tape.cells.set_len(sink.cells);
        tape.records.set_len(sink.records);
    }
    tape.lines += u64::from(sink.lines);
    *carry = state;
}

#[cold]
#[inline(never)]
fn note_junk(to: &mut Vec<u32>, mut junk: u64, at: usize) {
    while junk != 0 {
        to.push((at + junk.trailing_zeros() as usize) as u32);
        junk &= junk - 1;
    }
}

/// Returns the state after `input[..to]` and the last record end in it.
///
/// # Safety
/// The CPU supports the instruction set `I`; SLACK bytes after `to` are readable.
#[inline(always)]
pub(super) unsafe fn survey<I: Isa>(input: &[u8], to: usize, classes: &Classes, inside: bool) -> Survey {
    let base = input.as_ptr();
    let mut state = Carry::new(inside);
    let mut last_end = None;
    let mut at = 0;
    // SAFETY: the caller runs on `I`.
    let prepared = unsafe { I::prepare(classes) };
    while at < to {
        // SAFETY: as in `window`.
        let mut masks = unsafe { I::masks(base.add(at), prepared) };
        if to - at < 64 {
            masks.keep(to - at);
        }
        let (inside, _) = resolve::<I>(&masks, &mut state);
        let ends = (masks.lf | masks.cr) & !inside;
        if ends != 0 {
            last_end = Some(at + 63 - ends.leading_zeros() as usize);
        }
        at += 64;
    }
    // in the last, partial word the state went on over bytes that were masked out; `inside` is right all the same,
    // because none of them counts as a quote
    Survey { inside: state.inside != 0, last_end }
}

/// Whether a quoted cell is open after `input[..to]`. Examines only words with quotes in them.
///
/// # Safety
/// The CPU supports the instruction set `I`; SLACK bytes after `to` are readable.
#[inline(always)]
pub(super) unsafe fn inside_after<I: Isa>(input: &[u8], to: usize, classes: &Classes, inside: bool) -> bool {
    let base = input.as_ptr();
    let dialect = &classes.dialect;
    let mut state = Carry::new(inside);
    // SAFETY: the caller runs on `I`.
    let prepared = unsafe { I::prepare(classes) };
    let mut skipped = false;
    let mut at = 0;
    while at < to {
        // SAFETY: as in `window`.
        if unsafe { I::quotes(base.add(at), prepared) } == 0 {
            skipped = true;
            at += 64;
            continue;
        }
        if std::mem::take(&mut skipped) {
            // the word before has no quote: its last byte closed nothing, and a quote may open if that byte ends a cell
            let before = input[at - 1];
            let ends = before == dialect.delimiter || before == b'\n' || before == b'\r';
            state.may_open = u64::from(ends && state.inside == 0) << 63;
            state.closed = 0;
        }
        // SAFETY: as in `window`.
        let mut masks = unsafe { I::masks(base.add(at), prepared) };
        if to - at < 64 {
            masks.keep(to - at);
        }
        resolve::<I>(&masks, &mut state);
        at += 64;
    }
    state.inside != 0
}
