//! The interface to the instruction sets: picks one once and checks what their code relies on.

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use super::neon;
#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{Boosted, Carry, Dialect, Survey, Tape, class, naive};
use crate::buffer::Padded;

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// One byte at a time; on every machine.
    Naive,
    /// Part of every x86-64.
    #[cfg(target_arch = "x86_64")]
    Sse2,
    /// AVX2, PCLMULQDQ, BMI.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 BW, VL, DQ, VBMI and VBMI2 in addition.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Part of every aarch64.
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon,
    /// PMULL in addition.
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Pmull,
}

impl Isa {
    /// Returns all instruction sets of this machine, the best one last.
    #[must_use]
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut, reason = "other machines add nothing")]
        let mut all = vec![Isa::Naive];
        // Miri supports the instructions of SSE2 and reports that there are no others
        #[cfg(target_arch = "x86_64")]
        {
            all.push(Isa::Sse2);
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("pclmulqdq")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            if avx2 {
                all.push(Isa::Avx2);
            }
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("avx512vbmi2")
            {
                all.push(Isa::Avx512);
            }
        }
        #[cfg(all(target_arch = "aarch64", target_endian = "little", not(miri)))]
        {
            all.push(Isa::Neon);
            // the compiler's feature "aes" includes both
            if std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull") {
                all.push(Isa::Pmull);
            }
        }
        all
    }
}

/// Finds cells and records. The instruction set is chosen once; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Scanner {
    classes: class::Classes,
    isa: Isa,
}

/// Number of bytes scanned before their records are read, so that the tape stays in the first-level cache. Small in
/// tests, so that their short texts have seams too.
pub const WINDOW: usize = if cfg!(any(test, fuzzing)) { 128 } else { 8 << 10 };

impl Scanner {
    /// Creates a scanner with the best instructions of this machine.
    #[must_use]
    pub fn new(dialect: Dialect) -> Scanner {
        static BEST: std::sync::OnceLock<Isa> = std::sync::OnceLock::new();
        let isa = *BEST.get_or_init(|| Isa::available().last().copied().unwrap_or(Isa::Naive));
        Scanner { classes: class::Classes::new(dialect), isa }
    }

    /// Creates a scanner with the given instructions; `None` if this machine does not support them.
    #[must_use]
    pub fn with(dialect: Dialect, isa: Isa) -> Option<Scanner> {
        Isa::available().contains(&isa).then_some(Scanner { classes: class::Classes::new(dialect), isa })
    }

    /// Returns the scanner with one more byte that makes a cell dirty.
    #[must_use]
    pub fn marking(mut self, byte: u8) -> Scanner {
        self.classes = class::Classes::new(Dialect { marked: byte, ..self.classes.dialect });
        self
    }

    /// Returns the dialect.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.classes.dialect
    }

    /// Scans `input[from..to]` onto the tape, which was [`started`](Tape::start) for the whole input.
    ///
    /// # Panics
    /// If `from` is not a multiple of 64, `to` is neither that nor the end, or the tape was started for less.
    #[allow(unsafe_code)]
    pub fn window(&self, input: Padded<'_>, from: usize, to: usize, carry: &mut Carry, tape: &mut Tape) {
        assert!(
            from.is_multiple_of(64) && from <= to && to <= input.len() && (to.is_multiple_of(64) || to == input.len())
        );
        assert!(tape.dirty.reaches(to) && tape.odd.reaches(to));
        assert!(u32::try_from(input.len()).is_ok(), "positions on the tape are 32 bits wide");
        tape.reserve(to - from);
        let (bytes, classes) = (input.with_slack(), &self.classes);
        // SAFETY: the constructors checked that the instructions are supported; `Padded` has SLACK bytes after `to`;
        // the tape was prepared above.
        unsafe {
            match self.isa {
                Isa::Naive => naive::window(bytes, from, to, &classes.dialect, carry, tape),
                #[cfg(target_arch = "x86_64")]
                Isa::Sse2 => x86::window_sse2(bytes, from, to, classes, carry, tape),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => x86::window_avx2(bytes, from, to, classes, carry, tape),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => x86::window_avx512(bytes, from, to, classes, carry, tape),
                #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
                Isa::Neon => neon::window_neon(bytes, from, to, classes, carry, tape),
                #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
                Isa::Pmull => neon::window_pmull(bytes, from, to, classes, carry, tape),
            }
        }
    }

    /// Does the work in a function compiled for the chosen instructions.
    #[allow(unsafe_code)]
    #[inline(always)]
    pub fn boost<W: Boosted>(&self, work: W) -> W::Output {
        match self.isa {
            // SAFETY: the constructors checked that the instructions are supported.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { x86::boost_avx512(work) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86::boost_avx2(work) },
            _ => work.run(),
        }
    }

    /// Returns the state after `input`, which starts after a line end, `inside` a quoted cell or not.
    #[allow(unsafe_code)]
    #[must_use]
    pub fn survey(&self, input: Padded<'_>, inside: bool) -> Survey {
        let (bytes, classes) = (input.with_slack(), &self.classes);
        // SAFETY: as in `window`.
        unsafe {
            match self.isa {
                Isa::Naive => naive::survey(bytes, input.len(), &classes.dialect, inside),
                #[cfg(target_arch = "x86_64")]
                Isa::Sse2 => x86::survey_sse2(bytes, input.len(), classes, inside),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => x86::survey_avx2(bytes, input.len(), classes, inside),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => x86::survey_avx512(bytes, input.len(), classes, inside),
                #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
                Isa::Neon => neon::survey_neon(bytes, input.len(), classes, inside),
                #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
                Isa::Pmull => neon::survey_pmull(bytes, input.len(), classes, inside),
            }
        }
    }

    /// Whether a quoted cell is open after `input`, which starts after a line end, `inside` a quoted cell or not. The
    /// same as in [`Scanner::survey`], but faster.
    #[allow(unsafe_code)]
    #[must_use]
    pub fn inside_after(&self, input: Padded<'_>, inside: bool) -> bool {
        match self.isa {
            // SAFETY: as in `window`.
            #[cfg(target_arch = "x86_64")]
            Isa::Sse2 => unsafe { x86::inside_after_sse2(input.with_slack(), input.len(), &self.classes, inside) },
            // SAFETY: as in `window`.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86::inside_after_avx2(input.with_slack(), input.len(), &self.classes, inside) },
            // SAFETY: as in `window`.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { x86::inside_after_avx512(input.with_slack(), input.len(), &self.classes, inside) },
            _ => self.survey(input, inside).inside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::count_lines;
    use super::*;
    use crate::buffer::SLACK;
    use proptest::prelude::*;

    fn scan(isa: Isa, dialect: Dialect, text: &[u8], inside: bool, step: usize) -> (Tape, Carry, Survey) {
        let scanner = Scanner::with(dialect, isa).expect("available");
        let mut padded = text.to_vec();
        padded.resize(text.len() + SLACK, b'"');
        let view = Padded::new(&padded, 0, text.len());
        let mut tape = Tape::default();
        tape.start(text.len());
        let mut carry = Carry::new(inside);
        let mut from = 0;
        while from < text.len() {
            let to = (from + step * 64).min(text.len());
            scanner.window(view, from, to, &mut carry, &mut tape);
            from = to;
        }
        (tape, carry, scanner.survey(view, inside))
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            4 => Just(b'a'), 4 => Just(b'"'), 4 => Just(b','), 2 => Just(b'\n'), 1 => Just(b'\r'), 1 => Just(b'\''),
            1 => Just(b'\\'), 1 => Just(b'|'), 1 => any::<u8>()
        ];
        // few quotes: whole words without one
        let seldom =
            prop_oneof![60 => Just(b'a'), 8 => Just(b','), 4 => Just(b'\n'), 1 => Just(b'\r'), 2 => Just(b'"')];
        prop_oneof![3 => proptest::collection::vec(byte, 0..400), 1 => proptest::collection::vec(seldom, 0..1500)]
    }

    /// Checks that every instruction set produces the tape of the naive implementation.
    fn compare(dialect: Dialect, text: &[u8], inside: bool, step: usize) {
        let (naive, carry, survey) = scan(Isa::Naive, dialect, text, inside, 1);
        assert_eq!(naive.lines, count_lines(text));
        for isa in Isa::available() {
            let (tape, other, other_survey) = scan(isa, dialect, text, inside, step);
            assert_eq!(tape.cells, naive.cells, "{isa:?}");
            assert_eq!(tape.records, naive.records, "{isa:?}");
            assert_eq!(tape.junk, naive.junk, "{isa:?}");
            assert_eq!(tape.lines, naive.lines, "{isa:?}");
            assert_eq!(tape.dirty.of(text.len()), naive.dirty.of(text.len()), "{isa:?}");
            assert_eq!(tape.odd.of(text.len()), naive.odd.of(text.len()), "{isa:?}");
            assert_eq!(other.inside(), carry.inside(), "{isa:?}");
            assert_eq!(other_survey, survey, "{isa:?}");
            let scanner = Scanner::with(dialect, isa).expect("available");
            let mut padded = text.to_vec();
            padded.resize(text.len() + SLACK, b'"');
            assert_eq!(scanner.inside_after(Padded::new(&padded, 0, text.len()), inside), survey.inside, "{isa:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        #[cfg_attr(miri, ignore = "an interpreter needs many minutes for such texts; the test below is for it")]
        fn every_width_agrees_with_the_naive_twin(
            text in text(), inside: bool, step in 1usize..4,
            quote in prop_oneof![4 => Just(Some(b'"')), 1 => Just(Some(b'\'')), 1 => Just(None)],
            delimiter in prop_oneof![3 => Just(b','), 1 => Just(b'|')], marked in prop_oneof![Just(b'"'), Just(b'|')],
        ) {
            let dialect = Dialect { delimiter, quote, marked };
            let inside = inside && quote.is_some();
            compare(dialect, &text, inside, step);
        }

        #[test]
        #[cfg_attr(miri, ignore = "as above")]
        fn records_have_the_shape_that_the_csv_crate_gives_them(text in text()) {
            let dialect = Dialect { delimiter: b',', quote: Some(b'"'), marked: b'"' };
            let (tape, carry, _) = scan(Isa::Naive, dialect, &text, false, 1);
            let mut ours = Vec::new();
            let (mut first, mut start) = (0usize, 0usize);
            for &record in &tape.records {
                let record = record as usize;
                let end = tape.cells[record - 1] as usize;
                if record - first > 1 || end > start {
                    ours.push(record - first);
                }
                start = end + 1;
                if text[end] == b'\r' && text.get(end + 1) == Some(&b'\n') {
                    start += 1;
                }
                first = record;
            }
            if start < text.len() || tape.cells.len() > first {
                ours.push(tape.cells.len() - first + 1);
            }
            let _ = carry;
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&text[..]);
            let theirs: Vec<usize> = reader.byte_records().map(|record| record.unwrap().len()).collect();
            // the csv crate removes a BOM
            prop_assume!(!text.starts_with(b"\xEF\xBB\xBF"));
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn every_width_agrees_on_texts_drawn_simply() {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut draw = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % below
        };
        for _ in 0..if cfg!(miri) { 60 } else { 20_000 } {
            let bytes = b"aa\"\"\",,,\n\n\r'\\|\x00\x1f\x20\x7f\x80\xff\t;";
            let len = draw(300);
            let few = 1 + draw(bytes.len());
            let text: Vec<u8> = (0..len).map(|_| bytes[draw(few)]).collect();
            let dialect = Dialect {
                delimiter: [b',', b'|'][draw(2)],
                quote: [Some(b'"'), Some(b'\''), None][draw(3)],
                marked: [b'"', b';'][draw(2)],
            };
            compare(dialect, &text, dialect.quote.is_some() && draw(2) == 1, 1 + draw(3));
        }
    }

    #[test]
    fn a_stray_quote_is_text_and_junk_is_noted() {
        let dialect = Dialect { delimiter: b',', quote: Some(b'"'), marked: b'"' };
        for isa in Isa::available() {
            let (tape, _, _) = scan(isa, dialect, b"5\" pipe,x\n\"a\"b,\"c\"\n", false, 1);
            assert_eq!(tape.cells, [7, 9, 14, 18]);
            assert_eq!(tape.records, [2, 4]);
            assert_eq!(tape.junk, [13]);
        }
    }
}
