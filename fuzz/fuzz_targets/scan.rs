//! Every instruction set produces the tape of the naive twin.
#![no_main]

use libfuzzer_sys::fuzz_target;
use listferry::buffer::{Padded, SLACK};
use listferry::scan::{Carry, Dialect, Isa, Scanner, Tape};

fuzz_target!(|data: &[u8]| {
    let [options, text @ ..] = data else { return };
    let dialect = Dialect {
        delimiter: if options & 1 == 0 { b',' } else { b'\t' },
        quote: if options & 2 == 0 { Some(b'"') } else { Some(b'\'') },
        marked: if options & 4 == 0 { b'"' } else { b'|' },
    };
    let inside = options & 8 != 0;
    let step = usize::from(options >> 4) + 1;
    let mut padded = text.to_vec();
    padded.resize(text.len() + SLACK, b'"');
    let view = Padded::new(&padded, 0, text.len());
    let scan = |isa| {
        let scanner = Scanner::with(dialect, isa).expect("available");
        let mut tape = Tape::default();
        tape.start(text.len());
        let mut carry = Carry::new(inside);
        let mut from = 0;
        while from < text.len() {
            let to = (from + 64 * step).min(text.len());
            scanner.window(view, from, to, &mut carry, &mut tape);
            from = to;
        }
        let survey = scanner.survey(view, inside);
        assert_eq!(scanner.inside_after(view, inside), survey.inside, "{isa:?}");
        (tape, carry.inside(), survey)
    };
    let (naive, open, survey) = scan(Isa::Naive);
    for isa in Isa::available() {
        let (tape, other_open, other_survey) = scan(isa);
        assert_eq!(tape.cells, naive.cells, "{isa:?}");
        assert_eq!(tape.records, naive.records, "{isa:?}");
        assert_eq!(tape.junk, naive.junk, "{isa:?}");
        assert_eq!(tape.dirty.of(text.len()), naive.dirty.of(text.len()), "{isa:?}");
        assert_eq!(tape.odd.of(text.len()), naive.odd.of(text.len()), "{isa:?}");
        assert_eq!(tape.lines, naive.lines, "{isa:?}");
        assert_eq!((other_open, other_survey), (open, survey), "{isa:?}");
    }
});
