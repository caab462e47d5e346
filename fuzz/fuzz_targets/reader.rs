//! The records of our reader are those of the csv crate, but that bytes after a closing quote and a quote that stays open
//! are no records of ours.
#![no_main]

use libfuzzer_sys::fuzz_target;

include!("common.rs");

fuzz_target!(|text: &[u8]| {
    // invalid UTF-8 and NUL reject a row of ours, which is not what is compared here
    if std::str::from_utf8(text).is_err() || text.contains(&0) {
        return;
    }
    let Some((out, counts)) = run(text, 1, 1 << 16) else { return };
    let read = |bytes: &[u8]| -> Vec<csv::ByteRecord> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        reader.byte_records().map(|record| record.expect("no I/O error")).collect()
    };
    let theirs = read(&[b"a,b\n", text].concat());
    assert_eq!(counts.read, theirs.len() as u64 - 1);
    // what we wrote, in their order, is a part of theirs; a record of two empty cells comes back as one
    let ours = read(&out);
    let mut rest = theirs[1..].iter();
    for record in ours {
        assert!(rest.any(|other| *other == record), "{record:?} is none of theirs");
    }
});
