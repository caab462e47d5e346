//! Our reader returns the records of the csv crate, except that bytes after a closing quote and an unclosed quote are
//! not records of ours.
#![no_main]

use libfuzzer_sys::fuzz_target;

include!("common.rs");

fuzz_target!(|text: &[u8]| {
    // invalid UTF-8 and NUL reject a row of ours, which is not compared here
    if std::str::from_utf8(text).is_err() || text.contains(&0) {
        return;
    }
    let all = [b"a,b\n", text].concat();
    let done = run(all.clone(), Compression::None, &copied(), &CsvOptions::default(), 1, 1 << 16, None);
    let Some(Done { out, counts, rejects }) = done else { return };
    let read = |bytes: &[u8]| -> Vec<csv::ByteRecord> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        reader.byte_records().map(|record| record.expect("no I/O error")).collect()
    };
    let theirs = read(&all);
    assert_eq!(counts.read, theirs.len() as u64 - 1);
    // our output has their records in their order, except for those that we reject by number
    let mut ours = read(&out).into_iter();
    let mut rejects = rejects.0.iter().map(|reject| reject.0).peekable();
    for (number, record) in (1..).zip(&theirs[1..]) {
        if rejects.next_if_eq(&number).is_none() {
            assert_eq!(ours.next().as_ref(), Some(record));
        } else if record.len() == 2 {
            assert!(text.contains(&b'"'), "{record:?} is rejected and has its two cells");
        }
    }
    assert_eq!((ours.next(), rejects.next()), (None, None));
});
