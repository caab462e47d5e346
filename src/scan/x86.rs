//! SSE2, AVX2 and AVX-512 on x86-64.

#![allow(unsafe_code)]

use super::class::{self, Classes};
use super::lex::{self, Isa, Masks};
use super::tape::{Carry, Tape};
use super::{Boosted, Dialect, Survey};
use std::arch::x86_64::*;

/// Part of every x86-64.
pub(super) struct Sse2;
/// AVX2 with PCLMULQDQ and BMI.
pub(super) struct Avx2;
/// AVX-512 BW, VL, VBMI and VBMI2, and everything in AVX2.
pub(super) struct Avx512;

impl Isa for Sse2 {
    type Prepared = Dialect;

    #[inline(always)]
    unsafe fn prepare(classes: &Classes) -> Dialect {
        classes.dialect
    }

    #[inline(always)]
    unsafe fn masks(at: *const u8, dialect: Dialect) -> Masks {
        // SAFETY: the caller guarantees 64 readable bytes at `at`; SSE2 is always available.
        unsafe {
            let v: [__m128i; 4] = std::array::from_fn(|i| _mm_loadu_si128(at.add(16 * i).cast()));
            let join = |f: &dyn Fn(__m128i) -> __m128i| -> u64 {
                (0..4).fold(0, |bits, i| bits | ((_mm_movemask_epi8(f(v[i])) as u32 as u64) << (16 * i)))
            };
            let equal = |byte: u8| join(&|x| _mm_cmpeq_epi8(x, _mm_set1_epi8(byte as i8)));
            let control = join(&|x| _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x)) | equal(0x7f);
            let quote = if dialect.quote.is_some() { equal(dialect.quote_or_nul()) } else { 0 };
            let (lf, cr) = (equal(b'\n'), equal(b'\r'));
            Masks {
                quote,
                ends: equal(dialect.delimiter) | lf | cr,
                lf,
                cr,
                dirty: control | equal(b'"') | equal(b'\\') | equal(dialect.marked) | quote,
                high: join(&|x| x),
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
        for i in 0..n {
            // SAFETY: `n` is at most 64, and the caller guarantees 64 writable values.
            unsafe { *to.add(i) = base + bits.trailing_zeros() };
            bits &= bits.wrapping_sub(1);
        }
    }
}

#[inline(always)]
unsafe fn clmul_prefix_xor(bits: u64) -> u64 {
    // SAFETY: the caller runs on PCLMULQDQ.
    unsafe { _mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1), 0)) as u64 }
}

impl Isa for Avx2 {
    type Prepared = Dialect;

    #[inline(always)]
    unsafe fn prepare(classes: &Classes) -> Dialect {
        classes.dialect
    }

    #[inline(always)]
    unsafe fn masks(at: *const u8, dialect: Dialect) -> Masks {
        // SAFETY: the caller guarantees 64 readable bytes at `at`, and AVX2.
        unsafe {
            let a = _mm256_loadu_si256(at.cast());
            let b = _mm256_loadu_si256(at.add(32).cast());
            macro_rules! both {
                ($x:ident => $e:expr) => {{
                    let low = {
                        let $x = a;
                        _mm256_movemask_epi8($e) as u32 as u64
                    };
                    let high = {
                        let $x = b;
                        _mm256_movemask_epi8($e) as u32 as u64
                    };
                    low | (high << 32)
                }};
            }
            macro_rules! equal {
                ($byte:expr) => {{
                    let wanted = _mm256_set1_epi8($byte as i8);
                    both!(x => _mm256_cmpeq_epi8(x, wanted))
                }};
            }
            let limit = _mm256_set1_epi8(0x1f);
            let control = both!(x => _mm256_cmpeq_epi8(_mm256_min_epu8(x, limit), x)) | equal!(0x7f);
            let double = equal!(b'"');
            let quote = match dialect.quote {
                Some(b'"') => double,
                Some(quote) => equal!(quote),
                None => 0,
            };
            let (lf, cr) = (equal!(b'\n'), equal!(b'\r'));
            Masks {
                quote,
                ends: equal!(dialect.delimiter) | lf | cr,
                lf,
                cr,
                dirty: control | double | equal!(b'\\') | equal!(dialect.marked) | quote,
                high: both!(x => x),
            }
        }
    }

    #[inline(always)]
    unsafe fn quotes(at: *const u8, dialect: Dialect) -> u64 {
        // SAFETY: as in `masks`.
        unsafe {
            let quote = _mm256_set1_epi8(dialect.quote_or_nul() as i8);
            let of =
                |at: *const u8| _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256(at.cast()), quote)) as u32;
            u64::from(of(at)) | (u64::from(of(at.add(32))) << 32)
        }
    }

    #[inline(always)]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        // SAFETY: PCLMULQDQ is part of this set.
        unsafe { clmul_prefix_xor(bits) }
    }

    #[inline(always)]
    unsafe fn flatten(mut bits: u64, base: u32, to: *mut u32) {
        let n = bits.count_ones() as usize;
        let mut done = 0;
        while done < n {
            for i in 0..4 {
                // SAFETY: `done` is a multiple of 4 below 64, and 64 values are writable.
                unsafe { *to.add(done + i) = base.wrapping_add(bits.trailing_zeros()) };
                bits &= bits.wrapping_sub(1);
            }
            done += 4;
        }
    }
}

const IOTA: [u8; 64] = {
    let mut bytes = [0; 64];
    let mut i = 0;
    while i < 64 {
        bytes[i] = i as u8;
        i += 1;
    }
    bytes
};

impl Isa for Avx512 {
    type Prepared = (__m512i, __m512i, __m512i);

    #[inline(always)]
    unsafe fn prepare(classes: &Classes) -> Self::Prepared {
        let table = classes.table.as_ptr();
        // SAFETY: the table has 128 bytes; the caller guarantees AVX-512.
        unsafe {
            // in a dialect without quotes, a word with a NUL is examined further
            let quote = _mm512_set1_epi8(classes.dialect.quote_or_nul() as i8);
            (_mm512_loadu_si512(table.cast()), _mm512_loadu_si512(table.add(64).cast()), quote)
        }
    }

    #[inline(always)]
    unsafe fn masks(at: *const u8, (low, high, _): Self::Prepared) -> Masks {
        // SAFETY: the caller guarantees 64 readable bytes at `at`, and AVX-512.
        unsafe {
            let v = _mm512_loadu_si512(at.cast());
            let above = _mm512_movepi8_mask(v);
            let class = _mm512_maskz_permutex2var_epi8(!above, low, v, high);
            let of = |classes: u8| _mm512_test_epi8_mask(class, _mm512_set1_epi8(classes as i8));
            Masks {
                quote: of(class::QUOTE),
                ends: of(class::DELIMITER | class::LF | class::CR),
                lf: of(class::LF),
                cr: of(class::CR),
                dirty: of(class::DIRTY),
                high: above,
            }
        }
    }

    #[inline(always)]
    unsafe fn quotes(at: *const u8, (_, _, quote): Self::Prepared) -> u64 {
        // SAFETY: as in `masks`.
        unsafe { _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(at.cast()), quote) }
    }

    #[inline(always)]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        // SAFETY: PCLMULQDQ is part of this set.
        unsafe { clmul_prefix_xor(bits) }
    }

    #[inline(always)]
    unsafe fn flatten(bits: u64, base: u32, to: *mut u32) {
        // SAFETY: at most 64 values are written, which the caller guarantees to be writable; VBMI2 is part of this set.
        unsafe {
            let packed = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(IOTA.as_ptr().cast()));
            let base = _mm512_set1_epi32(base as i32);
            macro_rules! store {
                ($quarter:literal) => {
                    _mm512_storeu_si512(
                        to.add(16 * $quarter).cast(),
                        _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(packed, $quarter))),
                    )
                };
            }
            store!(0);
            let n = bits.count_ones();
            if n > 16 {
                store!(1);
                if n > 32 {
                    store!(2);
                    store!(3);
                }
            }
        }
    }
}

macro_rules! entry_points {
    ($window:ident, $survey:ident, $inside_after:ident, [$($boost:ident)?], $isa:ident, $features:literal) => {
        $(
            /// # Safety
            /// The CPU supports the named features.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $boost<W: Boosted>(work: W) -> W::Output {
                work.run()
            }
        )?

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

        /// # Safety
        /// As [`lex::inside_after`]; the CPU supports the named features.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $inside_after(input: &[u8], to: usize, classes: &Classes, inside: bool) -> bool {
            // SAFETY: the caller guarantees the same.
            unsafe { lex::inside_after::<$isa>(input, to, classes, inside) }
        }
    };
}

entry_points!(window_sse2, survey_sse2, inside_after_sse2, [], Sse2, "sse2");
entry_points!(window_avx2, survey_avx2, inside_after_avx2, [boost_avx2], Avx2, "avx2,pclmulqdq,bmi1,bmi2,lzcnt,popcnt");
entry_points!(
    window_avx512,
    survey_avx512,
    inside_after_avx512,
    [boost_avx512],
    Avx512,
    "avx2,pclmulqdq,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2"
);
