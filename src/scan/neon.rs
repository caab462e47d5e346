//! NEON, which every aarch64 has, and PMULL, which the machine reports.

#![allow(unsafe_code)]

use super::class::Classes;
use super::lex::{self, Isa, Masks};
use super::tape::{Carry, Tape};
use super::{Dialect, Survey};
use std::arch::aarch64::*;

/// Part of every aarch64.
pub(super) struct Neon;
/// NEON with the 64-bit carry-less multiplication.
pub(super) struct Pmull;

/// The weight of each byte in the mask of its half vector.
const WEIGHTS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

/// Returns a mask with bit i set if byte i of the 64 is all ones; each byte is all ones or zero.
///
/// NEON has no movemask: each byte keeps the bit of its position, and three rounds of pairwise addition combine eight
/// bytes into one.
#[inline(always)]
fn gather(hit: [uint8x16_t; 4]) -> u64 {
    // SAFETY: NEON is always available on aarch64; the load is of 16 bytes.
    unsafe {
        let weights = vld1q_u8(WEIGHTS.as_ptr());
        let low = vpaddq_u8(vandq_u8(hit[0], weights), vandq_u8(hit[1], weights));
        let high = vpaddq_u8(vandq_u8(hit[2], weights), vandq_u8(hit[3], weights));
        let all = vpaddq_u8(low, high);
        vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(all, all)))
    }
}

impl Isa for Neon {
    type Prepared = Dialect;

    #[inline(always)]
    unsafe fn prepare(classes: &Classes) -> Dialect {
        classes.dialect
    }

    #[inline(always)]
    unsafe fn masks(at: *const u8, dialect: Dialect) -> Masks {
        // SAFETY: the caller guarantees 64 readable bytes at `at`; NEON is always available on aarch64.
        unsafe {
            let v = [vld1q_u8(at), vld1q_u8(at.add(16)), vld1q_u8(at.add(32)), vld1q_u8(at.add(48))];
            macro_rules! each {
                // written out, because `map` of an array is not inlined
                ($x:ident => $e:expr) => {{
                    let one = |$x: uint8x16_t| $e;
                    [one(v[0]), one(v[1]), one(v[2]), one(v[3])]
                }};
            }
            macro_rules! equal {
                ($byte:expr) => {{
                    let wanted = vdupq_n_u8($byte);
                    each!(x => vceqq_u8(x, wanted))
                }};
            }
            macro_rules! or {
                ($a:expr, $b:expr) => {{
                    let (a, b) = ($a, $b);
                    [vorrq_u8(a[0], b[0]), vorrq_u8(a[1], b[1]), vorrq_u8(a[2], b[2]), vorrq_u8(a[3], b[3])]
                }};
            }
            let blank = vdupq_n_u8(0x20);
            let mut dirty = or!(each!(x => vcltq_u8(x, blank)), equal!(0x7f));
            let double = equal!(b'"');
            dirty = or!(or!(dirty, double), or!(equal!(b'\\'), equal!(dialect.marked)));
            let quote = match dialect.quote {
                Some(b'"') => gather(double),
                Some(quote) => {
                    let quote = equal!(quote);
                    dirty = or!(dirty, quote);
                    gather(quote)
                }
                None => 0,
            };
            let (lf, cr) = (gather(equal!(b'\n')), gather(equal!(b'\r')));
            Masks {
                quote,
                ends: gather(equal!(dialect.delimiter)) | lf | cr,
                lf,
                cr,
                dirty: gather(dirty),
                high: gather(each!(x => vcltzq_s8(vreinterpretq_s8_u8(x)))),
            }
        }
    }

    #[inline(always)]
    unsafe fn prefix_xor(mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }

    #[inline(always)]
    unsafe fn flatten(mut bits: u64, base: u32, to: *mut u32) {
        let n = bits.count_ones() as usize;
        let mut done = 0;
        while done < n {
            for i in 0..4 {
                // SAFETY: `done` is a multiple of 4 below 64, and the caller guarantees 64 writable values.
                unsafe { *to.add(done + i) = base.wrapping_add(bits.trailing_zeros()) };
                bits &= bits.wrapping_sub(1);
            }
            done += 4;
        }
    }
}

/// Each bit of the low half of the product by all ones is the parity of the bits up to it.
#[inline]
#[target_feature(enable = "neon,aes")]
unsafe fn pmull_prefix_xor(bits: u64) -> u64 {
    vmull_p64(bits, !0) as u64
}

impl Isa for Pmull {
    type Prepared = Dialect;

    #[inline(always)]
    unsafe fn prepare(classes: &Classes) -> Dialect {
        classes.dialect
    }

    #[inline(always)]
    unsafe fn masks(at: *const u8, dialect: Dialect) -> Masks {
        // SAFETY: the caller guarantees the same.
        unsafe { Neon::masks(at, dialect) }
    }

    #[inline(always)]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        // SAFETY: PMULL is part of this set.
        unsafe { pmull_prefix_xor(bits) }
    }

    #[inline(always)]
    unsafe fn flatten(bits: u64, base: u32, to: *mut u32) {
        // SAFETY: the caller guarantees the same.
        unsafe { Neon::flatten(bits, base, to) }
    }
}

macro_rules! entry_points {
    ($window:ident, $survey:ident, $isa:ident, $features:literal) => {
        /// # Safety
        /// As [`lex::window`]; the CPU supports the named features.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $window(
            input: &[u8],
            from: usize,
            to: usize,
            classes: &Classes,
            carry: &mut Carry,
            tape: &mut Tape,
        ) {
            // SAFETY: the caller guarantees the same.
            unsafe { lex::window::<$isa>(input, from, to, classes, carry, tape) }
        }

        /// # Safety
        /// As [`lex::survey`]; the CPU supports the named features.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $survey(input: &[u8], to: usize, classes: &Classes, inside: bool) -> Survey {
            // SAFETY: the caller guarantees the same.
            unsafe { lex::survey::<$isa>(input, to, classes, inside) }
        }
    };
}

entry_points!(window_neon, survey_neon, Neon, "neon");
entry_points!(window_pmull, survey_pmull, Pmull, "neon,aes");
