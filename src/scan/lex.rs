//! From masks to structure: which quotes open and close, what lies inside, where cells and records end.
//!
//! One state machine for all instruction sets, 64 bytes at a time. Inside is found by prefix XOR over the quotes, as if
//! each of them opened or closed. A quote may open only where a cell starts or right after a closing one (that is a doubled
//! quote); a bit that breaks the rule is cleared and the word redone, so stray quotes cost a little and need no second
//! parser.

#![allow(unsafe_code)]

use super::tape::{Carry, Tape};
use super::{Dialect, SLACK, Survey};

/// Masks of 64 bytes, bit i for byte i.
#[derive(Clone, Copy)]
pub(super) struct Masks {
    pub(super) quote: u64,
    pub(super) delimiter: u64,
    pub(super) lf: u64,
    pub(super) cr: u64,
    /// Control characters, DEL, `"`, `\`, the dialect's quote and marked byte.
    pub(super) dirty: u64,
    /// Above 0x7F.
    pub(super) high: u64,
}

impl Masks {
    /// Only the first `n` bytes (1 to 63).
    #[inline(always)]
    fn keep(&mut self, n: usize) {
        let keep = (1u64 << n) - 1;
        self.quote &= keep;
        self.delimiter &= keep;
        self.lf &= keep;
        self.cr &= keep;
        self.dirty &= keep;
        self.high &= keep;
    }
}

/// What an instruction set has to do.
pub(super) trait Isa {
    /// Masks of the 64 bytes at `at`.
    ///
    /// # Safety
    /// The instruction set is there and 64 bytes are readable.
    unsafe fn masks(at: *const u8, dialect: &Dialect) -> Masks;

    /// Prefix XOR: bit i of the result is the parity of bits 0..=i.
    ///
    /// # Safety
    /// The instruction set is there.
    unsafe fn prefix_xor(bits: u64) -> u64;

    /// Writes `base + i` for each set bit i to `to`; may write up to 64 values whatever the number of bits.
    ///
    /// # Safety
    /// The instruction set is there and 64 values are writable.
    unsafe fn flatten(bits: u64, base: u32, to: *mut u32);
}

/// The inside of this word: bytes between an opening quote (included) and its closing one (not).
#[inline(always)]
fn resolve<I: Isa>(masks: &Masks, carry: &mut Carry, junk: &mut u64) -> u64 {
    let ends = masks.delimiter | masks.lf | masks.cr;
    if masks.quote == 0 && carry.inside == 0 {
        *junk = carry.closed & !ends;
        carry.may_open = ends >> 63;
        carry.closed = 0;
        return 0;
    }
    let mut quote = masks.quote;
    loop {
        // SAFETY: whoever called us with `I` runs on it.
        let inside = unsafe { I::prefix_xor(quote) } ^ carry.inside;
        let opening = quote & inside;
        let closing = quote & !inside;
        let outside_ends = ends & !inside;
        let may_open = ((outside_ends | closing) << 1) | carry.may_open;
        let stray = opening & !may_open;
        if stray != 0 {
            quote &= !(stray & stray.wrapping_neg());
            continue;
        }
        *junk = ((closing << 1) | carry.closed) & !(outside_ends | quote);
        carry.may_open = (outside_ends | closing) >> 63;
        carry.closed = closing >> 63;
        carry.inside = ((inside as i64) >> 63) as u64;
        return inside;
    }
}

/// Line ends outside quotes; the LF of a CRLF is none, its CR is.
#[inline(always)]
fn record_ends(masks: &Masks, inside: u64, carry: &mut Carry) -> u64 {
    let lf = masks.lf & !inside;
    if masks.cr | carry.cr == 0 {
        return lf;
    }
    let cr = masks.cr & !inside;
    let ends = cr | (lf & !((cr << 1) | carry.cr));
    carry.cr = cr >> 63;
    ends
}

/// Physical line ends, inside quotes too; CRLF is one.
#[inline(always)]
fn lines(masks: &Masks, carry: &mut Carry) -> u32 {
    if masks.cr | carry.any_cr == 0 {
        return masks.lf.count_ones();
    }
    let n = masks.cr.count_ones() + (masks.lf & !((masks.cr << 1) | carry.any_cr)).count_ones();
    carry.any_cr = masks.cr >> 63;
    n
}

/// Scans `input[from..to]` (`from` a multiple of 64) onto the tape.
///
/// # Safety
/// The instruction set `I` is there; SLACK bytes behind `to` are readable; the tape has been made ready for `to - from`
/// bytes and words up to `to / 64`.
#[inline(always)]
pub(super) unsafe fn window<I: Isa>(
    input: &[u8],
    from: usize,
    to: usize,
    dialect: &Dialect,
    carry: &mut Carry,
    tape: &mut Tape,
) {
    const { assert!(SLACK >= 64) };
    let base = input.as_ptr();
    let mut cells = tape.cells.len();
    let mut records = tape.records.len();
    let cells_at = tape.cells.as_mut_ptr();
    let records_at = tape.records.as_mut_ptr();
    let dirty_at = tape.dirty.as_mut_ptr();
    let high_at = tape.high.as_mut_ptr();
    let mut state = *carry;
    let mut any_high = 0;
    let mut line_ends = 0;
    let mut at = from;
    while at < to {
        // SAFETY: `at < to`, so 64 bytes from `at` end within the slack; the tape has room by contract.
        unsafe {
            let mut masks = I::masks(base.add(at), dialect);
            if to - at < 64 {
                masks.keep(to - at);
            }
            let mut junk = 0;
            let inside = resolve::<I>(&masks, &mut state, &mut junk);
            if to - at < 64 {
                // the byte behind the last one is not ours to judge
                junk &= (1u64 << (to - at)) - 1;
            }
            if junk != 0 {
                note_junk(&mut tape.junk, junk, at);
            }
            let ends = record_ends(&masks, inside, &mut state);
            line_ends += lines(&masks, &mut state);
            let structural = (masks.delimiter & !inside) | ends;
            any_high |= masks.high;
            *dirty_at.add(at >> 6) = masks.dirty;
            *high_at.add(at >> 6) = masks.high;
            I::flatten(structural, at as u32, cells_at.add(cells));
            let mut rest = ends;
            while rest != 0 {
                let upto = rest ^ rest.wrapping_sub(1);
                *records_at.add(records) = cells as u32 + (structural & upto).count_ones();
                records += 1;
                rest &= rest.wrapping_sub(1);
            }
            cells += structural.count_ones() as usize;
        }
        at += 64;
    }
    // SAFETY: that many were written, within the capacity.
    unsafe {
        tape.cells.set_len(cells);
        tape.records.set_len(records);
    }
    tape.lines += u64::from(line_ends);
    tape.any_high |= any_high != 0;
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

/// The state behind `input[..to]` and the last record end in it.
///
/// # Safety
/// The instruction set `I` is there; SLACK bytes behind `to` are readable.
#[inline(always)]
pub(super) unsafe fn survey<I: Isa>(input: &[u8], to: usize, dialect: &Dialect, inside: bool) -> Survey {
    let base = input.as_ptr();
    let mut state = Carry::new(inside);
    let mut last_end = None;
    let mut at = 0;
    while at < to {
        // SAFETY: as in `window`.
        let mut masks = unsafe { I::masks(base.add(at), dialect) };
        if to - at < 64 {
            masks.keep(to - at);
        }
        let mut junk = 0;
        let inside = resolve::<I>(&masks, &mut state, &mut junk);
        let ends = (masks.lf | masks.cr) & !inside;
        if ends != 0 {
            last_end = Some(at + 63 - ends.leading_zeros() as usize);
        }
        at += 64;
    }
    // in the last, partial word the state ran on over bytes that were masked away: inside is right all the same, since
    // no quote lies there
    Survey { inside: state.inside != 0, last_end }
}
